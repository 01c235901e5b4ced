// Package testkit has what black-box tests need: a scripted upstream that speaks raw
// HTTP/1.1, down to the byte, the packet and the reset, and the gateway's binary
// under test as a process.
package testkit

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Upstream is a scripted provider. It records every request and connection.
type Upstream struct {
	ln     net.Listener
	scheme string
	mu     sync.Mutex
	script func(x *Exchange)
	reqs   []*Exchange
	opened int
	open   map[net.Conn]bool
	wg     sync.WaitGroup
}

// Exchange is one request at an [Upstream] and the raw connection to answer on.
type Exchange struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
	Conn   net.Conn
	N      int           // 1 for the upstream's first request, and so on
	ConnN  int           // the connection's number
	At     time.Time     // when the request had come whole
	Gone   chan struct{} // closed when the gateway closed the connection
	GoneAt time.Time     // valid after Gone is closed
	Err    error         // of the first write that failed
	closed bool
}

// NewUpstream starts an upstream that answers by the script, which is called for
// each request in the connection's goroutine. When the script returns without having closed the
// connection, the connection serves the next request.
func NewUpstream(t testing.TB, script func(x *Exchange)) *Upstream {
	t.Helper()
	return start(t, listen(t), "http", script)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func start(t testing.TB, ln net.Listener, scheme string, script func(x *Exchange)) *Upstream {
	u := &Upstream{ln: ln, scheme: scheme, script: script, open: map[net.Conn]bool{}}
	u.wg.Add(1)
	go u.accept()
	t.Cleanup(u.Close)
	return u
}

// URL is the upstream's root, without a trailing slash.
func (u *Upstream) URL() string { return u.scheme + "://" + u.ln.Addr().String() }

// Script replaces the script for requests to come.
func (u *Upstream) Script(script func(x *Exchange)) {
	u.mu.Lock()
	u.script = script
	u.mu.Unlock()
}

// Close stops listening and closes every connection.
func (u *Upstream) Close() {
	u.ln.Close()
	u.mu.Lock()
	for c := range u.open {
		c.Close()
	}
	u.mu.Unlock()
	u.wg.Wait()
}

// Requests returns the requests so far.
func (u *Upstream) Requests() []*Exchange {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*Exchange(nil), u.reqs...)
}

// Count is the number of requests so far.
func (u *Upstream) Count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.reqs)
}

// Opened is the number of connections so far; Open, of those that are open now.
func (u *Upstream) Opened() int { u.mu.Lock(); defer u.mu.Unlock(); return u.opened }

// Open is the number of connections open now.
func (u *Upstream) Open() int { u.mu.Lock(); defer u.mu.Unlock(); return len(u.open) }

func (u *Upstream) accept() {
	defer u.wg.Done()
	for {
		conn, err := u.ln.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.opened++
		n := u.opened
		u.open[conn] = true
		u.mu.Unlock()
		u.wg.Add(1)
		go func() {
			defer u.wg.Done()
			defer func() {
				conn.Close()
				u.mu.Lock()
				delete(u.open, conn)
				u.mu.Unlock()
			}()
			u.serve(conn, n)
		}()
	}
}

func (u *Upstream) serve(conn net.Conn, connN int) {
	br := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		x := &Exchange{
			Method: req.Method, Path: req.RequestURI, Header: req.Header, Body: body,
			Conn: conn, ConnN: connN, At: time.Now(), Gone: make(chan struct{}),
		}
		u.mu.Lock()
		u.reqs = append(u.reqs, x)
		x.N = len(u.reqs)
		script := u.script
		u.mu.Unlock()
		over := make(chan struct{})
		watched := make(chan struct{})
		go func() { // sees the gateway close while the script writes or waits
			defer close(watched)
			_, err := br.Peek(1)
			select {
			case <-over:
			default:
				if err != nil {
					x.GoneAt = time.Now()
					close(x.Gone)
				}
			}
		}()
		script(x)
		close(over)
		if x.closed {
			conn.Close()
			<-watched
			return
		}
		<-watched // the next request, or the end of the connection
	}
}

// Write sends raw bytes.
func (x *Exchange) Write(s string) {
	if _, err := io.WriteString(x.Conn, s); err != nil && x.Err == nil {
		x.Err = err
	}
}

// Head sends a status line and headers, given as "Name: value" lines.
func (x *Exchange) Head(status int, headers ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	x.Write(b.String() + "\r\n")
}

// Respond sends a whole answer with a length.
func (x *Exchange) Respond(status int, body string, headers ...string) {
	headers = append(headers, fmt.Sprintf("Content-Length: %d", len(body)))
	if !hasHeader(headers, "Content-Type") {
		headers = append(headers, "Content-Type: application/json")
	}
	x.Head(status, headers...)
	x.Write(body)
}

func hasHeader(headers []string, name string) bool {
	for _, h := range headers {
		if strings.HasPrefix(strings.ToLower(h), strings.ToLower(name)+":") {
			return true
		}
	}
	return false
}

// StreamHead begins a chunked event stream.
func (x *Exchange) StreamHead(headers ...string) {
	x.Head(200, append(headers, "Content-Type: text/event-stream", "Transfer-Encoding: chunked")...)
}

// Chunk sends one HTTP chunk.
func (x *Exchange) Chunk(s string) {
	if s != "" {
		x.Write(fmt.Sprintf("%x\r\n%s\r\n", len(s), s))
	}
}

// EndChunks ends a chunked body cleanly.
func (x *Exchange) EndChunks() { x.Write("0\r\n\r\n") }

// FIN closes the connection in order.
func (x *Exchange) FIN() { x.closed = true }

// RST resets the connection.
func (x *Exchange) RST() {
	conn := x.Conn
	if tc, ok := conn.(*tls.Conn); ok {
		conn = tc.NetConn() // no farewell
	}
	if tc, ok := conn.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	x.closed = true
	conn.Close()
}

// Hang waits until the gateway closes the connection, at most for d, and reports whether it did.
func (x *Exchange) Hang(d time.Duration) bool {
	select {
	case <-x.Gone:
		return true
	case <-time.After(d):
		return false
	}
}

// JSON reports whether the request's body holds the text, white space aside.
func (x *Exchange) JSON(part string) bool {
	return bytes.Contains(bytes.ReplaceAll(x.Body, []byte(" "), nil), []byte(part))
}
