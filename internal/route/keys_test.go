package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-llm/breakwater/llm"
)

// usedKeys counts the calls by key.
func usedKeys(f *fake) map[string]int {
	used := map[string]int{}
	for _, x := range f.all() {
		used[x.key]++
	}
	return used
}

func TestKeysAreSpread(t *testing.T) {
	for keys := 1; keys <= 4; keys++ {
		f := &fake{name: "p1", script: says("ok")}
		w := newWorld(keys, f)
		for range 60 {
			w.do(t.Context(), newCall(false))
		}
		used := usedKeys(f)
		for i := range keys {
			if n := used[fmt.Sprintf("p1-key-%d", i+1)]; n != 60/keys {
				t.Errorf("%d keys: %v", keys, used)
			}
		}
	}
}

// TestBadKeyIsTakenOut: the next key of the same provider is asked, in the same
// call, and the bad one is left alone for a minute.
func TestBadKeyIsTakenOut(t *testing.T) {
	for _, bad := range []*llm.Error{
		failure(llm.KindAuthentication, 401, notTold), failure(llm.KindQuota, 429, notTold), failure(llm.KindPermission, 403, notTold),
		failure(llm.KindRateLimit, 429, time.Minute),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{name: "p1"}
			f.script = func(x *exchange) reply {
				if x.key == "p1-key-1" {
					return reply{err: bad}
				}
				return reply{events: whole("ok")}
			}
			p2 := &fake{name: "p2", script: says("two")}
			w := newWorld(3, f, p2)
			for range 30 {
				out := w.do(t.Context(), newCall(false))
				if out.text != "ok" {
					t.Fatalf("%s: %q %v %v", bad.Kind, out.text, out.err, reasons(out.rec))
				}
				if n := len(out.rec.Attempts); n == 2 && !slices.Equal(reasons(out.rec), []string{"first", "next_key"}) {
					t.Errorf("%s: %v", bad.Kind, reasons(out.rec))
				}
			}
			if used := usedKeys(f); used["p1-key-1"] != 1 || used["p1-key-2"] < 10 || used["p1-key-3"] < 10 {
				t.Errorf("%s: %v", bad.Kind, used)
			}
			time.Sleep(time.Minute)
			for range 6 {
				w.do(t.Context(), newCall(false))
			}
			if used := usedKeys(f); used["p1-key-1"] != 2 {
				t.Errorf("%s: a minute later: %v", bad.Kind, used)
			}
			if p2.count() != 0 {
				t.Errorf("%s: %d calls elsewhere", bad.Kind, p2.count())
			}
		})
	}
}

// TestAllKeysBad: every key is asked once, then the next target; later calls go there at once.
func TestAllKeysBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p1 := &fake{name: "p1", script: fails(failure(llm.KindAuthentication, 401, notTold))}
		p2 := &fake{name: "p2", script: says("two")}
		w := newWorld(3, p1, p2)
		out := w.do(t.Context(), newCall(false))
		if want := []string{"first", "next_key", "next_key", "fallback"}; out.text != "two" || !slices.Equal(reasons(out.rec), want) {
			t.Errorf("%q %v", out.text, reasons(out.rec))
		}
		out = w.do(t.Context(), newCall(false))
		if want := []string{"-cooldown", "fallback"}; out.text != "two" || !slices.Equal(reasons(out.rec), want) {
			t.Errorf("%q %v", out.text, reasons(out.rec))
		}
		if out.rec.Attempts[0].Kind != llm.KindAuthentication || out.rec.Attempts[0].RetryAfter <= 0 {
			t.Errorf("the skip: %+v", out.rec.Attempts[0])
		}
	})
}

