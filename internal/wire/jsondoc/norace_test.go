//go:build !race

package jsondoc

import "testing"

const raceEnabled = false

func TestParseAllocations(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shape *Shape
		want  float64
	}{
		{"all names known", chatShape(), 2}, // the Doc and its members
		{"no name known", nil, 3},           // and the names
	} {
		src := chatBody(1 << 10)
		got := testing.AllocsPerRun(100, func() {
			if _, err := Parse(src, tt.shape); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.want {
			t.Errorf("%s: %v allocations", tt.name, got)
		}
	}
}
