package sdk_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-llm/breakwater/e2e/sdk/mockproc"
	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// Keys of the world: what callers use, and what the gateway uses towards providers.
const (
	callerKey   = "caller-key-7Q1xV0"
	limitedKey  = "limited-key-2MdR9c"
	providerKey = "provider-key-c4Kz8T"
)

// upstreams are the kinds of provider behind the gateway.
var upstreams = []string{"openai", "anthropic"}

// behaviours are the models of testdata/replies.yaml and, behind the same names, the gateway's.
var behaviours = []string{"chat", "tools", "tools-parallel", "json", "json-tool", "server-error", "overloaded", "mid-stream-error"}

// world is a gateway in front of one simulated provider of each kind.
type world struct {
	gateway *testkit.Gateway
	seen    map[string]*recorder // by upstream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{seen: map[string]*recorder{}}
	script, err := filepath.Abs("testdata/replies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, up := range upstreams {
		w.seen[up] = record(t, mockproc.Start(t, "--script", script))
	}
	w.gateway = testkit.Start(t, w.config(t), "CALLER_KEY="+callerKey, "LIMITED_KEY="+limitedKey, "PROVIDER_KEY="+providerKey)
	return w
}

// config gives each behaviour its own provider: a failing one must not have an effect on the others.
func (w *world) config(t *testing.T) string {
	var providers, models strings.Builder
	provider := func(up, name, root string) {
		if up == "openai" {
			root += "/v1"
		}
		fmt.Fprintf(&providers, "  %s-%s: {type: %s, base_url: %q, api_key: env://PROVIDER_KEY}\n", up, name, up, root)
	}
	model := func(name, provider, behaviour, more string) {
		fmt.Fprintf(&models, "  %s: {targets: [{provider: %s, model: %s}], retry: {attempts: 1}, breaker: {failures: 0}%s}\n", name, provider, behaviour, more)
	}
	for _, up := range upstreams {
		for _, b := range behaviours {
			provider(up, b, w.seen[up].url)
			model(up+"-"+b, up+"-"+b, b, "")
		}
		provider(up, "hang", w.seen[up].url)
		model(up+"-hang", up+"-hang", "hang", ", timeout: {first_token: 500ms}")
		model(up+"-hang-long", up+"-hang", "hang", "")
		// A key that met a rate limit rests for the model, so each SDK and case has its own.
		provider(up, "rate-limit", w.seen[up].url)
		for _, s := range sdks {
			for _, b := range []string{"rate-limit-" + s.name, "rate-limit-stream-" + s.name} {
				model(up+"-"+b, up+"-rate-limit", b, "")
			}
		}
		provider(up, "unreachable", "http://"+deadAddress(t))
		model(up+"-unreachable", up+"-unreachable", "chat", "")
		// A name by which clients that know models by name expect structured output.
		model("claude-sonnet-4-5-"+up+"-json", up+"-json", "json", "")
	}
	return "providers:\n" + providers.String() + "models:\n" + models.String() + `
keys:
  - {id: caller, secret: env://CALLER_KEY}
  - {id: limited, secret: env://LIMITED_KEY, models: [openai-chat, anthropic-chat]}
limits: {max_body: 1MiB}
`
}

// deadAddress is one that nobody listens on.
func deadAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// recorder stands between the gateway and a simulated provider and keeps what goes by.
type recorder struct {
	url  string
	mu   sync.Mutex
	reqs []received
}

// received is a request as the provider got it.
type received struct {
	path   string
	header http.Header
	body   []byte
}

func record(t *testing.T, provider string) *recorder {
	t.Helper()
	to, err := url.Parse(provider)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(to) },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.mu.Lock()
		r.reqs = append(r.reqs, received{req.URL.Path, req.Header.Clone(), body})
		r.mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

// with returns the requests whose body holds the text.
func (r *recorder) with(text string) []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []received
	for _, req := range r.reqs {
		if bytes.Contains(req.body, []byte(text)) {
			out = append(out, req)
		}
	}
	return out
}