// TestRestingAlone: what the caller of a model whose only target rests is told.
func TestRestingAlone(t *testing.T) {
	for _, tc := range []struct {
		first  *llm.Error
		status int
		code   string
	}{
		{failure(llm.KindRateLimit, 429, time.Minute), 429, failedAll},
		{failure(llm.KindOverloaded, 503, time.Minute), 503, "no_provider_available"},
		{failure(llm.KindAuthentication, 401, notTold), 503, "no_provider_available"},
		{failure(llm.KindQuota, 402, notTold), 503, "no_provider_available"},
		{failure(llm.KindPermission, 403, notTold), 503, "no_provider_available"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{name: "p1", script: fails(tc.first)}
			w := newWorld(1, f)
			w.do(t.Context(), newCall(false))
			asked := f.count()
			time.Sleep(20 * time.Second)
			out := w.do(t.Context(), newCall(false))
			if f.count() != asked || out.took != 0 {
				t.Errorf("%s: %d more calls, %v", tc.first.Kind, f.count()-asked, out.took)
			}
			e := out.err
			if e == nil || e.HTTPStatus() != tc.status || e.PublicCode() != tc.code || e.RetryAfter != 40*time.Second || e.NoRetry {
				t.Errorf("%s: %v, status %d %s, after %v", tc.first.Kind, e, e.HTTPStatus(), e.PublicCode(), e.RetryAfter)
			}
			if len(e.Attempts) != 1 || !e.Attempts[0].Skipped || e.Attempts[0].Kind != tc.first.Kind {
				t.Errorf("%s: attempts %+v", tc.first.Kind, e.Attempts)
			}
		})
	}
}

// TestRetryAfterIsKept: 0 calls before the time told, whatever was told, by any
// call of many at once.
func TestRetryAfterIsKept(t *testing.T) {
	waits := []time.Duration{notTold, 0, time.Millisecond, 660 * time.Millisecond, 2 * time.Second, 30 * time.Second, 10 * time.Hour, 1e6 * time.Hour}
	kinds := []struct {
		kind   llm.Kind
		status int
	}{{llm.KindRateLimit, 429}, {llm.KindOverloaded, 503}, {llm.KindServerError, 503}}
	for seed := range uint64(500) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			told, until := map[string]time.Time{}, map[string]time.Time{}
			early := 0
			f := &fake{name: "p1"}
			f.script = func(x *exchange) reply {
				mu.Lock()
				defer mu.Unlock()
				if x.at.Before(until[x.key]) && x.at.After(told[x.key]) { // at that very moment it was on its way
					early++
				}
				if rnd.IntN(3) == 0 {
					return reply{events: whole("ok")}
				}
				k, d := kinds[rnd.IntN(len(kinds))], waits[rnd.IntN(len(waits))]
				if u := x.at.Add(min(d, 24*time.Hour)); u.After(until[x.key]) {
					told[x.key], until[x.key] = x.at, u
				}
				return reply{err: failure(k.kind, k.status, d)}
			}
			w := newWorld(1+rnd.IntN(2), f)
			if rnd.IntN(2) == 0 {
				w.model.Targets = append(w.model.Targets, Target{Provider: newProvider(&fake{name: "p2", script: says("two")}, 1), Model: "x"})
			}
			var starts [12]time.Duration
			for i := range starts {
				starts[i] = time.Duration(rnd.IntN(5000)) * time.Millisecond
			}
			var calls sync.WaitGroup
			for _, d := range starts {
				calls.Go(func() {
					time.Sleep(d)
					w.do(t.Context(), newCall(false))
				})
			}
			calls.Wait()
			if early > 0 {
				t.Errorf("seed %d: %d early calls", seed, early)
			}
		})
	}
}

func TestCooldownOnlyGrows(t *testing.T) {
	now := time.Now()
	k := &Key{}
	check := func(want time.Duration, why llm.Kind) {
		t.Helper()
		if d, w := k.Blocked("m", now); d != want || w != why {
			t.Errorf("%v %s, want %v %s", d, w, want, why)
		}
	}
	check(0, "")
	k.Cool("m", now.Add(2*sec), llm.KindRateLimit, now)
	check(2*sec, llm.KindRateLimit)
	k.Cool("m", now.Add(sec), llm.KindOverloaded, now)
	check(2*sec, llm.KindRateLimit)
	k.Cool("m", now.Add(5*sec), llm.KindOverloaded, now)
	check(5*sec, llm.KindOverloaded)
	k.Disable(now.Add(sec), llm.KindQuota)
	check(5*sec, llm.KindOverloaded)
	k.Disable(now.Add(9*sec), llm.KindAuthentication)
	check(9*sec, llm.KindAuthentication)
	k.Disable(now.Add(8*sec), llm.KindQuota)
	check(9*sec, llm.KindAuthentication)
	if d, _ := k.Blocked("other", now); d != 9*sec {
		t.Errorf("another model: %v", d)
	}
	now = now.Add(10 * sec)
	check(0, "")
}

