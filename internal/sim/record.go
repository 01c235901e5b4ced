package sim

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxKeptBodies bounds the bodies that a server remembers, in bytes: beyond it
// the oldest requests are forgotten first.
const maxKeptBodies = 256 << 20

// Request is one request that the server received and what became of it.
type Request struct {
	N      uint64 // 1 for the first
	Method string
	Path   string // with the query, if there was one
	Header http.Header
	Body   []byte
	At     time.Time
	ConnID uint64 // the connection it came by, see Conn; 0: not known, or none

	Surface string // openai.chat, anthropic.messages, anthropic.count_tokens; "": other
	Model   string
	Stream  bool

	Rule   int       // the script's rule that answered, from 1; 0: none
	Fault  FaultKind // what happened to it; "": nothing
	Status int       // the status sent; 0: none
	Done   bool      // the answer has ended, in whatever way
	Took   time.Duration
	Closed bool // the client left before the answer's end

	// Billed is what the provider charges for it: of an answer that broke off,
	// the input and the output produced until then.
	Billed Usage
}

// note changes the record of a request: Requests may read it at the same time.
func (c *call) note(change func(r *Request)) {
	c.s.log.mu.Lock()
	defer c.s.log.mu.Unlock()
	change(c.rec)
}

func (c *call) setBilled(u Usage) {
	c.note(func(r *Request) {
		c.s.log.billed.add(u, r.Billed)
		r.Billed = u
	})
}

// add adds u in place of old.
func (t *Usage) add(u, old Usage) {
	t.Input += u.Input - old.Input
	t.Output += u.Output - old.Output
	t.Cached += u.Cached - old.Cached
	t.CacheWrite += u.CacheWrite - old.CacheWrite
	t.Reasoning += u.Reasoning - old.Reasoning
}

// requestLog remembers the latest requests.
type requestLog struct {
	mu     sync.Mutex
	max    int
	count  int
	list   []*Request // in order of arrival
	bytes  int        // of the bodies in list
	billed Usage
}

func (l *requestLog) begin(r *http.Request, body []byte, n uint64, now time.Time) *Request {
	rec := &Request{N: n, Method: r.Method, Path: r.URL.RequestURI(), At: now}
	rec.ConnID, _ = r.Context().Value(connKey{}).(uint64)
	if l.max > 0 {
		rec.Header, rec.Body = r.Header.Clone(), body
		if rec.Header == nil {
			rec.Header = http.Header{}
		}
		if r.Host != "" {
			rec.Header.Set("Host", r.Host)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if l.max > 0 {
		l.list = append(l.list, rec)
		l.bytes += len(body)
		drop := max(0, len(l.list)-l.max)
		for i := range drop {
			l.bytes -= len(l.list[i].Body)
		}
		for l.bytes > maxKeptBodies && drop < len(l.list)-1 {
			l.bytes -= len(l.list[drop].Body)
			drop++
		}
		clear(l.list[:drop])
		l.list = l.list[drop:]
	}
	return rec
}

func (l *requestLog) finish(rec *Request, clientLeft bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rec.Done, rec.Closed, rec.Took = true, clientLeft, time.Since(rec.At)
}

// Requests are the requests received, the oldest first, at most as many as
// Options.MaxRequests. Headers and bodies are shared: do not change them.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	out := make([]Request, len(s.log.list))
	for i, r := range s.log.list {
		out[i] = *r
	}
	return out
}

// Count is the number of requests received.
func (s *Server) Count() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.count
}

// Billed adds up what a provider would have charged.
func (s *Server) Billed() Usage {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.billed
}

// Conn is a connection that the server saw.
type Conn struct {
	ID     uint64
	Opened time.Time
	Closed time.Time // zero: open
}

type connKey struct{}

type connLog struct {
	mu   sync.Mutex
	last uint64
	open map[net.Conn]Conn
	done []Conn // the latest of the closed ones
}

func (l *connLog) seen(c net.Conn) Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.open[c]; ok {
		return known
	}
	if l.open == nil {
		l.open = map[net.Conn]Conn{}
	}
	l.last++
	fresh := Conn{ID: l.last, Opened: time.Now()}
	l.open[c] = fresh
	return fresh
}

func (l *connLog) gone(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.open[c]; ok {
		known.Closed = time.Now()
		delete(l.open, c)
		l.done = append(l.done, known)
		if len(l.done) > DefaultMaxRequests {
			l.done = slices.Delete(l.done, 0, len(l.done)-DefaultMaxRequests)
		}
	}
}

// Attach sets the hooks of an HTTP server by which connections are followed.
func (s *Server) Attach(h *http.Server) {
	h.ConnState, h.ConnContext = s.ConnState, s.ConnContext
}

// ConnState is an http.Server.ConnState hook.
func (s *Server) ConnState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.seen(c)
	case http.StateClosed, http.StateHijacked:
		s.conns.gone(c)
	}
}

// ConnContext is an http.Server.ConnContext hook: it gives requests their ConnID.
func (s *Server) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, s.conns.seen(c).ID)
}

// Conns are the connections seen, in the order they were opened: all open ones
// and the latest 10,000 closed ones. It needs the hooks that Attach sets.
func (s *Server) Conns() []Conn {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	out := slices.Clone(s.conns.done)
	for _, c := range s.conns.open {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Conn) int { return int(a.ID) - int(b.ID) })
	return out
}
