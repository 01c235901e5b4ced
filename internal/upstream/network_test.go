package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/upstream/anthropic"
	"github.com/breakwater-llm/breakwater/internal/upstream/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

// TestRedirects are not followed: with a POST's body and our key, that would give both away.
func TestRedirects(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		canary := testkit.NewUpstream(t, answers(200, "application/json", wholeOpenAI))
		for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
			up := testkit.NewUpstream(t, answers(status, "application/json", "", "Location: "+canary.URL()+"/v1/chat/completions"))
			r := do(t.Context(), newEndpoint(t, up.URL(), make, setup{}), newCall(t, llm.OpenAIChat, false))
			if r.err == nil || r.err.Kind != llm.KindBadResponse || r.err.ProviderStatus != status || canary.Count() != 0 {
				t.Errorf("%d: %v, %d requests followed", status, r.err, canary.Count())
			}
		}
	})
}

// TestHeaders: what the provider sees is what we set, and of the client's what the
// call holds for its protocol; nothing else.
func TestHeaders(t *testing.T) {
	base := []string{"Accept", "Accept-Encoding", "Content-Length", "Content-Type", "User-Agent"}
	client := http.Header{"Anthropic-Version": {"2099-01-01"}, "Anthropic-Beta": {"one", "two"}}
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for _, tc := range []struct {
			name   string
			kind   upstream.Kind
			client llm.Protocol
			key    string
			want   []string
			check  map[string]string
		}{
			{"openai", openai.Kind(""), llm.OpenAIChat, key, []string{"Authorization"}, map[string]string{"Authorization": "Bearer " + key}},
			{"no key", openai.Kind(""), llm.OpenAIChat, "", nil, nil},
			{"translated", openai.Kind(""), llm.AnthropicMessages, key, []string{"Authorization"}, nil},
			{"anthropic", anthropic.Kind(), llm.AnthropicMessages, key, []string{"X-Api-Key", "Anthropic-Version", "Anthropic-Beta"},
				map[string]string{"X-Api-Key": key, "Anthropic-Version": "2099-01-01", "Anthropic-Beta": "one"}},
			{"translated to anthropic", anthropic.Kind(), llm.OpenAIChat, key, []string{"X-Api-Key", "Anthropic-Version"},
				map[string]string{"Anthropic-Version": anthropic.Version}},
		} {
			up := testkit.NewUpstream(t, answers(200, "application/json", "{}"))
			e := newEndpoint(t, up.URL(), make, setup{kind: tc.kind})
			for _, stream := range []bool{false, true} {
				c := newCall(t, tc.client, stream)
				if tc.client == llm.AnthropicMessages {
					c.Header = client
				}
				s := upstream.Send{Model: "sent", Key: tc.key}
				_, _ = e.Do(t.Context(), c, &s)
				reqs := up.Requests()
				h := reqs[len(reqs)-1].Header
				got, want := names(h), append(slices.Clone(base), tc.want...)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", tc.name, got, want)
				}
				accept := map[bool]string{false: "application/json", true: "text/event-stream"}[stream]
				if h.Get("Accept") != accept || h.Get("Content-Type") != "application/json" || h.Get("Accept-Encoding") != "identity" || h.Get("User-Agent") != "breakwater/test" {
					t.Errorf("%s: %v", tc.name, h)
				}
				for name, value := range tc.check {
					if h.Get(name) != value {
						t.Errorf("%s: %s is %q", tc.name, name, h.Get(name))
					}
				}
			}
		}
	})
	if v := anthropic.Kind().Header.Get("Anthropic-Version"); v != anthropic.Version {
		t.Errorf("a call changed the kind's header: %q", v)
	}
}

