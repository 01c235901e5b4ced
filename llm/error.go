package llm

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind classifies a failure. The values are those of the log's and the
// ledger's error_type.
type Kind string

// The kinds of failure.
const (
	KindInvalidRequest   Kind = "invalid_request"   // the caller's own mistake
	KindAuthentication   Kind = "authentication"    // a key is wrong: the caller's with us, or ours with a provider
	KindPermission       Kind = "permission"        // a key is right but may not do this
	KindNotFound         Kind = "not_found"         // no such model, path or stored object
	KindTooLarge         Kind = "too_large"         // the body, or one request against a token limit
	KindRateLimit        Kind = "rate_limit"        // too many requests or tokens in a time
	KindConcurrencyLimit Kind = "concurrency_limit" // too many at once
	KindBudget           Kind = "budget"            // the caller's budget here is used up
	KindQuota            Kind = "quota"             // our account with the provider is out of money or quota
	KindGuard            Kind = "guard"             // a guard refused
	KindTimeout          Kind = "timeout"
	KindConnection       Kind = "connection"        // no answer: refused, reset, DNS, TLS
	KindOverloaded       Kind = "overloaded"        // the provider, or this gateway, sheds load
	KindServerError      Kind = "server_error"      // the provider failed
	KindBadResponse      Kind = "bad_response"      // the provider answered what its protocol does not allow
	KindIncompleteStream Kind = "incomplete_stream" // the answer broke off
	KindContentFilter    Kind = "content_filter"    // refused by the provider's filter
	KindContextLength    Kind = "context_length"    // the prompt is longer than the model's window
	KindClientClosed     Kind = "client_closed"     // the caller left
	KindStorage          Kind = "storage"           // ledger or shared state cannot be written
	KindShutdown         Kind = "shutdown"          // the gateway is stopping
	KindInternal         Kind = "internal"          // a defect of this program
)

// Error is a failed call or attempt. Match it with errors.As, or its kind with
// errors.Is against an *Error that has only Kind set.
//
// Message is written for the caller: it names the field, provider or limit and
// what to do, and carries no prompt text and no credential.
type Error struct {
	Kind    Kind
	Code    string // the code shown to the caller; "" derives one from Kind
	Status  int    // HTTP status for the caller; 0 derives one from Kind
	Message string
	Param   string // the request field at fault, if one is
	Type    string // the provider's own error type or status word, when its error is passed on

	Provider       string        // who failed; empty when it was this gateway
	ProviderStatus int           // the status the provider answered with; 0: none
	RetryAfter     time.Duration // how long to wait, as told; negative: not told
	NoRetry        bool          // the provider forbids a retry (x-should-retry: false)
	Quoted         bool          // Message is the provider's own words, which may quote the prompt
	Sent           bool          // the request may have reached the provider

	// Body is the provider's own error body with its protocol and content type,
	// kept so that a caller of the same protocol gets it as it was.
	Body         []byte
	BodyProtocol Protocol
	ContentType  string

	// Attempts tells, for a call that failed everywhere, what each try met.
	Attempts []Attempt

	Err error // the cause, for operators
}

// Attempt is one try at one target: one row of the ledger, one entry of the
// all_providers_failed body.
type Attempt struct {
	Provider   string
	Endpoint   string // host of the provider's endpoint
	KeyID      string // which of the provider's keys, by its place: never the key
	Model      string
	Status     int    // the provider's HTTP status; 0: none
	Kind       Kind   // "" for success
	Message    string // scrubbed
	Reason     string // why it was tried or skipped: first, retry, fallback, cooldown, ...
	Skipped    bool   // not sent at all
	Start      time.Time
	Latency    time.Duration
	FirstToken time.Duration // 0: no content came
	Usage      Usage
	RetryAfter time.Duration
}

// Errorf makes an error of a kind, with a message for the caller.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), RetryAfter: -1}
}

// Invalid is a caller's mistake in the named field.
func Invalid(param, format string, args ...any) *Error {
	e := Errorf(KindInvalidRequest, format, args...)
	e.Param = param
	return e
}

// Wrap makes an error of a kind around its cause. The cause is for operators
// only and is never shown to the caller.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	e := Errorf(kind, format, args...)
	e.Err = cause
	return e
}

func (e *Error) Error() string {
	who := ""
	if e.Provider != "" {
		who = e.Provider + ": "
	}
	return who + string(e.Kind) + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same kind with nothing else set.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Kind == e.Kind
}

