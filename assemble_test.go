package breakwater

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/llm"
)

// recorder keeps the kinds that calls ended with.
type recorder struct{ kinds []llm.Kind }

func (r *recorder) Record(_ context.Context, rec *Record) error {
	r.kinds = append(r.kinds, rec.ErrorKind)
	return nil
}

// TestOrderOfStages: every call is recorded, what is refused at the door or by the key goes no
// further, a stage of one's own sees the rest before any provider does.
func TestOrderOfStages(t *testing.T) {
	cfg, _, err := config.Parse("test.yaml", []byte(`
providers: {sim: {type: mock}}
models: {fast: {targets: [{provider: sim, model: m}]}}
keys: [{id: web, secret: a-literal-secret-of-the-test, models: [fast]}]
`), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	own := func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, c *Call) (Answer, error) {
			if len(c.Record.Attempts) != 0 {
				t.Error("a provider was asked before the stage")
			}
			seen = append(seen, c.Model)
			return next.Handle(ctx, c)
		})
	}
	rec := &recorder{}
	g, err := FromLoaded(cfg, WithStage(own), WithRecorder(rec))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	srv := httptest.NewServer(g.Handler())
	defer srv.Close()
	for _, call := range []struct {
		key, body string
		status    int
	}{
		{"wrong", `{}`, 401},
		{"a-literal-secret-of-the-test", `{"model":"fast","model":"fast"}`, 400},
		{"a-literal-secret-of-the-test", `{"model":"sim/m","messages":[{"role":"user","content":"x"}]}`, 403},
		{"a-literal-secret-of-the-test", `{"model":"fast","messages":[{"role":"user","content":"x"}]}`, 200},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/v1/chat/completions", strings.NewReader(call.body))
		req.Header.Set("Authorization", "Bearer "+call.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != call.status {
			t.Errorf("%s: status %d, want %d", call.body, resp.StatusCode, call.status)
		}
	}
	want := []llm.Kind{llm.KindAuthentication, llm.KindInvalidRequest, llm.KindPermission, ""}
	if len(rec.kinds) != len(want) {
		t.Fatalf("recorded %q", rec.kinds)
	}
	for i := range want {
		if rec.kinds[i] != want[i] {
			t.Errorf("recorded %q, want %q", rec.kinds, want)
			break
		}
	}
	if len(seen) != 1 || seen[0] != "fast" {
		t.Errorf("the stage saw %q", seen)
	}
}

// TestChainFor: a name that nobody configured goes to the provider whose own it is, then to the
// others with a model of theirs.
func TestChainFor(t *testing.T) {
	env := map[string]string{"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "MISTRAL_API_KEY": "k"}
	cfg := config.FromEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	for name, want := range map[string]string{
		"gpt-4o":            "gpt-4o claude-haiku-4-5 mistral-small-latest",
		"claude-opus-4-1":   "claude-opus-4-1 gpt-4o-mini mistral-small-latest",
		"something-private": "something-private claude-haiku-4-5 mistral-small-latest",
		DefaultModel:        "gpt-4o-mini claude-haiku-4-5 mistral-small-latest",
	} {
		var got []string
		for _, target := range chainFor(cfg, nil, name) {
			got = append(got, target.Model)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
