package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// slowly is an answer that takes about a fifth of a second, as a stream or whole.
func slowly(kind string) func(x *testkit.Exchange) {
	return func(x *testkit.Exchange) {
		if !x.JSON(`"stream":true`) {
			time.Sleep(200 * time.Millisecond)
			x.Respond(200, whole(kind, "0123456789"))
			return
		}
		head, content, tail := frames(kind, strings.Split("0123456789", "")...)
		x.StreamHead()
		x.Chunk(strings.Join(head, ""))
		for _, c := range content {
			time.Sleep(20 * time.Millisecond)
			x.Chunk(c)
		}
		x.Chunk(strings.Join(tail, ""))
		x.EndChunks()
	}
}

// M9: a gateway that is told to stop under load finishes what it has taken, and loses no row.
func TestM9StopUnderLoad(t *testing.T) {
	t.Parallel()
	const stops, clients = 20, 8
	var list []string
	for i := range stops {
		list = append(list, fmt.Sprint(i))
	}
	slots := make(chan struct{}, 4)
	many(list, func(n string) {
		slots <- struct{}{}
		defer func() { <-slots }()
		t.Run(n, func(t *testing.T) {
			kind := kinds[int(n[0])%2]
			p := testkit.NewUpstream(t, slowly(kind))
			g := testkit.Start(t, "limits: {drain: 10s}\n"+pair(kind, p, nil, "retry: {attempts: 1}"))
			var mu sync.Mutex
			answered, refused := 0, 0
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					s := surfaces[c%2]
					for {
						r, err := g.Do(t.Context(), http.MethodPost, s.path, s.request("m", c%4 < 2))
						if err != nil {
							return // the gateway is gone: nothing was taken, as the upstream's count below shows
						}
						mu.Lock()
						stop := check(t, s, r, c%4 < 2, &answered, &refused)
						mu.Unlock()
						if stop {
							return
						}
					}
				})
			}
			until(t, "load", func() bool { return p.Count() > clients })
			time.Sleep(time.Duration(13*len(n)+17*int(n[len(n)-1]-'0')) * time.Millisecond) // stops fall at different points
			if code, ok := g.Terminate(15 * time.Second); code != 0 || !ok {
				t.Errorf("exit code %d, ended by itself: %v\n%s", code, ok, g.Stderr())
			}
			wg.Wait()
			if p.Count() != answered {
				t.Errorf("the upstream was asked %d times, %d answers came", p.Count(), answered)
			}
			good, stopped := 0, 0
			for _, l := range g.Calls(t) {
				switch {
				case l["status"] == "success":
					good++
				case l["error_type"] == "shutdown":
					stopped++
				default:
					t.Errorf("a call is logged as %v %v", l["status"], l["error_type"])
				}
			}
			if good != answered || stopped < refused {
				t.Errorf("%d answers and %d refusals, %d and %d rows", answered, refused, good, stopped)
			}
		})
	})
}

// check counts an answer under a stop, and reports whether it was a refusal.
func check(t *testing.T, s surface, r *testkit.Reply, streamed bool, answered, refused *int) bool {
	t.Helper()
	if r.Status == 503 {
		if _, code, _ := s.errorOf(t, r.Body); code != "overloaded" || r.Header.Get("Retry-After") == "" {
			t.Errorf("refused with %s, Retry-After %q", code, r.Header.Get("Retry-After"))
		}
		*refused++
		return true
	}
	text, complete := "", true
	if streamed {
		a := s.read(t, r.Body)
		text, complete = a.text, a.complete && !a.failed
	} else {
		text = s.text(t, r.Body)
	}
	if r.Status != 200 || text != "0123456789" || !complete || r.Err != nil {
		t.Errorf("a call that was taken was not finished: %d %q complete %v %v", r.Status, text, complete, r.Err)
	}
	*answered++
	return false
}

