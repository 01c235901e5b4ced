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

// TestModelByName: a model is found by its name, its slash escaped or not.
func TestModelByName(t *testing.T) {
	g := testkit.Start(t, "providers:\n  sim: {type: mock}\n")
	for path, status := range map[string]int{
		"/v1/models/default": 200, "/v1/models/sim/mock": 200, "/v1/models/sim%2Fmock": 200, "/v1/models/sim%2fmock": 200,
		"/v1/models/sim%2F..%2Fsim%2Fmock": 404, "/v1/models/sim%252Fmock": 404, "/v1%2Fmodels/default": 404, "/v1/models/none": 404,
	} {
		r, err := g.Do(t.Context(), "GET", path, "")
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != status {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
}
