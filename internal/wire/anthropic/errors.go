package anthropic

import (
	"bytes"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

// Bounds of what is kept of a provider's error, in bytes.
const (
	maxErrorMessage = 2 << 10
	maxErrorBody    = 64 << 10
)

func (codec) DecodeError(status int, h http.Header, body []byte, now time.Time) *llm.Error {
	e := &llm.Error{
		ProviderStatus: status,
		RetryAfter:     -1,
		NoRetry:        strings.EqualFold(h.Get("X-Should-Retry"), "false"),
		BodyProtocol:   llm.AnthropicMessages,
		ContentType:    h.Get("Content-Type"),
	}
	if len(body) <= maxErrorBody { // half a body is of no use to a client
		e.Body = bytes.Clone(body)
	}
	readError(e, body)
	if e.Message == "" {
		e.Message = plainMessage(status, e.ContentType, body)
	}
	e.Kind = kindOfError(e, status, h)
	withoutKey(e)
	if status == http.StatusTooManyRequests || status >= 500 {
		e.RetryAfter = wire.RetryAfter(h, now)
	}
	switch e.Kind {
	case llm.KindInvalidRequest, llm.KindNotFound, llm.KindTooLarge, llm.KindContextLength:
		switch status {
		case 400, 404, 413, 422: // the caller's own mistake: passed on as it is
			e.Status = status
		}
	}
	return e
}

// errorObject classifies an error that came inside a 200 answer or stream.
func errorObject(data []byte) *llm.Error {
	e := &llm.Error{RetryAfter: -1, BodyProtocol: llm.AnthropicMessages, ContentType: "application/json"}
	if len(data) <= maxErrorBody {
		e.Body = bytes.Clone(data)
	}
	readError(e, data)
	if e.Message == "" {
		e.Message = "the provider reported an error without saying which"
	}
	e.Kind = kindOfError(e, 0, nil)
	withoutKey(e)
	return e
}

// withoutKey takes the provider's words out of an error about the key: they may
// repeat a part of it, and the key is the gateway's, not the caller's.
func withoutKey(e *llm.Error) {
	if e.Kind == llm.KindAuthentication {
		e.Message, e.Body = "the provider refused the API key that this gateway uses", nil
	}
}

// readError takes type, message and field from a body, of whatever shape.
func readError(e *llm.Error, body []byte) {
	if !isObject(body) {
		return
	}
	from := body
	switch problem := member(body, "error"); kindOf(problem) {
	case '{':
		from = problem
		e.Type = bound(stringOf(member(from, "type")), 200)
	case '"':
		e.Message = bound(stringOf(problem), maxErrorMessage)
	}
	for _, name := range []string{"message", "Message", "detail"} {
		if e.Message == "" {
			e.Message = bound(stringOf(member(from, name)), maxErrorMessage)
		}
	}
	e.Param = paramOf(e.Message)
}

// paramOf finds the field that a message begins with, such as in
// "messages.0: all messages must have non-empty content".
func paramOf(message string) string {
	path, _, ok := strings.Cut(message, ": ")
	if !ok || len(path) > 200 {
		return ""
	}
	top, _, _ := strings.Cut(path, ".")
	if _, known := requestShape.Members[top]; !known || strings.ContainsAny(path, " \t\n`'\"") {
		return ""
	}
	return path
}

// plainMessage stands for a body that is no error object: those of proxies in
// front of the provider.
func plainMessage(status int, contentType string, body []byte) string {
	text := strings.TrimSpace(string(body[:min(len(body), maxErrorMessage)]))
	html := strings.Contains(contentType, "html") || strings.HasPrefix(text, "<")
	if text == "" || html || !utf8.ValidString(text) || isObject(body) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }) {
		if name := http.StatusText(status); name != "" {
			return "the provider answered " + name + " without an error it could be quoted with"
		}
		return "the provider answered without an error it could be quoted with"
	}
	return text
}

