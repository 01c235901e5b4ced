package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// together is each with all four at once: for tests that mostly wait.
func together(t *testing.T, f func(t *testing.T, s surface, kind string)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range surfaces {
		for _, kind := range kinds {
			wg.Go(func() {
				t.Run(s.name+"-to-"+kind, func(t *testing.T) { f(t, s, kind) })
			})
		}
	}
}

// grace is what is allowed where the failure catalogue gives a time for an idle machine: four times as
// much, because other tests and their processes run at the same time, and ten times with the race
// detector, which makes the gateway some five times slower.
func grace(d time.Duration) time.Duration {
	if testkit.Race {
		return 10 * d
	}
	return 4 * d
}

// base is an upstream's address as a provider of the kind is configured with.
func base(kind string, u *testkit.Upstream) string {
	if kind == "openai" {
		return u.URL() + "/v1"
	}
	return u.URL()
}

// modelOf is the model that a request asks the upstream for.
func modelOf(x *testkit.Exchange) string {
	var b struct{ Model string }
	_ = json.Unmarshal(x.Body, &b)
	return b.Model
}

// trouble is the error body that the kind sends with a status when it cannot serve.
func trouble(kind string, status int) string {
	switch {
	case status == 429:
		return failure(kind, map[string]string{"openai": "rate_limit_exceeded", "anthropic": "rate_limit_error"}[kind], "Slow down.")
	case kind == "openai":
		return failure(kind, "server_error", "Please try again.")
	case status == 503 || status == 529:
		return failure(kind, "overloaded_error", "Overloaded")
	}
	return failure(kind, "api_error", "Internal server error")
}

// stormed is one provider in trouble and the traffic it gets.
type stormed struct {
	s        surface
	kind     string
	status   int
	fallback bool
	up       *testkit.Upstream
}

// R1: a provider that fails every call gets at most a fifth more than its callers ask, over any 10 s.
func TestR1NoAmplification(t *testing.T) {
	t.Parallel()
	const (
		length   = 12 * time.Second
		interval = 20 * time.Millisecond // 50 calls a second
		attempts = 3
	)
	cases := []*stormed{
		{s: chat, kind: "openai", status: 503}, {s: messages, kind: "anthropic", status: 503},
		{s: chat, kind: "anthropic", status: 500, fallback: true}, {s: messages, kind: "openai", status: 500, fallback: true},
	}
	good := map[string]*testkit.Upstream{}
	conf, models := "providers:\n", "models:\n"
	for _, kind := range kinds {
		good[kind] = testkit.NewUpstream(t, answers(kind, "fine"))
		conf += fmt.Sprintf("  good-%s: {type: %s, base_url: %s, api_key: none}\n", kind, kind, base(kind, good[kind]))
	}
	for i, c := range cases {
		c.up = testkit.NewUpstream(t, func(x *testkit.Exchange) { x.Respond(c.status, trouble(c.kind, c.status)) })
		conf += fmt.Sprintf("  p%d: {type: %s, base_url: %s, api_key: none}\n", i, c.kind, base(c.kind, c.up))
		targets := fmt.Sprintf("{provider: p%d, model: m}", i)
		if c.fallback {
			targets += fmt.Sprintf(", {provider: good-%s, model: m}", c.kind)
		}
		models += fmt.Sprintf("  m%d: {targets: [%s], retry: {attempts: %d, backoff: 50ms, max_backoff: 200ms, budget: 20%%}, breaker: {failures: 0}}\n", i, targets, attempts)
	}
	g := testkit.Start(t, conf+models)
	var wg sync.WaitGroup
	for i, c := range cases {
		wg.Go(func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for n := range int(length / interval) {
				<-tick.C
				wg.Go(func() { c.call(t, g, i, n) })
			}
		})
	}
	wg.Wait()
	for i, c := range cases {
		c.check(t, i, attempts, int(length/interval))
	}
}

