package sim

import (
	"fmt"
	"time"
)

// DefaultMaxRequests is how many requests a [Server] remembers unless told.
const DefaultMaxRequests = 10_000

// DefaultSeed is the seed when neither the options nor the script give one.
const DefaultSeed = 1

// MaxBody bounds a request body, in bytes; a longer one is answered with 413.
const MaxBody = 64 << 20

// Options say how a [Server] behaves. The zero value answers at once, without
// faults, with a reply that repeats the last user text.
type Options struct {
	Script *Script // rules, see [ParseScript]; nil: none

	// Time for every answer; a rule's own time comes before it, and it comes
	// before the script's. What the fields mean is told at [Timing].
	Latency         time.Duration
	TTFT            time.Duration
	TokensPerSecond float64
	Jitter          float64
	Shape           Shape

	Faults []FaultSpec // looked at after the matched rule's and before the script's
	Seed   uint64      // 0: the script's, else DefaultSeed

	// ReplayDir holds cassettes (*.json, searched recursively). Requests that no
	// rule of the script matches are answered from them.
	ReplayDir string

	// MaxRequests bounds how many requests Requests can tell. 0 means
	// DefaultMaxRequests; negative keeps none (counts and totals go on).
	MaxRequests int

	// Models are what GET /v1/models lists, besides the script's. Any model name
	// is answered, listed or not.
	Models []string

	// Coalesce lets the HTTP server put stream events that are due at the same
	// time into one write. Off, each event is written and flushed by itself, as
	// providers do.
	Coalesce bool
}

func (o Options) timing() Timing {
	return Timing{
		Latency: Duration(o.Latency), TTFT: Duration(o.TTFT),
		TokensPerSecond: o.TokensPerSecond, Jitter: o.Jitter, Shape: o.Shape,
	}
}

func (o Options) validate() error {
	if err := o.timing().validate(); err != nil {
		return fmt.Errorf("sim: options: %w", err)
	}
	for i, f := range o.Faults {
		if err := f.validate(); err != nil {
			return fmt.Errorf("sim: options: fault %d: %w", i+1, err)
		}
	}
	return nil
}
