package route

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/secret"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/llm"
)

// Upstream sends a call once.
type Upstream interface {
	Do(ctx context.Context, c *pipeline.Call, s *upstream.Send) (pipeline.Answer, error)
	Offers(op pipeline.Op) bool
	Host() string
}

// Target is a model at a provider.
type Target struct {
	Provider *Provider
	Model    string // "" asks for the model that the caller named
}

// Model is a name callers use, and what stands behind it.
type Model struct {
	Name    string
	Targets []Target
	Retry   Retry
	Timeout Timeout
	// Drop: request members that a target's protocol cannot say are left out
	// rather than refused.
	Drop bool
}

// Retry says how often and when a target is tried again.
type Retry struct {
	Attempts   int           // tries per target, the first included
	Backoff    time.Duration // before the first retry; doubles, with full jitter
	MaxBackoff time.Duration // also the longest wait that a provider's Retry-After is given
	Budget     float64       // retries per request over the last ten seconds
}

// Timeout bounds a call. First token and idle are fed by content only.
type Timeout struct {
	Connect    time.Duration
	FirstToken time.Duration // of a stream: until the first content
	Idle       time.Duration // of a stream: between two pieces of content
	// Total bounds a whole answer, all attempts included, and a stream until
	// its first content; a stream that flows is not cut.
	Total time.Duration
	// WholeFirst bounds one attempt at a whole answer. 0: an attempt gets
	// an equal share of what is left of Total among the targets left.
	WholeFirst time.Duration
}

// Key is one credential for a provider.
type Key struct {
	ID    string // as records show it: the provider's name and the key's place
	Value secret.Value

	mu       sync.Mutex
	disabled time.Time           // not to be used before, on any model
	why      llm.Kind            // of disabled
	cooling  map[string]cooldown // by model
}

type cooldown struct {
	until time.Time
	why   llm.Kind
}

// maxCooling bounds the models remembered per key: names come from callers.
const maxCooling = 1024

// Cool keeps the key from being used for the model until then. A cooldown only
// grows: a shorter one never replaces a longer.
func (k *Key) Cool(model string, until time.Time, why llm.Kind, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cooling == nil {
		k.cooling = map[string]cooldown{}
	}
	c, ok := k.cooling[model]
	if !ok && !k.room(now) {
		return
	}
	if until.After(c.until) {
		k.cooling[model] = cooldown{until, why}
	}
}

// room makes room for one more cooldown where those that are over leave some.
func (k *Key) room(now time.Time) bool {
	if len(k.cooling) < maxCooling {
		return true
	}
	maps.DeleteFunc(k.cooling, func(_ string, c cooldown) bool { return !c.until.After(now) })
	return len(k.cooling) < maxCooling
}

// Disable keeps the key from being used at all until then.
func (k *Key) Disable(until time.Time, why llm.Kind) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if until.After(k.disabled) {
		k.disabled, k.why = until, why
	}
}

// Blocked tells how long the key must rest before the model may be asked for
// with it, and why. Zero: it may be used.
func (k *Key) Blocked(model string, now time.Time) (time.Duration, llm.Kind) {
	k.mu.Lock()
	defer k.mu.Unlock()
	wait, why := max(k.disabled.Sub(now), 0), k.why
	if c, ok := k.cooling[model]; ok {
		if d := c.until.Sub(now); d > wait {
			wait, why = d, c.why
		}
	}
	if wait == 0 {
		return 0, ""
	}
	return wait, why
}

// Provider is a configured provider with its state. The state outlives
// configuration snapshots.
type Provider struct {
	Name     string
	Upstream Upstream
	Keys     []*Key // never empty; a provider without a key has one with an empty value
	Budget   *Budget
	Health   Health

	turn atomic.Uint32
}

// pick takes the next usable key for the model, in turn, but for those spent. If there
// is none, it tells how long until one is usable again, and why it is not.
func (p *Provider) pick(model string, now time.Time, spent map[*Key]bool) (key *Key, wait time.Duration, why llm.Kind) {
	return p.find(int(p.turn.Add(1)%uint32(len(p.Keys))), model, now, spent)
}

// find is pick without taking a turn: it looks from the given place on.
func (p *Provider) find(start int, model string, now time.Time, spent map[*Key]bool) (key *Key, wait time.Duration, why llm.Kind) {
	for i := range p.Keys {
		k := p.Keys[(start+i)%len(p.Keys)]
		if spent[k] {
			continue
		}
		d, w := k.Blocked(model, now)
		if d == 0 {
			return k, 0, ""
		}
		if wait == 0 || d < wait {
			wait, why = d, w
		}
	}
	return nil, wait, why
}
