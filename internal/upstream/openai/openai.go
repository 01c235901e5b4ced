// Package openai makes the kind of provider that speaks OpenAI's protocols:
// OpenAI itself and every compatible endpoint.
package openai

import (
	"net/http"
	"net/url"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	wireopenai "github.com/breakwater-llm/breakwater/internal/wire/openai"
)

// DefaultBaseURL is OpenAI's own, as its SDKs have it.
const DefaultBaseURL = "https://api.openai.com/v1"

// noStreamOptions lists hosts that refuse stream_options, or report usage in
// every stream by themselves: Mistral answers 422 to unknown parameters and
// always sends usage; Perplexity reports on every chunk.
var noStreamOptions = map[string]bool{
	"api.mistral.ai":       true,
	"api.perplexity.ai":    true,
	"codestral.mistral.ai": true,
}

// Kind is the kind for an endpoint at baseURL.
func Kind(baseURL string) upstream.Kind {
	ask := true
	if u, err := url.Parse(baseURL); err == nil {
		ask = !noStreamOptions[u.Hostname()]
	}
	return upstream.Kind{
		Codec: wireopenai.New(),
		Paths: map[pipeline.Op]string{pipeline.OpGenerate: "/chat/completions"},
		Authorize: func(h http.Header, key string) {
			h["Authorization"] = []string{"Bearer " + key}
		},
		AskUsage: ask,
	}
}
