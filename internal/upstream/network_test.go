package upstream_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/secret"
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

// TestCause: what a context was cancelled with is what happened.
func TestCause(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for when, script := range map[string]func(x *testkit.Exchange){
			"before the head": func(x *testkit.Exchange) { x.Hang(5 * time.Second) },
			"in the body":     func(x *testkit.Exchange) { x.Head(200, "Content-Length: 100"); x.Write("{"); x.Hang(5 * time.Second) },
			"in an error's body": func(x *testkit.Exchange) {
				x.Head(500, "Content-Length: 100")
				x.Write("{")
				x.Hang(5 * time.Second)
			},
			"before the first event": func(x *testkit.Exchange) { x.StreamHead(); x.Hang(5 * time.Second) },
		} {
			up := testkit.NewUpstream(t, script)
			e := newEndpoint(t, up.URL(), make, setup{})
			for _, kind := range []llm.Kind{llm.KindTimeout, llm.KindShutdown, llm.KindClientClosed} {
				for _, stream := range []bool{true, false} {
					ctx, cancel := context.WithCancelCause(t.Context())
					timer := time.AfterFunc(30*time.Millisecond, func() { cancel(llm.Errorf(kind, "because")) })
					r := do(ctx, e, newCall(t, llm.OpenAIChat, stream))
					if r.err == nil || r.err.Kind != kind || r.err.Provider != "prov" || !r.err.Sent {
						t.Errorf("%s: %+v, want %s", when, r.err, kind)
					}
					timer.Stop()
					cancel(nil)
				}
			}
			up.Close()
		}
	})
}

// TestErrorBodies: a large one is dropped, a credential in one is taken out.
func TestErrorBodies(t *testing.T) {
	scrub := secret.NewScrubber(secret.New(key)).ScrubBytes
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for _, size := range []int{0, 1000, 64<<10 - 100, 64 << 10, 1 << 20} {
			body := `{"error":{"message":"` + strings.Repeat("x", size) + `","type":"t","code":"c"}}`
			up := testkit.NewUpstream(t, answers(400, "application/json", body))
			r := do(t.Context(), newEndpoint(t, up.URL(), make, setup{scrub: scrub}), newCall(t, llm.OpenAIChat, false))
			if r.err == nil || r.err.Kind != llm.KindInvalidRequest || r.err.HTTPStatus() != 400 || len(r.err.Body) > 64<<10 {
				t.Errorf("%d: %v", size, r.err.Kind)
			}
			if size < 64<<10-200 && string(r.err.Body) != body {
				t.Errorf("%d: the body was not kept", size)
			}
			up.Close()
		}
		for _, body := range []string{
			`{"error":{"message":"Incorrect API key provided: ` + key + `","type":"invalid_request_error","code":"invalid_api_key"}}`,
			"Incorrect key " + key, `{"error":"` + key + `"}`,
		} {
			for _, status := range []int{400, 401, 500} {
				up := testkit.NewUpstream(t, answers(status, "application/json", body))
				r := do(t.Context(), newEndpoint(t, up.URL(), make, setup{scrub: scrub}), newCall(t, llm.OpenAIChat, false))
				if all := fmt.Sprintf("%+v %s %s", r.err, r.err.Body, r.err.Summary()); strings.Contains(all, key) {
					t.Errorf("%d: the key is told: %s", status, all)
				}
				up.Close()
			}
		}
		up := testkit.NewUpstream(t, answers(200, "text/event-stream", `data: {"error":{"message":"bad key `+key+`"}}`+"\n\n"))
		r := do(t.Context(), newEndpoint(t, up.URL(), make, setup{scrub: scrub}), newCall(t, llm.OpenAIChat, true))
		if all := fmt.Sprintf("%+v %s", r.err, r.err.Body); strings.Contains(all, key) {
			t.Errorf("the key is told: %s", all)
		}
		up.Close()
	})
}

// TestRetryAfter: every spelling of a wait.
func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		header   string
		min, max time.Duration
	}{
		{"Retry-After: 2", 2 * time.Second, 2 * time.Second},
		{"Retry-After: 0.5", 500 * time.Millisecond, 500 * time.Millisecond},
		{"retry-after-ms: 660", 660 * time.Millisecond, 660 * time.Millisecond},
		{"Retry-After: " + time.Now().Add(10*time.Second).UTC().Format(http.TimeFormat), 5 * time.Second, 10 * time.Second},
		{"Retry-After: Mon, 23 Nov 2020 12:00:30 GMT", 0, 0},
		{"Retry-After: 99999999999999999999", 24 * time.Hour, 24 * time.Hour},
		{"Retry-After: -5", -1, -1}, {"Retry-After: soon", -1, -1}, {"X-Nothing: 1", -1, -1},
	} {
		for _, status := range []int{429, 503} {
			up := testkit.NewUpstream(t, answers(status, "application/json", "{}", tc.header))
			r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{}), newCall(t, llm.OpenAIChat, false))
			if r.err.RetryAfter < tc.min || r.err.RetryAfter > tc.max {
				t.Errorf("%s: %v", tc.header, r.err.RetryAfter)
			}
			up.Close()
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
func (roundTrip) CloseIdleConnections()                               {}

