package wire

import (
	"net/http"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/llm"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, ms, s string
		want        time.Duration
	}{
		{"none", "", "", -1},
		{"seconds", "", "2", 2 * time.Second},
		{"fraction", "", "0.25", 250 * time.Millisecond},
		{"spaces", "", " 3 ", 3 * time.Second},
		{"zero", "", "0", 0},
		{"ms wins", "660", "9", 660 * time.Millisecond},
		{"ms fraction", "1.5", "", 1500 * time.Microsecond},
		{"azure: ms 0 beside 1 s", "0", "1", time.Second},
		{"ms 0 alone", "0", "", 0},
		{"ms unusable", "-5", "4", 4 * time.Second},
		{"negative", "", "-1", -1},
		{"nan", "", "NaN", -1},
		{"inf", "", "Inf", -1},
		{"overflow", "", "1e400", -1},
		{"absurd", "", "1e300", MaxRetryAfter},
		{"long", "", "90000", MaxRetryAfter},
		{"words", "", "soon", -1},
		{"date", "", "Mon, 23 Nov 2026 12:00:30 GMT", 30 * time.Second},
		{"date in the past", "", "Mon, 23 Nov 2020 12:00:30 GMT", 0},
		{"date far away", "", "Mon, 23 Nov 2099 12:00:30 GMT", MaxRetryAfter},
		{"ms 0 beside a date", "0", "Mon, 23 Nov 2026 12:00:30 GMT", 30 * time.Second},
	} {
		h := http.Header{}
		if tc.ms != "" {
			h.Set("retry-after-ms", tc.ms)
		}
		if tc.s != "" {
			h.Set("retry-after", tc.s)
		}
		if got := RetryAfter(h, now); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1", "2")
	f.Add("-0", "Mon, 23 Nov 2026 12:00:30 GMT")
	f.Fuzz(func(t *testing.T, ms, s string) {
		h := http.Header{"Retry-After-Ms": {ms}, "Retry-After": {s}}
		if d := RetryAfter(h, time.Unix(1e9, 0)); d != -1 && (d < 0 || d > MaxRetryAfter) {
			t.Errorf("%q, %q: %v", ms, s, d)
		}
	})
}

func TestKindOfStatus(t *testing.T) {
	for status, want := range map[int]llm.Kind{
		0: llm.KindBadResponse, 200: llm.KindBadResponse, 302: llm.KindBadResponse, 700: llm.KindBadResponse,
		400: llm.KindInvalidRequest, 401: llm.KindAuthentication, 402: llm.KindQuota, 403: llm.KindPermission,
		404: llm.KindNotFound, 405: llm.KindInvalidRequest, 408: llm.KindTimeout, 409: llm.KindServerError,
		413: llm.KindTooLarge, 422: llm.KindInvalidRequest, 429: llm.KindRateLimit, 498: llm.KindOverloaded,
		500: llm.KindServerError, 502: llm.KindServerError, 503: llm.KindOverloaded, 504: llm.KindTimeout,
		520: llm.KindServerError, 524: llm.KindTimeout, 529: llm.KindOverloaded,
	} {
		if got := KindOfStatus(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}
