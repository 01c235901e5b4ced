package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
)

// writer writes an answer with a deadline on its progress.
type writer struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	timeout  time.Duration
	deadline time.Time
	begun    bool
}

var (
	jsonType    = []string{"application/json"}
	streamType  = []string{"text/event-stream; charset=utf-8"}
	noCache     = []string{"no-cache"}
	noBuffering = []string{"no"}
)

// extend moves the deadline when a good part of it is used up: setting it with
// every event would cost more than writing the event.
func (o *writer) extend() {
	now := time.Now()
	if o.deadline.Sub(now) > o.timeout*3/4 {
		return
	}
	o.deadline = now.Add(o.timeout)
	_ = o.rc.SetWriteDeadline(o.deadline)
}

// release takes the deadline off the connection, for the requests to come.
func (o *writer) release() {
	if !o.deadline.IsZero() {
		_ = o.rc.SetWriteDeadline(time.Time{})
	}
}

func (o *writer) whole(body []byte) {
	h := o.w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	o.extend()
	o.w.WriteHeader(http.StatusOK)
	_, _ = o.w.Write(body)
}

// frame writes one event, and flushes unless another is here already. It
// reports whether the client is still there.
func (o *writer) frame(ev *pipeline.Event) bool {
	if !o.begun {
		o.begun = true
		h := o.w.Header()
		h["Content-Type"], h["Cache-Control"], h["X-Accel-Buffering"] = streamType, noCache, noBuffering
		o.w.WriteHeader(http.StatusOK)
	}
	o.extend()
	if len(ev.Data) > 0 {
		if _, err := o.w.Write(ev.Data); err != nil {
			return false
		}
	}
	if ev.More {
		return true
	}
	return o.rc.Flush() == nil
}

func (o *writer) last(data []byte) {
	o.extend()
	_, _ = o.w.Write(data)
	_ = o.rc.Flush()
}
