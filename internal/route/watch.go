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
	timer   *time.Timer   // nil: there was no limit yet
	limit   time.Duration // of silence; 0: none
	what    string        // what it means when the limit passes
	silent  time.Duration // waited for content so far, but for the wait that goes on
	waiting bool          // the provider is waited for
	since   time.Time     // when that wait began
	stopped bool
}

// newWatch starts the clock for the first content.
func newWatch(limit time.Duration, what string, cancel context.CancelCauseFunc) *watch {
	w := &watch{cancel: cancel, waiting: true, since: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(limit, what)
	return w
}

// started switches from the first content, which has just come, to the limit on silence.
func (w *watch) started(idle time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting, w.silent = false, 0
	w.set(idle, "the stream fell silent")
}

func (w *watch) set(limit time.Duration, what string) {
	w.limit, w.what = limit, what
	switch {
	case w.timer != nil && limit > 0:
		w.timer.Reset(limit)
	case w.timer != nil:
		w.timer.Stop()
	case limit > 0:
		w.timer = time.AfterFunc(limit, w.fire)
	}
}

// fire ends the attempt if the silence was long enough, else looks again when it
// will be at the earliest. So events need not touch the timer.
func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.limit <= 0 {
		return
	}
	silent := w.silent
	if w.waiting {
		silent += time.Since(w.since)
	}
	if silent < w.limit {
		w.timer.Reset(w.limit - silent)
		return
	}
	w.stopped = true
	w.cancel(llm.Errorf(llm.KindTimeout, "%s (%s)", w.what, w.limit))
}

// wait says that the provider is waited for from now on, and whether content came
// since the last wait.
func (w *watch) wait(now time.Time, fed bool) {
	w.mu.Lock()
	w.waiting, w.since = true, now
	if fed {
		w.silent = 0
	}
	w.mu.Unlock()
}

// came says that something came, and whether it was content.
func (w *watch) came(now time.Time, content bool) {
	w.mu.Lock()
	w.waiting = false
	w.silent += now.Sub(w.since)
	if content {
		w.silent = 0
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

// firstLimit is how long this attempt may take to its first content, and what it
// means when it does not. A limit that would leave nothing of the call's time to the
// targets that are left, or none at all, gives way to an equal share of that time.
func (n *run) firstLimit() (time.Duration, string) {
	limit, what := n.m.Timeout.WholeFirst, "the answer did not come within its limit"
	if n.c.Stream {
		limit, what = n.m.Timeout.FirstToken, "no content came within the limit for the first token"
	}
	if n.deadline.IsZero() {
		return limit, what
	}
	left := 0
	for i := range n.tries {
		if n.tries[i].sent == 0 && !n.tries[i].closed {
			left++
		}
	}
	remaining := max(time.Until(n.deadline), 1)
	switch {
	case limit > 0 && limit < remaining:
		return limit, what
	case left == 0:
		return remaining, "nothing came within what was left of the call's time"
	}
	return remaining / time.Duration(left+1), "nothing came within this provider's share of the call's time"
}