func bound(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// kindOfType is the error types of the API.
var kindOfType = map[string]llm.Kind{
	"invalid_request_error": llm.KindInvalidRequest,
	"authentication_error":  llm.KindAuthentication,
	"billing_error":         llm.KindQuota,
	"permission_error":      llm.KindPermission,
	"not_found_error":       llm.KindNotFound,
	"conflict_error":        llm.KindServerError,
	"request_too_large":     llm.KindTooLarge,
	"rate_limit_error":      llm.KindRateLimit,
	"api_error":             llm.KindServerError,
	"timeout_error":         llm.KindTimeout,
	"overloaded_error":      llm.KindOverloaded,
}

func kindOfError(e *llm.Error, status int, h http.Header) llm.Kind {
	kind, known := kindOfType[e.Type]
	switch {
	case known && kind != llm.KindServerError && status != http.StatusRequestEntityTooLarge && status != http.StatusPaymentRequired:
	case status >= 400: // the status says more than the type, or all there is
		kind = wire.KindOfStatus(status)
	case !known:
		kind = llm.KindServerError
	}
	text := strings.ToLower(e.Message)
	says := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch kind {
	case llm.KindInvalidRequest:
		switch {
		case says("credit balance is too low", "specified api usage limits", "spend limit", "spending limit"):
			return llm.KindQuota
		case says("prompt is too long", "exceed context limit", "exceeds the context window"):
			return llm.KindContextLength
		case says("too many total text bytes"):
			return llm.KindTooLarge
		}
	case llm.KindRateLimit:
		switch {
		case says("credit balance is too low", "spend limit", "spending limit", "monthly"):
			return llm.KindQuota
		case e.NoRetry && h.Get("Retry-After") == "" && h.Get("Retry-After-Ms") == "" && !exhausted(h):
			return llm.KindTooLarge // one request above the whole limit: waiting does not help
		}
	}
	return kind
}

// errorType is the API's word for a status.
func errorType(status int) string {
	switch status {
	case 400, 422:
		return "invalid_request_error"
	case 401:
		return "authentication_error"
	case 402:
		return "billing_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 409:
		return "conflict_error"
	case 413:
		return "request_too_large"
	case 429:
		return "rate_limit_error"
	case 408, 504:
		return "timeout_error"
	case 503, 529:
		return "overloaded_error"
	}
	if status >= 400 && status < 499 {
		return "invalid_request_error"
	}
	return "api_error"
}

type wireError struct {
	Type      string      `json:"type"`
	Error     errorDetail `json:"error"`
	RequestID string      `json:"request_id"`
}

type errorDetail struct {
	Type     string            `json:"type"`
	Message  string            `json:"message"`
	Code     string            `json:"code"`
	Attempts []wire.AttemptOut `json:"attempts,omitzero"`
}

// EncodeError writes the error's own text, or passes the provider's body on if
// it is an error of this protocol and nothing of ours has to be told with it.
func (codec) EncodeError(e *llm.Error, requestID string) []byte {
	if e.BodyProtocol == llm.AnthropicMessages && e.Code == "" && len(e.Attempts) == 0 && wellFormed(e.Body) {
		return e.Body
	}
	out := wireError{
		Type:      "error",
		Error:     errorDetail{Type: errorType(e.HTTPStatus()), Message: e.Message, Code: e.PublicCode()},
		RequestID: requestID,
	}
	out.Error.Attempts = wire.Attempts(e.Attempts)
	body, err := json.Marshal(&out, asWritten)
	if err != nil { // strings and numbers: it cannot
		return []byte(`{"type":"error","error":{"type":"api_error","message":"internal error"}}`)
	}
	return body
}

// wellFormed reports whether body is an error object of this protocol.
func wellFormed(body []byte) bool {
	if !isObject(body) || !utf8.Valid(body) || !isString(member(body, "type"), "error") {
		return false
	}
	problem := member(body, "error")
	return kindOf(member(problem, "type")) == '"' && kindOf(member(problem, "message")) == '"'
}

func (c codec) ErrorEvent(e *llm.Error, requestID string) []byte {
	return sse.Append(nil, "error", compact(c.EncodeError(e, requestID)))
}
