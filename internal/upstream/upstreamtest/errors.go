package upstreamtest

import (
	"time"

	"github.com/breakwater-llm/breakwater/llm"
)

// ErrorRow is an error that a provider answers with and what must be made of it.
type ErrorRow struct {
	Name        string
	Status      int
	ContentType string   // "": application/json
	Header      []string // further headers, "Name: value"
	Body        string

	Kind       llm.Kind
	Retry      bool          // may be tried again at the same target
	Elsewhere  bool          // may be tried at another
	RetryAfter time.Duration // as told; 0: not told
	Message    string        // a piece of the message that callers see; "": any
}

const html = "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1>nginx</body></html>"

// Errors is the table of what a status means, for providers of a protocol: the same meaning in
// each protocol's words. A quirk of one provider stands with the wire package's own tests.
func Errors(p llm.Protocol) []ErrorRow {
	d := dialects[p]
	o := p == llm.OpenAIChat
	word := func(openai, anthropic string) string {
		if o {
			return openai
		}
		return anthropic
	}
	body := func(openaiType, code, anthropicType, message string) string {
		return d.Error(word(openaiType, anthropicType), code, message)
	}
	outOfMoney := 400
	if o {
		outOfMoney = 429
	}
	return []ErrorRow{
		{Name: "the caller's mistake", Status: 400, Body: body("invalid_request_error", "", "invalid_request_error", "messages: wrong"), Kind: llm.KindInvalidRequest, Message: "wrong"},
		{Name: "unprocessable", Status: 422, Body: body("invalid_request_error", "", "invalid_request_error", "wrong"), Kind: llm.KindInvalidRequest, Message: "wrong"},
		{Name: "bad key", Status: 401, Body: body("invalid_request_error", "invalid_api_key", "authentication_error", "Incorrect API key provided: sk-CANARY"), Kind: llm.KindAuthentication, Elsewhere: true},
		{Name: "not allowed", Status: 403, Body: body("permission_error", "", "permission_error", "no access"), Kind: llm.KindPermission, Elsewhere: true},
		{Name: "unknown model", Status: 404, Body: body("invalid_request_error", "model_not_found", "not_found_error", "model: x"), Kind: llm.KindNotFound},
		{Name: "body too large", Status: 413, Body: body("invalid_request_error", "", "request_too_large", "too large"), Kind: llm.KindTooLarge},
		{Name: "context too long", Status: 400, Body: body("invalid_request_error", "context_length_exceeded", "invalid_request_error",
			word("This model's maximum context length is 8192 tokens", "prompt is too long: 9000 tokens > 8192 maximum")), Kind: llm.KindContextLength},
		{Name: "rate limit", Status: 429, Header: []string{"Retry-After: 7"}, Body: body("requests", "rate_limit_exceeded", "rate_limit_error", "slow down"),
			Kind: llm.KindRateLimit, Retry: true, Elsewhere: true, RetryAfter: 7 * time.Second},
		{Name: "rate limit in milliseconds", Status: 429, Header: []string{"Retry-After-Ms: 250", "Retry-After: 1"}, Body: body("tokens", "rate_limit_exceeded", "rate_limit_error", "slow down"),
			Kind: llm.KindRateLimit, Retry: true, Elsewhere: true, RetryAfter: 250 * time.Millisecond},
		{Name: "one request above the limit", Status: 429, Header: []string{"X-Should-Retry: false"},
			Body: body("tokens", "rate_limit_exceeded", "rate_limit_error", "Request too large for the model: Limit 10, Requested 20"), Kind: llm.KindTooLarge, Elsewhere: true},
		{Name: "out of money", Status: 402, Body: body("insufficient_balance", "", "billing_error", "pay first"), Kind: llm.KindQuota, Elsewhere: true},
		{Name: "out of money by another status", Status: outOfMoney, Body: body("insufficient_quota", "insufficient_quota", "invalid_request_error",
			word("You exceeded your current quota", "Your credit balance is too low")), Kind: llm.KindQuota, Elsewhere: true},
		{Name: "timeout", Status: 408, Body: body("timeout", "", "timeout_error", "late"), Kind: llm.KindTimeout, Retry: true, Elsewhere: true},
		{Name: "conflict", Status: 409, Body: body("conflict", "", "conflict_error", "twice"), Kind: llm.KindServerError, Retry: true, Elsewhere: true},
		{Name: "server error", Status: 500, Body: body("server_error", "", "api_error", "oops"), Kind: llm.KindServerError, Retry: true, Elsewhere: true},
		{Name: "server error, no retry", Status: 500, Header: []string{"X-Should-Retry: false"}, Body: body("server_error", "", "api_error", "oops"), Kind: llm.KindServerError, Elsewhere: true},
		{Name: "bad gateway, HTML", Status: 502, ContentType: "text/html", Body: html, Kind: llm.KindServerError, Retry: true, Elsewhere: true},
		{Name: "overloaded", Status: 503, Header: []string{"Retry-After: 2"}, Body: body("server_error", "server_is_overloaded", "overloaded_error", "busy"),
			Kind: llm.KindOverloaded, Retry: true, Elsewhere: true, RetryAfter: 2 * time.Second},
		{Name: "overloaded, plain text", Status: 503, ContentType: "text/plain", Body: "upstream connect error or disconnect/reset before headers", Kind: llm.KindOverloaded, Retry: true, Elsewhere: true},
		{Name: "overloaded by its own status", Status: 529, Body: body("overloaded_error", "", "overloaded_error", "busy"), Kind: llm.KindOverloaded, Retry: true, Elsewhere: true},
		{Name: "gateway timeout", Status: 504, Body: "", Kind: llm.KindTimeout, Retry: true, Elsewhere: true},
		{Name: "JSON of another shape", Status: 500, Body: `["no",{"error":7}]`, Kind: llm.KindServerError, Retry: true, Elsewhere: true},
		{Name: "a status that means nothing", Status: 418, Body: `{"message":"teapot"}`, Kind: llm.KindInvalidRequest, Message: "teapot"},
	}
}
