package admit

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

const secretText = "bw-secret-0123456789"

func testKeys() *Keys {
	return New([]Key{
		{ID: "web", Secret: secretText, Models: []string{"fast"}, Tags: map[string]string{"team": "web"}},
		{ID: "ops", Secret: "other-secret"},
	})
}

func TestIdentify(t *testing.T) {
	long := strings.Repeat("k", 64<<10)
	for _, tc := range []struct {
		name string
		h    http.Header
		id   string // "": refused
	}{
		{"bearer", http.Header{"Authorization": {"Bearer " + secretText}}, "web"},
		{"scheme in any case", http.Header{"Authorization": {"bEARER " + secretText}}, "web"},
		{"more space", http.Header{"Authorization": {"Bearer   " + secretText + " "}}, "web"},
		{"x-api-key", http.Header{"X-Api-Key": {secretText}}, "web"},
		{"x-goog-api-key", http.Header{"X-Goog-Api-Key": {secretText}}, "web"},
		{"the other key", http.Header{"X-Api-Key": {"other-secret"}}, "ops"},
		{"twice the same", http.Header{"Authorization": {"Bearer " + secretText}, "X-Api-Key": {secretText}, "X-Goog-Api-Key": {secretText}}, "web"},
		{"the same header twice", http.Header{"Authorization": {"Bearer " + secretText, "Bearer " + secretText}}, "web"},

		{"none", http.Header{}, ""},
		{"empty", http.Header{"Authorization": {""}}, ""},
		{"no token", http.Header{"Authorization": {"Bearer"}}, ""},
		{"empty token", http.Header{"Authorization": {"Bearer "}}, ""},
		{"blank token", http.Header{"Authorization": {"Bearer    "}}, ""},
		{"empty x-api-key", http.Header{"X-Api-Key": {""}}, ""},
		{"blank x-api-key", http.Header{"X-Api-Key": {"  "}}, ""},
		{"no scheme", http.Header{"Authorization": {secretText}}, ""},
		{"basic", http.Header{"Authorization": {"Basic " + secretText}}, ""},
		{"digest", http.Header{"Authorization": {"Digest username=\"" + secretText + "\""}}, ""},
		{"tab", http.Header{"Authorization": {"Bearer\t" + secretText}}, ""},
		{"scheme twice", http.Header{"Authorization": {"Bearer Bearer " + secretText}}, ""},
		{"two that differ", http.Header{"Authorization": {"Bearer " + secretText, "Bearer other-secret"}}, ""},
		{"two headers that differ", http.Header{"Authorization": {"Bearer " + secretText}, "X-Api-Key": {"other-secret"}}, ""},
		{"a valid and a wrong one", http.Header{"X-Api-Key": {secretText, "wrong"}}, ""},
		{"a valid and an empty one", http.Header{"Authorization": {"Bearer " + secretText}, "X-Api-Key": {""}}, ""},
		{"a valid and another scheme", http.Header{"Authorization": {"Basic x"}, "X-Api-Key": {secretText}}, ""},
		{"in a list", http.Header{"Authorization": {"Bearer " + secretText + ", Bearer other-secret"}}, ""},
		{"64 KiB", http.Header{"Authorization": {"Bearer " + long}}, ""},
		{"64 KiB behind a valid one", http.Header{"Authorization": {"Bearer " + secretText + long}}, ""},
		{"prefix", http.Header{"X-Api-Key": {secretText[:10]}}, ""},
		{"longer", http.Header{"X-Api-Key": {secretText + "x"}}, ""},
		{"another case", http.Header{"X-Api-Key": {strings.ToUpper(secretText)}}, ""},
		{"quotes", http.Header{"X-Api-Key": {`"` + secretText + `"`}}, ""},
		{"sql", http.Header{"X-Api-Key": {"' OR '1'='1' --"}}, ""},
		{"nul", http.Header{"X-Api-Key": {secretText + "\x00"}}, ""},
		{"non-ASCII", http.Header{"X-Api-Key": {"schl\u00fcssel\xff"}}, ""},
		{"the id", http.Header{"X-Api-Key": {"web"}}, ""},
		{"a query's habit", http.Header{"Key": {secretText}, "Api-Key": {secretText}}, ""},
		{"a name in another case", http.Header{"x-api-key": {secretText}}, ""},
	} {
		id, err := testKeys().Identify(tc.h)
		if tc.id == "" {
			if err == nil || err.Kind != llm.KindAuthentication || err.Message != errKey || err.HTTPStatus() != 401 || err.PublicCode() != "invalid_api_key" || !reflect.DeepEqual(id, pipeline.Identity{}) {
				t.Errorf("%s: %+v %v", tc.name, id, err)
			}
			continue
		}
		if err != nil || id.KeyID != tc.id {
			t.Errorf("%s: %+v %v", tc.name, id, err)
		}
	}
	id, _ := testKeys().Identify(http.Header{"X-Api-Key": {secretText}})
	if want := (pipeline.Identity{KeyID: "web", Models: []string{"fast"}, Tags: map[string]string{"team": "web"}}); !reflect.DeepEqual(id, want) {
		t.Errorf("%+v", id)
	}
}

