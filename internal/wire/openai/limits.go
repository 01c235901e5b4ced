package openai

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
)

// limitHeaders are the names under which providers tell a limit, best first for each
// unit: OpenAI and most; Mistral's by the minute, new and old; Together's and OpenRouter's
// without a unit.
var limitHeaders = []struct{ unit, limit, remaining, reset string }{
	{"requests", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
	{"tokens", "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	{"requests", "X-Ratelimit-Limit-Req-Minute", "X-Ratelimit-Remaining-Req-Minute", ""},
	{"tokens", "X-Ratelimit-Limit-Tokens-Minute", "X-Ratelimit-Remaining-Tokens-Minute", ""},
	{"tokens", "X-Ratelimitbysize-Limit-Minute", "X-Ratelimitbysize-Remaining-Minute", "Ratelimitbysize-Reset"},
	{"requests", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
}

func (codec) Limits(h http.Header, now time.Time) []wire.Limit {
	var out []wire.Limit
	var seen map[string]bool
	for _, names := range limitHeaders {
		if h[names.limit] == nil && h[names.remaining] == nil {
			continue
		}
		if seen == nil {
			seen = make(map[string]bool, 2)
		}
		l := wire.Limit{
			Unit: names.unit, Limit: limitNumber(h.Get(names.limit)), Remaining: limitNumber(h.Get(names.remaining)),
			Reset: limitReset(h.Get(names.reset), now),
		}
		if seen[l.Unit] || l.Limit < 0 && l.Remaining < 0 {
			continue
		}
		seen[l.Unit] = true
		out = append(out, l)
	}
	return out
}

// limitNumber reads a count, or -1.
func limitNumber(v string) int64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 1<<53 {
		return -1
	}
	return int64(f)
}

// limitReset reads the time until a limit is whole again: a Go duration ("8m38.4s", OpenAI,
// Groq), seconds (Azure, Together), or a point in time as Unix seconds or milliseconds
// (OpenRouter). Or -1.
func limitReset(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return -1
	}
	if d, err := time.ParseDuration(v); err == nil && v != "0" {
		if d < 0 {
			return -1
		}
		return d
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return -1
	}
	switch {
	case f >= 1e11 && f < 1e15:
		return max(0, time.UnixMilli(int64(f)).Sub(now))
	case f >= 1e9 && f < 1e11:
		return max(0, time.Unix(int64(f), 0).Sub(now))
	}
	return wire.Wait(f, time.Second)
}

// SetLimits writes limits on requests and tokens under OpenAI's names, resets as it
// does ("6ms", "1.5s", "8m38.4s"). Other units have no name there.
func (codec) SetLimits(h http.Header, limits []wire.Limit, _ time.Time) {
	for _, l := range limits {
		var unit string
		switch l.Unit {
		case "requests":
			unit = "Requests"
		case "tokens":
			unit = "Tokens"
		default:
			continue
		}
		if l.Limit >= 0 {
			h.Set("X-Ratelimit-Limit-"+unit, strconv.FormatInt(l.Limit, 10))
		}
		if l.Remaining >= 0 {
			h.Set("X-Ratelimit-Remaining-"+unit, strconv.FormatInt(l.Remaining, 10))
		}
		if l.Reset >= 0 {
			h.Set("X-Ratelimit-Reset-"+unit, roundUp(l.Reset).String())
		}
	}
}

// roundUp rounds to whole milliseconds, up: a client must not come back too early.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
