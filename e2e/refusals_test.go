package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// R4: the caller's own mistakes are told to the caller, and cost the provider nothing.
func TestR4ClientErrors(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		types := map[int]map[string]string{
			400: {"openai": "invalid_request_error", "anthropic": "invalid_request_error"},
			404: {"openai": "not_found_error", "anthropic": "not_found_error"},
			413: {"openai": "invalid_request_error", "anthropic": "request_too_large"},
			422: {"openai": "invalid_request_error", "anthropic": "invalid_request_error"},
		}
		p1, p2 := testkit.NewUpstream(t, nil), testkit.NewUpstream(t, answers(kind, "two"))
		g := testkit.Start(t, pair(kind, p1, p2, "breaker: {failures: 2}"))
		native := (s == chat) == (kind == "openai")
		calls := 0
		for range 3 {
			for status, typ := range types {
				for _, stream := range []bool{false, true} {
					body := failure(kind, typ[kind], fmt.Sprintf("It is your mistake, number %d.", status))
					p1.Script(func(x *testkit.Exchange) { x.Respond(status, body, "Retry-After: 30") })
					r := g.Post(t, s.path, s.request("m", stream))
					calls++
					_, _, text := s.errorOf(t, r.Body)
					if r.Status != status || !strings.Contains(text, fmt.Sprintf("It is your mistake, number %d.", status)) || r.Header.Get("X-Breakwater-Attempts") != "1" {
						t.Errorf("%d: %d after %s attempts: %s", status, r.Status, r.Header.Get("X-Breakwater-Attempts"), r.Body)
					}
					if native && string(r.Body) != body {
						t.Errorf("%d: the body was changed:\n%s\n%s", status, body, r.Body)
					}
				}
			}
		}
		if p1.Count() != calls || p2.Count() != 0 {
			t.Errorf("%d calls: p1 got %d, p2 %d", calls, p1.Count(), p2.Count())
		}
		p1.Script(answers(kind, "one")) // nothing rests, nothing is open
		if got := s.text(t, g.Post(t, s.path, s.request("m", false)).Body); got != "one" {
			t.Errorf("after its callers' mistakes p1 is not asked: %q", got)
		}
	})
}

// refusals are how providers say that the account, not the request, is the trouble.
func refusals(kind string) map[string]func(x *testkit.Exchange) {
	say := func(status int, typ, text string) func(x *testkit.Exchange) {
		return func(x *testkit.Exchange) { x.Respond(status, failure(kind, typ, text)) }
	}
	if kind == "openai" {
		return map[string]func(x *testkit.Exchange){
			"authentication": say(401, "invalid_api_key", "Incorrect API key provided."),
			"permission":     say(403, "permission_denied", "Your project may not use this model."),
			"quota":          say(429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details."),
		}
	}
	return map[string]func(x *testkit.Exchange){
		"authentication": say(401, "authentication_error", "invalid x-api-key"),
		"permission":     say(403, "permission_error", "Your API key may not use this resource."),
		"quota":          say(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
	}
}

// R4: a refusal of the gateway's own key takes that key out, and never looks like one of the client's.
func TestR4AccountRefusals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		for name, refuse := range refusals(kind) {
			key := func(x *testkit.Exchange) string { return x.Header.Get("Authorization") + x.Header.Get("X-Api-Key") }
			p1, p2 := testkit.NewUpstream(t, nil), testkit.NewUpstream(t, answers(kind, "two"))
			g := testkit.Start(t, fmt.Sprintf(`providers:
  p1: {type: %[1]s, base_url: %[2]s, api_key: [env://K1, env://K2]}
  p2: {type: %[1]s, base_url: %[3]s, api_key: none}
models:
  both: {targets: [{provider: p1, model: m1}, {provider: p2, model: m2}], breaker: {failures: 0}}
  only: {targets: [{provider: p1, model: m1}], breaker: {failures: 0}}
`, kind, base(kind, p1), base(kind, p2)), "K1=key-number-one", "K2=key-number-two")
			bad := map[string]bool{"key-number-one": true}
			p1.Script(func(x *testkit.Exchange) {
				if bad[strings.TrimPrefix(key(x), "Bearer ")] {
					refuse(x)
					return
				}
				answers(kind, "one")(x)
			})
			for i := range 6 {
				r := g.Post(t, s.path, s.request("both", i%2 == 1))
				if r.Status != 200 || !strings.Contains(string(r.Body), "one") {
					t.Errorf("%s: a good key was left: %d %s", name, r.Status, r.Body)
				}
			}
			if n := withKey(p1, "key-number-one"); n > 1 {
				t.Errorf("%s: the refused key was used %d times", name, n)
			}
			p1.Script(refuse) // the other key is refused as well: the other provider
			for i := range 4 {
				r := g.Post(t, s.path, s.request("both", i%2 == 1))
				if r.Status != 200 || !strings.Contains(string(r.Body), "two") {
					t.Errorf("%s: a good provider was left: %d %s", name, r.Status, r.Body)
				}
			}
			if n := withKey(p1, "key-number-two"); n != 7 && n != 6 {
				t.Errorf("%s: the second key was used %d times", name, n)
			}
			alone := testkit.Start(t, pair(kind, p1, nil, "breaker: {failures: 0}")) // a fresh process: nothing rests yet
			for i := range 2 {
				r := alone.Post(t, s.path, s.request("m", i == 1))
				typ, code, _ := s.errorOf(t, r.Body)
				want := []string{"502 all_providers_failed", "503 no_provider_available"}[i]
				if got := fmt.Sprint(r.Status, " ", code); got != want || strings.Contains(typ, "authentication") || strings.Contains(typ, "permission") {
					t.Errorf("%s, call %d: %s, type %s; want %s", name, i+1, got, typ, want)
				}
			}
			if l := alone.WaitCalls(t, 2); l[0]["error_type"] != name {
				t.Errorf("%s is logged as %v", name, l[0]["error_type"])
			}
		}
	})
}

func withKey(u *testkit.Upstream, key string) (n int) {
	for _, x := range u.Requests() {
		if strings.Contains(x.Header.Get("Authorization")+x.Header.Get("X-Api-Key"), key) {
			n++
		}
	}
	return n
}