func (c *stormed) call(t *testing.T, g *testkit.Gateway, i, n int) {
	body := strings.Replace(c.s.request(fmt.Sprint("m", i), n%2 == 0), `"hi"`, fmt.Sprintf(`"call-%d."`, n), 1)
	r, err := g.Do(t.Context(), http.MethodPost, c.s.path, body)
	switch {
	case err != nil:
		t.Error(err)
	case c.fallback && r.Status != 200:
		t.Errorf("a healthy target was left, and the call failed with %d: %s", r.Status, r.Body)
	case !c.fallback:
		if _, code, _ := c.s.errorOf(t, r.Body); r.Status != 502 || code != "all_providers_failed" || r.Header.Get("X-Should-Retry") != "false" {
			t.Errorf("status %d, code %s, x-should-retry %q", r.Status, code, r.Header.Get("X-Should-Retry"))
		}
	}
}

// check counts in the upstream's record: a client's request is the first call that carries its text.
func (c *stormed) check(t *testing.T, i, attempts, calls int) {
	seen := map[string]int{}
	type call struct {
		at    time.Time
		first bool
	}
	var all []call
	for _, x := range c.up.Requests() {
		_, rest, _ := strings.Cut(string(x.Body), "call-")
		id, _, _ := strings.Cut(rest, ".")
		seen[id]++
		all = append(all, call{x.At, seen[id] == 1})
	}
	if len(seen) != calls {
		t.Errorf("m%d: the upstream saw %d of %d requests", i, len(seen), calls)
	}
	for id, n := range seen {
		if n > attempts {
			t.Errorf("m%d: call %s was tried %d times", i, id, n)
		}
	}
	slices.SortFunc(all, func(a, b call) int { return a.at.Compare(b.at) })
	// A request and its retry can stand on two sides of a window's edge: 12 calls, about what comes in one fifth of a second.
	const edge = 12
	worst := 0.0
	for from := range all {
		requests, sent := 0, 0
		for _, x := range all[from:] {
			if x.at.Sub(all[from].at) >= 10*time.Second {
				break
			}
			sent++
			if x.first {
				requests++
			}
		}
		if float64(sent) > 1.2*float64(requests)+edge {
			t.Errorf("m%d: %d upstream calls for %d requests within 10 s", i, sent, requests)
			break
		}
		if requests > 100 {
			worst = max(worst, float64(sent)/float64(requests))
		}
	}
	if retries := len(all) - len(seen); retries < calls/20 {
		t.Errorf("m%d: %d retries for %d calls: the budget is not used", i, retries, calls)
	}
	t.Logf("m%d: %d calls for %d requests, at worst %.3f for one", i, len(all), len(seen), worst)
}

// R1: the wait before a retry doubles up to its cap and is spread over all of it.
func TestR1Backoff(t *testing.T) {
	t.Parallel()
	caps := []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 400 * time.Millisecond}
	var mu sync.Mutex
	gaps := make([][]time.Duration, len(caps))
	together(t, func(t *testing.T, s surface, kind string) {
		p := testkit.NewUpstream(t, func(x *testkit.Exchange) { x.Respond(503, trouble(kind, 503)) })
		g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 4, backoff: 200ms, max_backoff: 400ms}", "breaker: {failures: 0}"))
		var wg sync.WaitGroup
		for n := range 3 { // 9 retries: within what is always allowed
			wg.Go(func() {
				_, _ = g.Do(t.Context(), http.MethodPost, s.path, strings.Replace(s.request("m", n == 1), "hi", fmt.Sprint("call-", n), 1))
			})
		}
		wg.Wait()
		at := map[string][]time.Time{}
		for _, x := range p.Requests() {
			_, rest, _ := strings.Cut(string(x.Body), "call-")
			at[rest[:1]] = append(at[rest[:1]], x.At)
		}
		mu.Lock()
		defer mu.Unlock()
		for id, times := range at {
			if len(times) != 4 {
				t.Errorf("call %s: %d attempts", id, len(times))
			}
			for i := 1; i < len(times); i++ {
				gap := times[i].Sub(times[i-1])
				gaps[i-1] = append(gaps[i-1], gap)
				if gap > caps[i-1]+grace(100*time.Millisecond) {
					t.Errorf("wait %d took %v, its cap is %v", i, gap, caps[i-1])
				}
			}
		}
	})
	for i, of := range gaps { // 12 of each, spread evenly: all on one side of these marks is beyond chance
		if slices.Min(of) > caps[i]*3/4 || slices.Max(of) < caps[i]/4 {
			t.Errorf("wait %d is not spread over %v: %v", i+1, caps[i], of)
		}
	}
}

