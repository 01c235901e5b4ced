package sim

import "net/http"

// anthropicDialect tells failures as Anthropic's API does.
type anthropicDialect struct{}

func (anthropicDialect) requestIDHeader() string { return "Request-Id" }

func (anthropicDialect) ping() []byte { return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n") }

// anthropicFailures: status, type and text of each kind of failure.
var anthropicFailures = map[failKind]struct {
	status    int
	typ, text string
	retry     string // x-should-retry
}{
	failInvalid:    {400, "invalid_request_error", "Invalid request.", "false"},
	failAuth:       {401, "authentication_error", "invalid x-api-key", "false"},
	failNotFound:   {404, "not_found_error", "Not found", "false"},
	failMethod:     {405, "invalid_request_error", "Method Not Allowed", "false"},
	failTooLarge:   {413, "request_too_large", "Request exceeds the maximum size", "false"},
	failRateLimit:  {429, "rate_limit_error", "Number of requests has exceeded your per-minute rate limit.", "true"},
	failQuota:      {400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.", "false"},
	failOverloaded: {529, "overloaded_error", "Overloaded", "true"},
	failServer:     {500, "api_error", "Internal server error", "true"},
	failTimeout:    {504, "timeout_error", "Request timed out", "true"},
	failUnrecorded: {404, "not_found_error", "No recorded answer fits this request.", "false"},
}

func (anthropicDialect) errorObject(b []byte, f *failure, requestID string) []byte {
	row := anthropicFailures[f.kind]
	text := row.text
	if f.message != "" {
		text = f.message
	}
	typ := row.typ
	if f.status == 403 {
		typ = "permission_error"
	}
	b = append(b, `{"type":"error","error":{"type":"`+typ+`","message":`...)
	b = append(quote(b, text), '}')
	if requestID != "" {
		b = quote(append(b, `,"request_id":`...), requestID)
	}
	return append(b, '}')
}

func (d anthropicDialect) failure(f *failure, requestID string) (int, http.Header, []byte) {
	row := anthropicFailures[f.kind]
	h := http.Header{"Content-Type": {"application/json"}, "X-Should-Retry": {row.retry}}
	status := row.status
	if f.status != 0 {
		status = f.status
	}
	if f.noRetry {
		h.Set("X-Should-Retry", "false")
	}
	if f.retryAfter > 0 {
		setRetryAfter(h, f.retryAfter)
	}
	return status, h, d.errorObject(nil, f, requestID)
}

func (d anthropicDialect) failureEvent(f *failure) []byte {
	b := d.errorObject([]byte("event: error\ndata: "), f, "")
	return append(b, "\n\n"...)
}
