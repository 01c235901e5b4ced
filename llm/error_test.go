package llm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestKinds pins, for every kind, what the caller sees and what may be tried.
func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		kind      Kind
		status    int
		code      string
		retryable bool
		elsewhere bool
	}{
		{KindInvalidRequest, 400, "invalid_request", false, false},
		{KindAuthentication, 401, "invalid_api_key", false, false},
		{KindPermission, 403, "model_not_allowed", false, false},
		{KindNotFound, 404, "model_not_found", false, false},
		{KindTooLarge, 413, "request_too_large", false, false},
		{KindRateLimit, 429, "rate_limit_exceeded", true, true},
		{KindConcurrencyLimit, 429, "rate_limit_exceeded", false, true},
		{KindBudget, 429, "budget_exceeded", false, false},
		{KindQuota, 429, "insufficient_quota", false, true},
		{KindGuard, 400, "invalid_request", false, false},
		{KindTimeout, 504, "timeout", true, true},
		{KindConnection, 502, "connection", true, true},
		{KindOverloaded, 503, "overloaded", true, true},
		{KindServerError, 502, "server_error", true, true},
		{KindBadResponse, 502, "bad_response", true, true},
		{KindIncompleteStream, 502, "incomplete_stream", true, true},
		{KindContentFilter, 400, "content_filter", false, false},
		{KindContextLength, 400, "context_length_exceeded", false, false},
		{KindClientClosed, 499, "client_closed", false, false},
		{KindStorage, 503, "storage_unavailable", false, false},
		{KindShutdown, 503, "overloaded", false, false},
		{KindInternal, 500, "internal_error", false, false},
		{"new", 500, "internal_error", false, true},
	} {
		e := Errorf(tc.kind, "m")
		if e.HTTPStatus() != tc.status || e.PublicCode() != tc.code || e.Retryable() != tc.retryable || e.Elsewhere() != tc.elsewhere {
			t.Errorf("%s: %d %s, retryable %v, elsewhere %v", tc.kind, e.HTTPStatus(), e.PublicCode(), e.Retryable(), e.Elsewhere())
		}
		if e.RetryAfter >= 0 {
			t.Errorf("%s: a wait that nobody told", tc.kind)
		}
		e.NoRetry, e.Status, e.Code = true, 418, "teapot"
		if e.Retryable() || e.HTTPStatus() != 418 || e.PublicCode() != "teapot" {
			t.Errorf("%s: %v %d %s", tc.kind, e.Retryable(), e.HTTPStatus(), e.PublicCode())
		}
	}
	if len(kindTable) != 22 {
		t.Errorf("%d kinds: give the new ones a line here", len(kindTable))
	}
}

// TestElsewhere: whose key it is, and which limit, decides.
func TestElsewhere(t *testing.T) {
	for kind, want := range map[Kind]bool{KindAuthentication: true, KindPermission: true, KindInvalidRequest: false, KindNotFound: false} {
		if e := (&Error{Kind: kind, Provider: "p"}); e.Elsewhere() != want {
			t.Errorf("%s at a provider: %v", kind, e.Elsewhere())
		}
	}
	for status, want := range map[int]bool{http.StatusTooManyRequests: true, http.StatusRequestEntityTooLarge: false, 400: false, 0: false} {
		if e := (&Error{Kind: KindTooLarge, Provider: "p", ProviderStatus: status}); e.Elsewhere() != want {
			t.Errorf("too large with %d: %v", status, e.Elsewhere())
		}
	}
}

func TestErrorMatching(t *testing.T) {
	e := Wrap(KindConnection, io.ErrUnexpectedEOF, "the provider closed %s", "it")
	e.Provider = "p1"
	wrapped := fmt.Errorf("outer: %w", e)
	if !errors.Is(wrapped, &Error{Kind: KindConnection}) || errors.Is(wrapped, &Error{Kind: KindTimeout}) || errors.Is(wrapped, &Error{Kind: KindConnection, Message: "x"}) {
		t.Error("kinds do not match as they should")
	}
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) || AsError(wrapped) != e || AsError(nil) != nil {
		t.Error("causes do not unwrap as they should")
	}
	if got := e.Error(); got != "p1: connection: the provider closed it" {
		t.Error(got)
	}
	unknown := AsError(errors.New("password=hunter2"))
	if unknown.Kind != KindInternal || strings.Contains(unknown.Error(), "hunter2") || unknown.Unwrap() == nil {
		t.Errorf("%v", unknown)
	}
	if in := Invalid("messages[2]", "too %s", "odd"); in.Param != "messages[2]" || in.Kind != KindInvalidRequest || in.Message != "too odd" {
		t.Errorf("%+v", in)
	}
}

// TestSummary: of a provider's error, only its status and what reads like a name.
func TestSummary(t *testing.T) {
	own := Errorf(KindTimeout, "no content came")
	if own.Summary() != own.Message {
		t.Error(own.Summary())
	}
	for _, tc := range []struct{ typ, code, param, want string }{
		{"", "", "", "the provider answered with status 400"},
		{"invalid_request_error", "context_length_exceeded", "messages[2].content", "the provider answered with status 400, type invalid_request_error, code context_length_exceeded, param messages[2].content"},
		{"my secret prompt", "tell me", "why?", "the provider answered with status 400"},
		{strings.Repeat("x", 65), "a\nb", "ü", "the provider answered with status 400"},
	} {
		e := &Error{Kind: KindInvalidRequest, Message: "you wrote: my secret prompt", Quoted: true, ProviderStatus: 400, Type: tc.typ, Code: tc.code, Param: tc.param}
		if got := e.Summary(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}