// wait is a way to tell a client to stay away.
type wait struct {
	name   string
	status int
	header func(now time.Time) (line string, until time.Time)
}

func waits() []wait {
	const d = 2 * time.Second
	forms := map[string]func(now time.Time) (string, time.Time){
		"seconds": func(now time.Time) (string, time.Time) { return "Retry-After: 2", now.Add(d) },
		"date": func(now time.Time) (string, time.Time) {
			at := now.Add(d + time.Second).Truncate(time.Second)
			return "Retry-After: " + at.UTC().Format(http.TimeFormat), at
		},
		"ms": func(now time.Time) (string, time.Time) { return "retry-after-ms: 2000", now.Add(d) },
	}
	var out []wait
	for name, f := range forms {
		for _, status := range []int{429, 503} {
			out = append(out, wait{fmt.Sprint(name, "-", status), status, f})
		}
	}
	return out
}

// R2: a provider that says when to come back is not called before.
func TestR2RetryAfter(t *testing.T) {
	t.Parallel()
	together(t, func(t *testing.T, s surface, kind string) {
		all := waits()
		var mu sync.Mutex
		until := map[string]time.Time{}
		p1 := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			mu.Lock()
			defer mu.Unlock()
			model := modelOf(x)
			at, told := until[model]
			if told && !x.At.Before(at) {
				answers(kind, "one")(x)
				return
			}
			if told {
				t.Errorf("%s: called %v too early", model, at.Sub(x.At))
			}
			for _, w := range all {
				if w.name == model {
					var line string
					line, until[model] = w.header(time.Now())
					x.Respond(w.status, trouble(kind, w.status), line)
				}
			}
		})
		p2 := testkit.NewUpstream(t, answers(kind, "two"))
		conf := fmt.Sprintf("providers:\n  p1: {type: %s, base_url: %s, api_key: none}\n  p2: {type: %s, base_url: %s, api_key: none}\nmodels:\n",
			kind, base(kind, p1), kind, base(kind, p2))
		for _, w := range all {
			conf += fmt.Sprintf("  %s: {targets: [{provider: p1, model: %s}, {provider: p2, model: x}], breaker: {failures: 0}}\n", w.name, w.name)
		}
		g := testkit.Start(t, conf)
		begun, n := time.Now(), 0
		for round := 0; time.Since(begun) < 1900*time.Millisecond; round++ { // about 500 calls over the four
			for _, w := range all {
				r := g.Post(t, s.path, s.request(w.name, false))
				n++
				if got := s.text(t, r.Body); r.Status != 200 || got != "two" {
					t.Fatalf("%s: %d %s", w.name, r.Status, r.Body)
				}
			}
			time.Sleep(80 * time.Millisecond)
		}
		mu.Lock()
		last := begun
		for _, at := range until {
			if at.After(last) {
				last = at
			}
		}
		mu.Unlock()
		time.Sleep(time.Until(last) + 50*time.Millisecond)
		for _, w := range all { // and when the time has come it is asked again
			if got := s.text(t, g.Post(t, s.path, s.request(w.name, false)).Body); got != "one" {
				t.Errorf("%s: after its time the provider is not asked: %q", w.name, got)
			}
		}
		if p1.Count() != 2*len(all) {
			t.Errorf("p1 was called %d times", p1.Count())
		}
		t.Logf("%d calls while it rested", n)
	})
}

