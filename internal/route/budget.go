package route

import (
	"sync"
	"time"
)

// Budget bounds retries to a share of the requests over a sliding window, so
// that a provider in trouble is never sent much more than its callers ask. A
// few retries are always allowed, for providers with little traffic.
//
// Time is counted in slots. The bound errs on the side of fewer retries: those of
// a little more than the window count against the requests of a little less.
type Budget struct {
	mu       sync.Mutex
	epoch    time.Time
	slot     int64 // the newest slot's number
	requests [budgetSlots + 1]int
	retries  [budgetSlots + 1]int
}

const (
	budgetWindow = 10 * time.Second
	budgetSlots  = 50 // a window; one more is kept, since the newest slot is not over
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
	if !b.left(i, share) {
		return false
	}
	b.retries[i]++
	return true
}

// Left reports whether the share allows one more retry now.
func (b *Budget) Left(now time.Time, share float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left(b.advance(now), share)
}

// left reports whether there is a retry left, the newest slot being at i.
func (b *Budget) left(i int, share float64) bool {
	requests, retries := -b.requests[(i+1)%len(b.requests)], 0 // the oldest is beyond the window
	for s := range b.requests {
		requests += b.requests[s]
		retries += b.retries[s]
	}
	return retries < max(minRetries, int(share*float64(requests)))
}

// advance clears the slots that time has passed and returns the place of the newest.
func (b *Budget) advance(now time.Time) int {
	if b.epoch.IsZero() {
		b.epoch = now
	}
	kept := int64(len(b.requests))
	slot := int64(now.Sub(b.epoch) / (budgetWindow / budgetSlots))
	b.slot = max(b.slot, slot-kept) // all that was is over
	for b.slot < slot {
		b.slot++
		b.requests[b.slot%kept], b.retries[b.slot%kept] = 0, 0
	}
	return int(b.slot % kept)
}
