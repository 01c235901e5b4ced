package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestStream(t *testing.T) {
	for _, path := range []string{chatPath, msgPath} {
		body := map[string]string{chatPath: chat(true), msgPath: message(true)}[path]
		parts := []string{"data: 1\n\n", ": ping\n\n", "data: 2\n\n", "", "data: [END]\n\n"}
		h := &handler{do: answer(parts...)}
		srv := start(t, newServer(h, nil))
		r := send(t, srv.URL, "POST", path, body)
		if r.status != 200 || r.body != strings.Join(parts, "") || r.err != nil {
			t.Errorf("%d %q %v", r.status, r.body, r.err)
		}
		if r.header.Get("Content-Type") != "text/event-stream; charset=utf-8" || r.header.Get("Cache-Control") != "no-cache" || r.header.Get("X-Accel-Buffering") != "no" || r.header.Get("X-Breakwater-Provider") != "prov" {
			t.Errorf("%v", r.header)
		}
	}
}

// TestStreamBreaks: what went before is followed by the protocol's error event, and nothing else.
func TestStreamBreaks(t *testing.T) {
	for path, want := range map[string]string{chatPath: `data: {"error":`, msgPath: "event: error\ndata: "} {
		closed := make(chan struct{})
		h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
			return &events{ctx: ctx, data: []string{"data: 1\n\n"}, err: llm.Errorf(llm.KindIncompleteStream, "broke"), closed: closed}, nil
		}}
		srv := start(t, newServer(h, nil))
		r := send(t, srv.URL, "POST", path, map[string]string{chatPath: chat(true), msgPath: message(true)}[path])
		if !strings.HasPrefix(r.body, "data: 1\n\n"+want) || strings.Count(r.body, "\n\n") != 2 || r.status != 200 || r.err != nil {
			t.Errorf("%d %q %v", r.status, r.body, r.err)
		}
		<-closed
	}
	// Before the first event it is a plain HTTP error.
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		return &events{ctx: ctx, err: llm.Errorf(llm.KindStorage, "cannot be kept")}, nil
	}}
	if r := send(t, start(t, newServer(h, nil)).URL, "POST", chatPath, chat(true)); r.status != 503 || dialectOf(r.body) != "openai" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestEventsAreNotHeldBack: each is with the client before the next is asked for.
func TestEventsAreNotHeldBack(t *testing.T) {
	seen := make(chan bool)
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		return &events{data: []string{"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}, step: func(i int) error {
			if i > 0 && i < 3 {
				select {
				case <-seen:
				case <-time.After(2 * time.Second):
					return llm.Errorf(llm.KindInternal, "the client has not got event %d", i)
				}
			}
			return nil
		}}, nil
	}}
	srv := start(t, newServer(h, nil))
	req, _ := http.NewRequestWithContext(t.Context(), "POST", srv.URL+chatPath, strings.NewReader(chat(true)))
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := 1; i <= 3; i++ {
		line, err := br.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
			t.Fatalf("%q %v", line, err)
		}
		_, _ = br.ReadString('\n')
		if i < 3 {
			seen <- true
		}
	}
}

// TestClientLeaves: the answer is closed, at once.
func TestClientLeaves(t *testing.T) {
	for name, at := range map[string]int{"before the first event": 0, "between events": 1} {
		closed, waiting := make(chan struct{}), make(chan bool, 1)
		h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
			return &events{data: []string{"data: 1\n\n", "data: 2\n\n"}, closed: closed, step: func(i int) error {
				if i == at {
					waiting <- true
					<-ctx.Done()
					return pipeline.Cause(ctx)
				}
				return nil
			}}, nil
		}}
		srv := start(t, newServer(h, nil))
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", srv.URL+chatPath, strings.NewReader(chat(true)))
		req.Header.Set("Authorization", "Bearer "+testKey)
		go func() { <-waiting; cancel() }()
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		cancelled := time.Now()
		select {
		case <-closed:
			if d := time.Since(cancelled); d > time.Second {
				t.Errorf("%s: after %v", name, d)
			}
		case <-time.After(3 * time.Second):
			t.Errorf("%s: never closed", name)
		}
		cancel()
	}
}

// TestStalledClient: one that stops reading is given up after the write timeout; one that reads slowly is not.
func TestStalledClient(t *testing.T) {
	const count = 3
	big := "data: " + strings.Repeat("x", 16<<20) + "\n\n"
	run := func(read func(net.Conn)) (told int, err error) {
		closed := make(chan struct{})
		n := 0
		h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
			data := make([]string, count)
			for i := range data {
				data[i] = big
			}
			return &counted{events: events{ctx: ctx, data: data, closed: closed}, n: &n}, nil
		}}
		srv := start(t, newServer(h, func(o *Options) { o.WriteTimeout = 400 * time.Millisecond }))
		conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", chatPath, testKey, len(chat(true)), chat(true))
		go read(conn)
		select {
		case <-closed:
			return n, nil
		case <-time.After(20 * time.Second):
			return n, errors.New("never closed")
		}
	}
	if n, err := run(func(net.Conn) {}); err != nil || n >= count {
		t.Errorf("stalled: %d events, %v", n, err)
	}
	n, err := run(func(c net.Conn) { // at most 20 MiB a second: an event takes longer than the timeout
		buf := make([]byte, 200<<10)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	if err != nil || n < count {
		t.Errorf("slow: %d events, %v", n, err)
	}
}

// TestLongPauses: no deadline of one write ends a stream that is silent for longer, over HTTP/2 neither.
func TestLongPauses(t *testing.T) {
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		return &events{ctx: ctx, data: []string{"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}, step: func(i int) error {
			if i > 0 {
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		}}, nil
	}}
	s := newServer(h, func(o *Options) { o.WriteTimeout = 100 * time.Millisecond; o.ReadTimeout = 100 * time.Millisecond })
	for _, h2 := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(s)
		srv.EnableHTTP2 = h2
		srv.StartTLS()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", srv.URL+chatPath, strings.NewReader(chat(true)))
		req.Header.Set("Authorization", "Bearer "+testKey)
		resp, err := srv.Client().Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := "data: 1\n\ndata: 2\n\ndata: 3\n\n"; string(body) != want || err != nil || (resp.ProtoMajor == 2) != h2 {
			t.Errorf("HTTP/2 %v: %q %v", h2, body, err)
		}
		srv.Close()
	}
}

func TestWriterThatCannotFlush(t *testing.T) {
	h := &handler{do: answer("data: 1\n\n", "data: 2\n\n")}
	s := newServer(h, nil)
	srv := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(noFlush{w}, r) }))
	if r := send(t, srv.URL, "POST", chatPath, chat(true)); r.body != "data: 1\n\ndata: 2\n\n" {
		t.Errorf("%d %q", r.status, r.body)
	}
}
