package route

import (
	"sync"
	"time"

	"github.com/breakwater-llm/breakwater/llm"
)

// Health is what real traffic says about a provider: a rolling window of
// outcomes and the last of each kind. It costs a few counters.
type Health struct {
	mu       sync.Mutex
	inFlight int
	last     time.Time
	latency  time.Duration // moving average of successful attempts
	model    string
	lastErr  string
	window   [healthSlots]struct{ ok, failed int }
	slotAt   int64
}

const (
	healthWindow = time.Minute
	healthSlots  = 12
	// A provider is degraded from a tenth of attempts failing, unhealthy from half.
	degradedAt  = 0.1
	unhealthyAt = 0.5
	// minFailures in the window make a provider unhealthy: a single one says little.
	minFailures = 3
)

// HealthState is a reading of [Health].
type HealthState struct {
	Status    string // healthy, degraded, unhealthy
	Latency   time.Duration
	Model     string
	Error     string
	ErrorRate float64
	LastCheck time.Time
	InFlight  int
}

func (h *Health) begin() {
	h.mu.Lock()
	h.inFlight++
	h.mu.Unlock()
}

// end counts an attempt. A caller's own mistake, and a caller that left, say nothing about the
// provider but that it answers.
func (h *Health) end(now time.Time, a *llm.Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight--
	if a.Skipped || a.Kind == llm.KindClientClosed || a.Kind == llm.KindShutdown {
		return
	}
	h.advance(now)
	slot := &h.window[h.slotAt%healthSlots]
	h.last, h.model = now, a.Model
	failed := a.Kind != "" && (&llm.Error{Kind: a.Kind, Provider: a.Provider}).Elsewhere()
	if failed {
		slot.failed++
		h.lastErr = string(a.Kind) + ": " + a.Message
		return
	}
	slot.ok++
	h.lastErr = ""
	first := a.FirstToken
	if first == 0 {
		first = a.Latency
	}
	if h.latency == 0 {
		h.latency = first
	} else {
		h.latency += (first - h.latency) / 8
	}
}

func (h *Health) advance(now time.Time) {
	at := now.UnixNano() / int64(healthWindow/healthSlots)
	if h.slotAt == 0 || at-h.slotAt > healthSlots {
		h.slotAt = at - healthSlots
	}
	for h.slotAt < at {
		h.slotAt++
		h.window[h.slotAt%healthSlots] = struct{ ok, failed int }{}
	}
}

// State reads the health.
func (h *Health) State(now time.Time) HealthState {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	var ok, failed int
	for _, s := range h.window {
		ok += s.ok
		failed += s.failed
	}
	st := HealthState{Status: "healthy", Latency: h.latency, Model: h.model, Error: h.lastErr, LastCheck: h.last, InFlight: h.inFlight}
	if n := ok + failed; n > 0 {
		st.ErrorRate = float64(failed) / float64(n)
	}
	switch {
	case st.ErrorRate >= unhealthyAt && h.lastErr != "" && failed >= minFailures:
		st.Status = "unhealthy"
	case st.ErrorRate >= degradedAt:
		st.Status = "degraded"
	}
	return st
}
