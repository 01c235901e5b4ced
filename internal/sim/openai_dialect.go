package sim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// openaiDialect tells failures as OpenAI's API does.
type openaiDialect struct{}

func (openaiDialect) requestIDHeader() string { return "X-Request-Id" }

func (openaiDialect) ping() []byte { return []byte(": keep-alive\n\n") }

// openaiFailures: status, type, code and text of each kind of failure.
var openaiFailures = map[failKind]struct {
	status          int
	typ, code, text string
}{
	failInvalid:    {400, "invalid_request_error", "", "Invalid request."},
	failAuth:       {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."},
	failNotFound:   {404, "invalid_request_error", "", "Not found."},
	failMethod:     {405, "invalid_request_error", "method_not_supported", "Not allowed to use this method on this URL."},
	failTooLarge:   {413, "invalid_request_error", "", "Request body too large."},
	failRateLimit:  {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."},
	failQuota:      {429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan and billing details."},
	failOverloaded: {503, "server_error", "server_is_overloaded", "The server is currently overloaded. Please try again later."},
	failServer:     {500, "server_error", "", "The server had an error while processing your request. Sorry about that!"},
	failTimeout:    {504, "server_error", "timeout", "The request timed out."},
	failUnrecorded: {404, "invalid_request_error", "cassette_not_found", "No recorded answer fits this request."},
}

func (openaiDialect) errorObject(b []byte, f *failure) []byte {
	row := openaiFailures[f.kind]
	text := row.text
	if f.message != "" {
		text = f.message
	}
	typ := row.typ
	if f.typ != "" {
		typ = f.typ
	}
	b = quote(append(b, `{"error":{"message":`...), text)
	b = quote(append(b, `,"type":`...), typ)
	b = append(b, `,"param":`...)
	b = quoteOrNull(b, f.param)
	b = append(b, `,"code":`...)
	b = quoteOrNull(b, row.code)
	return append(b, "}}"...)
}

func (d openaiDialect) failure(f *failure, _ string) (int, http.Header, []byte) {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	status := openaiFailures[f.kind].status
	if f.status != 0 {
		status = f.status
	}
	if f.noRetry {
		h.Set("X-Should-Retry", "false")
	}
	if f.retryAfter > 0 {
		setRetryAfter(h, f.retryAfter)
		h.Set("Retry-After-Ms", strconv.FormatInt(f.retryAfter.Milliseconds(), 10))
	}
	if f.kind == failRateLimit {
		h.Set("X-Ratelimit-Limit-Requests", "10000")
		h.Set("X-Ratelimit-Remaining-Requests", "0")
		h.Set("X-Ratelimit-Reset-Requests", f.retryAfter.String())
	}
	return status, h, indent(d.errorObject(nil, f))
}

func (d openaiDialect) failureEvent(f *failure) []byte {
	b := d.errorObject([]byte("data: "), f)
	return append(b, "\n\n"...)
}

// setRetryAfter tells a wait in whole seconds, rounded up.
func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10))
}

// quote appends s as a JSON string.
func quote(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // the error tells of invalid UTF-8, which became U+FFFD
	return b
}

func quoteOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return quote(b, s)
}
