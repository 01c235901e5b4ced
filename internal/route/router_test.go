package route

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/breakwater-llm/breakwater/llm"
)

func routerForNames() (*Router, map[string]*Provider) {
	p1, p2 := newProvider(&fake{name: "openai"}, 1), newProvider(&fake{name: "claude"}, 1)
	ps := map[string]*Provider{"openai": p1, "claude": p2}
	fast := &Model{Name: "fast", Targets: []Target{{p1, "small"}, {p2, "haiku"}}, Retry: Retry{Attempts: 7}}
	return New(Options{Models: map[string]*Model{"fast": fast, "claude": {Name: "claude", Targets: []Target{{p2, "opus"}}}}, Providers: ps, Default: Model{Retry: Retry{Attempts: 3}}}), ps
}

func TestResolve(t *testing.T) {
	r, _ := routerForNames()
	for _, tc := range []struct {
		name, want string
		attempts   int
	}{
		{"fast", "openai/small claude/haiku", 7},
		{"claude", "claude/opus", 0},
		{"openai/gpt", "openai/gpt", 3},
		{"openai/org/gpt", "openai/org/gpt", 3},
		{"openai/gpt,claude/x", "openai/gpt claude/x", 3},
		{"openai/gpt , fast", "openai/gpt openai/small claude/haiku", 3},
		{"fast,openai/gpt", "openai/small claude/haiku openai/gpt", 7},
		{"fast,fast,claude/haiku,openai/small", "openai/small claude/haiku", 7},
		{"openai/a,openai/a,openai/a", "openai/a", 3},
		{"", "", 0}, {" fast", "", 0}, {"Fast", "", 0}, {"openai", "", 0}, {"openai/", "", 0}, {"/gpt", "", 0},
		{"nobody/gpt", "", 0}, {",", "", 0}, {"fast,", "", 0}, {"fast,nobody/x", "", 0},
		{strings.Repeat("openai/a,", 16) + "openai/a", "", 0},
		{strings.Repeat(",", 1<<20), "", 0},
	} {
		m, err := r.Resolve(tc.name)
		if tc.want == "" {
			if err == nil || (err.Kind != llm.KindNotFound && err.Kind != llm.KindInvalidRequest) || err.Param != "model" || len(err.Message) > 400 {
				t.Errorf("%.40q: %v %v", tc.name, m, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tc.name, err)
			continue
		}
		var got []string
		for _, target := range m.Targets {
			got = append(got, target.Provider.Name+"/"+target.Model)
		}
		if strings.Join(got, " ") != tc.want || m.Retry.Attempts != tc.attempts {
			t.Errorf("%q: %v, %d attempts", tc.name, got, m.Retry.Attempts)
		}
	}
	if m, _ := r.Resolve("fast"); len(m.Targets) != 2 {
		t.Errorf("a chain changed the configured model: %v", m.Targets)
	}
}

// TestUnknownModel: the nearest names are told, first the nearest, and a long name costs nothing.
func TestUnknownModel(t *testing.T) {
	r, _ := routerForNames()
	_, err := r.Resolve("fasd")
	if err == nil || !strings.Contains(err.Message, `"fasd"; known: fast`) || err.PublicCode() != "model_not_found" {
		t.Error(err)
	}
	start := time.Now()
	_, err = r.Resolve(strings.Repeat("\u00e4", 8<<20))
	if took := time.Since(start); took > time.Second || len(err.Message) > 1000 || !utf8.ValidString(err.Message) {
		t.Errorf("%v, %d bytes", took, len(err.Message))
	}
}

func TestFallbackNames(t *testing.T) {
	_, ps := routerForNames()
	r := New(Options{Providers: ps, Fallback: func(name string) []Target {
		if name == "none" {
			return nil
		}
		return []Target{{ps["openai"], name}}
	}})
	if m, err := r.Resolve("anything"); err != nil || m.Targets[0].Model != "anything" {
		t.Errorf("%v %v", m, err)
	}
	if _, err := r.Resolve("none"); err == nil {
		t.Error("resolved")
	}
	if _, err := r.Resolve(""); err == nil {
		t.Error("resolved an empty name")
	}
	if names := r.Names(); len(names) != 0 {
		t.Error(names)
	}
	var got []string
	for _, p := range r.Providers() {
		got = append(got, p.Name)
	}
	if !slices.Equal(got, []string{"claude", "openai"}) {
		t.Error(got)
	}
}

func TestHealth(t *testing.T) {
	now := time.Unix(1e9, 0)
	var h Health
	end := func(kind llm.Kind, latency time.Duration) {
		h.begin()
		h.end(now, &llm.Attempt{Provider: "p", Model: "m", Kind: kind, Message: "text", Latency: latency})
	}
	check := func(status string, rate float64, err string) {
		t.Helper()
		if s := h.State(now); s.Status != status || s.ErrorRate != rate || s.Error != err || s.InFlight != 0 {
			t.Errorf("%+v, want %s %v %q", s, status, rate, err)
		}
	}
	check("healthy", 0, "")
	for range 8 {
		end("", time.Second)
	}
	end(llm.KindInvalidRequest, time.Second) // the caller's mistake
	end(llm.KindClientClosed, time.Second)   // says nothing
	check("healthy", 0, "")
	end(llm.KindServerError, 0)
	check("degraded", 0.1, "server_error: text")
	for range 8 {
		end(llm.KindAuthentication, 0)
	}
	check("unhealthy", 0.5, "authentication: text")
	end("", time.Second)
	if s := h.State(now); s.Status != "degraded" || s.Error != "" || s.Latency != time.Second || s.LastCheck != now || s.Model != "m" {
		t.Errorf("%+v", s)
	}
	h.begin()
	if s := h.State(now); s.InFlight != 1 {
		t.Errorf("%+v", s)
	}
	h.end(now, &llm.Attempt{Skipped: true})
	now = now.Add(time.Minute + healthWindow/healthSlots)
	check("healthy", 0, "")
	now = now.Add(1000 * time.Hour)
	end(llm.KindTimeout, 0)
	check("degraded", 1, "timeout: text") // a single failure
	end(llm.KindTimeout, 0)
	end(llm.KindTimeout, 0)
	check("unhealthy", 1, "timeout: text")
}
