package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestCallIsRead(t *testing.T) {
	h := &handler{do: answer(okBody)}
	srv := start(t, newServer(h, nil))
	r := send(t, srv.URL, "POST", chatPath, chat(false),
		"X-Request-Id: my-id.1:2_3", "X-Breakwater-Session: s 1", "X-Breakwater-Tag: a=1, team=x,b=", "X-Breakwater-Timeout: 1500ms",
		"OpenAI-Beta: x=v1", "Cookie: c=1", "Proxy-Authorization: Basic x", "Idempotency-Key: k", "X-Forwarded-For: 1.2.3.4")
	if r.status != 200 || r.body != okBody {
		t.Fatalf("%d %s", r.status, r.body)
	}
	c := h.last()
	if c.ID != "my-id.1:2_3" || c.Record.RequestID != c.ID || c.Session != "s 1" || c.Record.Session != "s 1" || c.Timeout != 1500*time.Millisecond {
		t.Errorf("%+v", c)
	}
	if got := fmt.Sprint(c.Record.Tags); got != "map[a:1 b: team:web]" {
		t.Errorf("tags %s: the key's must win", got)
	}
	if len(c.Header) != 1 || c.Header.Get("Openai-Beta") != "x=v1" {
		t.Errorf("of the client's headers: %v", c.Header)
	}
	if c.Model != "fast" || c.Stream || c.Op != pipeline.OpGenerate || c.Surface != llm.OpenAIChat || c.Record.RequestedModel != "fast" || c.Record.KeyID != "id-1" || c.Record.Cache != "bypass" {
		t.Errorf("%+v %+v", c, c.Record)
	}
	for name, want := range map[string]string{
		"X-Request-Id": "my-id.1:2_3", "X-Breakwater-Provider": "prov", "X-Breakwater-Model": "model-1", "X-Breakwater-Attempts": "1",
		"X-Breakwater-Cache": "bypass", "X-Breakwater-Session": "s 1", "Content-Type": "application/json", "Content-Length": fmt.Sprint(len(okBody)),
	} {
		if r.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, r.header.Get(name), want)
		}
	}
	send(t, srv.URL, "POST", "/v1/messages/count_tokens", message(true), "Anthropic-Version: 2023-06-01", "Anthropic-Beta: a,b")
	c = h.last()
	if c.Op != pipeline.OpCountTokens || c.Stream || c.Surface != llm.AnthropicMessages || len(c.Header) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestRequestIDs(t *testing.T) {
	h := &handler{do: answer(okBody)}
	srv := start(t, newServer(h, nil))
	for id, kept := range map[string]bool{"a": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, "a\tb": false, "ü": false, `a"b`: false, "<x>": false, "": false} {
		r := send(t, srv.URL, "POST", chatPath, chat(false), "X-Request-Id: "+id)
		got := r.header.Get("X-Request-Id")
		if (got == id) != kept || got == "" || r.header.Get("Request-Id") != got {
			t.Errorf("%q: %q", id, got)
		}
	}
	seen := map[string]bool{}
	last := ""
	for i := range 2000 {
		id := NewID()
		if seen[id] || len(id) != 28 || !strings.HasPrefix(id, "req_") {
			t.Fatal(id)
		}
		seen[id] = true
		if i%1000 == 999 {
			if id < last {
				t.Errorf("%s came after %s", id, last)
			}
			last = id
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// TestOddHeaders are refused in the client's dialect, before anything is sent on.
func TestOddHeaders(t *testing.T) {
	h := &handler{do: answer(okBody)}
	srv := start(t, newServer(h, nil))
	for _, bad := range []string{
		"X-Breakwater-Session: " + strings.Repeat("s", 257), "X-Breakwater-Session: s\u00fc", "X-Breakwater-Session: a\tb",
		"X-Breakwater-Tag: a", "X-Breakwater-Tag: =b", "X-Breakwater-Tag: a=\u00fc", "X-Breakwater-Tag: a=b,,c=d", "X-Breakwater-Tag: " + strings.Repeat("x", 65) + "=1", "X-Breakwater-Tag: x=" + strings.Repeat("x", 129),
		"X-Breakwater-Tag: " + manyTags(17), "X-Breakwater-Timeout: soon", "X-Breakwater-Timeout: 0", "X-Breakwater-Timeout: -3s", "X-Breakwater-Timeout: NaN",
		"X-Breakwater-Timeout: Inf", "X-Breakwater-Timeout: -Inf", "X-Breakwater-Timeout: 1e300", "X-Breakwater-Timeout: 1e-30", "X-Breakwater-Timeout: 99999999999h",
		"Anthropic-Beta: " + strings.Repeat("b", 1025), "Anthropic-Version: \u00fc", "OpenAI-Beta: a\tb",
	} {
		for path, body := range map[string]string{chatPath: chat(true), msgPath: message(false)} {
			r := send(t, srv.URL, "POST", path, body, bad)
			want := map[string]string{chatPath: "openai", msgPath: "anthropic"}[path]
			name, _, _ := strings.Cut(bad, ":")
			if r.status != 400 || dialectOf(r.body) != want || !strings.Contains(strings.ToLower(r.body), strings.ToLower(name)) {
				t.Errorf("%.60s: %d %s", bad, r.status, r.body)
			}
			if h.last().Refused == nil {
				t.Errorf("%.60s: not refused", bad)
			}
		}
	}
	for value, want := range map[string]time.Duration{"30": 30 * time.Second, "0.5": 500 * time.Millisecond, "2m": 2 * time.Minute, "1h30m": 90 * time.Minute} {
		send(t, srv.URL, "POST", chatPath, chat(false), "X-Breakwater-Timeout: "+value)
		if got := h.last().Timeout; got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
	send(t, srv.URL, "POST", chatPath, chat(false), "X-Breakwater-Tag: "+manyTags(16))
	if got := len(h.last().Tags); got != 16 {
		t.Errorf("%d tags", got)
	}
}

func manyTags(n int) string {
	var tags []string
	for i := range n {
		tags = append(tags, fmt.Sprintf("t%d=v", i))
	}
	return strings.Join(tags, ",")
}

// TestLineBreaksInHeaders: what net/http lets through of raw bytes never reaches a call.
func TestLineBreaksInHeaders(t *testing.T) {
	h := &handler{do: answer(okBody)}
	addr := strings.TrimPrefix(start(t, newServer(h, nil)).URL, "http://")
	for _, value := range []string{"a\x00b", "a\rb", "a\r\n b", "a\x0bb", "a\x7fb", "a\x1b[31mb"} {
		status, _, _ := raw(t, addr, "POST "+chatPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+testKey+"\r\nX-Breakwater-Session: "+value+"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
		if status != 400 && status != 0 {
			t.Errorf("%q: %d", value, status)
		}
	}
	for _, c := range h.calls {
		if c.Refused == nil || strings.ContainsAny(c.Session, "\r\n\x00\x7f\x1b") {
			t.Errorf("%q", c.Session)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		err    *llm.Error
		status int
		header map[string]string
	}{
		{&llm.Error{Kind: llm.KindRateLimit, Message: "m", RetryAfter: 1200 * time.Millisecond, Code: "all_providers_failed"}, 429, map[string]string{"Retry-After": "2", "Retry-After-Ms": "1201", "X-Should-Retry": ""}},
		{&llm.Error{Kind: llm.KindRateLimit, Message: "m", RetryAfter: 0}, 429, map[string]string{"Retry-After": "0", "Retry-After-Ms": ""}},
		{&llm.Error{Kind: llm.KindRateLimit, Message: "m", RetryAfter: -1}, 429, map[string]string{"Retry-After": ""}},
		{llm.Errorf(llm.KindStorage, "m"), 503, map[string]string{"Retry-After": "1"}},
		{llm.Errorf(llm.KindShutdown, "m"), 503, map[string]string{"Retry-After": "1"}},
		{&llm.Error{Kind: llm.KindOverloaded, Message: "m", RetryAfter: 30 * time.Second}, 503, map[string]string{"Retry-After": "30"}},
		{&llm.Error{Kind: llm.KindServerError, Status: 502, Message: "m", NoRetry: true, RetryAfter: 5 * time.Second}, 502, map[string]string{"X-Should-Retry": "false", "Retry-After": ""}},
		{llm.Errorf(llm.KindBudget, "m"), 429, map[string]string{"X-Should-Retry": "false"}},
		{llm.Errorf(llm.KindAuthentication, "m"), 401, nil}, {llm.Errorf(llm.KindPermission, "m"), 403, nil}, {llm.Errorf(llm.KindNotFound, "m"), 404, nil},
		{llm.Errorf(llm.KindTimeout, "m"), 504, nil}, {llm.Errorf(llm.KindInternal, "m"), 500, nil}, {llm.Errorf(llm.KindTooLarge, "m"), 413, nil},
	} {
		h := &handler{do: fails(tc.err)}
		srv := start(t, newServer(h, nil))
		for path, body := range map[string]string{chatPath: chat(true), msgPath: message(true)} {
			r := send(t, srv.URL, "POST", path, body, "X-Request-Id: r1")
			want := map[string]string{chatPath: "openai", msgPath: "anthropic"}[path]
			if r.status != tc.status || dialectOf(r.body) != want || r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Request-Id") != "r1" {
				t.Errorf("%s: %d %s", tc.err.Kind, r.status, r.body)
			}
			for name, value := range tc.header {
				if r.header.Get(name) != value {
					t.Errorf("%s: %s is %q, want %q", tc.err.Kind, name, r.header.Get(name), value)
				}
			}
		}
	}
}

// TestNoKey: every way of not having one is a 401 in the dialect, told by the pipeline, and the body is not read.
func TestNoKey(t *testing.T) {
	h := &handler{}
	srv := start(t, newServer(h, nil))
	for path, want := range map[string]string{chatPath: "openai", msgPath: "anthropic"} {
		r := send(t, srv.URL, "POST", path, "not even JSON", "Authorization: Bearer wrong")
		if r.status != 401 || dialectOf(r.body) != want || h.last().Refused == nil || h.last().Doc != nil {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

type counted struct {
	events
	n *int
}

func (e *counted) Next() (*pipeline.Event, error) {
	ev, err := e.events.Next()
	if err == nil {
		*e.n++
	}
	return ev, err
}

// noFlush is a ResponseWriter of a middleware that hides what it wraps.
type noFlush struct{ http.ResponseWriter }

func (noFlush) Unwrap() {} // not the method that ResponseController looks for

// panicking is a codec that panics where it is told to.
type panicking struct {
	wire.Codec
	at string
}

func (p panicking) Door(d *jsondoc.Doc) (wire.Door, error) {
	if p.at == "door" {
		panic("secret-canary")
	}
	return p.Codec.Door(d)
}

func (p panicking) ErrorEvent(e *llm.Error, id string) []byte {
	if p.at == "event" {
		panic("secret-canary")
	}
	return p.Codec.ErrorEvent(e, id)
}

// TestPanics: a panic of this package is an error in the client's dialect, or, within an answer, the end of its connection;
// the process serves on, and what was panicked with is not logged.
func TestPanics(t *testing.T) {
	var log bytes.Buffer
	broken := func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		return &events{data: []string{"data: 1\n\n"}, err: llm.Errorf(llm.KindServerError, "broke")}, nil
	}
	for _, at := range []string{"door", "event"} {
		log.Reset()
		s := newServer(&handler{do: broken}, func(o *Options) {
			o.OpenAI, o.Anthropic = panicking{o.OpenAI, at}, panicking{o.Anthropic, at}
			o.Log = slog.New(slog.NewJSONHandler(&log, nil))
		})
		srv := start(t, s)
		for path, want := range map[string]string{chatPath: "openai", msgPath: "anthropic"} {
			r := send(t, srv.URL, "POST", path, map[string]string{chatPath: chat(true), msgPath: message(true)}[path])
			if at == "door" && (r.status != 500 || dialectOf(r.body) != want) {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
			if at == "event" && (r.err == nil || r.body != "data: 1\n\n") {
				t.Errorf("%s: %d %q %v", path, r.status, r.body, r.err)
			}
		}
		if r := send(t, srv.URL, "GET", "/health/live", ""); r.status != 200 {
			t.Error("dead")
		}
		srv.Close() // which waits for the handlers
		if n := strings.Count(log.String(), `"msg":"panic"`); n != 2 || strings.Contains(log.String(), "secret-canary") {
			t.Errorf("%d lines: %s", n, log.String())
		}
		if !s.Drain(nil) {
			t.Error("a panic left a call in flight")
		}
	}
}

func TestDrain(t *testing.T) {
	release := make(chan bool)
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		return &events{data: []string{"data: 1\n\n", "data: 2\n\n"}, step: func(i int) error {
			if i == 1 {
				<-release
			}
			return nil
		}}, nil
	}}
	s := newServer(h, nil)
	srv := start(t, s)
	done := make(chan reply)
	go func() { done <- send(t, srv.URL, "POST", chatPath, chat(true)) }()
	for h.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	now := make(chan struct{})
	close(now)
	if s.Drain(now) {
		t.Error("drained with a call in flight")
	}
	for path, want := range map[string]string{chatPath: "openai", msgPath: "anthropic"} {
		r := send(t, srv.URL, "POST", path, map[string]string{chatPath: chat(false), msgPath: message(false)}[path])
		if r.status != 503 || dialectOf(r.body) != want || r.header.Get("Retry-After") != "1" || h.last().Refused.Kind != llm.KindShutdown || h.last().Record.KeyID != "id-1" {
			t.Errorf("%d %s %v", r.status, r.body, r.header)
		}
	}
	over := make(chan bool)
	go func() { over <- s.Drain(nil) }()
	close(release)
	if r := <-done; r.body != "data: 1\n\ndata: 2\n\n" || r.err != nil {
		t.Errorf("%q %v", r.body, r.err)
	}
	if !<-over || !s.Drain(now) {
		t.Error("not drained")
	}
}

// TestMaxCalls: a call too many is refused with its body unread, and its slot was never taken.
func TestMaxCalls(t *testing.T) {
	release := make(chan bool)
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		<-release
		return answer(okBody)(ctx, c)
	}}
	s := newServer(h, func(o *Options) { o.MaxCalls = 2 })
	srv := start(t, s)
	done := make(chan reply)
	for range 2 {
		go func() { done <- send(t, srv.URL, "POST", chatPath, chat(false)) }()
	}
	for h.count() < 2 {
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		r := send(t, srv.URL, "POST", chatPath, chat(false))
		if r.status != 503 || r.header.Get("Retry-After") != "1" || !strings.Contains(r.body, `"overloaded"`) || h.last().Doc != nil {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	close(release)
	for range 2 {
		if r := <-done; r.status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if r := send(t, srv.URL, "POST", chatPath, chat(false)); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestResponseHeaders: of what a record holds, only what is printable becomes a header.
func TestResponseHeaders(t *testing.T) {
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		c.Record.Provider, c.Record.Model, c.Record.UpstreamID = "p", "m\u00fc\nSet-Cookie: x", "id\r\nX-Evil: 1"
		c.Record.Dropped = []string{"seed", "messages[0].na\nme"}
		c.Record.Attempts = []llm.Attempt{{Kind: llm.KindTimeout}, {Kind: llm.KindRateLimit, Skipped: true}, {}}
		return &events{ctx: ctx, data: []string{okBody}}, nil
	}}
	r := send(t, start(t, newServer(h, nil)).URL, "POST", chatPath, chat(false))
	for name, want := range map[string]string{
		"X-Breakwater-Model": "", "X-Breakwater-Upstream-Request-Id": "", "X-Breakwater-Dropped": "2 fields", "X-Breakwater-Attempts": "2", "Set-Cookie": "", "X-Evil": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !json.Valid([]byte(r.body)) {
		t.Error(r.body)
	}
}
