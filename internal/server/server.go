// Package server is the HTTP face: it reads a client's request into a call, lets
// the pipeline answer, and writes the answer back in the client's own protocol;
// and it serves health. It knows nothing of routing or money.
//
// Invariants: a path is served only in its one spelling; nothing is written
// before the answer has content, so every earlier failure is a real HTTP error;
// a stream ends with its success mark or with its protocol's error event, never
// with neither; every write has a deadline, no stream has one as a whole.
package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// Options make a [Server]. Handler, OpenAI, Anthropic, Identify and Health are required.
type Options struct {
	Handler   pipeline.Handler
	OpenAI    wire.Codec
	Anthropic wire.Codec
	// Identify finds out who calls, before the body is read.
	Identify func(h http.Header) (pipeline.Identity, *llm.Error)
	// Models lists the names that a caller may ask for.
	Models func(id pipeline.Identity) []string
	Health func() Health
	Log    *slog.Logger // nil: nothing is logged here

	MaxBody      int64         // bytes; 0: 32 MiB
	MaxCalls     int           // calls at once; 0: 20,000
	WriteTimeout time.Duration // without progress; 0: 30 s
	ReadTimeout  time.Duration // for a whole request body; 0: 60 s
}

// Server is the gateway's http.Handler.
type Server struct {
	o      Options
	routes map[string]route

	mu       sync.Mutex
	draining bool
	inFlight int
	over     chan struct{} // closed when draining and nothing is in flight
}

type route struct {
	method string
	serve  func(w http.ResponseWriter, r *http.Request)
	codec  wire.Codec // whose dialect errors are told in
}

// New makes a server.
func New(o Options) *Server {
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	if o.MaxCalls == 0 {
		o.MaxCalls = 20_000
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, over: make(chan struct{})}
	s.routes = map[string]route{
		"/v1/chat/completions":      {http.MethodPost, s.surface(o.OpenAI, pipeline.OpGenerate), o.OpenAI},
		"/v1/messages":              {http.MethodPost, s.surface(o.Anthropic, pipeline.OpGenerate), o.Anthropic},
		"/v1/messages/count_tokens": {http.MethodPost, s.surface(o.Anthropic, pipeline.OpCountTokens), o.Anthropic},
		"/v1/models":                {http.MethodGet, s.models, nil},
		"/health":                   {http.MethodGet, s.health, nil},
		"/health/live":              {http.MethodGet, s.live, nil},
		"/health/ready":             {http.MethodGet, s.ready, nil},
	}
	return s
}

// ServeHTTP serves one request. Only the exact path counts: no cleaning, no
// redirects, no escapes, so that what is authorised is what is served.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	rt, ok := s.routes[path]
	dialect := s.dialect(rt, r)
	defer s.recover(w, r, dialect)
	if r.ContentLength != 0 {
		// Until the body is read: by the call, or, where nothing reads it, by net/http behind an error.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.ReadTimeout))
	}
	if ok && r.URL.RawPath == "" && r.URL.EscapedPath() == path {
		if allowed := rt.methods(); !slices.Contains(allowed, r.Method) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			e := llm.Errorf(llm.KindInvalidRequest, "%s takes %s", path, rt.method)
			e.Status = http.StatusMethodNotAllowed
			s.refuse(w, dialect, e, requestID(r.Header))
			return
		}
		rt.serve(w, r)
		return
	}
	if id, ok := modelPath(r); ok {
		s.model(w, r, id)
		return
	}
	e := llm.Errorf(llm.KindNotFound, "no such path; this gateway serves POST /v1/chat/completions, POST /v1/messages, POST /v1/messages/count_tokens, GET /v1/models and GET /health")
	e.Code = "not_found"
	s.refuse(w, dialect, e, requestID(r.Header))
}

// methods are those that the route takes.
func (rt route) methods() []string {
	if rt.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{rt.method}
}

// dialect is the protocol that errors are told in: the route's, or what the
// client's headers suggest.
func (s *Server) dialect(rt route, r *http.Request) wire.Codec {
	if rt.codec != nil {
		return rt.codec
	}
	if r.Header.Get("Anthropic-Version") != "" {
		return s.o.Anthropic
	}
	return s.o.OpenAI
}

// recover answers a panic of this package in the surface's shape; if an answer has
// begun, its connection is cut. A panic below is an error by the time it gets here.
func (s *Server) recover(w http.ResponseWriter, r *http.Request, codec wire.Codec) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Log.Error("panic", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	if w.Header()["Content-Type"] != nil { // set only just before the head is written
		panic(http.ErrAbortHandler)
	}
	s.refuse(w, codec, llm.Errorf(llm.KindInternal, "internal error"), requestID(r.Header))
}

// Drain stops the taking of new calls and waits until those in flight are over, or
// until done is closed. It reports whether all are over.
func (s *Server) Drain(done <-chan struct{}) bool {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		if s.inFlight == 0 {
			close(s.over)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.over:
		return true
	default:
	}
	select {
	case <-s.over:
		return true
	case <-done:
		return false
	}
}

// enter admits a call to the process.
func (s *Server) enter() *llm.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var e *llm.Error
	switch {
	case s.draining:
		e = llm.Errorf(llm.KindShutdown, "the gateway is stopping; send the request again")
	case s.inFlight >= s.o.MaxCalls:
		e = llm.Errorf(llm.KindOverloaded, "the gateway serves as many calls as it may (%d)", s.o.MaxCalls)
	default:
		s.inFlight++
		return nil
	}
	e.RetryAfter = time.Second
	return e
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if s.draining && s.inFlight == 0 {
		close(s.over)
	}
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
