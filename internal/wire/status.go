package wire

import (
	"net/http"

	"github.com/breakwater-llm/breakwater/llm"
)

// KindOfStatus is what an HTTP status says about a provider's failed answer as
// long as its body says nothing more exact. A status that is no failure (below
// 400: the caller expected an answer and got, say, a redirect) is a bad
// response.
func KindOfStatus(status int) llm.Kind {
	if kind, ok := statusKinds[status]; ok {
		return kind
	}
	switch {
	case status < 400 || status > 599:
		return llm.KindBadResponse
	case status < 500:
		return llm.KindInvalidRequest
	}
	return llm.KindServerError
}

// statusKinds holds the statuses that mean more than their class. 408 and 409
// to 504 with their retries: what the official SDKs do; 498: Groq's flex tier
// is full; 520 to 524: Cloudflare in front of a provider.
var statusKinds = map[int]llm.Kind{
	http.StatusUnauthorized:          llm.KindAuthentication,
	http.StatusPaymentRequired:       llm.KindQuota,
	http.StatusForbidden:             llm.KindPermission,
	http.StatusNotFound:              llm.KindNotFound,
	http.StatusProxyAuthRequired:     llm.KindConnection,
	http.StatusRequestTimeout:        llm.KindTimeout,
	http.StatusConflict:              llm.KindServerError,
	http.StatusGone:                  llm.KindNotFound,
	http.StatusRequestEntityTooLarge: llm.KindTooLarge,
	http.StatusFailedDependency:      llm.KindServerError,
	http.StatusTooEarly:              llm.KindServerError,
	http.StatusTooManyRequests:       llm.KindRateLimit,
	498:                              llm.KindOverloaded,
	http.StatusServiceUnavailable:    llm.KindOverloaded,
	http.StatusGatewayTimeout:        llm.KindTimeout,
	522:                              llm.KindTimeout,
	524:                              llm.KindTimeout,
	529:                              llm.KindOverloaded,
}
