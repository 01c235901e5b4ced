package route

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

// Options make a [Router].
type Options struct {
	Models    map[string]*Model    // configured names
	Providers map[string]*Provider // for provider/model names
	// Default applies to names that are not configured models: its Retry, Timeout and Drop.
	Default Model
	// Fallback, if set, resolves names that nothing else does.
	Fallback func(name string) []Target
	// Random gives numbers in [0, 1) for jitter; nil uses math/rand/v2.
	Random func() float64
}

// Router answers calls by asking targets.
type Router struct {
	models    map[string]*Model
	providers map[string]*Provider
	def       Model
	fallback  func(string) []Target
	random    func() float64
}

// New makes a router.
func New(o Options) *Router {
	r := &Router{models: o.Models, providers: o.Providers, def: o.Default, fallback: o.Fallback, random: o.Random}
	if r.random == nil {
		r.random = rand.Float64
	}
	return r
}

// maxChain bounds a comma-separated chain of models.
const maxChain = 16

// Resolve finds what stands behind a name that a caller gave: a configured model, provider/model, or a
// comma-separated chain of those.
func (r *Router) Resolve(name string) (*Model, *llm.Error) {
	if m, ok := r.models[name]; ok {
		return m, nil
	}
	if !strings.Contains(name, ",") {
		targets, err := r.one(name)
		if err != nil {
			return nil, err
		}
		m := r.def
		m.Name, m.Targets = name, targets
		return &m, nil
	}
	parts := strings.SplitN(name, ",", maxChain+1)
	if len(parts) > maxChain {
		return nil, llm.Invalid("model", "model: a chain has at most %d members", maxChain)
	}
	chain := r.def
	chain.Name, chain.Targets = name, nil
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if m, ok := r.models[part]; ok {
			if i == 0 {
				chain.Retry, chain.Timeout, chain.Drop = m.Retry, m.Timeout, m.Drop
			}
			chain.add(m.Targets)
			continue
		}
		targets, err := r.one(part)
		if err != nil {
			return nil, err
		}
		chain.add(targets)
	}
	return &chain, nil
}

// add appends the targets that are not there yet: who names one twice does not
// have it tried twice as often.
func (m *Model) add(targets []Target) {
	for _, t := range targets {
		if !slices.Contains(m.Targets, t) {
			m.Targets = append(m.Targets, t)
		}
	}
}

func (r *Router) one(name string) ([]Target, *llm.Error) {
	if provider, model, ok := strings.Cut(name, "/"); ok && model != "" {
		if p := r.providers[provider]; p != nil {
			return []Target{{Provider: p, Model: model}}, nil
		}
	}
	if r.fallback != nil && name != "" {
		if t := r.fallback(name); len(t) > 0 {
			return t, nil
		}
	}
	return nil, r.unknown(name)
}

// Names lists what callers may ask for, configured models first.
func (r *Router) Names() []string {
	names := make([]string, 0, len(r.models))
	for n := range r.models {
		names = append(names, n)
	}
	return slices.Sorted(slices.Values(names))
}

// Providers lists the providers, by name.
func (r *Router) Providers() []*Provider {
	names := make([]string, 0, len(r.providers))
	for n := range r.providers {
		names = append(names, n)
	}
	out := make([]*Provider, 0, len(names))
	for _, n := range slices.Sorted(slices.Values(names)) {
		out = append(out, r.providers[n])
	}
	return out
}

// Handle answers the call from the first target that can. The answer has
// content: it is committed.
func (r *Router) Handle(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
	m, lerr := r.Resolve(c.Model)
	if lerr != nil {
		return nil, lerr
	}
	run := &run{r: r, c: c, m: m, start: time.Now()}
	total := m.Timeout.Total
	if c.Timeout > 0 && (total == 0 || c.Timeout < total) {
		total = c.Timeout
	}
	run.ctx = ctx
	if total > 0 {
		run.deadline = run.start.Add(total)
	}
	if d, ok := ctx.Deadline(); ok && (run.deadline.IsZero() || d.Before(run.deadline)) {
		run.deadline = d
	}
	return run.answer()
}

// unknown is the error for a name that nothing stands behind, with the nearest that exist.
func (r *Router) unknown(name string) *llm.Error {
	name = clip(name)
	known := r.Names()
	for _, p := range r.Providers() {
		known = append(known, p.Name+"/...")
	}
	slices.SortStableFunc(known, func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
	hint := ""
	if len(known) > 0 {
		hint = "; known: " + strings.Join(known[:min(len(known), 5)], ", ")
	}
	e := llm.Errorf(llm.KindNotFound, "no model %q%s", name, hint)
	e.Param = "model"
	return e
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}
