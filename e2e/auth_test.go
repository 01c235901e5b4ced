package e2e

import (
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// TestRequiredWithoutKeys: auth: required lets nobody in while there are no keys, on loopback too.
func TestRequiredWithoutKeys(t *testing.T) {
	g := testkit.Start(t, "auth: required\nproviders:\n  sim: {type: mock}\n")
	for _, s := range surfaces {
		r := g.Post(t, s.path, s.request("sim/x", false))
		if _, code, _ := s.errorOf(t, r.Body); r.Status != 401 || code != "invalid_api_key" {
			t.Errorf("%s: %d %s", s.name, r.Status, code)
		}
	}
}
