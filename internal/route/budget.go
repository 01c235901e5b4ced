package route

import (
	"sync"
	"time"
)

// Budget bounds retries to a share of the requests over a sliding window, so
// that a provider in trouble is never sent much more than its callers ask. A
// few retries are always allowed, for providers with little traffic.
type Budget struct {
	mu       sync.Mutex
	epoch    time.Time
	slot     int64 // the newest slot's number
	requests [budgetSlots]int
	retries  [budgetSlots]int
}

const (
	budgetWindow = 10 * time.Second
	budgetSlots  = 50
	// minRetries are allowed in a window whatever its traffic: one a second.
	minRetries = 10
)

// Request counts a first attempt.
func (b *Budget) Request(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests[b.advance(now)]++
}

// Retry counts a retry if the share allows one more, and reports whether it does.
func (b *Budget) Retry(now time.Time, share float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.advance(now)
	var requests, retries int
	for s := range budgetSlots {
		requests += b.requests[s]
		retries += b.retries[s]
	}
	if retries+1 > max(minRetries, int(share*float64(requests))) {
		return false
	}
	b.retries[i]++
	return true
}

// advance clears the slots that time has passed and returns the current one.
func (b *Budget) advance(now time.Time) int {
	if b.epoch.IsZero() {
		b.epoch = now
	}
	slot := int64(now.Sub(b.epoch) / (budgetWindow / budgetSlots))
	for ; b.slot < slot; b.slot++ {
		if slot-b.slot > budgetSlots {
			b.slot = slot - budgetSlots
		}
		i := (b.slot + 1) % budgetSlots
		b.requests[i], b.retries[i] = 0, 0
	}
	return int(b.slot % budgetSlots)
}