// R2: with nowhere else to go the call waits if its deadline allows, and else tells the client how long to.
func TestR2NowhereElse(t *testing.T) {
	t.Parallel()
	together(t, func(t *testing.T, s surface, kind string) {
		for _, status := range []int{429, 503} {
			p := testkit.NewUpstream(t, nil)
			refuse := func(x *testkit.Exchange) { x.Respond(status, trouble(kind, status), "Retry-After: 1") }
			g := testkit.Start(t, pair(kind, p, nil, "breaker: {failures: 0}"))
			p.Script(func(x *testkit.Exchange) {
				if x.N == 1 {
					refuse(x)
					return
				}
				answers(kind, "late")(x)
			})
			r := g.Post(t, s.path, s.request("m", true))
			if a := s.read(t, r.Body); a.text != "late" || !a.complete || r.Took < time.Second || p.Count() != 2 || r.Header.Get("X-Breakwater-Attempts") != "2" {
				t.Errorf("%d: after %v and %d calls: %d %+v", status, r.Took, p.Count(), r.Status, a)
			}

			// The call's deadline is before the wait's end: told at once.
			p.Script(refuse)
			r = g.Post(t, s.path, s.request("m", false), "X-Breakwater-Timeout: 400ms")
			rested := time.Now().Add(time.Second)
			if r.Took > 300*time.Millisecond+grace(100*time.Millisecond) {
				t.Errorf("%d: the answer that it must wait took %v", status, r.Took)
			}
			_, code, _ := s.errorOf(t, r.Body)
			if want := map[int]int{429: 429, 503: 502}[status]; r.Status != want || code != "all_providers_failed" {
				t.Errorf("%d: %d %s", status, r.Status, code)
			}
			if status == 429 {
				longEnough(t, r, rested)
			}
			// While it rests it is not called at all.
			n := p.Count()
			for _, stream := range []bool{false, true} {
				r = g.Post(t, s.path, s.request("m", stream), "X-Breakwater-Timeout: 200ms")
				_, code, _ = s.errorOf(t, r.Body)
				want := map[int]string{429: "429 all_providers_failed", 503: "503 no_provider_available"}[status]
				if got := fmt.Sprint(r.Status, " ", code); got != want {
					t.Errorf("%d, while resting: %s, want %s", status, got, want)
				}
				longEnough(t, r, rested)
			}
			if p.Count() != n {
				t.Errorf("%d: called %d times while it rested", status, p.Count()-n)
			}
		}
	})
}

// longEnough checks that the answer's Retry-After does not lead a client back before the time. What the
// answer took on its way is in the time's favour.
func longEnough(t *testing.T, r *testkit.Reply, until time.Time) {
	t.Helper()
	sec, err := strconv.Atoi(r.Header.Get("Retry-After"))
	// Until is reckoned after the refusal came here, so it is late by the way back: up to grace.
	if left := time.Until(until) - grace(50*time.Millisecond); err != nil || time.Duration(sec)*time.Second < left || sec > 2 {
		t.Errorf("Retry-After %q, %v to go", r.Header.Get("Retry-After"), left)
	}
}

// R6: a kept connection that dies as it is used again costs one counted attempt, and nothing is
// replayed by itself.
func TestR6DeadKeepAlive(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		trust := testkit.TrustTLS(t)
		for _, c := range []struct {
			budget      string
			reset       bool
			newUpstream func(testing.TB, func(*testkit.Exchange)) *testkit.Upstream
		}{
			{"100%", false, testkit.NewUpstream}, {"100%", true, testkit.NewUpstream}, {"0%", false, testkit.NewUpstream},
			{"100%", false, testkit.NewTLSUpstream}, {"100%", true, testkit.NewTLSUpstream}, {"0%", true, testkit.NewTLSUpstream},
		} {
			var mu sync.Mutex
			used := map[int]bool{}
			p := c.newUpstream(t, func(x *testkit.Exchange) {
				mu.Lock()
				again := used[x.ConnN]
				used[x.ConnN] = true
				mu.Unlock()
				switch {
				case !again:
					answers(kind, "fine")(x)
				case c.reset:
					x.RST()
				default:
					x.FIN()
				}
			})
			g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 4, backoff: 1ms, max_backoff: 2ms, budget: "+c.budget+"}", "breaker: {failures: 0}"), trust)
			name := fmt.Sprintf("%s, budget %s, reset %v", p.URL(), c.budget, c.reset)
			attempts, failed := 0, 0
			const calls = 24
			for i := range calls {
				r := g.Post(t, s.path, s.request("m", i%3 == 0), fmt.Sprintf("Idempotency-Key: call-%d", i))
				n, err := strconv.Atoi(r.Header.Get("X-Breakwater-Attempts"))
				if attempts += n; err != nil || n > 2 {
					t.Errorf("%s: call %d took %d attempts: %v", name, i, n, err)
				}
				if r.Status != 200 {
					failed++
				}
			}
			if p.Count() != attempts {
				t.Errorf("%s: the upstream saw %d requests, the headers tell of %d", name, p.Count(), attempts)
			}
			logged := 0.0
			for _, l := range g.WaitCalls(t, calls) {
				logged += l["attempts"].(float64)
			}
			if int(logged) != attempts {
				t.Errorf("%s: the log tells of %v attempts, the headers of %d", name, logged, attempts)
			}
			if attempts < calls+10 || c.budget == "100%" && failed > 0 || c.budget == "0%" && p.Count() > calls+10 {
				t.Errorf("%s: %d of %d calls failed, the upstream saw %d", name, failed, calls, p.Count())
			}
			for _, x := range p.Requests() {
				if x.Header["Idempotency-Key"] != nil {
					t.Fatal("Idempotency-Key was forwarded")
				}
			}
		}
	})
}

