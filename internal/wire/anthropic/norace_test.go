//go:build !race

package anthropic

import "testing"

// The race detector makes pools forget, so allocations are counted without it.

func TestInspectEventAllocatesNothing(t *testing.T) {
	codec := New()
	if n := testing.AllocsPerRun(100, func() { codec.InspectEvent(deltaName, deltaData) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
