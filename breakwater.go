// Package breakwater is the production layer between an application and its LLM
// providers, as a library: the same pipeline that the breakwater server runs, with no
// server.
//
//	bw, err := breakwater.New(
//		breakwater.WithProvider("openai", breakwater.Provider{Type: "openai", APIKey: key}),
//		breakwater.WithModel("fast", "openai/gpt-4o-mini"),
//	)
//	resp, err := bw.Complete(ctx, &breakwater.Request{Model: "fast", Messages: breakwater.User("Hello")})
//
// A call goes through the stages in this order, and its answer back through them:
//
//	observe   one record and one log line a call, whatever happens below
//	door      calls refused at the door (bad JSON, unknown key) end here
//	admit     what the caller's key may use
//	(stages added with WithStage)
//	count     an estimate, for token counts that no provider offers
//	route     fallback over targets; for each: retry, cooldown, time limits
//	upstream  one attempt at one provider
//
// Nothing starts before New, nothing is global, and two gateways in one process
// do not meet.
package breakwater

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/route"
	"github.com/breakwater-llm/breakwater/internal/secret"
	"github.com/breakwater-llm/breakwater/internal/server"
	"github.com/breakwater-llm/breakwater/llm"
)

// The vocabulary of package llm, under the names that library users need most.
type (
	Request  = llm.Request
	Message  = llm.Message
	Part     = llm.Part
	Tool     = llm.Tool
	Response = llm.Response
	Event    = llm.Event
	Usage    = llm.Usage
	Error    = llm.Error
)

// The shapes of the pipeline, for stages of one's own.
type (
	Call        = pipeline.Call
	Answer      = pipeline.Answer
	AnswerEvent = pipeline.Event // what Answer.Next returns
	Handler     = pipeline.Handler
	HandlerFunc = pipeline.HandlerFunc
	Stage       = pipeline.Stage
	Record      = pipeline.Record
	Recorder    = pipeline.Recorder
)

// User is a conversation of one message: what the user says.
func User(text string) []Message {
	return []Message{{Role: llm.RoleUser, Parts: []Part{{Type: llm.PartText, Text: text}}}}
}

// Gateway is a configured pipeline. It is safe for concurrent use.
type Gateway struct {
	cfg     *config.Config
	router  *route.Router
	handler pipeline.Handler
	server  *server.Server
	close   []func()
	started time.Time
}

// Option configures [New].
type Option func(*options)

type options struct {
	cfg       *config.Config
	log       *slog.Logger
	recorder  pipeline.Recorder
	stages    []pipeline.Stage
	transport http.RoundTripper
	resolver  *secret.Resolver
	values    map[string]string // keys given in code, by provider
	version   string
	attempts  int
	errs      []error
}

// Provider is one provider account, for [WithProvider].
type Provider struct {
	Type    string // openai, anthropic, gemini, mistral, groq, deepseek, openrouter, mock
	BaseURL string // "": the provider's public address
	APIKey  string // "": none is sent
}

// WithProvider adds a provider under a name.
func WithProvider(name string, p Provider) Option {
	return func(o *options) {
		cp := config.Provider{Type: config.ProviderType(p.Type), BaseURL: p.BaseURL}
		if preset, ok := config.PresetFor(cp.Type); ok && cp.BaseURL == "" {
			cp.BaseURL = preset.BaseURL
		}
		cp.APIKey.None = true
		o.values[name] = p.APIKey
		o.cfg.Providers.Set(name, cp)
	}
}

// WithModel gives a model name its targets, each as provider/model, in order of
// preference.
func WithModel(name string, targets ...string) Option {
	return func(o *options) {
		m := config.DefaultModel()
		for _, t := range targets {
			target, err := splitTarget(t)
			if err != nil {
				o.errs = append(o.errs, err)
				continue
			}
			m.Targets = append(m.Targets, target)
		}
		o.cfg.Models.Set(name, m)
	}
}

// WithRetries sets how often a target is tried in one call, the first time included,
// for model names that [WithModel] does not set up. The default is 2.
func WithRetries(attempts int) Option { return func(o *options) { o.attempts = attempts } }

// WithLogger sends log lines, one a call, to log. Without it nothing is logged.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithRecorder hands the record of each call to r before its answer is complete.
func WithRecorder(r Recorder) Option { return func(o *options) { o.recorder = r } }

// WithStage adds a stage of one's own, inside those that were added before.
func WithStage(s Stage) Option { return func(o *options) { o.stages = append(o.stages, s) } }

// WithTransport replaces the network towards providers.
func WithTransport(rt http.RoundTripper) Option { return func(o *options) { o.transport = rt } }

// WithVersion sets the version that /health and the User-Agent tell.
func WithVersion(v string) Option { return func(o *options) { o.version = v } }

// New makes a gateway from options.
func New(opts ...Option) (*Gateway, error) {
	return build(config.Default(), opts)
}

// FromConfig makes a gateway from a configuration file.
func FromConfig(path string, opts ...Option) (*Gateway, error) {
	cfg, _, err := config.Load(path, config.LoadOptions{})
	if err != nil {
		return nil, err
	}
	return build(cfg, opts)
}

// FromLoaded makes a gateway from a configuration that was loaded and checked
// before; it is for programs of this module.
func FromLoaded(cfg *config.Config, opts ...Option) (*Gateway, error) { return build(cfg, opts) }

// Complete asks for a whole answer. Errors are *Error.
func (g *Gateway) Complete(ctx context.Context, r *Request) (*Response, error) {
	var col llm.Collector
	for ev, err := range g.events(ctx, r, false) {
		if err != nil {
			return nil, err
		}
		col.Add(ev)
	}
	return col.Response(), nil
}

// Stream asks for an answer event by event. The last event is an llm.EventEnd; an error ends
// the sequence. Leaving the loop early cancels the call.
func (g *Gateway) Stream(ctx context.Context, r *Request) iter.Seq2[Event, error] {
	return g.events(ctx, r, true)
}

func (g *Gateway) events(ctx context.Context, r *Request, stream bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ans, err := g.handler.Handle(ctx, nativeCall(ctx, r, stream))
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer ans.Close()
		for {
			ev, err := ans.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for i := range ev.Deltas {
				if !yield(ev.Deltas[i], nil) {
					return
				}
			}
		}
	}
}

func nativeCall(ctx context.Context, r *Request, stream bool) *Call {
	c := &Call{ID: server.NewID(), Op: pipeline.OpGenerate, Surface: llm.Native, Model: r.Model, Stream: stream}
	if c.Model == "" {
		c.Model = DefaultModel
	}
	c.Record = &pipeline.Record{
		RequestID: c.ID, Surface: c.Surface, Op: c.Op, RequestedModel: c.Model, Stream: stream, Start: time.Now(), Cache: "bypass",
	}
	if id, ok := ctx.Value(contextKey{}).(string); ok {
		c.Session, c.Record.Session = id, id
	}
	c.SetRequest(r)
	return c
}

// Handler is the HTTP surface, to mount anywhere.
func (g *Gateway) Handler() http.Handler { return g.server }

// Drain refuses new calls over HTTP and waits until those in flight are over, or ctx is done.
// It reports whether all are over.
func (g *Gateway) Drain(ctx context.Context) bool { return g.server.Drain(ctx.Done()) }

// Close releases connections and simulators. Calls must be over.
func (g *Gateway) Close() error {
	for i := len(g.close) - 1; i >= 0; i-- {
		g.close[i]()
	}
	g.close = nil
	return nil
}
