package upstream_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	"github.com/breakwater-llm/breakwater/llm"
)

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
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
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
