package admit

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzIdentify: only the whole secret opens, under whatever name.
func FuzzIdentify(f *testing.F) {
	f.Add("Bearer "+secretText, "", "")
	f.Add("", secretText, secretText)
	f.Add("Basic x", secretText, "y")
	keys := testKeys()
	f.Fuzz(func(t *testing.T, authorization, apiKey, goog string) {
		h := http.Header{}
		for name, v := range map[string]string{"Authorization": authorization, "X-Api-Key": apiKey, "X-Goog-Api-Key": goog} {
			if v != "" {
				h.Set(name, v)
			}
		}
		id, err := keys.Identify(h)
		if (err == nil) != (id.KeyID != "") {
			t.Fatalf("%+v %v", id, err)
		}
		if err != nil {
			return
		}
		want := map[string]string{"web": secretText, "ops": "other-secret"}[id.KeyID]
		for _, v := range []string{authorization, apiKey, goog} {
			if v != "" && !strings.HasSuffix(strings.TrimSpace(v), want) {
				t.Fatalf("%q let %s in", v, id.KeyID)
			}
		}
	})
}

// FuzzAllowed: a chain is allowed only if each of its members is.
func FuzzAllowed(f *testing.F) {
	f.Add("fast", "fast,openai/gpt")
	f.Add("openai/*", "openai/a, openai/b")
	f.Add("[", "[,\\")
	f.Fuzz(func(t *testing.T, pattern, model string) {
		got := Allowed([]string{pattern}, model)
		want := true
		if parts := strings.Split(model, ","); len(parts) > 1 {
			for _, part := range parts {
				want = want && matches([]string{pattern}, strings.TrimSpace(part))
			}
		} else {
			want = matches([]string{pattern}, model)
		}
		if got != want {
			t.Errorf("%q allows %q: %v", pattern, model, got)
		}
	})
}
