package anthropic

import (
	"net/http"
	"strconv"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
)

// limitHeaders are the header names of each limit, in canonical form.
var limitHeaders = []struct{ unit, limit, remaining, reset string }{
	headersOf("requests", "Requests"),
	headersOf("tokens", "Tokens"),
	headersOf("input-tokens", "Input-Tokens"),
	headersOf("output-tokens", "Output-Tokens"),
}

func headersOf(unit, word string) struct{ unit, limit, remaining, reset string } {
	p := "Anthropic-Ratelimit-" + word
	return struct{ unit, limit, remaining, reset string }{unit, p + "-Limit", p + "-Remaining", p + "-Reset"}
}

// Limits reads anthropic-ratelimit-*. Resets are points in time; one in the
// past (1970 for a limit that is untouched) is no wait.
func (codec) Limits(h http.Header, now time.Time) []wire.Limit {
	var out []wire.Limit
	for _, n := range limitHeaders {
		l := wire.Limit{Unit: n.unit, Limit: count(h.Get(n.limit)), Remaining: count(h.Get(n.remaining)), Reset: -1}
		if t, err := time.Parse(time.RFC3339, h.Get(n.reset)); err == nil {
			l.Reset = max(t.Sub(now), 0)
		}
		if l.Limit >= 0 || l.Remaining >= 0 || l.Reset >= 0 {
			out = append(out, l)
		}
	}
	return out
}

func count(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// exhausted reports whether a limit has nothing left.
func exhausted(h http.Header) bool {
	for _, n := range limitHeaders {
		if count(h.Get(n.remaining)) == 0 {
			return true
		}
	}
	return false
}

// SetLimits writes the limits that the protocol has names for. Resets are
// rounded up to the second, so that whoever waits for them waits enough.
func (codec) SetLimits(h http.Header, limits []wire.Limit, now time.Time) {
	for _, l := range limits {
		for _, n := range limitHeaders {
			if n.unit != l.Unit {
				continue
			}
			if l.Limit >= 0 {
				h.Set(n.limit, strconv.FormatInt(l.Limit, 10))
			}
			if l.Remaining >= 0 {
				h.Set(n.remaining, strconv.FormatInt(l.Remaining, 10))
			}
			if l.Reset >= 0 {
				t := now.Add(l.Reset + time.Second - time.Nanosecond).UTC().Truncate(time.Second)
				h.Set(n.reset, t.Format(time.RFC3339))
			}
		}
	}
}