// M9: while it drains it says so, takes nothing new, and lives.
func TestM9Draining(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		head, content, tail := frames(kind, "first ", "last")
		release := make(chan struct{})
		p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(strings.Join(head, "") + content[0])
			<-release
			x.Chunk(content[1] + strings.Join(tail, ""))
			x.EndChunks()
		})
		g := testkit.Start(t, "limits: {drain: 20s}\n"+pair(kind, p, nil))
		answer := make(chan *testkit.Reply, 1)
		go func() {
			r, err := g.Do(t.Context(), http.MethodPost, s.path, s.request("m", true))
			if err != nil {
				t.Error(err)
			}
			answer <- r
		}()
		until(t, "the call", func() bool { return p.Count() == 1 })
		status := func(path string) int {
			r, err := g.Do(t.Context(), http.MethodGet, path, "")
			if err != nil {
				t.Error(err)
				return 0
			}
			return r.Status
		}
		if got := status("/health/ready"); got != 200 {
			t.Errorf("before: ready is %d", got)
		}
		g.Signal(syscall.SIGTERM)
		begun := time.Now()
		until(t, "not ready", func() bool { return status("/health/ready") == 503 })
		if took := time.Since(begun); took > grace(100*time.Millisecond) {
			t.Errorf("not ready only after %v", took)
		}
		if got := status("/health/live"); got != 200 {
			t.Errorf("draining: live is %d", got)
		}
		for _, streamed := range []bool{false, true} {
			r := g.Post(t, s.path, s.request("m", streamed))
			if _, code, _ := s.errorOf(t, r.Body); r.Status != 503 || code != "overloaded" || r.Header.Get("Retry-After") == "" {
				t.Errorf("draining: a new call got %d %s", r.Status, code)
			}
		}
		if p.Count() != 1 {
			t.Errorf("draining: %d calls went through", p.Count()-1)
		}
		close(release)
		if r := <-answer; r != nil {
			if a := s.read(t, r.Body); a.text != "first last" || !a.complete || a.failed {
				t.Errorf("the call in flight: %+v", a)
			}
		}
		if code, ok := g.Wait(5 * time.Second); code != 0 || !ok {
			t.Errorf("exit code %d, ended: %v", code, ok)
		}
	})
}

// M9: what is not over when the drain time is, is ended as a failure, and told and logged as one.
func TestM9DrainTimeIsOver(t *testing.T) {
	t.Parallel()
	together(t, func(t *testing.T, s surface, kind string) {
		head, content, _ := frames(kind, "first ")
		p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			if x.JSON(`"stream":true`) {
				x.StreamHead()
				x.Chunk(strings.Join(head, "") + content[0])
			}
			x.Hang(10 * time.Second)
		})
		g := testkit.Start(t, "limits: {drain: 300ms}\n"+pair(kind, p, nil))
		var wg sync.WaitGroup
		for _, streamed := range []bool{false, true} {
			wg.Go(func() {
				r, err := g.Do(t.Context(), http.MethodPost, s.path, s.request("m", streamed))
				switch {
				case err != nil:
					t.Errorf("stream %v: %v", streamed, err)
				case streamed:
					if a := s.read(t, r.Body); a.text != "first " || a.complete || !a.failed || a.after {
						t.Errorf("the stream: %+v", a)
					}
				default:
					if s.errorOf(t, r.Body); r.Status != 503 {
						t.Errorf("the whole answer: %d %s", r.Status, r.Body)
					}
				}
			})
		}
		until(t, "both calls", func() bool { return p.Count() == 2 })
		time.Sleep(50 * time.Millisecond)
		begun := time.Now()
		code, ok := g.Terminate(10 * time.Second)
		if took := time.Since(begun); code != 0 || !ok || took > 300*time.Millisecond+grace(500*time.Millisecond) {
			t.Errorf("exit code %d after %v, ended: %v", code, took, ok)
		}
		wg.Wait()
		for _, l := range g.WaitCalls(t, 2) {
			if l["status"] != "error" || l["error_type"] != "shutdown" {
				t.Errorf("logged as %v %v", l["status"], l["error_type"])
			}
		}
	})
}

// M9: with nothing to finish it ends at once, on either signal.
func TestM9Idle(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		g := testkit.Start(t, "")
		g.Post(t, chat.path, chat.request("default", false)) // a connection is kept
		g.Signal(sig)
		begun := time.Now()
		code, ok := g.Wait(10 * time.Second)
		if took := time.Since(begun); code != 0 || !ok || took > grace(500*time.Millisecond) {
			t.Errorf("%v: exit code %d after %v, ended: %v", sig, code, took, ok)
		}
	}
}

// healthBody is what /health answers.
type healthBody struct {
	Status    string `json:"status"`
	Version   string `json:"version"`
	Uptime    *int64 `json:"uptime_s"`
	Providers map[string]struct {
		Status    string   `json:"status"`
		LatencyMS *float64 `json:"latency_ms"`
		Model     string   `json:"model"`
		Error     *string  `json:"error"`
		ErrorRate *float64 `json:"error_rate"`
		Breaker   string   `json:"breaker"`
		LastCheck string   `json:"last_check"`
		InFlight  *int     `json:"in_flight"`
	} `json:"providers"`
}

