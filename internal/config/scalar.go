package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time, written as in Go ("250ms", "1m30s") with "d" for
// days of 24 hours in front ("90d", "1d12h"). It is never negative.
type Duration time.Duration

// Std is d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

const day = 24 * time.Hour

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	errForm := errors.New("not a duration; write a number with its unit, such as 250ms, 30s, 10m, 12h or 90d")
	var days, rest time.Duration
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 31)
		if err != nil || time.Duration(n) > math.MaxInt64/day {
			return errForm
		}
		if days, s = time.Duration(n)*day, tail; s == "" {
			*d = Duration(days)
			return nil
		}
	}
	rest, err := time.ParseDuration(s)
	switch {
	case err != nil || strings.HasPrefix(s, "+"):
		return errForm
	case rest < 0 || strings.HasPrefix(s, "-"):
		return errors.New("negative; write a duration such as 30s")
	case rest > math.MaxInt64-days:
		return errForm
	}
	*d = Duration(days + rest)
	return nil
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the duration so that it reads back: "90d", "10m", "1m30s".
func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size is a number of bytes, written "512KiB", "32MiB", "1GiB", "10MB", or as
// a plain number.
type Size int64

var sizeUnits = []struct {
	name string
	n    int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a size.
func (z *Size) UnmarshalText(b []byte) error {
	s := string(b)
	for _, u := range sizeUnits {
		head, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(head), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.n || strings.HasPrefix(head, "+") {
			break
		}
		*z = Size(n * u.n)
		return nil
	}
	return errors.New("not a size; write whole bytes with a unit, such as 512KiB, 32MiB or 1GiB")
}

// MarshalText writes the size as String does.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// String writes the size in the largest binary unit that it is a multiple of.
func (z Size) String() string {
	for _, u := range sizeUnits[:3] {
		if z != 0 && int64(z)%u.n == 0 {
			return strconv.FormatInt(int64(z)/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(z), 10)
}

// Percent is a share from 0 to 1, written "20%" or 0.2.
type Percent float64

// UnmarshalText reads a share.
func (p *Percent) UnmarshalText(b []byte) error {
	s, percent := strings.CutSuffix(string(b), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return errors.New("not a share from 0% to 100%; write 20% or 0.2")
	}
	*p = Percent(f)
	return nil
}

// MarshalText writes the share as String does.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String writes the share in percent if that reads back as the same number, and
// as a fraction otherwise.
func (p Percent) String() string {
	s := strconv.FormatFloat(float64(p)*100, 'f', -1, 64) + "%"
	var q Percent
	if q.UnmarshalText([]byte(s)) == nil && q == p && len(s) < 12 {
		return s
	}
	return strconv.FormatFloat(float64(p), 'f', -1, 64)
}

// HedgeAfter says when a second call goes out: after a percentile of the usual
// time, or after a fixed time. The zero value means never.
type HedgeAfter struct {
	Percentile int      // 1 to 99, or 0
	Delay      Duration // used when Percentile is 0
}

// Off reports whether no second call is ever sent.
func (h HedgeAfter) Off() bool { return h == HedgeAfter{} }

// UnmarshalText reads "off", "p95" or a duration.
func (h *HedgeAfter) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "off" {
		*h = HedgeAfter{}
		return nil
	}
	if p, ok := strings.CutPrefix(s, "p"); ok {
		n, err := strconv.ParseUint(p, 10, 8)
		if err == nil && n >= 1 && n <= 99 {
			*h = HedgeAfter{Percentile: int(n)}
			return nil
		}
	}
	var d Duration
	if err := d.UnmarshalText(b); err != nil || d <= 0 {
		return errors.New("not a time to hedge after; write off, p50 to p99, or a duration such as 800ms")
	}
	*h = HedgeAfter{Delay: d}
	return nil
}

// MarshalText writes the value as String does.
func (h HedgeAfter) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// String writes the value so that it reads back.
func (h HedgeAfter) String() string {
	switch {
	case h.Off():
		return "off"
	case h.Percentile > 0:
		return fmt.Sprintf("p%d", h.Percentile)
	}
	return h.Delay.String()
}
