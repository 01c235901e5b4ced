package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

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
