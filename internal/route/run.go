package route

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/llm"
)

// run is one call's way over its targets.
type run struct {
	r        *Router
	c        *pipeline.Call
	m        *Model
	ctx      context.Context // the caller's
	start    time.Time
	deadline time.Time // zero: none
	tries    []tried
}

// tried is what a run knows of one target.
type tried struct {
	begun  bool          // an attempt was made
	sent   int           // attempts made with the key in use
	spent  map[*Key]bool // keys that this run uses no more
	last   *llm.Error
	closed bool          // not to be tried again in this call
	wait   time.Duration // after the last failure, before the target may be tried again
	since  time.Time     // wait counts from here
	// resting is since when this call has found all keys resting; zero: it has not,
	// since its last attempt.
	resting time.Time
}

// ErrNotOffered is the cause of an error that says no target offers the operation.
var ErrNotOffered = errors.New("route: operation not offered")

// answer tries targets until one answers, and fails when none is left.
func (n *run) answer() (pipeline.Answer, error) {
	n.tries = make([]tried, len(n.m.Targets))
	prev := -1
	for {
		i, key, reason := n.next(prev)
		if le := n.stopped(); le != nil {
			return nil, le
		}
		if i < 0 {
			return nil, n.exhausted()
		}
		ans, err := n.try(i, key, reason)
		if err == nil {
			return ans, nil
		}
		if le := n.over(err); le != nil {
			return nil, le
		}
		prev = i
	}
}

// over tells whether the call ends with this failure whatever targets are left.
func (n *run) over(le *llm.Error) *llm.Error {
	if stop := n.stopped(); stop != nil {
		return stop
	}
	if !le.Elsewhere() && !errors.Is(le, upstream.ErrUnsupported) {
		return le
	}
	return nil
}

// stopped is why nothing more may be tried: the client left, or the call's time
// limit passed. Nil while the call goes on.
func (n *run) stopped() *llm.Error {
	cause := pipeline.Cause(n.ctx)
	late := !n.deadline.IsZero() && !time.Now().Before(n.deadline)
	if late && cause == nil || cause != nil && cause.Kind == llm.KindTimeout {
		return n.failed(http.StatusGatewayTimeout)
	}
	return cause
}

// next chooses the target to try, and with which key: the same again if its
// failure is one that passes at once and the retry budget allows; else the next
// untried one, which a target with a fresh key is too; else the one whose wait
// ends first. -1: none is left.
func (n *run) next(prev int) (int, *Key, string) {
	if prev >= 0 && sameTargetFirst(n.tries[prev].last.Kind) &&
		n.again(prev) && n.sleep(n.tries[prev].wait) {
		if key := n.retry(prev); key != nil {
			return prev, key, "retry"
		}
	}
	for i := range n.tries {
		t := &n.tries[i]
		if t.sent > 0 || t.closed {
			continue
		}
		rested := t.last != nil
		key := n.key(i)
		if key == nil {
			continue
		}
		switch {
		case t.begun:
			return i, key, "next_key"
		case rested:
			return i, key, "waited"
		case prev < 0 && i == 0:
			return i, key, "first"
		}
		return i, key, "fallback"
	}
	return n.retryLater()
}

// retryLater picks, of the targets that may be tried again, the one that may be soonest.
func (n *run) retryLater() (int, *Key, string) {
	for {
		best, bestWait := -1, time.Duration(0)
		for i := range n.tries {
			if !n.again(i) {
				continue
			}
			if w := n.tries[i].wait - time.Since(n.tries[i].since); best < 0 || w < bestWait {
				best, bestWait = i, w
			}
		}
		if best < 0 {
			return -1, nil, ""
		}
		if !n.sleep(bestWait + n.spread(bestWait)) {
			n.tries[best].closed = true
			continue
		}
		reason := "retry"
		if !n.tries[best].begun {
			reason = "waited"
		}
		if key := n.retry(best); key != nil {
			return best, key, reason
		}
	}
}

// sameTargetFirst are the failures after which a retry at the same target comes
// before the next target: a blip. An overloaded, limiting or silent provider is left
// alone while there is another.
func sameTargetFirst(k llm.Kind) bool {
	switch k {
	case llm.KindConnection, llm.KindServerError, llm.KindBadResponse, llm.KindIncompleteStream:
		return true
	}
	return false
}