func TestOpen(t *testing.T) {
	k := Anyone()
	for _, h := range []http.Header{{}, {"Authorization": {"Basic x"}}, {"X-Api-Key": {"a", "b"}}} {
		if id, err := k.Identify(h); err != nil || id.KeyID != "" || id.Models != nil || !k.Open() {
			t.Errorf("%v: %+v %v", h, id, err)
		}
	}
	if testKeys().Open() {
		t.Error("open with keys")
	}
}

// TestSecretsAreHashed: no set holds a secret's text, and two sets hash differently.
func TestSecretsAreHashed(t *testing.T) {
	a, b := testKeys(), testKeys()
	if a.hash(secretText) == b.hash(secretText) {
		t.Error("the hash has no salt")
	}
	for sum, id := range a.keys {
		if strings.Contains(string(sum[:])+id.KeyID, secretText) {
			t.Error("a secret's text is kept")
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, tc := range []struct {
		patterns, model string
		want            bool
	}{
		{"fast", "fast", true}, {"fast", "Fast", false}, {"fast", "fast2", false}, {"fast", "", false}, {"fast", " fast", false}, {"fast", "fast ", false},
		{"fast|slow", "slow", true}, {"*", "anything/at/all", true}, {"*", "", true}, {"", "fast", false},
		{"openai/*", "openai/gpt", true}, {"openai/*", "openai/", true}, {"openai/*", "openai/org/gpt", false}, {"openai/*", "claude/x", false}, {"openai/*", "xopenai/gpt", false},
		{"openai/gpt-*", "openai/gpt-4o", true}, {"openai/gpt-*", "openai/o1", false}, {"*/gpt", "openai/gpt", true},
		{"fast|openai/*", "fast,openai/gpt", true}, {"fast|openai/*", "fast, openai/gpt", true}, {"fast|openai/*", "fast,claude/x", false},
		{"fast", "fast,fast", true}, {"fast", "fast,", false}, {"fast", ",fast", false}, {"fast", "fast,,fast", false}, {"fast", "slow,fast", false},
		{"m[1]", "m[1]", true}, {"m[1]", "m1", true}, {"a[", "a[", true}, {"a[", "b", false}, {`a\b`, `a\b`, true},
	} {
		var patterns []string
		if tc.patterns != "" {
			patterns = strings.Split(tc.patterns, "|")
		}
		if got := Allowed(patterns, tc.model); got != tc.want {
			t.Errorf("%s allows %q: %v", tc.patterns, tc.model, got)
		}
	}
}

func TestModelsStage(t *testing.T) {
	reached := 0
	h := Models()(pipeline.HandlerFunc(func(context.Context, *pipeline.Call) (pipeline.Answer, error) { reached++; return nil, nil }))
	for _, tc := range []struct {
		models []string
		model  string
		ok     bool
	}{{nil, "x", true}, {[]string{}, "x", false}, {[]string{"a"}, "a", true}, {[]string{"a"}, "a,b", false}} {
		reached = 0
		_, err := h.Handle(t.Context(), &pipeline.Call{Model: tc.model, Identity: pipeline.Identity{Models: tc.models}})
		if tc.ok {
			if err != nil || reached != 1 {
				t.Errorf("%v: %v", tc, err)
			}
			continue
		}
		if le := llm.AsError(err); reached != 0 || le == nil || le.HTTPStatus() != 403 || le.PublicCode() != "model_not_allowed" || le.Elsewhere() || le.Param != "model" {
			t.Errorf("%v: %v", tc, err)
		}
	}
}

// TestNoKeys: a set without keys lets nobody in.
func TestNoKeys(t *testing.T) {
	k := New(nil)
	for _, h := range []http.Header{{}, {"Authorization": {"Bearer "}}, {"Authorization": {"Bearer x"}}, {"X-Api-Key": {""}}} {
		if _, err := k.Identify(h); err == nil || err.Kind != llm.KindAuthentication {
			t.Errorf("%v: %v", h, err)
		}
	}
}
