// Package anthropic makes the kind of provider that speaks Anthropic's Messages
// protocol.
package anthropic

import (
	"net/http"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	wireanthropic "github.com/breakwater-llm/breakwater/internal/wire/anthropic"
)

// DefaultBaseURL is Anthropic's own, as its SDKs have it: without /v1.
const DefaultBaseURL = "https://api.anthropic.com"

// Version is the API version that translated requests are written for. A client
// of the Messages protocol brings its own, which decides what its body may hold.
const Version = "2023-06-01"

// Kind is the kind for an endpoint that takes its key in x-api-key.
func Kind() upstream.Kind {
	return upstream.Kind{
		Codec: wireanthropic.New(),
		Paths: map[pipeline.Op]string{
			pipeline.OpGenerate:    "/v1/messages",
			pipeline.OpCountTokens: "/v1/messages/count_tokens",
		},
		Authorize: func(h http.Header, key string) { h["X-Api-Key"] = []string{key} },
		Header:    http.Header{"Anthropic-Version": {Version}},
	}
}
