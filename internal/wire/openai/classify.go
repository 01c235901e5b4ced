package openai

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// rule classifies an error. It holds if the status is one of statuses (any, if
// there are none) and one of words equals one of the error's own reasons, or one
// of texts is in its message (lower case); with neither words nor texts the status
// is enough.
type rule struct {
	kind     llm.Kind
	statuses []int
	words    []string
	texts    []string
	noRetry  bool
}

// badRequest are the statuses under which a mistake in the request is told; 0 is an error
// inside a stream that tells none.
var badRequest = []int{0, 400, 404, 413, 422}

// rules are tried in order; the first that holds decides, and if none does, the
// status. Each comes from a recorded answer or from a provider's documentation.
var rules = []rule{
	{kind: llm.KindQuota, statuses: []int{402}},
	{kind: llm.KindQuota, words: []string{"insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
		"project_spend_limit_exceeded", "organization_usage_limit_exceeded", "billing_hard_limit_reached",
		"billing_not_active", "billing_error", "insufficient_balance"},
		texts: []string{"credit balance is too low", "insufficient balance", "insufficient credits"}},
	{kind: llm.KindAuthentication, statuses: []int{401}},
	{kind: llm.KindAuthentication, statuses: []int{0, 400, 403}, words: []string{"invalid_api_key", "API_KEY_INVALID", "wrong_api_key",
		"authentication_error", "UNAUTHENTICATED"},
		texts: []string{"incorrect api key", "api key not valid", "invalid api key"}},
	{kind: llm.KindTooLarge, statuses: []int{0, 429}, texts: []string{"request too large"}, noRetry: true},
	{kind: llm.KindOverloaded, words: []string{"overloaded_error", "server_is_overloaded", "overloaded", "engine_overloaded_error",
		"UNAVAILABLE", "service_tier_capacity_exceeded", "1305"}},
	{kind: llm.KindOverloaded, statuses: []int{0, 429, 500, 502, 503}, texts: []string{"overloaded", "at capacity"}},
	{kind: llm.KindContextLength, statuses: badRequest, words: []string{"context_length_exceeded", "too_many_prompt_tokens", "3051"},
		texts: []string{"maximum context length", "context length", "context window", "prompt is too long", "prompt too long",
			"input token count", "reduce the length", "too many tokens", "maximum prompt length"}},
	{kind: llm.KindContentFilter, statuses: []int{0, 400, 403, 422, 500}, words: []string{"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation",
		"moderation_blocked", "data_inspection_failed", "1301"},
		texts: []string{"content management policy", "requires moderation and your input was flagged"}},
	{kind: llm.KindBadResponse, words: []string{"tool_use_failed"}},
	{kind: llm.KindPermission, statuses: []int{0, 400, 403}, words: []string{"unsupported_country_region_territory"},
		texts: []string{"user location is not supported"}},
	{kind: llm.KindNotFound, statuses: badRequest, words: []string{"model_not_found", "DeploymentNotFound", "unknown_model",
		"invalid_model", "NOT_FOUND", "not_found_error"}},
	{kind: llm.KindRateLimit, statuses: []int{0, 429}, words: []string{"rate_limit_exceeded", "rate_limit_error", "rate_limited",
		"slow_down", "RESOURCE_EXHAUSTED", "RateLimitReached", "429"}},
	{kind: llm.KindPermission, statuses: []int{0}, words: []string{"permission_error", "permission_denied", "PERMISSION_DENIED"}},
	{kind: llm.KindTimeout, statuses: []int{0}, words: []string{"timeout", "timeout_error", "DEADLINE_EXCEEDED"}},
}

func (r *rule) holds(status int, e *providerError) bool {
	if len(r.statuses) > 0 && !slices.Contains(r.statuses, status) {
		return false
	}
	if len(r.words) == 0 && len(r.texts) == 0 {
		return true
	}
	for _, w := range e.words {
		if slices.Contains(r.words, w) {
			return true
		}
	}
	for _, t := range r.texts {
		if strings.Contains(e.text, t) {
			return true
		}
	}
	return false
}

// classify makes the error. status is that of the answer, or the one told inside
// a stream, or 0.
func classify(status int, told *providerError) *llm.Error {
	kind, noRetry := kindWithoutRule(status), false
	for i := range rules {
		if r := &rules[i]; r.holds(status, told) {
			kind, noRetry = r.kind, r.noRetry
			break
		}
	}
	e := llm.Errorf(kind, "%s", messageFor(kind, status, told))
	e.Type, e.Param, e.NoRetry = told.typ, told.param, noRetry
	e.Code = codeFor(kind, told.code)
	return e
}

// kindWithoutRule is the kind by status. An error inside a stream without one is the
// provider's failure.
func kindWithoutRule(status int) llm.Kind {
	if status == 0 {
		return llm.KindServerError
	}
	return wire.KindOfStatus(status)
}

// messageFor is the provider's text, or one of our own where it says nothing, or where it
// may repeat a key.
func messageFor(kind llm.Kind, status int, told *providerError) string {
	if kind == llm.KindAuthentication {
		return "the provider refused the API key that this gateway uses"
	}
	if told.message != "" {
		return told.message
	}
	if status == 0 {
		return "the provider reported an error without a message"
	}
	text := "the provider answered with status " + strconv.Itoa(status)
	if s := http.StatusText(status); s != "" {
		text += " (" + s + ")"
	}
	return text
}

// codeFor is the code that the caller sees: the provider's own where it says more than
// the kind's and reads like a code; the standard code for kinds that clients look for.
func codeFor(kind llm.Kind, code string) string {
	switch kind {
	case llm.KindContextLength, llm.KindContentFilter, llm.KindQuota, llm.KindAuthentication, llm.KindTooLarge:
		return ""
	}
	letter := false
	for _, c := range code {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letter = true
		case c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return ""
		}
	}
	if !letter || len(code) > 64 || strings.HasSuffix(code, "_error") {
		return ""
	}
	return code
}
