package upstreamtest

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/testkit"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/llm"
)

// Elsewhere is where a redirect points to, on the same server.
const Elsewhere = "/elsewhere"

// UserAgent is what scripted upstreams call themselves.
const UserAgent = "breakwater/conformance"

// Scripted plays scenes on a real socket in a protocol's dialect, for a kind whose base URL
// is the server's root with the path.
func Scripted(p llm.Protocol, path string, kind func(baseURL string) upstream.Kind) func(*testing.T, Scene, *pipeline.Call) *Provider {
	return func(t *testing.T, s Scene, c *pipeline.Call) *Provider {
		t.Helper()
		d := dialects[p]
		var once sync.Once
		left := make(chan struct{})
		frames, contentType := bodyOf(d, s, c)
		server := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			if x.Path == Elsewhere {
				x.Respond(200, strings.Join(frames, ""), "Content-Type: "+contentType)
				return
			}
			answer(x, s, frames, contentType)
			if s.Play == Stall && x.Hang(10*time.Second) {
				once.Do(func() { close(left) })
			}
		})
		base := server.URL() + path
		transport := upstream.NewTransport(base)
		t.Cleanup(transport.CloseIdleConnections)
		up, err := upstream.New(upstream.Options{Name: "tested", Kind: kind(base), BaseURL: base, Transport: transport, UserAgent: UserAgent})
		if err != nil {
			t.Fatal(err)
		}
		return &Provider{
			Upstream: up,
			Sent:     []byte(strings.Join(frames, "")),
			Requests: func() (out []Request) {
				for _, x := range server.Requests() {
					out = append(out, Request{Path: x.Path, Header: x.Header, Body: x.Body})
				}
				return out
			},
			Left: func(d time.Duration) bool {
				select {
				case <-left:
					return true
				case <-time.After(d):
					return false
				}
			},
		}
	}
}

// answer plays the scene.
func answer(x *testkit.Exchange, s Scene, frames []string, contentType string) {
	switch s.Play {
	case Redirect:
		x.Respond(http.StatusTemporaryRedirect, "", "Location: "+Elsewhere)
	case Refuse:
		headers := []string{"X-Request-Id: prov_1"}
		if s.Error.ContentType != "" {
			headers = append(headers, "Content-Type: "+s.Error.ContentType)
		}
		x.Respond(s.Error.Status, s.Error.Body, append(headers, s.Error.Header...)...)
	case Garbage:
		x.Respond(200, "<html><body>Welcome to the proxy</body></html>", "Content-Type: text/html")
	default:
		x.Head(200, "Content-Type: "+contentType, "X-Request-Id: prov_1", "Transfer-Encoding: chunked")
		for _, f := range frames {
			x.Chunk(f)
		}
		if s.Play != Stall {
			x.EndChunks()
		}
	}
}