// AsError returns err as an *Error; an unknown error becomes one of
// KindInternal that shows no detail.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Wrap(KindInternal, err, "internal error")
}

// Retryable reports whether the same request may be sent to the same target
// again: the failure is of a kind that passes, and the provider does not forbid it.
func (e *Error) Retryable() bool {
	if e.NoRetry {
		return false
	}
	switch e.Kind {
	case KindTimeout, KindConnection, KindOverloaded, KindServerError, KindBadResponse, KindIncompleteStream, KindRateLimit:
		return true
	}
	return false
}

// Elsewhere reports whether another target may succeed where this one failed.
// The caller's own mistakes fail everywhere.
func (e *Error) Elsewhere() bool {
	switch e.Kind {
	case KindInvalidRequest, KindNotFound, KindContentFilter, KindContextLength, KindClientClosed, KindGuard,
		KindBudget, KindShutdown, KindInternal, KindStorage:
		return false
	case KindTooLarge:
		// One request above a provider's token limit (429) may fit another's; a body too large (413) is the caller's.
		return e.ProviderStatus == http.StatusTooManyRequests
	case KindAuthentication, KindPermission:
		return e.Provider != "" // our key with that provider, never the caller's with us
	}
	return true
}

// kindTable says, for each kind, what the caller sees when nothing more exact
// is set: HTTP status and code.
var kindTable = map[Kind]struct {
	status int
	code   string
}{
	KindInvalidRequest:   {http.StatusBadRequest, "invalid_request"},
	KindAuthentication:   {http.StatusUnauthorized, "invalid_api_key"},
	KindPermission:       {http.StatusForbidden, "model_not_allowed"},
	KindNotFound:         {http.StatusNotFound, "model_not_found"},
	KindTooLarge:         {http.StatusRequestEntityTooLarge, "request_too_large"},
	KindRateLimit:        {http.StatusTooManyRequests, "rate_limit_exceeded"},
	KindConcurrencyLimit: {http.StatusTooManyRequests, "rate_limit_exceeded"},
	KindBudget:           {http.StatusTooManyRequests, "budget_exceeded"},
	KindQuota:            {http.StatusTooManyRequests, "insufficient_quota"},
	KindGuard:            {http.StatusBadRequest, "invalid_request"},
	KindTimeout:          {http.StatusGatewayTimeout, "timeout"},
	KindConnection:       {http.StatusBadGateway, "connection"},
	KindOverloaded:       {http.StatusServiceUnavailable, "overloaded"},
	KindServerError:      {http.StatusBadGateway, "server_error"},
	KindBadResponse:      {http.StatusBadGateway, "bad_response"},
	KindIncompleteStream: {http.StatusBadGateway, "incomplete_stream"},
	KindContentFilter:    {http.StatusBadRequest, "content_filter"},
	KindContextLength:    {http.StatusBadRequest, "context_length_exceeded"},
	KindClientClosed:     {499, "client_closed"},
	KindStorage:          {http.StatusServiceUnavailable, "storage_unavailable"},
	KindShutdown:         {http.StatusServiceUnavailable, "overloaded"},
	KindInternal:         {http.StatusInternalServerError, "internal_error"},
}

// HTTPStatus is the status the caller gets.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	if row, ok := kindTable[e.Kind]; ok {
		return row.status
	}
	return http.StatusInternalServerError
}

// PublicCode is the code the caller gets.
func (e *Error) PublicCode() string {
	if e.Code != "" {
		return e.Code
	}
	if row, ok := kindTable[e.Kind]; ok {
		return row.code
	}
	return "internal_error"
}

// Summary is the message for records and logs. A provider's own words may quote
// the prompt, so of an error that a provider told only its status and identifiers
// are in it.
func (e *Error) Summary() string {
	if !e.Quoted {
		return e.Message
	}
	s := fmt.Sprintf("the provider answered with status %d", e.ProviderStatus)
	for _, part := range []struct{ name, value string }{{"type", e.Type}, {"code", e.Code}, {"param", e.Param}} {
		if word := identifier(part.value); word != "" {
			s += ", " + part.name + " " + word
		}
	}
	return s
}

// identifier returns s if it looks like a name from a protocol rather than like text.
func identifier(s string) string {
	if len(s) > 64 {
		return ""
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-', c == '[', c == ']':
		default:
			return ""
		}
	}
	return s
}
