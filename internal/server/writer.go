package server

import (
	"errors"
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
	// armed: the deadline may stand while nothing is written. HTTP/2 ends a stream
	// whose deadline passes, even if nobody is writing.
	armed bool
	begun bool
}

// piece is how much is written under one deadline, in bytes: what a slow client
// takes counts as progress.
const piece = 64 << 10

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
		o.deadline = time.Time{}
		_ = o.rc.SetWriteDeadline(time.Time{})
	}
}

func (o *writer) write(data []byte) error {
	for len(data) > 0 {
		o.extend()
		n := min(len(data), piece)
		if _, err := o.w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// flush sends what was written. Where that cannot be asked for, the writer's owner
// sends it when it likes.
func (o *writer) flush() error {
	if o.deadline.IsZero() { // otherwise the write before has seen to it
		o.extend()
	}
	err := o.rc.Flush()
	if !o.armed {
		o.release()
	}
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func (o *writer) whole(body []byte) {
	h := o.w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	o.w.WriteHeader(http.StatusOK)
	if o.write(body) == nil {
		_ = o.flush() // while there is a deadline
	}
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
	if o.write(ev.Data) != nil {
		return false
	}
	return ev.More || o.flush() == nil
}

func (o *writer) last(data []byte) {
	if o.write(data) == nil {
		_ = o.flush()
	}
}
