package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTransport(t *testing.T) *Transport {
	tr := &Transport{Dial: (&net.Dialer{}).DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func post(t *testing.T, ctx context.Context, tr *Transport, url, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return tr.RoundTrip(req)
}

// TestRealServer: calls to net/http's server, whole and chunked, small and large, one after the other over one
// connection.
func TestRealServer(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" || r.Host == "" {
			t.Errorf("%+v", r.Header)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.URL.Query().Has("flush") {
			for i := range 4 {
				_, _ = w.Write(body[i*len(body)/4 : (i+1)*len(body)/4])
				_ = http.NewResponseController(w).Flush()
			}
			return
		}
		w.Header().Set("X-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	tr := newTransport(t)
	for _, path := range []string{"/", "/?flush"} {
		for _, size := range []int{0, 1, 100, 4095, 4096, 20_000, 1 << 20} {
			body := strings.Repeat("x", size)
			resp, err := post(t, t.Context(), tr, srv.URL+path, body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != body || resp.StatusCode != 200 {
				t.Fatalf("%s %d bytes: got %d, %v", path, size, len(got), err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for calls in a row", n)
	}
}

// server answers each connection's requests with raw bytes.
func server(t *testing.T, serve func(n int, c net.Conn, br *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return "http://" + ln.Addr().String()
}

func readRequest(br *bufio.Reader) bool {
	req, err := http.ReadRequest(br)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

func TestFraming(t *testing.T) {
	for name, tc := range map[string]struct {
		raw, want string
		fail      bool // the head is refused
		cut       bool // the body ends with io.ErrUnexpectedEOF, or is malformed
	}{
		"length":               {raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", want: "hello"},
		"length, cut":          {raw: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", want: "hello", cut: true},
		"two equal lengths":    {raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", want: "hello"},
		"two lengths":          {raw: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", fail: true},
		"signed length":        {raw: "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", fail: true},
		"until the end":        {raw: "HTTP/1.1 200 OK\r\n\r\nhello", want: "hello"},
		"HTTP/1.0":             {raw: "HTTP/1.0 200 OK\r\n\r\nhello", want: "hello"},
		"chunks":               {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\nT: 1\r\n\r\n", want: "hello"},
		"chunks, LF only":      {raw: "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n", want: "hello"},
		"chunks, cut":          {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", want: "hello", cut: true},
		"chunks, cut inside":   {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", want: "hello", cut: true},
		"chunks, no last CRLF": {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", want: "hello", cut: true},
		"chunks, bad size":     {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", cut: true},
		"chunks, bad end":      {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n", want: "hello", cut: true},
		"length and chunks":    {raw: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", want: "hello"},
		"other coding":         {raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", fail: true},
		"no content":           {raw: "HTTP/1.1 204 No Content\r\n\r\n"},
		"interim":              {raw: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", want: "ok"},
		"endless interim":      {raw: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20), fail: true},
		"switching":            {raw: "HTTP/1.1 101 Switching\r\n\r\n", fail: true},
		"folded header":        {raw: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", fail: true},
		"no colon":             {raw: "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", fail: true},
		"space before colon":   {raw: "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", fail: true},
		"control in value":     {raw: "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n", fail: true},
		"HTTP/2":               {raw: "HTTP/2.0 200 OK\r\n\r\n", fail: true},
		"garbage":              {raw: "what\r\n\r\n", fail: true},
		"nothing":              {raw: "", fail: true},
		"half a head":          {raw: "HTTP/1.1 200 OK\r\nContent-", fail: true},
		"head too long":        {raw: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 400) + "\r\n", fail: true},
		"long line":            {raw: "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 50_000) + "\r\nContent-Length: 2\r\n\r\nok", want: "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1 << 20, 1} {
				if step == 1 && len(tc.raw) > 5000 {
					continue
				}
				url := server(t, func(_ int, c net.Conn, br *bufio.Reader) {
					if !readRequest(br) {
						return
					}
					for i := 0; i < len(tc.raw); i += step {
						_, _ = c.Write([]byte(tc.raw[i:min(i+step, len(tc.raw))]))
					}
				})
				resp, err := post(t, t.Context(), newTransport(t), url, "x")
				if tc.fail {
					if err == nil {
						resp.Body.Close()
						t.Fatal("accepted")
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(got) != tc.want || (err != nil) != tc.cut {
					t.Errorf("step %d: %q, %v", step, got, err)
				}
			}
		})
	}
}

// TestNeverTwice: a request whose connection dies is not sent again.
func TestNeverTwice(t *testing.T) {
	var requests atomic.Int32
	url := server(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for i := 0; readRequest(br); i++ {
			requests.Add(1)
			if i == 1 {
				return // the second request of a connection finds it dead
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	tr := newTransport(t)
	failed := 0
	for range 20 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
		req.Header.Set("Idempotency-Key", "k")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			failed++
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if n := requests.Load(); n != 20 || failed != 10 {
		t.Errorf("%d requests, %d failed", n, failed)
	}
}

// TestDeadIdleConnection: one that was closed while idle is replaced before anything is sent.
func TestDeadIdleConnection(t *testing.T) {
	url := server(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if readRequest(br) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	tr := newTransport(t)
	for range 5 {
		resp, err := post(t, t.Context(), tr, url, "x")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		time.Sleep(2 * checkAfter) // real sockets: the close has to arrive
	}
}

func TestCancel(t *testing.T) {
	closed := make(chan struct{}, 4)
	url := server(t, func(n int, c net.Conn, br *bufio.Reader) {
		if !readRequest(br) {
			return
		}
		if n == 2 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
		}
		_, _ = br.ReadByte()
		closed <- struct{}{}
	})
	tr := newTransport(t)
	why := errors.New("no time left")
	wait := func() {
		t.Helper()
		select {
		case <-closed:
		case <-time.After(5 * time.Second):
			t.Error("the connection stayed open")
		}
	}

	ctx, cancel := context.WithCancelCause(t.Context()) // before the head
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := post(t, ctx, tr, url, "x"); err == nil {
		t.Error("no error")
	}
	wait()

	ctx, cancel = context.WithCancelCause(t.Context()) // in the body
	resp, err := post(t, ctx, tr, url, "x")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if got, err := io.ReadAll(resp.Body); err == nil || string(got) != "hi" {
		t.Errorf("%q %v", got, err)
	}
	resp.Body.Close()
	wait()

	if _, err := post(t, ctx, tr, url, "x"); !errors.Is(err, why) { // before anything
		t.Errorf("%v", err)
	}
}

// TestUnreadAnswer: closing an answer before its end closes the connection.
func TestUnreadAnswer(t *testing.T) {
	var conns atomic.Int32
	url := server(t, func(n int, c net.Conn, br *bufio.Reader) {
		conns.Store(int32(n))
		for readRequest(br) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
		}
	})
	tr := newTransport(t)
	for range 3 {
		resp, err := post(t, t.Context(), tr, url, "x")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		resp.Body.Close()
	}
	if conns.Load() != 3 {
		t.Errorf("%d connections", conns.Load())
	}
}

// TestEarlyAnswer: a server that refuses before it has read the body is heard.
func TestEarlyAnswer(t *testing.T) {
	url := server(t, func(_ int, c net.Conn, br *bufio.Reader) {
		_, _ = br.ReadString('\n')
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, br)
	})
	resp, err := post(t, t.Context(), newTransport(t), url, strings.Repeat("x", 8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(b) != "no" || err != nil {
		t.Errorf("%d %q %v", resp.StatusCode, b, err)
	}
}

func TestHeaderInjection(t *testing.T) {
	tr := newTransport(t)
	url := server(t, func(_ int, _ net.Conn, br *bufio.Reader) { readRequest(br) })
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	req.Header["X"] = []string{"a\r\nEvil: 1"}
	if _, err := tr.RoundTrip(req); !errors.Is(err, errHeader) {
		t.Errorf("%v", err)
	}
}

func TestIdleTimeout(t *testing.T) {
	closed := make(chan struct{})
	url := server(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if readRequest(br) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_, _ = br.ReadByte()
			close(closed)
		}
	})
	tr := newTransport(t)
	tr.IdleTimeout = 30 * time.Millisecond
	resp, err := post(t, t.Context(), tr, url, "x")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("an idle connection stayed open")
	}
}

// FuzzResponse: what this reader accepts, net/http's reads as the same answer.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=1\r\nllo\r\n0\r\nT: 1\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 404 \r\nA: b\r\nA: c\r\n\r\nrest"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nConnection: close, x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &conn{Conn: dead{}, t: &Transport{}, br: &reader{src: bytes.NewReader(raw), buf: make([]byte, 64)}}
		req := &http.Request{Method: http.MethodPost}
		resp, err := readHead(c.br)
		if err != nil || resp.StatusCode < 200 {
			return
		}
		if c.frame(req, resp, func() bool { return false }) != nil {
			return
		}
		body, bodyErr := io.ReadAll(resp.Body)
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(raw, "\r\n"))), req)
		if err != nil {
			t.Skip() // net/http is stricter in places; that is no harm
		}
		wantBody, wantErr := io.ReadAll(want.Body)
		if resp.StatusCode != want.StatusCode || !bytes.Equal(body, wantBody) || (bodyErr == nil) != (wantErr == nil) {
			t.Errorf("%d %q %v, want %d %q %v", resp.StatusCode, body, bodyErr, want.StatusCode, wantBody, wantErr)
		}
		for k, v := range want.Header {
			if got := resp.Header[k]; strings.Join(got, "|") != strings.Join(v, "|") && k != "Trailer" && k != "Content-Length" {
				t.Errorf("%s: %q, want %q", k, got, v)
			}
		}
	})
}

// dead is a connection that is only closed.
type dead struct{ net.Conn }

func (dead) Close() error { return nil }
