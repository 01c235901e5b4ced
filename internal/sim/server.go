package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a simulated provider. It is an http.Handler; its methods may be
// called at any time, from any goroutine.
type Server struct {
	opts   Options
	rules  []*rule
	timing Timing // options over script
	faults [][]FaultSpec
	seed   uint64
	models []string
	replay *replay
	start  time.Time

	seq       atomic.Uint64
	log       requestLog
	conns     connLog
	closeOnce sync.Once
	closed    chan struct{}
}

// New makes a server. It starts nothing and listens nowhere.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	rules, err := o.Script.compile()
	if err != nil {
		return nil, fmt.Errorf("sim: script: %w", err)
	}
	s := &Server{opts: o, rules: rules, seed: o.Seed, start: time.Now(), closed: make(chan struct{})}
	s.timing = o.timing()
	s.faults = [][]FaultSpec{nil, slices.Clone(o.Faults)}
	s.models = slices.Clone(o.Models)
	if sc := o.Script; sc != nil {
		s.timing = s.timing.over(sc.Time)
		s.faults = append(s.faults, slices.Clone(sc.Faults))
		s.models = append(s.models, sc.Models...)
		if s.seed == 0 {
			s.seed = sc.Seed
		}
	}
	if s.seed == 0 {
		s.seed = DefaultSeed
	}
	s.models = modelList(s.models, rules)
	if o.ReplayDir != "" {
		if s.replay, err = loadReplay(o.ReplayDir); err != nil {
			return nil, err
		}
	}
	switch {
	case o.MaxRequests == 0:
		s.log.max = DefaultMaxRequests
	case o.MaxRequests > 0:
		s.log.max = o.MaxRequests
	}
	return s, nil
}

// modelList is what GET /v1/models lists: what was told, else the exact names in
// the rules, else one name of the simulator's own.
func modelList(told []string, rules []*rule) []string {
	for _, r := range rules {
		if m := r.spec.Match.Model; m != "" && !strings.Contains(m, "*") {
			told = append(told, m)
		}
	}
	if len(told) == 0 {
		told = []string{"simulated"}
	}
	slices.Sort(told)
	return slices.Compact(told)
}

// Close cuts off all requests that wait, now or later: hanging, delayed and paced
// ones. What needs no waiting is still answered. It is safe to call twice.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	return nil
}

// errAbort: the connection must be closed without a proper end of the answer.
var errAbort = errors.New("sim: abort")

// call is one request in work.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	ctx   context.Context
	rng   *rand.Rand
	body  []byte
	rec   *Request
	start time.Time
	id    string // request id
	d     dialect
	fault *FaultSpec
	pace  *pace
	cut   int // see ReplySpec.Cut

	stream bool // the request asks for a stream
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.seq.Add(1)
	c := &call{s: s, w: w, r: r, ctx: r.Context(), rng: rngFor(s.seed, n), start: time.Now()}
	c.id = (&ids{c.rng}).make("req_01", 22)
	body, bad := readBody(r)
	c.body = body
	c.rec = s.log.begin(r, body, n, c.start)
	err := c.serve(bad)
	s.log.finish(c.rec, err != nil && c.ctx.Err() != nil)
	if errors.Is(err, errAbort) || errors.Is(err, errClosed) {
		panic(http.ErrAbortHandler)
	}
}

// Paths that the simulator answers, without their leading /v1.
const (
	pathChat        = "/chat/completions"
	pathMessages    = "/messages"
	pathCountTokens = "/messages/count_tokens"
	pathModels      = "/models"
)

// protocols are the generating endpoints.
var protocols = map[string]protocol{
	pathChat:     openaiChat{},
	pathMessages: anthropicMessages{},
}

func (c *call) serve(bad *failure) error {
	path := c.r.URL.Path
	if path != "/v1" {
		path = strings.TrimPrefix(path, "/v1/")
	}
	path = "/" + strings.Trim(path, "/")
	c.d = dialectFor(path, c.r)
	p := protocols[path]
	get := path == pathModels || strings.HasPrefix(path, pathModels+"/")
	switch {
	case bad != nil:
	case p == nil && path != pathCountTokens && !get:
		if c.s.replay != nil {
			return c.replayed(nil, nil)
		}
		bad = &failure{kind: failNotFound, message: "Unknown path: " + c.r.Method + " " + c.r.URL.Path}
	case get && c.r.Method != http.MethodGet, !get && c.r.Method != http.MethodPost:
		bad = &failure{kind: failMethod}
	}
	if p != nil {
		return c.generate(p, bad)
	}
	c.prepare(nil)
	if done, err := c.before(); done {
		return err
	}
	if bad != nil {
		return c.fail(bad)
	}
	if get {
		return c.models(strings.TrimPrefix(strings.TrimPrefix(path, pathModels), "/"))
	}
	a, _, f := anthropicCommon(c.r, c.body)
	if f != nil {
		return c.fail(f)
	}
	c.note(func(r *Request) { r.Model, r.Surface = a.model, "anthropic.count_tokens" })
	return c.sendWhole(jsonHeader(), []byte(`{"input_tokens":`+strconv.Itoa(a.input)+`}`), Usage{}, 0)
}

