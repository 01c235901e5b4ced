package breakwatertest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/sim"
)

// TB is what the package needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Provider is a running simulated provider.
type Provider struct {
	tb    TB
	sim   *sim.Server
	http  *httptest.Server
	close sync.Once
}

// NewProvider starts a provider that ends with the test. Options that make no
// sense fail the test at once.
func NewProvider(t TB, opts ...Option) *Provider {
	t.Helper()
	p, err := Start(opts...)
	if err != nil {
		t.Fatalf("breakwatertest: %v", err)
		return nil
	}
	p.tb = t
	t.Cleanup(p.Close)
	return p
}

// Start is NewProvider for where there is no test, such as TestMain. The caller
// closes the provider.
func Start(opts ...Option) (*Provider, error) {
	pl := plan{steps: make([]step, 1)}
	for _, o := range opts {
		if err := o(&pl); err != nil {
			return nil, err
		}
	}
	options, err := pl.options()
	if err != nil {
		return nil, err
	}
	s, err := sim.New(options)
	if err != nil {
		return nil, err
	}
	server := httptest.NewUnstartedServer(s)
	s.Attach(server.Config)
	server.Start()
	return &Provider{sim: s, http: server}, nil
}

// options turns the plan into the simulator's options: a rule for each step.
func (p *plan) options() (sim.Options, error) {
	o := sim.Options{
		Faults: p.faults, Seed: p.seed,
		Latency: time.Duration(p.time.Latency), TTFT: time.Duration(p.time.TTFT), TokensPerSecond: p.time.TokensPerSecond,
	}
	if p.script != nil {
		if len(p.before) > 0 || len(p.steps) > 1 || p.steps[0].used {
			return o, errors.New("a script and options that describe steps do not go together")
		}
		o.Script = p.script
		return o, nil
	}
	o.Script = &sim.Script{}
	next := 1
	add := func(s step, calls int, open bool) {
		from := strconv.Itoa(next)
		next += calls
		call := from + "-" + strconv.Itoa(next-1)
		if open {
			call = from + "-"
		}
		s.rule.Match.Call = sim.Calls(call)
		o.Script.Rules = append(o.Script.Rules, s.rule)
	}
	for _, s := range p.before {
		add(s, s.calls, false)
	}
	for i, s := range p.steps {
		add(s, 1, i == len(p.steps)-1)
	}
	return o, nil
}

// Close ends the provider and all calls that hang in it. NewProvider's closes
// itself.
func (p *Provider) Close() {
	p.close.Do(func() {
		_ = p.sim.Close()
		p.http.CloseClientConnections()
		p.http.Close()
	})
}

// URL is the root of the server, without a slash at its end.
func (p *Provider) URL() string { return p.http.URL }

// OpenAIBaseURL is what OpenAI's SDKs take as base URL.
func (p *Provider) OpenAIBaseURL() string { return p.http.URL + "/v1" }

// AnthropicBaseURL is what Anthropic's SDKs take as base URL.
func (p *Provider) AnthropicBaseURL() string { return p.http.URL }

// Request is a request that the provider received, and what became of it.
type Request struct {
	Method string
	Path   string // with the query
	Header http.Header
	Body   []byte
	At     time.Time
	ConnID uint64 // equal for requests that came by one connection

	Surface string // openai.chat, anthropic.messages, ...
	Model   string
	Stream  bool

	Fault  string // the fault that hit it, one of FaultKinds; "": none
	Status int    // the status sent; 0: none
	Closed bool   // the client left before the answer's end

	InputTokens, OutputTokens int // what a provider would bill for it
}

// JSON is the value at a path of the body, such as "messages.0.content" (the
// syntax is that of github.com/tidwall/gjson): a string as it is, anything else as
// JSON, "" where there is nothing.
func (r Request) JSON(path string) string { return gjson.GetBytes(r.Body, path).String() }

// Requests are the requests received, the oldest first.
func (p *Provider) Requests() []Request {
	list := p.sim.Requests()
	out := make([]Request, len(list))
	for i, r := range list {
		out[i] = Request{
			Method: r.Method, Path: r.Path, Header: r.Header, Body: r.Body, At: r.At, ConnID: r.ConnID,
			Surface: r.Surface, Model: r.Model, Stream: r.Stream,
			Fault: string(r.Fault), Status: r.Status, Closed: r.Closed,
			InputTokens: r.Billed.Input, OutputTokens: r.Billed.Output,
		}
	}
	return out
}

// LastRequest is the latest request; the zero Request if there is none.
func (p *Provider) LastRequest() Request {
	list := p.Requests()
	if len(list) == 0 {
		return Request{}
	}
	return list[len(list)-1]
}

// Calls is the number of requests received.
func (p *Provider) Calls() int { return p.sim.Count() }

// Billed is what a provider would have billed so far, in tokens.
func (p *Provider) Billed() (input, output int) {
	u := p.sim.Billed()
	return u.Input, u.Output
}

// AssertCalls fails the test unless the provider received exactly n requests.
func (p *Provider) AssertCalls(n int) {
	tb := p.test()
	tb.Helper()
	if got := p.Calls(); got != n {
		tb.Errorf("breakwatertest: the provider received %d requests, want %d", got, n)
	}
}

// AssertReceived fails the test unless ok holds for some request received.
func (p *Provider) AssertReceived(ok func(Request) bool) {
	tb := p.test()
	tb.Helper()
	if list := p.Requests(); !slices.ContainsFunc(list, ok) {
		tb.Errorf("breakwatertest: none of the %d requests received is as wanted", len(list))
	}
}

// AssertNotReceived fails the test if bad holds for some request received.
func (p *Provider) AssertNotReceived(bad func(Request) bool) {
	tb := p.test()
	tb.Helper()
	if i := slices.IndexFunc(p.Requests(), bad); i >= 0 {
		tb.Errorf("breakwatertest: request %d is what must not be received", i+1)
	}
}

func (p *Provider) test() TB {
	if p.tb == nil {
		panic("breakwatertest: assertions need a provider made by NewProvider")
	}
	return p.tb
}
