package h1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Transport sends requests over connections that it keeps for reuse. The zero value
// is not usable: Dial is required.
type Transport struct {
	// Dial opens a connection to host:port.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// MaxIdle bounds the idle connections kept for one host; 0 means 4096.
	MaxIdle int
	// IdleTimeout is how long a connection may lie idle; 0 means 90 s.
	IdleTimeout time.Duration

	mu    sync.Mutex
	idle  map[string][]*conn // by address, the last used at the end
	timer *time.Timer        // runs while anything is idle
}

const (
	defaultMaxIdle     = 4096
	defaultIdleTimeout = 90 * time.Second
	readBuffer         = 1 << 10
	// joined is the size of body up to which head and body are one write.
	joined = 16 << 10
	// checkAfter is how long a connection lay idle before it is asked whether it still lives.
	checkAfter = 10 * time.Millisecond
)

// conn is a connection and what one answer at a time needs.
type conn struct {
	net.Conn
	t     *Transport
	addr  string
	br    *reader
	since time.Time // idle since
	spent bool      // not to be used for another call
}

// Bytes is a request body that is all there; others are read first.
type Bytes interface{ Bytes() []byte }

// RoundTrip sends req and returns the answer's head, with a body that must be closed.
// Only the URL's host, path and query, the method, the headers and the body are
// used; Host and framing headers are set here.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := bodyOf(req)
	if err != nil {
		return nil, err
	}
	p := buffers.Get().(*[]byte)
	if *p, err = appendHead((*p)[:0], req, len(body)); err != nil {
		buffers.Put(p)
		return nil, err
	}
	ctx := req.Context()
	c, err := t.get(ctx, address(req))
	if err != nil {
		buffers.Put(p)
		return nil, err
	}
	// When the context ends, whatever the connection waits for ends with it.
	stop := context.AfterFunc(ctx, func() { c.Close() })
	writeErr := c.send(p, body)
	buffers.Put(p) // before the wait for the answer, which may be long
	c.spent = writeErr != nil
	// Even a provider that stopped reading may have answered why.
	resp, err := c.head(req, stop)
	if err != nil {
		stop()
		c.Close()
		if writeErr != nil {
			err = writeErr
		}
		return nil, fmt.Errorf("h1: %w", err)
	}
	return resp, nil
}

func bodyOf(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer req.Body.Close()
	if b, ok := req.Body.(Bytes); ok {
		return b.Bytes(), nil
	}
	return io.ReadAll(req.Body)
}

func address(req *http.Request) string {
	if req.URL.Port() != "" {
		return req.URL.Host
	}
	return net.JoinHostPort(req.URL.Hostname(), "80")
}

// buffers are for request heads, with small bodies behind them.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// send writes the head, and the body behind it.
func (c *conn) send(head *[]byte, body []byte) error {
	if len(body) <= joined {
		*head = append(*head, body...)
		_, err := c.Conn.Write(*head)
		return err
	}
	parts := net.Buffers{*head, body}
	_, err := parts.WriteTo(c.Conn)
	return err
}

var errHeader = errors.New("a request header holds a line break")

// appendHead writes the request line and headers.
func appendHead(b []byte, req *http.Request, length int) ([]byte, error) {
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, req.URL.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, req.URL.Host...)
	for name, values := range req.Header {
		for _, v := range values {
			if hasBreak(name) || hasBreak(v) {
				return b, errHeader
			}
			b = append(b, '\r', '\n')
			b = append(b, name...)
			b = append(b, ':', ' ')
			b = append(b, v...)
		}
	}
	if length > 0 || req.Method == http.MethodPost {
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(length), 10)
	}
	return append(b, "\r\n\r\n"...), nil
}

func hasBreak(s string) bool {
	for i := range len(s) {
		if s[i] == '\r' || s[i] == '\n' || s[i] == 0 {
			return true
		}
	}
	return false
}

// get takes an idle connection that still lives, or opens one.
func (t *Transport) get(ctx context.Context, addr string) (*conn, error) {
	for {
		c := t.pop(addr)
		if c == nil {
			break
		}
		idle := time.Since(c.since)
		if idle < t.idleTimeout() && (idle < checkAfter || alive(c.Conn)) {
			return c, nil
		}
		c.Close()
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	nc, err := t.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc, t: t, addr: addr, br: newReader(nc)}, nil
}

// dial opens a connection in a goroutine of its own: dialling needs a deep stack, which the
// goroutine of a call would keep for as long as its stream is held.
func (t *Transport) dial(ctx context.Context, addr string) (net.Conn, error) {
	type result struct {
		nc  net.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := t.Dial(ctx, "tcp", addr)
		done <- result{nc, err}
	}()
	r := <-done // Dial ends with ctx
	return r.nc, r.err
}

func (t *Transport) pop(addr string) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[addr]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	t.idle[addr] = list[:len(list)-1]
	return c
}

// put keeps a connection whose answer was read to its end.
func (t *Transport) put(c *conn) {
	limit := t.MaxIdle
	if limit == 0 {
		limit = defaultMaxIdle
	}
	c.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.addr]) >= limit {
		c.Close()
		return
	}
	if t.idle == nil {
		t.idle = map[string][]*conn{}
	}
	t.idle[c.addr] = append(t.idle[c.addr], c)
	if t.timer == nil {
		t.timer = time.AfterFunc(t.idleTimeout(), t.prune)
	}
}

func (t *Transport) idleTimeout() time.Duration {
	if t.IdleTimeout == 0 {
		return defaultIdleTimeout
	}
	return t.IdleTimeout
}

// prune closes what lay idle too long, and comes again while anything is left.
func (t *Transport) prune() {
	t.mu.Lock()
	defer t.mu.Unlock()
	oldest := time.Now().Add(-t.idleTimeout())
	left := false
	for addr, list := range t.idle {
		n := 0
		for n < len(list) && !list[n].since.After(oldest) {
			list[n].Close()
			n++
		}
		if list = append([]*conn(nil), list[n:]...); len(list) == 0 {
			delete(t.idle, addr)
			continue
		}
		t.idle[addr] = list
		left = true
	}
	t.timer = nil
	if left {
		t.timer = time.AfterFunc(t.idleTimeout()/2, t.prune)
	}
}

// CloseIdleConnections closes every connection that no call uses.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.idle {
		for _, c := range list {
			c.Close()
		}
	}
	t.idle = nil
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}
