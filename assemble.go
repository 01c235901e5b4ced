package breakwater

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-llm/breakwater/internal/admit"
	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/observe"
	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/route"
	"github.com/breakwater-llm/breakwater/internal/secret"
	"github.com/breakwater-llm/breakwater/internal/server"
	"github.com/breakwater-llm/breakwater/internal/sim"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	upanthropic "github.com/breakwater-llm/breakwater/internal/upstream/anthropic"
	upmock "github.com/breakwater-llm/breakwater/internal/upstream/mock"
	upopenai "github.com/breakwater-llm/breakwater/internal/upstream/openai"
	wireanthropic "github.com/breakwater-llm/breakwater/internal/wire/anthropic"
	wireopenai "github.com/breakwater-llm/breakwater/internal/wire/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

// DefaultModel is the name that stands for every provider found, in order, each
// with a small model of its own, where no models are configured.
const DefaultModel = config.DefaultModelName

// ErrShutdown is the cause to cancel calls with when the process stops before they
// are over.
var ErrShutdown error = llm.Errorf(llm.KindShutdown, "the gateway is stopping")

// build makes a gateway from a checked configuration.
func build(cfg *config.Config, opts []Option) (*Gateway, error) {
	o := &options{cfg: cfg, values: map[string]string{}, version: "dev"}
	for _, opt := range opts {
		opt(o)
	}
	if len(o.errs) > 0 {
		return nil, o.errs[0]
	}
	if o.resolver == nil {
		o.resolver = secret.NewResolver(secret.Options{})
	}
	if len(cfg.Providers) == 0 {
		return nil, errors.New("no provider: add one with WithProvider, or to the configuration's providers")
	}
	if _, err := cfg.Validate(); err != nil {
		return nil, err
	}
	secrets, err := cfg.ResolveSecrets(o.resolver)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, started: time.Now()}
	providers, err := g.providers(o, secrets)
	if err != nil {
		g.Close()
		return nil, err
	}
	g.router = newRouter(cfg, o, providers)
	keys := newKeys(cfg, secrets)
	g.handler = pipeline.Chain(g.router, stages(o)...)
	g.server = server.New(server.Options{
		Handler: g.handler, OpenAI: wireopenai.New(), Anthropic: wireanthropic.New(), Identify: keys.Identify,
		Models: g.names, Health: func() server.Health { return g.health(o.version) }, Log: o.log,
		MaxBody: int64(cfg.Limits.MaxBody), MaxCalls: cfg.Limits.MaxStreams, WriteTimeout: cfg.Limits.WriteTimeout.Std(),
	})
	return g, nil
}

// stages is the order that every call goes through, outermost first. It is
// written here and nowhere else; the package comment draws it.
func stages(o *options) []pipeline.Stage {
	return append([]pipeline.Stage{
		observe.Stage(observe.Options{Recorder: o.recorder, Log: o.log}),
		pipeline.Door,
		admit.Models(),
	}, append(o.stages, estimateCounts)...)
}

func (g *Gateway) providers(o *options, secrets *config.Secrets) (map[string]*route.Provider, error) {
	out := make(map[string]*route.Provider, len(o.cfg.Providers))
	for _, entry := range o.cfg.Providers {
		name, p := entry.Name, entry.Value
		values := secrets.Providers[name]
		if v := o.values[name]; v != "" {
			values = []secret.Value{secret.New(v)}
		}
		up, err := g.upstream(o, name, p, values)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", name, err)
		}
		rp := &route.Provider{Name: name, Upstream: up, Budget: &route.Budget{}}
		for i, v := range values {
			rp.Keys = append(rp.Keys, &route.Key{ID: fmt.Sprintf("%s#%d", name, i+1), Value: v})
		}
		if len(rp.Keys) == 0 {
			rp.Keys = []*route.Key{{ID: name + "#0"}}
		}
		out[name] = rp
	}
	return out, nil
}

func (g *Gateway) upstream(o *options, name string, p config.Provider, keys []secret.Value) (route.Upstream, error) {
	if p.Type == config.Mock {
		so := sim.Options{MaxRequests: -1}
		if p.Script != "" {
			script, err := sim.LoadScript(p.Script)
			if err != nil {
				return nil, err
			}
			so.Script = script
		}
		srv, err := sim.New(so)
		if err != nil {
			return nil, err
		}
		g.close = append(g.close, func() { _ = srv.Close() })
		return upmock.New(name, srv)
	}
	base := p.BaseURL
	if p.Type == config.Gemini {
		// Gemini is asked through its own OpenAI-compatible endpoint.
		base = strings.TrimSuffix(base, "/") + "/v1beta/openai"
	}
	rt := o.transport
	if rt == nil {
		t := upstream.NewTransport(base)
		g.close = append(g.close, t.CloseIdleConnections)
		rt = t
	}
	kind := upopenai.Kind(base)
	if p.Type == config.Anthropic {
		kind = upanthropic.Kind()
	}
	return upstream.New(upstream.Options{
		Name: name, Kind: kind, BaseURL: base, Transport: rt, UserAgent: "breakwater/" + o.version,
		Scrub: secret.NewScrubber(keys...).ScrubBytes,
	})
}

