package upstream_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/upstream/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

// FuzzAnswer: whatever a provider sends, in whatever coding, there is either one whole answer or an
// error, and never an end mark in front of an error.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", "", wholeOpenAI, false)
	f.Add(200, "text/event-stream", "", streamOpenAI, true)
	f.Add(200, "", "gzip", "\x1f\x8b", true)
	f.Add(200, "text/plain", "deflate", "x\x9c", false)
	f.Add(429, "text/html", "br", "<html>", false)
	f.Add(302, "", "", "", true)
	f.Fuzz(func(t *testing.T, status int, contentType, coding, body string, stream bool) {
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Content-Encoding": {coding}},
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1, Request: r,
			}, nil
		})
		e, err := upstream.New(upstream.Options{Name: "p", Kind: openai.Kind(""), BaseURL: "http://h", Transport: rt, MaxAnswer: 1 << 20, MaxEvent: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		for _, client := range []llm.Protocol{llm.OpenAIChat, llm.AnthropicMessages} {
			r := do(t.Context(), e, newCall(t, client, stream))
			if (r.err != nil) == r.end {
				t.Errorf("%s: end %v, %v", client, r.end, r.err)
			}
			if r.end && (status < 200 || status > 299) {
				t.Errorf("%s: an answer of status %d", client, status)
			}
		}
	})
}
