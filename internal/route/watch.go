package route

import (
	"context"
	"sync"
	"time"

	"github.com/breakwater-llm/breakwater/llm"
)

// watch is the clock of an attempt: first for its first content, then for the
// silence between two pieces of content. It runs only while the provider is
// waited for: a client that reads slowly does not make its provider slow.
type watch struct {
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	limit   time.Duration // of silence; 0: none
	what    string        // what it means when the limit passes
	last    time.Time     // when content last came, or waiting for it began
	waiting bool
	content bool // the last event was content
	stopped bool
}

// newWatch starts the clock for the first content.
func newWatch(limit time.Duration, what string, cancel context.CancelCauseFunc) *watch {
	w := &watch{cancel: cancel, waiting: true}
	w.start(limit, what)
	return w
}

func (w *watch) start(limit time.Duration, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit, w.what, w.last = limit, what, time.Now()
	switch {
	case w.timer != nil && limit > 0:
		w.timer.Reset(limit)
	case w.timer != nil:
		w.timer.Stop()
	case limit > 0:
		w.timer = time.AfterFunc(limit, w.fire)
	}
}

// started switches from the first content to the limit on silence.
func (w *watch) started(idle time.Duration) {
	w.mu.Lock()
	w.waiting, w.content = false, true
	w.mu.Unlock()
	w.start(idle, "the stream fell silent")
}

// fire ends the attempt if the silence was long enough, else looks again later.
func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	silent := time.Since(w.last)
	switch {
	case w.stopped || w.limit <= 0:
	case !w.waiting:
		w.timer.Reset(w.limit)
	case silent < w.limit:
		w.timer.Reset(w.limit - silent)
	default:
		w.stopped = true
		w.cancel(llm.Errorf(llm.KindTimeout, "%s (%s)", w.what, w.limit))
	}
}

// wait says that the provider is waited for from now on.
func (w *watch) wait(now time.Time) {
	w.mu.Lock()
	if w.content {
		w.last = now
	}
	w.waiting = true
	w.mu.Unlock()
}

// came says that something came, and whether it was content.
func (w *watch) came(now time.Time, content bool) {
	w.mu.Lock()
	w.waiting, w.content = false, content
	if content {
		w.last = now
	}
	w.mu.Unlock()
}

func (w *watch) stop() {
	w.mu.Lock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
}

// firstLimit is how long this attempt may take to its first content, and what it means when it does not.
func (n *run) firstLimit() (time.Duration, string) {
	if n.c.Stream {
		return n.m.Timeout.FirstToken, "no content came within the limit for the first token"
	}
	if n.m.Timeout.WholeFirst > 0 {
		return n.m.Timeout.WholeFirst, "the answer did not come within its limit"
	}
	left := 0
	for i := range n.tries {
		if n.tries[i].sent == 0 && !n.tries[i].closed {
			left++
		}
	}
	if n.deadline.IsZero() || left == 0 {
		return 0, ""
	}
	return time.Until(n.deadline) / time.Duration(left+1), "the answer did not come within this provider's share of the call's time"
}
