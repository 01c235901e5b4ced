package sim

import (
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func streamHeader() http.Header {
	return http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}, "Cache-Control": {"no-cache"}}
}

// header starts the answer: the head goes out with the first byte or flush.
func (c *call) header(status int, h http.Header) {
	for k, v := range h {
		c.w.Header()[k] = v
	}
	if name := c.d.requestIDHeader(); c.w.Header().Get(name) == "" {
		c.w.Header().Set(name, c.id)
	}
	c.note(func(r *Request) { r.Status = status })
	c.w.WriteHeader(status)
}

// fail answers with an error.
func (c *call) fail(f *failure) error {
	if err := c.s.waitUntil(c.ctx, c.start.Add(c.pace.head)); err != nil {
		return err
	}
	status, h, body := c.d.failure(f, c.id)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.header(status, h)
	return c.write(body)
}

// write sends bytes, in pieces if the script says so.
func (c *call) write(b []byte) error {
	if c.cut <= 0 {
		_, err := c.w.Write(b)
		return err
	}
	for len(b) > 0 {
		n := min(c.cut, len(b))
		if _, err := c.w.Write(b[:n]); err != nil {
			return err
		}
		c.flush()
		b = b[n:]
	}
	return nil
}

func (c *call) flush() {
	if f, ok := c.w.(http.Flusher); ok {
		f.Flush()
		return
	}
	_ = http.NewResponseController(c.w).Flush() // a writer that cannot flush sends when it likes
}

// sendWhole sends an answer in one piece. tokens is how many are produced for it
// at the pace told; usage is what it is billed.
func (c *call) sendWhole(h http.Header, body []byte, usage Usage, tokens int) error {
	return c.sendWholeStatus(http.StatusOK, h, body, usage, tokens)
}

func (c *call) sendWholeStatus(status int, h http.Header, body []byte, usage Usage, tokens int) error {
	first := c.start.Add(c.pace.head)
	if tokens > 0 {
		first = c.pace.content(1)
	}
	due := first
	if tokens > 1 {
		due = c.pace.content(tokens - 1)
	}
	if err := c.s.waitUntil(c.ctx, due); err != nil {
		if now := time.Now(); now.After(first) && due.After(first) {
			c.bill(usage, float64(now.Sub(first))/float64(due.Sub(first)))
		}
		return err
	}
	c.bill(usage, 1)
	if f := c.fault; f != nil && f.Kind == FaultTruncate {
		return c.truncated(status, h, body, f.variant())
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.header(status, h)
	return c.write(body)
}

// truncated sends half of an answer in one piece.
func (c *call) truncated(status int, h http.Header, body []byte, variant string) error {
	switch variant {
	case "eof":
		h.Set("Transfer-Encoding", "identity") // net/http: the end of the connection is the end of the body
	case "close", "reset":
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.header(status, h)
	if err := c.write(body[:len(body)/2]); err != nil {
		return err
	}
	return c.breakOff(variant)
}

// bill notes what the provider charges: usage, of its output the share that was
// produced.
func (c *call) bill(u Usage, share float64) {
	if share < 1 {
		u.Output = int(float64(u.Output)*share + 0.999999)
		u.Reasoning = min(u.Reasoning, u.Output)
	}
	c.setBilled(u)
}

// billPart bills a stream of which sent tokens of all were delivered: nothing
// before the first one.
func (c *call) billPart(usage Usage, sent, all int) {
	if sent > 0 {
		c.bill(usage, float64(sent)/float64(all))
	}
}

// sendStream sends the frames of a stream, each when it is due.
func (c *call) sendStream(frames []frame, h http.Header, usage Usage) error {
	total := 0
	for _, f := range frames {
		total += f.tokens
	}
	trap := newTrap(c.fault, total)
	if trap.kind == FaultTruncate && trap.variant == "eof" {
		h.Set("Transfer-Encoding", "identity")
	}
	if err := c.s.waitUntil(c.ctx, c.start.Add(c.pace.head)); err != nil {
		return err
	}
	c.header(http.StatusOK, h)
	sent, err := 0, error(nil)
	for i, f := range frames {
		if trap.springs(i, f, sent) {
			c.billPart(usage, sent, total)
			done, replaced, err := c.spring(&trap, f)
			if done {
				return err
			}
			f.data = replaced
		}
		if err = c.sendFrame(f, usage); err != nil {
			break
		}
		sent += f.tokens
	}
	if err != nil || total > 0 && sent == total {
		c.billPart(usage, sent, total)
	}
	return err
}

// sendFrame sends one frame when it is due.
func (c *call) sendFrame(f frame, usage Usage) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if f.tokens > 0 {
		due := c.pace.content(f.tokens)
		if c.s.opts.Coalesce && time.Until(due) > 0 {
			c.flush()
		}
		if err := c.s.waitUntil(c.ctx, due); err != nil {
			return err
		}
	}
	if f.tail {
		c.bill(usage, 1)
	}
	if err := c.write(f.data); err != nil {
		return err
	}
	if !c.s.opts.Coalesce {
		c.flush()
	}
	return nil
}

// breakOff ends an answer early, as the variant says.
func (c *call) breakOff(variant string) error {
	c.flush()
	switch variant {
	case "close":
		return errAbort
	case "reset":
		return c.reset()
	}
	return nil
}

// resetter is a response writer without a connection that can still break off as
// if one was reset.
type resetter interface{ reset() }

// reset cuts the connection with a TCP reset. Where there is no connection to be
// had (HTTP/2), the answer is aborted, which resets its stream.
func (c *call) reset() error {
	if m, ok := c.w.(resetter); ok {
		m.reset()
		return errAbort
	}
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return errAbort
	}
	defer func() { _ = conn.Close() }()
	raw := conn
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok { // TLS: no close_notify
		raw = t.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
	return nil
}

// errReset is what a client in this process sees of a reset connection.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// sleepPings sends heartbeats until the request or the server ends.
func (c *call) sleepPings(ping []byte) error {
	for {
		if err := c.write(ping); err != nil {
			return err
		}
		c.flush()
		if err := c.s.waitUntil(c.ctx, time.Now().Add(PingEvery)); err != nil {
			return err
		}
	}
}

// PingEvery is the time between heartbeats of the fault timeout's variant pings.
const PingEvery = 250 * time.Millisecond