// R7: nothing is done for a client that has left.
func TestR7NobodyWaiting(t *testing.T) {
	t.Parallel()
	hang := func(x *testkit.Exchange) { x.Hang(5 * time.Second) }
	together(t, func(t *testing.T, s surface, kind string) {
		later := func(x *testkit.Exchange) { x.Respond(503, trouble(kind, 503), "retry-after-ms: 500") }
		fail := func(x *testkit.Exchange) { x.Respond(500, trouble(kind, 500)) }
		cases := []struct {
			name   string
			p1, p2 func(x *testkit.Exchange)
			calls  int  // upstream, before the client leaves
			hangs  bool // one of them does
		}{
			{"between attempts", later, later, 2, false},
			{"before the fallback", hang, nil, 1, true},
			{"in the fallback", fail, hang, 2, true},
		}
		p1, p2 := testkit.NewUpstream(t, nil), testkit.NewUpstream(t, nil)
		free := testkit.NewUpstream(t, answers(kind, "free"))
		conf := strings.Replace(pair(kind, p1, p2, "timeout: {first_token: 400ms}", "retry: {attempts: 1}", "breaker: {failures: 0}"), "models:",
			fmt.Sprintf("  free: {type: %s, base_url: %s, api_key: none}\nlimits: {max_streams: 1}\nmodels:", kind, base(kind, free)), 1)
		retrying := strings.Replace(conf, "attempts: 1", "attempts: 3", 1)
		total := 0
		for _, c := range cases {
			for _, stream := range []bool{false, true} {
				p1.Script(c.p1)
				p2.Script(c.p2)
				before := p1.Count() + p2.Count()
				with := conf
				if c.name == "between attempts" {
					with = retrying
				}
				g := testkit.Start(t, with)
				ctx, leave := context.WithCancel(t.Context())
				gone := make(chan error, 1)
				go func() {
					_, err := g.Do(ctx, http.MethodPost, s.path, s.request("m", stream))
					gone <- err
				}()
				until(t, c.name, func() bool { return p1.Count()+p2.Count() >= before+c.calls })
				time.Sleep(50 * time.Millisecond)
				if r := g.Post(t, s.path, s.request("free/x", false)); r.Status != 503 {
					t.Errorf("%s: the only slot is taken, and a call got %d", c.name, r.Status)
				}
				leave()
				left := time.Now()
				if err := <-gone; err == nil {
					t.Errorf("%s: an answer came", c.name)
				}
				until(t, "the slot", func() bool { return g.Post(t, s.path, s.request("free/x", false)).Status == 200 })
				if took := time.Since(left); took > grace(100*time.Millisecond) {
					t.Errorf("%s: the slot was free %v after the client left", c.name, took)
				}
				if c.hangs {
					reqs := append(p1.Requests(), p2.Requests()...)
					if x := slices.MaxFunc(reqs, func(a, b *testkit.Exchange) int { return a.At.Compare(b.At) }); !x.Hang(time.Second) || x.GoneAt.Sub(left) > grace(100*time.Millisecond) {
						t.Errorf("%s: the provider's connection was closed %v after the client left", c.name, x.GoneAt.Sub(left))
					}
				}
				time.Sleep(700*time.Millisecond - time.Since(left)) // past the wait and the limit for the first token
				if n := p1.Count() + p2.Count() - before; n != c.calls {
					t.Errorf("%s: %d upstream calls, %d of them for nobody", c.name, n, n-c.calls)
				}
				for _, l := range g.Calls(t) {
					if l["requested_model"] == "m" {
						total++
						if l["status"] != "cancelled" || l["error_type"] != "client_closed" {
							t.Errorf("%s is logged as %v %v", c.name, l["status"], l["error_type"])
						}
					}
				}
			}
		}
		if total != 2*len(cases) {
			t.Errorf("%d of %d calls are logged", total, 2*len(cases))
		}
	})
}