// TestCooldownsAreBounded: names come from callers; a full table keeps growing
// those it has, and takes others when old ones are over.
func TestCooldownsAreBounded(t *testing.T) {
	now := time.Now()
	k := &Key{}
	for i := range 3 * maxCooling {
		k.Cool(fmt.Sprint(i), now.Add(time.Duration(i%2+1)*minute), llm.KindRateLimit, now)
	}
	if len(k.cooling) != maxCooling {
		t.Errorf("%d", len(k.cooling))
	}
	k.Cool("0", now.Add(time.Hour), llm.KindRateLimit, now)
	if d, _ := k.Blocked("0", now); d != time.Hour {
		t.Errorf("a cooldown in a full table did not grow: %v", d)
	}
	now = now.Add(90 * sec)
	k.Cool("new", now.Add(minute), llm.KindRateLimit, now)
	if d, _ := k.Blocked("new", now); d != minute {
		t.Errorf("no room though half of the table is over: %v", d)
	}
}

// TestWaitIsBounded: a call does not wait longer than max_backoff for a key that
// others keep busy, however often its rest is extended.
func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "p1", script: says("ok")}
		w := newWorld(1, f)
		key := w.providers[0].Keys[0]
		cool := func(d time.Duration) { key.Cool("p1-model", time.Now().Add(d), llm.KindRateLimit, time.Now()) }
		cool(3 * sec)
		time.AfterFunc(2*sec, func() { cool(3 * sec) })
		if out := w.do(t.Context(), newCall(false)); out.text != "ok" || !slices.Equal(reasons(out.rec), []string{"-cooldown", "waited"}) {
			t.Errorf("%v %v", out.err, reasons(out.rec))
		}
		cool(5 * sec)
		time.AfterFunc(4*sec, func() { cool(6 * sec) })
		out := w.do(t.Context(), newCall(false))
		if out.err == nil || out.err.HTTPStatus() != 429 || out.took > 6*sec || out.err.RetryAfter < 4*sec {
			t.Errorf("%v after %v", out.err, out.took)
		}
	})
}

// TestWaitCountsAnew: an attempt in between ends the wait.
func TestWaitCountsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "p1"}
		f.script = func(x *exchange) reply {
			if x.n == 1 {
				return reply{err: failure(llm.KindRateLimit, 429, 6*sec)}
			}
			return reply{events: whole("ok")}
		}
		w := newWorld(1, f)
		w.providers[0].Keys[0].Cool("p1-model", time.Now().Add(5*sec), llm.KindRateLimit, time.Now())
		if out := w.do(t.Context(), newCall(false)); out.text != "ok" {
			t.Errorf("%v after %v", out.err, out.took)
		}
	})
}

// TestWaitsRunTogether: a target's wait goes on while another is asked; the one that ends first is tried first.
func TestWaitsRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p1, p2 := &fake{name: "p1"}, &fake{name: "p2"}
		p1.script = func(x *exchange) reply {
			if x.n == 1 {
				return reply{err: failure(llm.KindRateLimit, 429, 5*sec)}
			}
			return reply{events: whole("one")}
		}
		p2.script = func(*exchange) reply { return reply{after: 3 * sec, err: failure(llm.KindRateLimit, 429, 4*sec)} }
		w := newWorld(1, p1, p2)
		w.r.random = func() float64 { return 0 }
		if out := w.do(t.Context(), newCall(false)); out.text != "one" || p2.count() != 1 {
			t.Errorf("%q %v, %d calls of the second", out.text, out.err, p2.count())
		}
		near(t, "the second try", p1.calls[1].at.Sub(start), 5*sec, 0)
	})
}
