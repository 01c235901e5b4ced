package sim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Shape is the distribution of waiting times.
type Shape string

// The shapes. With ShapeFixed (the default) a time varies evenly by up to
// ±Jitter of itself; with ShapeLognormal it is log-normal with the told time as
// its mean and Jitter as sigma, which gives the long tail of real providers.
const (
	ShapeFixed     Shape = "fixed"
	ShapeLognormal Shape = "lognormal"
)

// Timing shapes an answer in time. All is counted from the arrival of the
// request: the head of the answer (and a stream's opening events) goes out
// after Latency, the first content after TTFT but never before the head, the
// rest at TokensPerSecond. An answer that is not a stream comes whole when the
// last token of the stream would have come.
type Timing struct {
	Latency         Duration `yaml:"latency"`           // default 0
	TTFT            Duration `yaml:"ttft"`              // default: with the head
	TokensPerSecond float64  `yaml:"tokens_per_second"` // default 0: no pacing
	Jitter          float64  `yaml:"jitter"`            // 0 to 1 (lognormal: to 3); default 0
	Shape           Shape    `yaml:"shape"`             // default fixed
}

func (t Timing) validate() error {
	limit := 1.0
	switch t.Shape {
	case "", ShapeFixed:
	case ShapeLognormal:
		limit = 3
	default:
		return at("shape", "unknown shape %q: use fixed or lognormal", t.Shape)
	}
	switch {
	case t.Latency < 0:
		return at("latency", "is negative")
	case t.TTFT < 0:
		return at("ttft", "is negative")
	case !(t.TokensPerSecond >= 0 && t.TokensPerSecond <= 1e9):
		return at("tokens_per_second", "%v is not a number from 0 to 1e9", t.TokensPerSecond)
	case !(t.Jitter >= 0 && t.Jitter <= limit):
		return at("jitter", "%v is not a number from 0 to %v", t.Jitter, limit)
	}
	return nil
}

// over fills what t leaves open from base.
func (t Timing) over(base Timing) Timing {
	if t.Latency == 0 {
		t.Latency = base.Latency
	}
	if t.TTFT == 0 {
		t.TTFT = base.TTFT
	}
	if t.TokensPerSecond == 0 {
		t.TokensPerSecond = base.TokensPerSecond
	}
	if t.Jitter == 0 {
		t.Jitter = base.Jitter
	}
	if t.Shape == "" {
		t.Shape = base.Shape
	}
	return t
}

// pace turns a Timing into the moments at which things are due.
type pace struct {
	t     Timing
	rng   *rand.Rand
	slow  float64       // multiplies every time; 1 is normal
	start time.Time     // arrival of the request
	head  time.Duration // after start
	due   time.Duration // of the latest content, after start
	first bool          // the first content has been timed
	carry int           // tokens of the first frame that have not been timed
}

func newPace(t Timing, rng *rand.Rand, start time.Time, slow *FaultSpec) *pace {
	p := &pace{t: t, rng: rng, slow: 1, start: start}
	var extra time.Duration
	if slow != nil {
		extra = time.Duration(slow.Delay)
		if slow.Factor > 0 {
			p.slow = slow.Factor
		}
	}
	p.head = p.vary(time.Duration(t.Latency)) + extra
	p.due = p.head
	return p
}

// content reports when the next n tokens are due.
func (p *pace) content(n int) time.Time {
	if !p.first {
		p.first = true
		if ttft := p.vary(time.Duration(p.t.TTFT)); ttft > p.due {
			p.due = ttft
		}
		p.carry = n - 1 // the first frame comes at the time to the first token, however long it is
		return p.start.Add(p.due)
	}
	n += p.carry
	p.carry = 0
	if p.t.TokensPerSecond > 0 && n > 0 {
		p.due += p.vary(time.Duration(float64(n) / p.t.TokensPerSecond * float64(time.Second)))
	}
	return p.start.Add(p.due)
}

func (p *pace) vary(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	f := p.slow
	if j := p.t.Jitter; j > 0 {
		if p.t.Shape == ShapeLognormal {
			f *= math.Exp(j*p.rng.NormFloat64() - j*j/2)
		} else {
			f *= 1 + j*(2*p.rng.Float64()-1)
		}
	}
	v := float64(d) * f
	if v > float64(24*time.Hour) {
		return 24 * time.Hour
	}
	return time.Duration(v)
}

// errClosed: the server was closed while a request waited.
var errClosed = errors.New("sim: server closed")

// waitUntil sleeps until t, or until the request or the server ends.
func (s *Server) waitUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
}

// hang waits until the request or the server ends.
func (s *Server) hang(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
}

// Duration is a time.Duration written as Go writes it: "250ms", "1.5s". A bare
// number other than 0 is refused, because it does not say its unit.
type Duration time.Duration

// UnmarshalYAML reads a duration.
func (d *Duration) UnmarshalYAML(node ast.Node) error {
	v, err := parseDuration(node.GetToken().Value)
	*d = Duration(v)
	return atNode(node, err)
}

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func parseDuration(s string) (time.Duration, error) {
	v, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write a number with its unit, such as 250ms or 2s", s)
	}
	return v, nil
}