// until waits for something that must come within 5 s.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not come", what)
		}
	}
}

// R8: all attempts together fit into the call's time limit.
func TestR8Deadline(t *testing.T) {
	t.Parallel()
	together(t, func(t *testing.T, s surface, kind string) {
		hang := func(x *testkit.Exchange) { x.Hang(5 * time.Second) }
		refuse := func(x *testkit.Exchange) {
			time.Sleep(30 * time.Millisecond)
			x.Respond(503, trouble(kind, 503))
		}
		half := func(x *testkit.Exchange) { // an answer that begins and does not end
			if x.JSON(`"stream":true`) {
				head, _, _ := frames(kind, "x")
				x.StreamHead()
				x.Chunk(strings.Join(head, ""))
			} else {
				x.Head(200, "Content-Type: application/json", "Content-Length: 1000")
				x.Write(whole(kind, "x")[:20])
			}
			x.Hang(5 * time.Second)
		}
		p1, p2 := testkit.NewUpstream(t, nil), testkit.NewUpstream(t, nil)
		settings := []string{"retry: {attempts: 10, backoff: 10ms, max_backoff: 20ms, budget: 100%}", "breaker: {failures: 0}"}
		limited := testkit.Start(t, pair(kind, p1, p2, append(settings, "timeout: {total: 500ms}")...))
		open := testkit.Start(t, pair(kind, p1, p2, settings...))
		for name, scripts := range map[string][2]func(x *testkit.Exchange){"both hang": {hang, hang}, "half an answer": {half, half}, "one refuses": {refuse, hang}} {
			p1.Script(scripts[0])
			p2.Script(scripts[1])
			var wg sync.WaitGroup
			for _, stream := range []bool{false, true} {
				for from, ask := range map[string]struct {
					g       *testkit.Gateway
					headers []string
				}{
					"configured": {limited, nil}, "asked": {open, []string{"X-Breakwater-Timeout: 500ms"}}, "the lesser one": {limited, []string{"X-Breakwater-Timeout: 30s"}},
				} {
					wg.Go(func() {
						r, err := ask.g.Do(t.Context(), http.MethodPost, s.path, s.request("m", stream), ask.headers...)
						if err != nil {
							t.Error(err)
							return
						}
						s.errorOf(t, r.Body)
						if r.Status != 504 || r.Took > 500*time.Millisecond+grace(200*time.Millisecond) || r.Took < 450*time.Millisecond {
							t.Errorf("%s, %s, stream %v: %d after %v: %s", name, from, stream, r.Status, r.Took, r.Body)
						}
					})
				}
			}
			wg.Wait()
		}
		n := p1.Count() + p2.Count()
		time.Sleep(300 * time.Millisecond)
		if late := p1.Count() + p2.Count() - n; late != 0 {
			t.Errorf("%d upstream calls after the last deadline", late)
		}
		if n := max(p1.Open(), p2.Open()); n > 6 { // what hung is closed; what answered is kept, one for each call at once
			t.Errorf("%d upstream connections stay open", n)
		}
	})
}