// TestNoReplay: what the provider sees are our attempts, exactly, though it closes
// connections just as they are used again, and though the client sent an Idempotency-Key.
func TestNoReplay(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		up := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			if x.N%2 == 0 { // the second request of each connection
				x.FIN()
				return
			}
			x.Respond(200, wholeOpenAI)
		})
		e := newEndpoint(t, up.URL(), make, setup{})
		failed := 0
		for range 40 {
			c := newCall(t, llm.OpenAIChat, false)
			c.Header = http.Header{"Idempotency-Key": {"k"}, "X-Idempotency-Key": {"k"}}
			r := do(t.Context(), e, c)
			if r.err != nil {
				failed++
				if r.err.Kind != llm.KindConnection || !r.err.Sent || !r.err.Retryable() {
					t.Errorf("%+v", r.err)
				}
			}
		}
		if up.Count() != 40 || failed != 20 {
			t.Errorf("%d requests and %d failures for 40 attempts", up.Count(), failed)
		}
	})
}

// TestIdleConnectionClosed: one that the provider closed while nobody used it costs no attempt.
func TestIdleConnectionClosed(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		up := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			x.Respond(200, wholeOpenAI)
			x.FIN()
		})
		e := newEndpoint(t, up.URL(), make, setup{})
		for i := range 5 {
			if r := do(t.Context(), e, newCall(t, llm.OpenAIChat, false)); r.err != nil {
				t.Errorf("call %d: %v", i, r.err)
			}
			soon(t, "closed", func() bool { return up.Open() == 0 })
			time.Sleep(20 * time.Millisecond) // long enough for the news to be there
		}
		if up.Count() != 5 {
			t.Errorf("%d requests", up.Count())
		}
	})
}

// TestReuse: connections of complete answers are used again, whatever kind of answer it was.
func TestReuse(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		up := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			switch {
			case x.JSON(`"stream":true`):
				x.StreamHead()
				x.Chunk(chunk("Hel"))
				x.Chunk(chunk("lo") + finish + doneMark)
				x.EndChunks()
			case x.N%3 == 0:
				x.Respond(500, `{"error":{"message":"no"}}`)
			default:
				x.Respond(200, wholeOpenAI)
			}
		})
		e := newEndpoint(t, up.URL(), make, setup{})
		for range 1000 {
			if r := do(t.Context(), e, newCall(t, llm.OpenAIChat, true)); r.err != nil || !r.end {
				t.Fatal(r.err)
			}
		}
		for range 100 {
			do(t.Context(), e, newCall(t, llm.OpenAIChat, false))
		}
		if up.Opened() > 5 {
			t.Errorf("%d connections for 1,100 calls", up.Opened())
		}
	})
}

// TestOpenBehindTheEnd: a provider that leaves the body open behind its end mark does not hold the answer up.
func TestOpenBehindTheEnd(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for _, k := range kinds {
			up := testkit.NewUpstream(t, func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(k.stream)
				x.Hang(5 * time.Second)
			})
			e := newEndpoint(t, up.URL(), make, setup{kind: k.kind})
			for _, stream := range []bool{true, false} {
				start := time.Now()
				r := do(t.Context(), e, newCall(t, k.protocol, stream))
				if took := time.Since(start); r.err != nil || took > time.Second {
					t.Errorf("%s stream=%v: %v after %v", k.name, stream, r.err, took)
				}
				soon(t, "closed", func() bool { return up.Open() == 0 })
			}
			up.Close()
		}
	})
}

// TestCloseIsAtOnce: a stream that is closed half way frees its connection.
func TestCloseIsAtOnce(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		up := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(chunk("Hel"))
			x.Hang(5 * time.Second)
		})
		e := newEndpoint(t, up.URL(), make, setup{})
		for _, how := range []string{"close", "cancel"} {
			ctx, cancel := context.WithCancelCause(t.Context())
			s := upstream.Send{Model: "sent"}
			ans, err := e.Do(ctx, newCall(t, llm.OpenAIChat, true), &s)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ans.Next(); err != nil {
				t.Fatal(err)
			}
			closed := time.Now()
			if how == "close" {
				if err := ans.Close(); err != nil {
					t.Error(err)
				}
				if _, err := ans.Next(); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("after Close: %v", err)
				}
			} else {
				time.AfterFunc(10*time.Millisecond, func() { cancel(llm.Errorf(llm.KindTimeout, "silent")) })
				_, err := ans.Next()
				if le := llm.AsError(err); le == nil || le.Kind != llm.KindTimeout || le.Provider != "prov" || le.ProviderStatus != 200 {
					t.Errorf("after cancel: %v", err)
				}
			}
			reqs := up.Requests()
			x := reqs[len(reqs)-1]
			select {
			case <-x.Gone:
				if d := x.GoneAt.Sub(closed); d > 500*time.Millisecond {
					t.Errorf("%s: closed after %v", how, d)
				}
			case <-time.After(2 * time.Second):
				t.Errorf("%s: not closed", how)
			}
			ans.Close()
			cancel(nil)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
