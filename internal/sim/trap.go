package sim

import (
	"net/http"
	"strconv"
	"time"
)

// before acts the faults that leave no answer at all. done: the request is over.
func (c *call) before() (done bool, err error) {
	f := c.fault
	if f == nil {
		return false, nil
	}
	switch f.Kind {
	case FaultRateLimit:
		return true, c.fail(c.rateLimit(f))
	case FaultOverloaded:
		return true, c.fail(&failure{kind: failOverloaded, status: f.Status, retryAfter: f.retryAfter(0)})
	case FaultAuth:
		return true, c.fail(&failure{kind: failAuth, status: f.Status})
	case FaultQuota:
		return true, c.fail(&failure{kind: failQuota})
	case FaultServerError:
		return true, c.serverError(f)
	case FaultTimeout:
		if f.AfterTokens != nil && c.stream {
			return false, nil
		}
		return true, c.hang(f)
	case FaultReset:
		if f.AfterTokens != nil && c.stream {
			return false, nil
		}
		if err := c.s.waitUntil(c.ctx, c.start.Add(c.pace.head)); err != nil {
			return true, err
		}
		return true, c.reset()
	case FaultEmpty:
		if f.variant() == "body" {
			return true, c.empty()
		}
	case FaultGarbage:
		if f.variant() == "html" {
			return true, c.raw(http.StatusOK, "text/html; charset=utf-8", htmlPage(http.StatusOK))
		}
		if !c.stream {
			return true, c.raw(http.StatusOK, "application/json", `{"id":"`+c.id+`","choices":[{"index":0,"message":{"role":"assis`)
		}
	case FaultMidStreamError:
		if !c.stream { // an error body under a 200
			_, h, body := c.d.failure(midStream(f), c.id)
			return true, c.raw(http.StatusOK, h.Get("Content-Type"), string(body))
		}
	}
	return false, nil
}

func (f *FaultSpec) retryAfter(otherwise time.Duration) time.Duration {
	if f.RetryAfter != nil {
		return time.Duration(*f.RetryAfter)
	}
	return otherwise
}

func (c *call) rateLimit(f *FaultSpec) *failure {
	out := &failure{kind: failRateLimit, retryAfter: f.retryAfter(time.Second)}
	switch f.variant() {
	case "tokens":
		out.typ, out.message = "tokens", "Rate limit reached for tokens per min (TPM)."
	case "too_large":
		out.typ, out.noRetry, out.retryAfter = "tokens", true, f.retryAfter(0)
		out.message = "Request too large on tokens per min (TPM): Limit 1000, Requested 100000. The input or output tokens must be reduced in order to run successfully."
	}
	return out
}

func (c *call) serverError(f *FaultSpec) error {
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	switch f.variant() {
	case "html":
		return c.raw(status, "text/html; charset=utf-8", htmlPage(status))
	case "text":
		return c.raw(status, "text/plain", "upstream connect error or disconnect/reset before headers. reset reason: connection termination")
	}
	return c.fail(&failure{kind: failServer, status: status, retryAfter: f.retryAfter(0)})
}

func htmlPage(status int) string {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return "<!DOCTYPE html>\n<html><head><title>" + title + "</title></head>\n<body><center><h1>" + title + "</h1></center><hr><center>simulated proxy</center></body></html>\n"
}

// raw sends a body that is not of the protocol.
func (c *call) raw(status int, contentType, body string) error {
	if err := c.s.waitUntil(c.ctx, c.start.Add(c.pace.head)); err != nil {
		return err
	}
	h := http.Header{"Content-Type": {contentType}, "Content-Length": {strconv.Itoa(len(body))}}
	if c.fault != nil {
		if d := c.fault.retryAfter(0); d > 0 {
			setRetryAfter(h, d)
		}
	}
	c.header(status, h)
	return c.write([]byte(body))
}

// empty sends a head with nothing behind it.
func (c *call) empty() error {
	if err := c.s.waitUntil(c.ctx, c.start.Add(c.pace.head)); err != nil {
		return err
	}
	h := jsonHeader()
	if c.stream {
		h = streamHeader()
	}
	c.header(http.StatusOK, h)
	return nil
}

// hang answers nothing, or nothing but heartbeats.
func (c *call) hang(f *FaultSpec) error {
	if f.variant() != "pings" {
		return c.s.hang(c.ctx)
	}
	h, ping := streamHeader(), c.d.ping()
	if !c.stream {
		h, ping = jsonHeader(), []byte("\n") // white space before the JSON that never comes
	}
	c.header(http.StatusOK, h)
	return c.sleepPings(ping)
}

func midStream(f *FaultSpec) *failure {
	if f.Status == 0 {
		return &failure{kind: failOverloaded}
	}
	return &failure{kind: failureForStatus(f.Status), status: f.Status}
}

// spoil applies the faults that leave an answer with wrong contents.
func (c *call) spoil(r *Reply) {
	f := c.fault
	if f == nil {
		return
	}
	switch {
	case f.Kind == FaultEmpty: // variant choices; the other was acted before
		*r = Reply{Finish: FinishStop, noChoices: true, Usage: Usage{Input: r.Usage.Input}}
		r.reported = r.Usage
	case f.Kind == FaultBadUsage:
		u := &r.reported
		switch f.variant() {
		case "absurd":
			u.Input, u.Output = 1_000_000_000_000_000, 1_000_000_000_000_000
		case "negative":
			u.Input, u.Output = -u.Input, -u.Output
		case "zero":
			*u = Usage{}
		case "cached":
			u.Cached = u.Input + 1000
		case "missing":
			r.noUsage = true
		}
	}
}

// trap is a fault that waits in a stream.
type trap struct {
	kind    FaultKind // "": none
	variant string
	after   int
	fault   *FaultSpec
}

func newTrap(f *FaultSpec, total int) trap {
	if f == nil {
		return trap{}
	}
	t := trap{kind: f.Kind, variant: f.variant(), fault: f}
	switch f.Kind {
	case FaultTruncate, FaultGarbage, FaultMidStreamError, FaultTimeout, FaultReset:
	default:
		return trap{}
	}
	t.after = (total + 1) / 2
	if f.AfterTokens != nil {
		t.after = *f.AfterTokens
	}
	return t
}

// springs reports whether the fault happens in place of the i-th frame, sent
// tokens having been delivered.
func (t *trap) springs(i int, f frame, sent int) bool {
	if t.kind == "" {
		return false
	}
	if t.after == 0 && (t.kind == FaultMidStreamError || t.kind == FaultGarbage) {
		return i == 0
	}
	return sent >= t.after && (f.tokens > 0 || f.tail)
}

// spring acts the fault in place of a frame. done: the request is over; else the
// stream goes on with instead in the frame's place.
func (c *call) spring(t *trap, f frame) (done bool, instead []byte, err error) {
	kind := t.kind
	t.kind = "" // once
	switch kind {
	case FaultTruncate:
		return true, nil, c.breakOff(t.variant)
	case FaultReset:
		c.flush()
		return true, nil, c.reset()
	case FaultTimeout:
		c.flush()
		if t.variant == "pings" {
			return true, nil, c.sleepPings(c.d.ping())
		}
		return true, nil, c.s.hang(c.ctx)
	case FaultMidStreamError:
		return true, nil, c.write(c.d.failureEvent(midStream(t.fault)))
	}
	return false, damage(f.data), nil // garbage
}

// damage cuts a frame's JSON off in the middle, keeping it a whole event.
func damage(data []byte) []byte {
	cut := len(data) * 2 / 3
	out := append([]byte(nil), data[:cut]...)
	return append(out, "\n\n"...)
}
