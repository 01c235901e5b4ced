package wire

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter bounds every wait that a provider may tell. A longer one is cut
// to it: a day is as good as never for a call that somebody waits for.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter reads how long a provider asks to wait from the headers of its
// answer: retry-after-ms (milliseconds, fractions allowed), then retry-after
// (seconds, fractions allowed, or an HTTP date, which is measured from now). It
// returns -1 if neither tells a usable time: negative numbers, NaN, infinities
// and what cannot be read do not count. A date in the past means no wait.
// Waits are cut to [MaxRetryAfter].
//
// A retry-after-ms of 0 beside a retry-after (Azure sends both) is not
// believed: the longer one is meant.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	ms := headerNumber(h, "Retry-After-Ms", time.Millisecond)
	if ms > 0 {
		return ms
	}
	if s := headerNumber(h, "Retry-After", time.Second); s >= 0 {
		return s
	}
	if t, err := http.ParseTime(strings.TrimSpace(h.Get("Retry-After"))); err == nil {
		return max(0, min(t.Sub(now), MaxRetryAfter))
	}
	return ms
}

// headerNumber reads a non-negative number of units, or -1.
func headerNumber(h http.Header, name string, unit time.Duration) time.Duration {
	v := strings.TrimSpace(h.Get(name))
	if v == "" {
		return -1
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil && !math.IsInf(f, 1) {
		return -1
	}
	return Wait(f, unit)
}

// Wait is n units of time, cut to [MaxRetryAfter]; -1 if n is negative, NaN or
// infinite.
func Wait(n float64, unit time.Duration) time.Duration {
	switch {
	case math.IsNaN(n), math.IsInf(n, 0), n < 0:
		return -1
	case n > float64(MaxRetryAfter)/float64(unit):
		return MaxRetryAfter
	}
	return time.Duration(n * float64(unit))
}