func (roundTrip) CloseIdleConnections()                               {}

type timeoutError struct{}

func (*timeoutError) Error() string   { return "i/o timeout" }
func (*timeoutError) Timeout() bool   { return true }
func (*timeoutError) Temporary() bool { return true }

// TestHTTP2: the same over TLS with HTTP/2.
func TestHTTP2(t *testing.T) {
	gone := make(chan bool, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.ProtoMajor != 2:
			w.WriteHeader(505)
		case strings.Contains(string(body), `"stream":true`):
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, chunk("Hel"))
			_ = http.NewResponseController(w).Flush()
			if strings.Contains(r.URL.Path, "hang") {
				<-r.Context().Done()
				gone <- true
				return
			}
			fmt.Fprint(w, chunk("lo"), finish, doneMark)
		default:
			fmt.Fprint(w, wholeOpenAI)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	trusting := func(string) upstream.Transport {
		rt := upstream.NewTLSTransport()
		rt.TLSClientConfig.RootCAs = srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		return rt
	}
	e := newEndpoint(t, srv.URL, trusting, setup{})
	for _, stream := range []bool{true, false} {
		if r := do(t.Context(), e, newCall(t, llm.OpenAIChat, stream)); r.err != nil || !r.end {
			t.Errorf("stream=%v: %v", stream, r.err)
		}
	}
	s := upstream.Send{Model: "sent"}
	ans, err := newEndpoint(t, srv.URL+"/hang", trusting, setup{}).Do(t.Context(), newCall(t, llm.OpenAIChat, true), &s)
	if err != nil {
		t.Fatal(err)
	}
	ans.Close()
	select {
	case <-gone:
	case <-time.After(2 * time.Second):
		t.Error("the provider was not told that the stream is closed")
	}
	untrusting := newEndpoint(t, srv.URL, func(string) upstream.Transport { return upstream.NewTLSTransport() }, setup{})
	if r := do(t.Context(), untrusting, newCall(t, llm.OpenAIChat, false)); r.err == nil || !strings.Contains(r.err.Message, "TLS") {
		t.Errorf("a certificate nobody vouches for: %v", r.err)
	}
}

func TestNew(t *testing.T) {
	for _, bad := range []string{"", "api.test", "/v1", "ftp://x", "http://", "://", "http://[::1"} {
		if _, err := upstream.New(upstream.Options{BaseURL: bad}); err == nil || strings.Contains(err.Error(), "ftp") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for base, want := range map[string]string{
		"http://h/v1": "/v1/chat/completions", "http://h/v1/": "/v1/chat/completions", "http://h": "/chat/completions",
		"http://h/a%20b": "/a%20b/chat/completions", "http://user:pw@h/v1?api-version=1": "/v1/chat/completions?api-version=1",
	} {
		var got *url.URL
		var auth string
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			got, auth = r.URL, r.Header.Get("Authorization")
			return nil, io.EOF
		})
		e, err := upstream.New(upstream.Options{Name: "p", Kind: openai.Kind(base), BaseURL: base, Transport: rt})
		if err != nil {
			t.Error(err)
			continue
		}
		s := upstream.Send{Model: "sent"}
		_, _ = e.Do(t.Context(), newCall(t, llm.OpenAIChat, false), &s)
		if got.RequestURI() != want || auth != "" || e.Host() != "h" {
			t.Errorf("%s: %s %q %s", base, got.RequestURI(), auth, e.Host())
		}
	}
}
