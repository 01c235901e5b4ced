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

// TestNoAmplification: a provider that answers a minute of steady traffic with
// failures only is sent at most 1.2 times what its callers ask in any ten seconds.
func TestNoAmplification(t *testing.T) {
	for _, e := range []*llm.Error{
		failure(llm.KindOverloaded, 503, notTold), failure(llm.KindServerError, 500, notTold), failure(llm.KindConnection, 0, notTold),
		failure(llm.KindTimeout, 504, notTold), failure(llm.KindOverloaded, 503, 2*sec), failure(llm.KindRateLimit, 429, notTold),
	} {
		for _, healthy := range []bool{true, false} {
			for _, attempts := range []int{2, 4} {
				name := fmt.Sprintf("%s %v healthy=%v attempts=%d", e.Kind, e.RetryAfter, healthy, attempts)
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { amplification(t, e, healthy, attempts) })
				})
			}
		}
	}
}

func amplification(t *testing.T, e *llm.Error, healthy bool, attempts int) {
	const rate, length = 50, 60
	rnd := rand.New(rand.NewPCG(1, 2))
	p1, p2 := &fake{name: "p1", script: fails(e)}, &fake{name: "p2", script: says("two")}
	fakes := []*fake{p1}
	if healthy {
		fakes = append(fakes, p2)
	}
	w := newWorld(1, fakes...)
	w.model.Retry.Attempts = attempts
	var mu sync.Mutex
	w.r.random = func() float64 { mu.Lock(); defer mu.Unlock(); return rnd.Float64() }
	var asked []time.Time
	var calls sync.WaitGroup
	for range rate * length {
		asked = append(asked, time.Now())
		calls.Go(func() {
			out := w.do(t.Context(), newCall(false))
			if healthy && out.text != "two" {
				t.Errorf("a healthy target was there: %v", out.err)
			}
		})
		time.Sleep(time.Second / rate)
	}
	calls.Wait()
	var sent []time.Time
	byCall := map[string]int{}
	for _, x := range p1.all() {
		sent = append(sent, x.at)
		byCall[x.id]++
	}
	for id, n := range byCall {
		if n > attempts {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	for _, from := range append(sent, asked...) {
		to := from.Add(10 * time.Second)
		if to.After(asked[len(asked)-1]) {
			continue
		}
		if n, limit := within(sent, from, to), 1.2*float64(within(asked, from, to)); float64(n) > limit {
			t.Fatalf("%d calls in the ten seconds from %v on, at most %.0f are right", n, from.Sub(asked[0]), limit)
		}
	}
}

// within counts the times in [from, to).
func within(at []time.Time, from, to time.Time) int {
	i, _ := slices.BinarySearchFunc(at, from, time.Time.Compare)
	j, _ := slices.BinarySearchFunc(at, to, time.Time.Compare)
	return j - i
}

// TestRecovery: when the failing provider is well again, it is used at once.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		p1 := &fake{name: "p1", script: func(*exchange) reply {
			if broken {
				return reply{err: failure(llm.KindOverloaded, 503, 5*sec)}
			}
			return reply{events: whole("one")}
		}}
		w := newWorld(1, p1, &fake{name: "p2", script: says("two")})
		if out := w.do(t.Context(), newCall(false)); out.text != "two" {
			t.Fatal(out.err)
		}
		broken = false
		time.Sleep(5 * sec)
		if out := w.do(t.Context(), newCall(false)); out.text != "one" {
			t.Errorf("%q %v", out.text, out.err)
		}
	})
}

// TestBackoff: exponential, capped, full jitter.
func TestBackoff(t *testing.T) {
	for _, random := range []float64{0, 0.25, 0.999} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{name: "p1", script: fails(failure(llm.KindServerError, 500, notTold))}
			w := newWorld(1, f)
			w.model.Retry = Retry{Attempts: 8, Backoff: 250 * time.Millisecond, MaxBackoff: 8 * sec, Budget: 1}
			w.r.random = func() float64 { return random }
			w.do(t.Context(), newCall(false))
			if f.count() != 8 {
				t.Fatalf("%d tries", f.count())
			}
			for i := range 7 {
				ceiling := min(250*time.Millisecond<<i, 8*sec)
				want := time.Duration(random * float64(ceiling))
				if got := f.calls[i+1].at.Sub(f.calls[i].at); got != want {
					t.Errorf("random %v: wait %d is %v, want %v", random, i+1, got, want)
				}
			}
		})
	}
	n := &run{m: &Model{Retry: Retry{Backoff: time.Hour, MaxBackoff: 1 << 62}}, r: &Router{random: func() float64 { return 1 }}}
	for _, sent := range []int{1, 2, 21, 22, 1000} {
		if d := n.backoff(sent); d < 0 || d > 1<<62 {
			t.Errorf("after %d tries: %v", sent, d)
		}
	}
}

// TestBudget compares the budget, which counts in slots of 200 ms, with an exact
// count: a retry is allowed only if the retries of the last 10 s stay within the
// share of the requests of the last 10 s, and refused only if those of the last
// 10.2 s would be beyond the share of the last 9.8 s.
func TestBudget(t *testing.T) {
	const slot = budgetWindow / budgetSlots
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		b, now := &Budget{}, time.Unix(1e9, int64(rnd.IntN(1e9)))
		share := []float64{0, 0.05, 0.2, 0.5, 1}[rnd.IntN(5)]
		pace := time.Duration(rnd.IntN(300)+1) * time.Millisecond
		var requests, retries []time.Time
		limit := func(d time.Duration) int {
			return max(minRetries, int(share*float64(within(requests, now.Add(1-d), now.Add(1)))))
		}
		for range 2000 {
			switch rnd.IntN(200) {
			case 0:
				now = now.Add(time.Duration(rnd.Int64N(int64(3 * budgetWindow))))
			default:
				now = now.Add(time.Duration(rnd.Int64N(int64(pace))))
			}
			if rnd.IntN(2) == 0 {
				b.Request(now)
				requests = append(requests, now)
				continue
			}
			allowed := b.Retry(now, share)
			if !allowed {
				if n := within(retries, now.Add(1-budgetWindow-slot), now.Add(1)); n+1 <= limit(budgetWindow-slot) {
					t.Fatalf("seed %d: refused after %d retries of %d", seed, n, limit(budgetWindow-slot))
				}
				continue
			}
			retries = append(retries, now)
			if n := within(retries, now.Add(1-budgetWindow), now.Add(1)); n > limit(budgetWindow) {
				t.Fatalf("seed %d: %d retries of %d", seed, n, limit(budgetWindow))
			}
		}
		if len(retries) == 0 {
			t.Errorf("seed %d: no retry was ever allowed", seed)
		}
	}
}
