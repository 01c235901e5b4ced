package anthropic

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

var now = time.Date(2026, 2, 15, 8, 0, 0, 0, time.UTC)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestDecodeError(t *testing.T) {
	body := func(kind, message string) string {
		return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + `"},"request_id":"req_1"}`
	}
	for _, c := range []struct {
		name   string
		status int
		h      http.Header
		body   string
		kind   llm.Kind
		passed int // Status
		retry  time.Duration
		say    string // in the message
		param  string
	}{
		{name: "overloaded", status: 529, body: body("overloaded_error", "Overloaded"), kind: llm.KindOverloaded, retry: -1, say: "Overloaded"},
		{name: "rate limit", status: 429, h: header("Retry-After", "7", "X-Should-Retry", "true"), body: body("rate_limit_error", "slow"), kind: llm.KindRateLimit, retry: 7 * time.Second},
		{name: "one request too large", status: 429, h: header("X-Should-Retry", "false", "Anthropic-Ratelimit-Input-Tokens-Remaining", "450000"), body: body("rate_limit_error", "would exceed"), kind: llm.KindTooLarge, retry: -1},
		{name: "limit used up, no retry by itself", status: 429, h: header("X-Should-Retry", "false", "Anthropic-Ratelimit-Input-Tokens-Remaining", "0"), body: body("rate_limit_error", "would exceed"), kind: llm.KindRateLimit, retry: -1},
		{name: "monthly cap", status: 429, body: body("rate_limit_error", "monthly spend limit reached"), kind: llm.KindQuota, retry: -1},
		{name: "no credit", status: 400, h: header("X-Should-Retry", "false"), body: body("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), kind: llm.KindQuota, retry: -1},
		{name: "own limit", status: 400, body: body("invalid_request_error", "You have reached your specified API usage limits."), kind: llm.KindQuota, retry: -1},
		{name: "billing", status: 402, body: body("billing_error", "pay"), kind: llm.KindQuota, retry: -1},
		{name: "key", status: 401, body: body("authentication_error", "invalid x-api-key sk-ant-abc"), kind: llm.KindAuthentication, retry: -1, say: "refused the API key"},
		{name: "forbidden", status: 403, body: body("permission_error", "no"), kind: llm.KindPermission, retry: -1},
		{name: "model", status: 404, body: body("not_found_error", "model: nope"), kind: llm.KindNotFound, passed: 404, retry: -1, param: "model"},
		{name: "field", status: 400, body: body("invalid_request_error", "messages.1.content: bad"), kind: llm.KindInvalidRequest, passed: 400, retry: -1, param: "messages.1.content"},
		{name: "unprocessable", status: 422, body: body("invalid_request_error", "x"), kind: llm.KindInvalidRequest, passed: 422, retry: -1},
		{name: "too long", status: 400, body: body("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), kind: llm.KindContextLength, passed: 400, retry: -1},
		{name: "too long with the answer", status: 400, body: body("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"), kind: llm.KindContextLength, passed: 400, retry: -1},
		{name: "too many bytes", status: 400, body: body("invalid_request_error", "too many total text bytes: 2 > 1"), kind: llm.KindTooLarge, passed: 400, retry: -1},
		{name: "413", status: 413, body: body("request_too_large", "Request exceeds the maximum size"), kind: llm.KindTooLarge, passed: 413, retry: -1},
		{name: "413 by a proxy", status: 413, body: "<html>413</html>", kind: llm.KindTooLarge, passed: 413, retry: -1},
		{name: "server", status: 500, h: header("X-Should-Retry", "false", "Retry-After", "2"), body: body("api_error", "Internal server error"), kind: llm.KindServerError, retry: 2 * time.Second},
		{name: "timeout", status: 504, body: body("timeout_error", "x"), kind: llm.KindTimeout, retry: -1},
		{name: "conflict", status: 409, body: body("conflict_error", "x"), kind: llm.KindServerError, retry: -1},
		{name: "new type", status: 400, body: body("brand_new_error", "x"), kind: llm.KindInvalidRequest, passed: 400, retry: -1},
		{name: "proxy", status: 503, h: header("Content-Type", "text/plain"), body: "upstream connect error or disconnect/reset before headers", kind: llm.KindOverloaded, retry: -1, say: "upstream connect error"},
		{name: "html", status: 502, h: header("Content-Type", "text/html"), body: "<html><h1>502 Bad Gateway", kind: llm.KindServerError, retry: -1, say: "Bad Gateway"},
		{name: "empty", status: 500, kind: llm.KindServerError, retry: -1, say: "Internal Server Error"},
		{name: "error is text", status: 400, body: `{"error":"oops"}`, kind: llm.KindInvalidRequest, passed: 400, retry: -1, say: "oops"},
		{name: "flat", status: 400, body: `{"message":"flat"}`, kind: llm.KindInvalidRequest, passed: 400, retry: -1, say: "flat"},
		{name: "odd types", status: 400, body: `{"error":{"type":7,"message":["x"]}}`, kind: llm.KindInvalidRequest, passed: 400, retry: -1},
		{name: "a wait on a mistake is ignored", status: 400, h: header("Retry-After", "9"), body: body("invalid_request_error", "x"), kind: llm.KindInvalidRequest, passed: 400, retry: -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := New().DecodeError(c.status, c.h, []byte(c.body), now)
			if e.Kind != c.kind || e.Status != c.passed || e.RetryAfter != c.retry || e.Param != c.param || e.ProviderStatus != c.status {
				t.Errorf("%+v", e)
			}
			kept := c.body
			if c.kind == llm.KindAuthentication {
				kept = "" // it may repeat the key
			}
			if e.Message == "" || !strings.Contains(e.Message, c.say) || strings.Contains(e.Message, "<html") || strings.Contains(e.Message, "sk-ant") {
				t.Errorf("message %q", e.Message)
			}
			if e.NoRetry != (c.h.Get("X-Should-Retry") == "false") || string(e.Body) != kept || e.ContentType != c.h.Get("Content-Type") {
				t.Errorf("%+v", e)
			}
		})
	}
	long := New().DecodeError(400, nil, []byte(body("invalid_request_error", strings.Repeat("ü", 40_000))), now)
	if len(long.Message) > maxErrorMessage || len(long.Body) != 0 || !strings.HasPrefix(long.Message, "üü") {
		t.Errorf("unbounded: %d, %d", len(long.Message), len(long.Body))
	}
}

func TestEncodeError(t *testing.T) {
	own := `{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"req_theirs"}`
	pass := New().DecodeError(404, nil, []byte(own), now)
	if got := string(New().EncodeError(pass, "req_ours")); got != own {
		t.Errorf("not passed on: %s", got)
	}
	relabelled := *pass
	relabelled.Code = "all_providers_failed"
	foreign := New().DecodeError(404, nil, []byte(`{"error":{"message":"x","type":"y"}}`), now)
	failed := llm.Errorf(llm.KindServerError, "every target failed")
	failed.Code, failed.Attempts = "all_providers_failed", []llm.Attempt{
		{Provider: "p", Model: "m", Status: 503, Kind: llm.KindOverloaded, Latency: 1500 * time.Millisecond, Message: "secret?"},
		{Provider: "q", Model: "n", Kind: llm.KindRateLimit, Skipped: true},
	}
	for _, c := range []struct {
		e    *llm.Error
		want string
	}{
		{llm.Invalid("seed", "seed: not here"), `{"type":"invalid_request_error","message":"seed: not here","code":"invalid_request"}`},
		{&relabelled, `{"type":"not_found_error","message":"model: x","code":"all_providers_failed"}`},
		{foreign, `{"type":"not_found_error","message":"x","code":"model_not_found"}`},
		{failed, `{"type":"api_error","message":"every target failed","code":"all_providers_failed","attempts":[
			{"provider":"p","model":"m","status":503,"error":"overloaded","latency_ms":1500},
			{"provider":"q","model":"n","status":null,"error":"rate_limit","latency_ms":0,"skipped":true}]}`},
		{llm.Errorf(llm.KindAuthentication, "m"), `{"type":"authentication_error","message":"m","code":"invalid_api_key"}`},
		{llm.Errorf(llm.KindPermission, "m"), `{"type":"permission_error","message":"m","code":"model_not_allowed"}`},
		{llm.Errorf(llm.KindTooLarge, "m"), `{"type":"request_too_large","message":"m","code":"request_too_large"}`},
		{llm.Errorf(llm.KindBudget, "m"), `{"type":"rate_limit_error","message":"m","code":"budget_exceeded"}`},
		{llm.Errorf(llm.KindTimeout, "m"), `{"type":"timeout_error","message":"m","code":"timeout"}`},
		{llm.Errorf(llm.KindOverloaded, "m"), `{"type":"overloaded_error","message":"m","code":"overloaded"}`},
		{llm.Errorf(llm.KindInternal, "m\xff<"), `{"type":"api_error","message":"m�<","code":"internal_error"}`},
	} {
		got := New().EncodeError(c.e, "req_ours")
		if !reflect.DeepEqual(normal(t, got), normal(t, []byte(`{"type":"error","error":`+c.want+`,"request_id":"req_ours"}`))) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	for _, body := range []string{`{"type":"error","error":{"type":"x"}}`, `{"error":{"type":"x","message":"y"}}`, `{"type":"error"`, `[]`, ``} {
		e := New().DecodeError(400, nil, []byte(body), now)
		if got := New().EncodeError(e, ""); !wellFormed(got) || string(got) == body {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestErrorRoundTrip(t *testing.T) {
	for kind := range kindsWithStatus(t) {
		e := llm.Errorf(kind, "message")
		back := New().DecodeError(e.HTTPStatus(), nil, New().EncodeError(e, "req"), now)
		if said := back.Message == "message"; said == (back.Kind == llm.KindAuthentication) || back.HTTPStatus() != e.HTTPStatus() && e.HTTPStatus() < 500 && e.HTTPStatus() != 499 {
			t.Errorf("%s: %d became %s, %d", kind, e.HTTPStatus(), back.Kind, back.HTTPStatus())
		}
	}
}

// kindsWithStatus are the kinds that a client meets.
func kindsWithStatus(t *testing.T) map[llm.Kind]bool {
	t.Helper()
	out := map[llm.Kind]bool{}
	for _, k := range kindOfType {
		out[k] = true
	}
	for _, k := range []llm.Kind{llm.KindConnection, llm.KindBadResponse, llm.KindInternal, llm.KindContextLength, llm.KindGuard} {
		out[k] = true
	}
	return out
}

func TestLimits(t *testing.T) {
	h := header(
		"Anthropic-Ratelimit-Requests-Limit", "1000", "Anthropic-Ratelimit-Requests-Remaining", "999", "Anthropic-Ratelimit-Requests-Reset", "2026-02-15T08:00:07Z",
		"Anthropic-Ratelimit-Input-Tokens-Limit", "450000", "Anthropic-Ratelimit-Input-Tokens-Remaining", "450000", "Anthropic-Ratelimit-Input-Tokens-Reset", "1970-01-01T00:00:00Z",
		"Anthropic-Ratelimit-Output-Tokens-Remaining", "junk", "Anthropic-Ratelimit-Tokens-Limit", "5",
	)
	want := []wire.Limit{
		{Unit: "requests", Limit: 1000, Remaining: 999, Reset: 7 * time.Second},
		{Unit: "tokens", Limit: 5, Remaining: -1, Reset: -1},
		{Unit: "input-tokens", Limit: 450000, Remaining: 450000, Reset: 0},
	}
	got := New().Limits(h, now)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	out := http.Header{}
	New().SetLimits(out, append(got, wire.Limit{Unit: "images", Limit: 1}, wire.Limit{Unit: "output-tokens", Limit: -1, Remaining: 0, Reset: 1500 * time.Millisecond}), now)
	if out.Get("anthropic-ratelimit-requests-reset") != "2026-02-15T08:00:07Z" || out.Get("anthropic-ratelimit-output-tokens-reset") != "2026-02-15T08:00:02Z" ||
		out.Get("anthropic-ratelimit-output-tokens-limit") != "" || len(out) != 9 {
		t.Errorf("%v", out)
	}
	if back := New().Limits(out, now); !reflect.DeepEqual(back[:3], want) {
		t.Errorf("back %+v", back)
	}
	if l := New().Limits(http.Header{}, now); len(l) != 0 {
		t.Errorf("%v", l)
	}
}

func TestErrorInside200(t *testing.T) {
	for _, body := range []string{
		`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		`{"error":{"type":"overloaded_error","message":"Overloaded"}}`,
	} {
		f := New().InspectResponse([]byte(body))
		if f.Err == nil || f.Err.Kind != llm.KindOverloaded || f.Err.Message != "Overloaded" || f.Err.RetryAfter >= 0 {
			t.Errorf("%+v", f)
		}
	}
	f := New().InspectEvent([]byte("error"), []byte(`{"type":"error","error":{"type":"rate_limit_error","message":"m"}}`))
	if f.Err == nil || f.Err.Kind != llm.KindRateLimit {
		t.Errorf("%+v", f)
	}
	var out struct{ Error struct{ Type string } }
	if err := json.Unmarshal(New().EncodeError(f.Err, "x"), &out); err != nil || out.Error.Type != "rate_limit_error" {
		t.Errorf("%v %+v", err, out)
	}
}
