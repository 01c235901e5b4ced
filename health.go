package breakwater

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/server"
	"github.com/breakwater-llm/breakwater/llm"
)

// health is the body of /health, from what real traffic met.
func (g *Gateway) health(version string) server.Health {
	now := time.Now()
	h := server.Health{Status: "healthy", Version: version, UptimeS: int64(now.Sub(g.started).Seconds()), Providers: map[string]server.ProviderHealth{}}
	bad := 0
	providers := g.router.Providers()
	for _, p := range providers {
		st := p.Health.State(now)
		ph := server.ProviderHealth{Status: st.Status, Model: st.Model, Error: st.Error, ErrorRate: st.ErrorRate, Breaker: "closed", InFlight: st.InFlight}
		if st.Latency > 0 {
			ms := float64(st.Latency.Microseconds()) / 1000
			ph.LatencyMS = &ms
		}
		if !st.LastCheck.IsZero() {
			ph.LastCheck = st.LastCheck.UTC().Format(time.RFC3339)
		}
		if st.Status == "unhealthy" {
			bad++
		}
		if st.Status != "healthy" {
			h.Status = "degraded"
		}
		h.Providers[p.Name] = ph
	}
	if bad == len(providers) {
		h.Status = "unhealthy"
	}
	return h
}

// ProbeResult is what a provider answered to a one-token call.
type ProbeResult struct {
	Provider  string  `json:"provider"`
	Status    string  `json:"status"` // healthy or unhealthy
	LatencyMS float64 `json:"latency_ms"`
	Model     string  `json:"model"`
	Error     string  `json:"error,omitempty"` // the kind of failure and what to do, never a key or a URL
}

// probeTimeout bounds one probe.
const probeTimeout = 30 * time.Second

// Probe asks every provider for one token, all at once, once each, through the same
// pipeline as any call.
func (g *Gateway) Probe(ctx context.Context) []ProbeResult {
	results := make([]ProbeResult, len(g.cfg.Providers))
	var wg sync.WaitGroup
	for i, p := range g.cfg.Providers {
		wg.Go(func() { results[i] = g.probe(ctx, p.Name, g.probeModel(p)) })
	}
	wg.Wait()
	return results
}

// probeModel is a model to probe a provider with: the first that the
// configuration asks of it, else its kind's default.
func (g *Gateway) probeModel(p config.Entry[config.Provider]) string {
	for _, m := range g.cfg.Models {
		for _, t := range m.Value.Targets {
			if t.Provider == p.Name {
				return t.Model
			}
		}
	}
	preset, _ := config.PresetFor(p.Value.Type)
	return preset.Model
}

// probeTokens is the answer asked of a model: one token, but for models that think first, which refuse
// so little or use it up unseen.
func probeTokens(model string) int {
	for _, thinks := range []string{"o1", "o3", "o4", "gpt-5", "gpt-6"} {
		if strings.HasPrefix(model, thinks) {
			return 16
		}
	}
	return 1
}

func (g *Gateway) probe(ctx context.Context, provider, model string) ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	limit := probeTokens(model)
	r := &Request{Messages: User("Reply with: ok"), MaxTokens: &limit}
	c := nativeCall(ctx, r, false)
	c.Model = provider + "/" + model
	c.Record.RequestedModel, c.Record.KeyID = c.Model, "health"
	c.Tries = 1
	res := ProbeResult{Provider: provider, Status: "healthy", Model: model}
	start := time.Now()
	err := run(ctx, g.handler, c)
	res.LatencyMS = float64(time.Since(start).Microseconds()) / 1000
	if err != nil {
		res.Status = "unhealthy"
		res.Error = llm.AsError(err).Summary()
		if n := len(c.Record.Attempts); n > 0 {
			res.Error = string(c.Record.Attempts[n-1].Kind) + ": " + c.Record.Attempts[n-1].Message
		}
	}
	return res
}

// run drives a call to its end and forgets the answer.
func run(ctx context.Context, h pipeline.Handler, c *Call) error {
	ans, err := h.Handle(ctx, c)
	if err != nil {
		return err
	}
	defer ans.Close()
	for {
		ev, err := ans.Next()
		if err != nil {
			return err
		}
		if ev.Final {
			return nil
		}
	}
}
