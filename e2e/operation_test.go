package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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

// With no configuration at all a simulated provider answers, on every surface.
func TestZeroConfiguration(t *testing.T) {
	t.Parallel()
	g := testkit.Start(t, "")
	if out := g.Stdout(); !strings.Contains(out, "simulated") || !strings.Contains(out, g.URL) || !strings.Contains(out, "curl ") {
		t.Errorf("the banner:\n%s", out)
	}
	for _, s := range surfaces {
		for _, model := range []string{"default", "gpt-4o-mini", "claude-haiku-4-5", "whatever"} {
			r := g.Post(t, s.path, s.request(model, false))
			if r.Status != 200 || s.text(t, r.Body) == "" {
				t.Errorf("%s, %s: %d %s", s.name, model, r.Status, r.Body)
			}
			r = g.Post(t, s.path, s.request(model, true))
			if a := s.read(t, r.Body); a.text == "" || !a.complete {
				t.Errorf("%s, %s: %+v", s.name, model, a)
			}
		}
	}
	r, err := g.Do(t.Context(), http.MethodGet, "/v1/models", "")
	if err != nil || r.Status != 200 || !strings.Contains(string(r.Body), `"data":[{`) {
		t.Errorf("models: %v %s", err, r.Body)
	}
	// The banner's example works as it is pasted.
	if example := regexp.MustCompile(`-d '(.*)'`).FindStringSubmatch(g.Stdout()); example == nil || g.Post(t, chat.path, example[1]).Status != 200 {
		t.Errorf("the banner's example does not work: %q", example)
	}
	if files, err := os.ReadDir(g.Dir); err != nil || len(files) > 1 || len(files) == 1 && files[0].Name() != "breakwater-data" {
		t.Errorf("files: %v %v", files, err)
	}
}

// With keys in the environment the providers are there, in order, each the other's fallback.
func TestProvidersFromEnvironment(t *testing.T) {
	t.Parallel()
	p1, p2 := testkit.NewUpstream(t, answers("openai", "one")), testkit.NewUpstream(t, answers("anthropic", "two"))
	g := testkit.Start(t, "", "ANTHROPIC_API_KEY=key-two", "ANTHROPIC_BASE_URL="+p2.URL(), "OPENAI_API_KEY=key-one", "OPENAI_BASE_URL="+p1.URL()+"/v1")
	if strings.Contains(g.Stdout(), "simulated") || strings.Contains(g.Stdout(), "key-") {
		t.Errorf("the banner:\n%s", g.Stdout())
	}
	text := func(s surface, model string) string {
		r := g.Post(t, s.path, s.request(model, false))
		return fmt.Sprint(r.Status, " ", s.text(t, r.Body))
	}
	for _, s := range surfaces {
		for model, want := range map[string]string{"default": "200 one", "gpt-4o-mini": "200 one", "claude-haiku-4-5": "200 two", "anthropic/claude-haiku-4-5": "200 two", "openai/x": "200 one"} {
			if got := text(s, model); got != want {
				t.Errorf("%s, %s: %s, want %s", s.name, model, got, want)
			}
		}
	}
	if x := p1.Requests()[0]; x.Header.Get("Authorization") != "Bearer key-one" || x.Path != "/v1/chat/completions" {
		t.Errorf("p1: %s %s", x.Path, x.Header.Get("Authorization"))
	}
	if x := p2.Requests()[0]; x.Header.Get("X-Api-Key") != "key-two" || x.Path != "/v1/messages" {
		t.Errorf("p2: %s %s", x.Path, x.Header.Get("X-Api-Key"))
	}
	p1.Script(func(x *testkit.Exchange) { x.Respond(503, trouble("openai", 503)) })
	for _, s := range surfaces {
		if got := text(s, "default"); got != "200 two" {
			t.Errorf("%s: no fallback: %s", s.name, got)
		}
	}
}