// again reports whether the target may be tried another time in this call.
func (n *run) again(i int) bool {
	t := &n.tries[i]
	if t.closed || (t.sent == 0 && t.last == nil) {
		return false
	}
	wait := t.wait
	if !t.resting.IsZero() {
		wait = t.since.Add(t.wait).Sub(t.resting) // all that this call has waited for it, too
	}
	if t.sent >= max(cmp.Or(n.c.Tries, n.m.Retry.Attempts), 1) || !t.last.Retryable() || wait > n.m.Retry.MaxBackoff ||
		t.sent > 0 && !n.m.Targets[i].Provider.Budget.Left(time.Now(), n.m.Retry.Budget) {
		t.closed = true
		return false
	}
	return true
}

// retry is key for a target whose wait is over. It takes the retry out of the
// provider's budget; if there is none, the target is not tried again.
func (n *run) retry(i int) *Key {
	t := &n.tries[i]
	key := n.key(i)
	if key != nil && t.sent > 0 && !n.m.Targets[i].Provider.Budget.Retry(time.Now(), n.m.Retry.Budget) {
		t.closed = true
		return nil
	}
	return key
}

// key takes a key that the target can be called with now. If there is none, it
// returns nil and notes how long the target has to rest; that a target is passed
// over so before it was ever tried is recorded.
func (n *run) key(i int) *Key {
	target, t := n.m.Targets[i], &n.tries[i]
	if !target.Provider.Upstream.Offers(n.c.Op) {
		n.skip(i, llm.KindInvalidRequest, "the provider does not offer this operation", 0)
		t.closed = true
		return nil
	}
	now := time.Now()
	key, wait, why := target.Provider.pick(n.model(target), now, t.spent)
	if key != nil {
		return key
	}
	if t.last == nil {
		n.skip(i, why, "resting after an earlier failure", wait)
		t.last = llm.Errorf(why, "resting after an earlier failure")
		t.last.Provider = target.Provider.Name
	}
	t.wait, t.since = wait, now
	if t.resting.IsZero() {
		t.resting = now
	}
	return nil
}

func (n *run) skip(i int, why llm.Kind, text string, wait time.Duration) {
	target := n.m.Targets[i]
	n.c.Record.Attempts = append(n.c.Record.Attempts, llm.Attempt{
		Provider: target.Provider.Name, Endpoint: target.Provider.Upstream.Host(), Model: n.model(target),
		Kind: why, Message: text, Reason: "cooldown", Skipped: true, Start: time.Now(), RetryAfter: wait,
	})
}

func (n *run) model(t Target) string {
	if t.Model == "" {
		return n.c.Model
	}
	return t.Model
}

// sleep waits for d, and reports whether it did: it does not if the call would be over by then.
func (n *run) sleep(d time.Duration) bool {
	if d <= 0 {
		return n.ctx.Err() == nil
	}
	if !n.deadline.IsZero() && time.Until(n.deadline) <= d {
		return false
	}
	begun := time.Now()
	defer func() { n.c.Record.Waited += time.Since(begun) }()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-n.ctx.Done():
		return false
	}
}

// try makes one attempt. On failure it notes what the target and its key need.
func (n *run) try(i int, key *Key, reason string) (pipeline.Answer, *llm.Error) {
	target, t := n.m.Targets[i], &n.tries[i]
	if !t.begun {
		t.begun = true
		target.Provider.Budget.Request(time.Now())
	}
	t.sent++
	t.resting = time.Time{}
	ans, err := begin(n, i, key, reason)
	if err == nil {
		return ans, nil
	}
	t.last = err
	n.settle(i, key, n.model(target), err)
	return nil, err
}

// How long a key rests after a refusal that names no time.
const (
	restRateLimit = time.Second
	restAccount   = time.Minute // a bad key, no permission, no money
	// maxRest caps what a provider may demand.
	maxRest = 24 * time.Hour
)

// settle draws the consequences of a failed attempt.
func (n *run) settle(i int, key *Key, model string, le *llm.Error) {
	t, now := &n.tries[i], time.Now()
	rest := min(le.RetryAfter, maxRest)
	switch le.Kind {
	case llm.KindAuthentication, llm.KindPermission, llm.KindQuota:
		if le.Provider == "" {
			return
		}
		if le.Kind == llm.KindPermission {
			key.Cool(model, now.Add(max(rest, restAccount)), le.Kind, now)
		} else {
			key.Disable(now.Add(max(rest, restAccount)), le.Kind)
		}
		n.otherKey(i, key)
		return
	case llm.KindRateLimit:
		if rest <= 0 {
			rest = restRateLimit
		}
		key.Cool(model, now.Add(rest), le.Kind, now)
		if n.otherKey(i, key) {
			return
		}
	default:
		if rest > 0 && (le.Kind == llm.KindOverloaded || le.ProviderStatus == http.StatusServiceUnavailable) {
			key.Cool(model, now.Add(rest), le.Kind, now)
		}
	}
	t.since = now
	t.wait = max(rest, n.backoff(t.sent))
}

