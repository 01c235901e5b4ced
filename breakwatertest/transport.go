package breakwatertest

import (
	"net/http"

	"github.com/breakwater-llm/breakwater/internal/sim"
)

// NewTransport is a provider without a server: an http.RoundTripper that answers
// requests to any host in this process. Inside a testing/synctest bubble its
// delays pass in the bubble's time.
func NewTransport(t TB, opts ...Option) http.RoundTripper {
	t.Helper()
	pl := plan{steps: make([]step, 1)}
	for _, o := range opts {
		if err := o(&pl); err != nil {
			t.Fatalf("breakwatertest: %v", err)
			return nil
		}
	}
	options, err := pl.options()
	if err == nil {
		var s *sim.Server
		if s, err = sim.New(options); err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s.RoundTripper()
		}
	}
	t.Fatalf("breakwatertest: %v", err)
	return nil
}