// A file named by the environment is used, and one that lies in the working folder.
func TestConfigurationIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "other.yaml"), "providers: {from-variable: {type: mock}}\n")
	_, out, _ := testkit.Run(t, dir, []string{"BREAKWATER_CONFIG=other.yaml"}, "config", "print")
	if !strings.Contains(out, "from-variable") {
		t.Errorf("BREAKWATER_CONFIG is not used:\n%s", out)
	}
	write(t, filepath.Join(dir, "breakwater.yaml"), "providers: {from-folder: {type: mock}}\n")
	for want, args := range map[string][]string{"from-folder": {"config", "print"}, "from-variable": {"config", "print", "--config", "other.yaml"}} {
		if _, out, _ := testkit.Run(t, dir, nil, args...); !strings.Contains(out, want) {
			t.Errorf("%v does not show %s:\n%s", args, want, out)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An address that others can reach needs keys, or a word that none are wanted.
func TestExposure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open, closed := []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0", "[::ffff:192.0.2.1]:0"}, []string{"127.0.0.1:0", "127.9.9.9:0", "localhost:0", "[::1]:0", "[::ffff:127.0.0.1]:0"}
	for _, address := range open {
		code, out, errs := testkit.Run(t, dir, nil, "serve", "--listen", address)
		if code != 2 || !strings.Contains(errs, "keys") || strings.Contains(out, "http://") {
			t.Errorf("serve --listen %s: exit code %d\n%s%s", address, code, out, errs)
		}
	}
	checked := func(address, more string) int {
		write(t, filepath.Join(dir, "c.yaml"), fmt.Sprintf("listen: %q\nproviders: {sim: {type: mock}}\n%s", address, more))
		code, _, _ := testkit.Run(t, dir, []string{"K=bw-0123456789"}, "config", "check", "--config", "c.yaml")
		return code
	}
	for _, address := range open {
		if code := checked(address, ""); code != 2 {
			t.Errorf("listen: %s: exit code %d", address, code)
		}
		if code := checked(address, "auth: off\n"); code != 0 {
			t.Errorf("listen: %s, auth: off: exit code %d", address, code)
		}
		if code := checked(address, "keys: [{id: web, secret: env://K}]\n"); code != 0 {
			t.Errorf("listen: %s with keys: exit code %d", address, code)
		}
	}
	for _, address := range closed {
		if code := checked(address, ""); code != 0 {
			t.Errorf("listen: %s: exit code %d", address, code)
		}
	}
	// The flag has the last word, in both directions.
	write(t, filepath.Join(dir, "c.yaml"), "listen: 127.0.0.1:0\nproviders: {sim: {type: mock}}\n")
	if code, _, _ := testkit.Run(t, dir, nil, "serve", "--config", "c.yaml", "--listen", "0.0.0.0:0"); code != 2 {
		t.Errorf("a flag that opens: exit code %d", code)
	}
}

// Exit codes: 0 done, 1 the check failed, 2 wrong usage or configuration; mistakes are told with their place on stderr.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good": "providers: {sim: {type: mock}}\n", "warns": "providers: {p: {type: openai, base_url: http://127.0.0.1:1/v1, api_key: literal-0123456789}}\n", "unknown": "providers:\n  sim: {type: mock}\nmodells: {}\n",
		"nested": "providers:\n  sim: {type: mock}\nlimits:\n  max_bodi: 1MiB\n", "type": "providers:\n  sim: {type: mock}\nlimits: {max_body: [1]}\n", "target": "providers: {sim: {type: mock}}\nmodels: {m: {targets: [{provider: simm, model: x}]}}\n",
		"syntax": "providers: {sim: {type: mock}\n", "unset": "providers: {p: {type: openai, api_key: env://NOT_SET}}\n", "dead": "providers: {p: {type: openai, base_url: http://127.0.0.1:1/v1, api_key: none}}\n",
	} {
		write(t, filepath.Join(dir, name+".yaml"), text)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	place := regexp.MustCompile(`\.yaml:\d+:\d+: `)
	for _, c := range []struct {
		args  []string
		code  int
		told  string // on stderr
		place bool
	}{
		{[]string{"config", "check", "--config", "good.yaml"}, 0, "", false},
		{[]string{"config", "check", "--config", "warns.yaml"}, 0, "warning", true},
		{[]string{"config", "check", "--config", "unknown.yaml"}, 2, "models", true},
		{[]string{"config", "check", "--config", "nested.yaml"}, 2, "max_body", true},
		{[]string{"config", "check", "--config", "type.yaml"}, 2, "max_body", true},
		{[]string{"config", "check", "--config", "target.yaml"}, 2, "sim", true},
		{[]string{"config", "check", "--config", "syntax.yaml"}, 2, "", true},
		{[]string{"config", "check", "--config", "unset.yaml"}, 2, "NOT_SET", true},
		{[]string{"config", "check", "--config", "absent.yaml"}, 2, "absent.yaml", false},
		{[]string{"serve", "--config", "nested.yaml", "--listen", "127.0.0.1:0"}, 2, "max_body", true},
		{[]string{"serve", "--config", "absent.yaml", "--listen", "127.0.0.1:0"}, 2, "absent.yaml", false},
		{[]string{"serve", "--config", "good.yaml", "--listen", "nonsense"}, 2, "nonsense", false},
		{[]string{"serve", "--config", "good.yaml", "--listen", ln.Addr().String()}, 1, ln.Addr().String(), false},
		{[]string{"health", "--config", "good.yaml"}, 0, "", false},
		{[]string{"health", "--config", "dead.yaml"}, 1, "", false},
		{[]string{"ask", "--config", "good.yaml", "hi"}, 0, "", false},
		{[]string{"ask", "--config", "dead.yaml", "--model", "p/m", "hi"}, 1, "p", false},
		{[]string{"bogus"}, 2, "bogus", false},
		{[]string{"serve", "--bogus"}, 2, "bogus", false},
		{[]string{"config", "init", "good.yaml"}, 2, "--force", false},
		{[]string{"config", "init", "new.yaml"}, 0, "", false},
		{[]string{"version"}, 0, "", false},
		{[]string{"--help"}, 0, "", false},
		{[]string{"serve", "--help"}, 0, "", false},
	} {
		code, out, errs := testkit.Run(t, dir, nil, c.args...)
		if code != c.code || !strings.Contains(errs, c.told) || c.place && !place.MatchString(errs) || c.code == 0 && c.told == "" && strings.TrimSpace(out) == "" {
			t.Errorf("%v: exit code %d, want %d\nstdout: %s\nstderr: %s", c.args, code, c.code, out, errs)
		}
		if strings.Contains(out+errs, "\x1b[") || strings.Contains(errs, "goroutine ") {
			t.Errorf("%v: colours or a stack on a pipe: %s%s", c.args, out, errs)
		}
	}
	for file, ok := range map[string]bool{"good": true, "warns": true, "nested": false, "syntax": false, "unset": false} {
		_, out, _ := testkit.Run(t, dir, nil, "config", "check", "--json", "--config", file+".yaml")
		var result struct {
			OK       *bool
			Problems []map[string]any
			Warnings []any
		}
		if err := json.Unmarshal([]byte(out), &result); err != nil || result.OK == nil || *result.OK != ok || ok != (len(result.Problems) == 0) {
			t.Errorf("config check --json of %s: %v\n%s", file, err, out)
		}
	}
}