func dialectFor(path string, r *http.Request) dialect {
	if p := protocols[path]; p != nil {
		return p
	}
	if strings.HasPrefix(path, pathMessages) || r.Header.Get("Anthropic-Version") != "" {
		return anthropicDialect{}
	}
	return openaiDialect{}
}

// generate answers a request for a completion.
func (c *call) generate(p protocol, bad *failure) error {
	var a *ask
	if bad == nil {
		a, bad = p.parse(c.r, c.body)
	}
	var r *rule
	number := 0
	if bad == nil {
		r, number = choose(c.s.rules, a, p.name())
	}
	c.note(func(rec *Request) {
		rec.Surface, rec.Rule = p.name(), slices.Index(c.s.rules, r)+1
		if a != nil {
			rec.Model, rec.Stream, c.stream = a.model, a.stream, a.stream
		}
	})
	c.prepare(r)
	if done, err := c.before(); done {
		return err
	}
	switch {
	case a != nil && r == nil && c.s.replay != nil: // what the provider refused was recorded too
		return c.replayed(a, bad)
	case bad != nil:
		return c.fail(bad)
	case r != nil && r.cassette != nil:
		return c.cassette(r.cassette)
	}
	reply, usage := defaultReply(a), UsageSpec{}
	if r != nil {
		var err error
		if reply, err = r.render(a, p.name(), number); err != nil {
			return c.fail(&failure{kind: failServer, message: "the script's template failed"})
		}
		usage = r.spec.Reply.Usage
	}
	reply.settle(a, usage)
	c.spoil(&reply)
	x := &exchange{ask: a, reply: &reply, ids: &ids{c.rng}, created: c.start, model: a.model}
	if a.stream {
		return c.sendStream(p.frames(x), streamHeader(), reply.Usage)
	}
	return c.sendWhole(jsonHeader(), p.whole(x), reply.Usage, reply.estimate(a).Output)
}

// prepare settles the fault and the timing of a request.
func (c *call) prepare(r *rule) {
	u := c.rng.Float64()
	timing := c.s.timing
	lists := c.s.faults
	if r != nil {
		timing = r.spec.Time.over(timing)
		c.cut = r.spec.Reply.Cut
		lists = slices.Concat([][]FaultSpec{r.spec.Faults}, lists)
	}
	c.fault = pick(u, c.start.Sub(c.s.start), lists...)
	var slow *FaultSpec
	if c.fault != nil {
		c.note(func(r *Request) { r.Fault = c.fault.Kind })
		if c.fault.Kind == FaultSlow {
			slow = c.fault
			if slow.Delay == 0 && slow.Factor == 0 {
				slow = &FaultSpec{Kind: FaultSlow, Delay: Duration(2 * time.Second)}
			}
		}
	}
	c.pace = newPace(timing, c.rng, c.start, slow)
}

// models answers GET /models and /models/{id}.
func (c *call) models(id string) error {
	if c.r.Header.Get("Anthropic-Version") != "" {
		return c.anthropicModels(id)
	}
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	var list []model
	for _, m := range c.s.models {
		if id == "" || id == m {
			list = append(list, model{m, "model", c.s.start.Unix(), "breakwater"})
		}
	}
	switch {
	case id == "":
		return c.sendJSON(map[string]any{"object": "list", "data": list})
	case len(list) == 0:
		return c.fail(&failure{kind: failNotFound, param: "model", message: "The model '" + id + "' does not exist"})
	}
	return c.sendJSON(list[0])
}

func (c *call) anthropicModels(id string) error {
	type model struct {
		Type        string `json:"type"`
		ID          string `json:"id"`
		DisplayName string `json:"display_name"`
		CreatedAt   string `json:"created_at"`
	}
	var list []model
	for _, m := range c.s.models {
		if id == "" || id == m {
			list = append(list, model{"model", m, m, c.s.start.UTC().Format(time.RFC3339)})
		}
	}
	switch {
	case id == "":
		return c.sendJSON(map[string]any{"data": list, "has_more": false, "first_id": list[0].ID, "last_id": list[len(list)-1].ID})
	case len(list) == 0:
		return c.fail(&failure{kind: failNotFound, message: "model: " + id})
	}
	return c.sendJSON(list[0])
}

func (c *call) sendJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.sendWhole(jsonHeader(), b, Usage{}, 0)
}