// TestConnectionErrors: what went wrong is told without an address or URL.
func TestConnectionErrors(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(10, 20, 30, 40), Port: 4321}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: err} }
	read := func(err error) error { return &net.OpError{Op: "read", Net: "tcp", Addr: addr, Err: err} }
	for _, tc := range []struct {
		err  error
		want string
		sent bool
	}{
		{dial(&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}), "refused", false},
		{dial(&net.DNSError{Err: "no such host", Name: "secret.internal"}), "resolved", false},
		{dial(&timeoutError{}), "took too long", false},
		{dial(&os.SyscallError{Syscall: "connect", Err: syscall.EHOSTUNREACH}), "could not be reached", false},
		{read(&os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET}), "closed the connection", true},
		{io.EOF, "closed the connection", true},
		{fmt.Errorf("h1: %w", io.ErrUnexpectedEOF), "closed the connection", true},
		{&tls.CertificateVerificationError{Err: errors.New("x509: certificate is valid for secret.internal")}, "TLS", true},
		{&timeoutError{}, "took too long", true},
		{errors.New("malformed HTTP response \"secret.internal\""), "connection to the provider failed", true},
	} {
		rt := roundTrip(func(*http.Request) (*http.Response, error) { return nil, tc.err })
		r := do(t.Context(), newEndpoint(t, "http://secret.internal:4321", func(string) upstream.Transport { return rt }, setup{}), newCall(t, llm.OpenAIChat, false))
		e := r.err
		if e == nil || e.Kind != llm.KindConnection || !strings.Contains(e.Message, tc.want) || e.Sent != tc.sent || e.ProviderStatus != 0 || !errors.Is(e, tc.err) {
			t.Errorf("%v: %+v", tc.err, e)
		}
		for _, private := range []string{"secret.internal", "10.20.30.40", "4321", "http:"} {
			if strings.Contains(e.Error(), private) || strings.Contains(e.Summary(), private) {
				t.Errorf("%v: told as %q", tc.err, e.Error())
			}
		}
	}
}

type timeoutError struct{}

func (*timeoutError) Error() string   { return "i/o timeout" }
func (*timeoutError) Timeout() bool   { return true }
func (*timeoutError) Temporary() bool { return true }

func TestRefusedConnection(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		r := do(t.Context(), newEndpoint(t, "http://"+addr, make, setup{}), newCall(t, llm.OpenAIChat, false))
		if r.err == nil || r.err.Kind != llm.KindConnection || r.err.Sent || strings.Contains(r.err.Error(), addr) {
			t.Errorf("%+v", r.err)
		}
	})
}

// TestConnectTimeout: a connection that does not come about ends after the time in
// the context. The listener's queue is full, so nothing is ever accepted.
func TestConnectTimeout(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Skip(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Skip(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Skip(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	for range 8 { // fill the queue
		if c, err := net.DialTimeout("tcp", addr, 50*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		start := time.Now()
		ctx := upstream.WithConnectTimeout(t.Context(), 100*time.Millisecond)
		r := do(ctx, newEndpoint(t, "http://"+addr, make, setup{}), newCall(t, llm.OpenAIChat, false))
		if took := time.Since(start); took > 2*time.Second || r.err == nil || r.err.Kind != llm.KindConnection || !strings.Contains(r.err.Message, "took too long") {
			t.Errorf("%v after %v", r.err, took)
		}
	})
}

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

// TestUnsupported: what the provider's protocol cannot say is refused, or dropped and named.
func TestUnsupported(t *testing.T) {
	up := testkit.NewUpstream(t, answers(200, "application/json", wholeAnth))
	e := newEndpoint(t, up.URL(), upstream.NewTransport, setup{kind: anthropic.Kind()})
	c := newCall(t, llm.Native, false)
	seed := int64(7)
	c.Surface, c.Doc = llm.Native, nil
	c.SetRequest(&llm.Request{Model: "asked", Seed: &seed, Messages: []llm.Message{{Role: llm.RoleUser, Parts: []llm.Part{{Text: "hi"}}}}})
	s := upstream.Send{Model: "sent"}
	_, err := e.Do(t.Context(), c, &s)
	if le := llm.AsError(err); le == nil || le.Kind != llm.KindInvalidRequest || !errors.Is(err, upstream.ErrUnsupported) || le.Param != "seed" || up.Count() != 0 {
		t.Errorf("%v, %d requests", err, up.Count())
	}
	s.Drop = true
	ans, err := e.Do(t.Context(), c, &s)
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Close()
	ev, err := ans.Next()
	if err != nil || len(ev.Deltas) == 0 || !ev.Final || !slices.Equal(s.Dropped, []string{"seed"}) {
		t.Errorf("%+v %v, dropped %v", ev, err, s.Dropped)
	}
}