// otherKey takes the key out of the run; if the provider has another one for it,
// that is as good as an untried target.
func (n *run) otherKey(i int, key *Key) bool {
	t := &n.tries[i]
	if t.spent == nil {
		t.spent = map[*Key]bool{}
	}
	t.spent[key] = true
	target := n.m.Targets[i]
	if k, _, _ := target.Provider.find(0, n.model(target), time.Now(), t.spent); k != nil {
		t.sent = 0
		return true
	}
	delete(t.spent, key)
	return false
}

// backoff is exponential with full jitter.
func (n *run) backoff(sent int) time.Duration {
	d := n.m.Retry.Backoff << min(sent-1, 20)
	if d > n.m.Retry.MaxBackoff || d < 0 {
		d = n.m.Retry.MaxBackoff
	}
	return time.Duration(n.r.random() * float64(d))
}

// spread is added to a wait that many calls may have begun at once, so that they do
// not end it at once.
func (n *run) spread(wait time.Duration) time.Duration {
	return time.Duration(n.r.random() * float64(min(max(wait, 0), time.Second)) / 2)
}

// exhausted is the error of a call that no target is left for. What it is depends
// on how things stand with each target that could have served the call.
func (n *run) exhausted() *llm.Error {
	var all, begun, limited, timedOut, tooLarge int
	var unfit *llm.Error
	for i := range n.tries {
		t := &n.tries[i]
		switch {
		case t.last == nil: // does not offer the operation
			continue
		case errors.Is(t.last, upstream.ErrUnsupported):
			unfit = t.last
			continue
		}
		all++
		if t.begun {
			begun++
		}
		switch t.last.Kind {
		case llm.KindRateLimit, llm.KindConcurrencyLimit:
			limited++
		case llm.KindTimeout:
			timedOut++
		case llm.KindTooLarge:
			tooLarge++
		}
	}
	switch {
	case all == 0 && unfit != nil:
		return unfit
	case all == 0:
		return llm.Wrap(llm.KindInvalidRequest, ErrNotOffered, "none of the providers behind model %q offers %s", clip(n.m.Name), n.c.Op)
	case all == limited:
		return n.failed(http.StatusTooManyRequests)
	case begun == 0:
		e := llm.Errorf(llm.KindOverloaded, "no provider may be called now for model %q: all are resting after earlier failures", clip(n.m.Name))
		e.Code = "no_provider_available"
		e.RetryAfter = max(n.soonest(), time.Second)
		e.Attempts = n.c.Record.Attempts
		return e
	case all == timedOut:
		return n.failed(http.StatusGatewayTimeout)
	case all == tooLarge:
		return llm.Errorf(llm.KindTooLarge, "the request is larger than every provider's limit for one request")
	}
	return n.failed(http.StatusBadGateway)
}

// failed is the error of a call that was tried in vain.
func (n *run) failed(status int) *llm.Error {
	kind := llm.KindServerError
	text := "every provider failed"
	last := llm.Attempt{}
	for _, a := range n.c.Record.Attempts {
		if !a.Skipped {
			last = a
		}
	}
	switch status {
	case http.StatusTooManyRequests:
		kind, text = llm.KindRateLimit, "every provider is rate limited"
	case http.StatusGatewayTimeout:
		kind, text = llm.KindTimeout, "no provider answered in time"
	default:
		if last.Kind != "" {
			kind = last.Kind
		}
	}
	if last.Provider != "" && last.Message != "" {
		text += "; last, " + last.Provider + ": " + last.Message
	}
	e := llm.Errorf(kind, "%s", text)
	e.Code, e.Status, e.Attempts = "all_providers_failed", status, n.c.Record.Attempts
	if status == http.StatusTooManyRequests {
		if e.RetryAfter = n.soonest(); e.RetryAfter < 0 {
			e.RetryAfter = restRateLimit // all have rested by now
		}
	} else {
		e.NoRetry = true
	}
	return e
}

// soonest is the shortest rest that any target has left; negative: none rests.
func (n *run) soonest() time.Duration {
	best := time.Duration(-1)
	now := time.Now()
	for _, t := range n.m.Targets {
		for _, k := range t.Provider.Keys {
			if d, why := k.Blocked(n.model(t), now); why != "" && (best < 0 || d < best) {
				best = d
			}
		}
	}
	return best
}