func newKeys(cfg *config.Config, secrets *config.Secrets) *admit.Keys {
	if cfg.Auth == config.AuthOff || cfg.Auth == config.AuthAuto && len(cfg.Keys) == 0 {
		return admit.Anyone()
	}
	var keys []admit.Key
	for _, k := range cfg.Keys {
		keys = append(keys, admit.Key{ID: k.ID, Secret: secrets.Keys[k.ID].Reveal(), Models: k.Models, Tags: k.Tags})
	}
	return admit.New(keys)
}

func newRouter(cfg *config.Config, opts *options, providers map[string]*route.Provider) *route.Router {
	models := make(map[string]*route.Model, len(cfg.Models))
	for _, entry := range cfg.Models {
		m := routeModel(cfg, entry.Value)
		m.Name = entry.Name
		for _, t := range entry.Value.Targets {
			m.Targets = append(m.Targets, route.Target{Provider: providers[t.Provider], Model: t.Model})
		}
		models[entry.Name] = &m
	}
	o := route.Options{Models: models, Providers: providers, Default: routeModel(cfg, config.DefaultModel())}
	if opts.attempts > 0 {
		o.Default.Retry.Attempts = opts.attempts
	}
	if onlyDefault(cfg) {
		o.Fallback = func(name string) []route.Target { return chainFor(cfg, providers, name) }
	}
	return route.New(o)
}

func routeModel(cfg *config.Config, m config.Model) route.Model {
	unsupported := m.OnUnsupported
	if unsupported == "" {
		unsupported = cfg.OnUnsupported
	}
	t := route.Timeout{
		Connect: m.Timeout.Connect.Std(), FirstToken: m.Timeout.FirstTokenOrDefault().Std(),
		Idle: m.Timeout.Idle.Std(), Total: m.Timeout.Total.Std(),
	}
	if m.Timeout.FirstTokenSet() {
		t.WholeFirst = t.FirstToken
	}
	return route.Model{
		Retry: route.Retry{
			Attempts: m.Retry.Attempts, Backoff: m.Retry.Backoff.Std(), MaxBackoff: m.Retry.MaxBackoff.Std(), Budget: float64(m.Retry.Budget),
		},
		Timeout: t,
		Drop:    unsupported == config.UnsupportedDrop,
	}
}

// onlyDefault reports whether the configuration names no models of its own, so that callers may
// use any name.
func onlyDefault(cfg *config.Config) bool {
	return len(cfg.Models) == 0 || len(cfg.Models) == 1 && cfg.Models[0].Name == DefaultModel
}

// chainFor resolves a model name that nobody configured: the provider whose own
// model it is goes first (else the first of all), asked for just that name; the
// others follow with a small model of theirs.
func chainFor(cfg *config.Config, providers map[string]*route.Provider, name string) []route.Target {
	first := 0
	if owner, ok := config.Owner(name); ok {
		for i, p := range cfg.Providers {
			if p.Value.Type == owner {
				first = i
				break
			}
		}
	}
	var chain, rest []route.Target
	for i, p := range cfg.Providers {
		preset, _ := config.PresetFor(p.Value.Type)
		t := route.Target{Provider: providers[p.Name], Model: preset.Model}
		if i == first && name != DefaultModel {
			t.Model = name
			chain = append(chain, t)
		} else {
			rest = append(rest, t)
		}
	}
	return append(chain, rest...)
}

func splitTarget(s string) (config.Target, error) {
	provider, model, ok := strings.Cut(s, "/")
	if !ok || provider == "" || model == "" {
		return config.Target{}, fmt.Errorf("target %q: write provider/model", s)
	}
	return config.Target{Provider: provider, Model: model, Weight: 1}, nil
}

// names lists what a caller may ask for: the configured models, or, where there are
// none, each provider's default.
func (g *Gateway) names(id pipeline.Identity) []string {
	names := g.cfg.Models.Names()
	if onlyDefault(g.cfg) {
		names = []string{DefaultModel}
		for _, p := range g.cfg.Providers {
			if preset, ok := config.PresetFor(p.Value.Type); ok {
				names = append(names, p.Name+"/"+preset.Model)
			}
		}
	}
	if id.Models == nil {
		return names
	}
	var allowed []string
	for _, n := range names {
		if admit.Allowed(id.Models, n) {
			allowed = append(allowed, n)
		}
	}
	return allowed
}

// contextKey carries what library callers say of a call.
type contextKey struct{}

// WithSession says which conversation the calls made with this context belong to.
func WithSession(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, id)
}