// O2: health tells what traffic met, and neither keys nor addresses.
func TestO2Health(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		p1, p2 := testkit.NewUpstream(t, answers(kind, "one")), testkit.NewUpstream(t, answers(kind, "two"))
		g := testkit.Start(t, "health: {probe: off}\n"+pair(kind, p1, p2, "retry: {attempts: 1}", "breaker: {failures: 0}"))
		get := func(path string) (int, healthBody) {
			t.Helper()
			r, err := g.Do(t.Context(), http.MethodGet, path, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"sk-upstream", p1.URL(), p2.URL(), "127.0.0.1", "http:"} {
				if strings.Contains(dump(r), secret) {
					t.Errorf("%s tells %s: %s", path, secret, r.Body)
				}
			}
			var h healthBody
			if err := json.Unmarshal(r.Body, &h); err != nil || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %v: %s", path, err, r.Body)
			}
			return r.Status, h
		}
		expect := func(what, overall, first string, code, ready int) {
			t.Helper()
			status, h := get("/health")
			if status != code || h.Status != overall || h.Providers["p1"].Status != first || h.Version == "" || h.Uptime == nil || len(h.Providers) != 2 {
				t.Errorf("%s: %d %+v", what, status, h)
			}
			for name, p := range h.Providers {
				if p.Error == nil || p.ErrorRate == nil || p.InFlight == nil || *p.InFlight != 0 || p.Breaker == "" {
					t.Errorf("%s: %s: %+v", what, name, p)
				}
			}
			if got, _ := get("/health/ready"); got != ready {
				t.Errorf("%s: ready is %d", what, got)
			}
			if got, _ := get("/health/live"); got != 200 {
				t.Errorf("%s: live is %d", what, got)
			}
		}
		expect("fresh", "healthy", "healthy", 200, 200)
		for i := range 4 {
			g.Post(t, s.path, s.request("m", i%2 == 0))
		}
		expect("good traffic", "healthy", "healthy", 200, 200)
		if _, h := get("/health"); h.Providers["p1"].LatencyMS == nil || h.Providers["p1"].LastCheck == "" || h.Providers["p1"].Model != "m1" {
			t.Errorf("p1: %+v", h.Providers["p1"])
		}
		fail := func(x *testkit.Exchange) {
			x.Respond(500, failure(kind, "server_error", "sk-upstream-key-one-0123456789 at "+p1.URL()))
		}
		p1.Script(fail)
		for i := range 8 {
			g.Post(t, s.path, s.request("m", i%2 == 0))
		}
		expect("p1 fails", "degraded", "unhealthy", 200, 200)
		if _, h := get("/health"); *h.Providers["p1"].ErrorRate < 0.5 || *h.Providers["p1"].Error == "" {
			t.Errorf("p1: %+v", h.Providers["p1"])
		}
		p2.Script(fail)
		for range 20 {
			g.Post(t, s.path, s.request("m", false))
		}
		expect("both fail", "unhealthy", "unhealthy", 503, 503)
		p1.Script(answers(kind, "one"))
		g.Post(t, s.path, s.request("m", false))
		if code, h := get("/health"); code != 200 || h.Providers["p1"].Status == "unhealthy" {
			t.Errorf("p1 answers again: %d %+v", code, h.Providers["p1"])
		}
	})
}

// O2: health answers at once, however busy the gateway and whatever its providers do.
func TestO2HealthUnderLoad(t *testing.T) {
	t.Parallel()
	p := testkit.NewUpstream(t, func(x *testkit.Exchange) { x.Hang(20 * time.Second) })
	g := testkit.Start(t, "limits: {max_streams: 100}\n"+pair("openai", p, nil))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for i := range 200 { // twice what it takes: half are refused
		wg.Go(func() { _, _ = g.Do(ctx, http.MethodPost, surfaces[i%2].path, surfaces[i%2].request("m", i%4 < 2)) })
	}
	until(t, "load", func() bool { return p.Count() == 100 })
	var took []time.Duration
	for range 20 {
		for _, path := range []string{"/health/live", "/health/ready", "/health"} {
			r, err := g.Do(t.Context(), http.MethodGet, path, "")
			if err != nil || r.Status != 200 {
				t.Fatalf("%s: %v", path, err)
			}
			took = append(took, r.Took)
		}
	}
	slices.Sort(took)
	if slow := took[len(took)*9/10]; slow > grace(100*time.Millisecond) {
		t.Errorf("health takes %v", slow)
	}
	r, err := g.Do(t.Context(), http.MethodGet, "/health", "")
	if err != nil {
		t.Fatal(err)
	}
	var h healthBody
	if err := json.Unmarshal(r.Body, &h); err != nil || *h.Providers["p1"].InFlight != 100 {
		t.Errorf("in flight: %s", r.Body)
	}
	stop()
	until(t, "nothing in flight", func() bool {
		r, err := g.Do(t.Context(), http.MethodGet, "/health", "")
		return err == nil && strings.Contains(string(r.Body), `"in_flight":0`)
	})
}
