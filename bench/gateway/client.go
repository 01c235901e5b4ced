package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// want is what a right answer looks like.
type want struct {
	stream bool
	text   []byte // a whole answer contains it
	length int    // of the body, bytes; 0: not known yet
	events int    // of a stream, end mark included
}

// client is one connection of the load.
type client struct {
	addr   string
	mu     sync.Mutex // of conn, against close
	conn   net.Conn
	in     *reader
	check  checker
	events atomic.Int64 // read so far, over all calls
}

func newClient(addr string) *client {
	c := &client{addr: addr, in: newReader(nil, 32<<10)}
	c.check.total = &c.events
	return c
}

// dial connects, in place of an earlier connection if there is one. All calls over it must be
// over by the deadline.
func (c *client) dial(deadline time.Time) error {
	c.close()
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	*c.in = reader{src: conn, buf: c.in.buf}
	return conn.SetDeadline(deadline)
}

// close ends the call in progress, from any goroutine.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
	}
}

// call sends a request and reads its answer. first is when a stream's first text
// was here, for whole answers when all was.
func (c *client) call(request []byte, w *want) (first, end time.Time, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return first, end, err
	}
	h, err := c.in.head()
	if err != nil {
		return first, end, fmt.Errorf("reading the answer's head: %w", err)
	}
	c.check.reset()
	err = c.in.body(h, c.check.see)
	end = time.Now()
	if status, _, _ := strings.Cut(strings.TrimPrefix(h.first, "HTTP/1.1 "), " "); status != "200" {
		return first, end, fmt.Errorf("status %q, body %.300q", h.first, c.check.body)
	}
	if err != nil {
		return first, end, fmt.Errorf("reading the answer's body: %w", err)
	}
	if err := c.check.verdict(w); err != nil {
		return first, end, err
	}
	if first = c.check.firstAt; !w.stream {
		first = end
	}
	return first, end, nil
}

var (
	eventMark = []byte("\n\n")
	doneMark  = []byte("data: [DONE]\n\n")
	textMark  = []byte(`"delta":{"content":"`)
)

// checker looks at an answer as it comes.
type checker struct {
	body    []byte
	events  int
	firstAt time.Time
	total   *atomic.Int64
}

func (c *checker) reset() {
	c.body, c.events, c.firstAt = c.body[:0], 0, time.Time{}
}

func (c *checker) see(piece []byte) {
	from := max(0, len(c.body)-1)
	c.body = append(c.body, piece...)
	if n := bytes.Count(c.body[from:], eventMark); n > 0 {
		c.events += n
		c.total.Add(int64(n))
	}
	if c.firstAt.IsZero() && bytes.Contains(c.body, textMark) {
		c.firstAt = time.Now()
	}
}

func (c *checker) verdict(w *want) error {
	if w.length > 0 && len(c.body) != w.length {
		return fmt.Errorf("the answer has %d bytes, not %d: %.300q", len(c.body), w.length, c.body)
	}
	if !w.stream {
		if !bytes.Contains(c.body, w.text) {
			return fmt.Errorf("the answer has not the text that was to come: %.300q", c.body)
		}
		return nil
	}
	switch {
	case !bytes.HasSuffix(c.body, doneMark):
		return fmt.Errorf("the stream does not end with its mark: %.300q", c.body[max(0, len(c.body)-300):])
	case c.events != w.events:
		return fmt.Errorf("the stream has %d events, not %d", c.events, w.events)
	case c.firstAt.IsZero():
		return errors.New("the stream has no text")
	}
	return nil
}
