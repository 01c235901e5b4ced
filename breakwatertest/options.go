package breakwatertest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/breakwater-llm/breakwater/internal/sim"
)

// Option describes what a provider answers; see the package's documentation on
// steps.
type Option func(*plan) error

// plan is what the options say.
type plan struct {
	before []step // FailFirst, in order
	steps  []step // never empty
	nested bool   // the options of a step are being applied, not the provider's

	script *sim.Script
	time   sim.Timing
	faults []sim.FaultSpec
	seed   uint64
}

type step struct {
	calls int // in before: how many calls it answers
	rule  sim.Rule
	used  bool // an option has said something about it
}

func (p *plan) last() *step {
	s := &p.steps[len(p.steps)-1]
	s.used = true
	return s
}

func reply(set func(*sim.ReplySpec)) Option {
	return func(p *plan) error {
		set(&p.last().rule.Reply)
		return nil
	}
}

// Reply answers with a text.
func Reply(text string) Option {
	return reply(func(r *sim.ReplySpec) { r.Text = new(text) })
}

// Replies answers with one text after the other; the last one stays.
func Replies(texts ...string) Option {
	return func(p *plan) error {
		for i, text := range texts {
			if i > 0 {
				p.steps = append(p.steps, step{})
			}
			p.last().rule.Reply.Text = new(text)
		}
		return nil
	}
}

// ReplyTool answers with a tool call. Arguments are sent as they are, valid JSON
// or not. Given again in one step it adds a parallel call.
func ReplyTool(name, argsJSON string) Option {
	return func(p *plan) error {
		raw, err := json.Marshal(argsJSON)
		if err != nil {
			return fmt.Errorf("ReplyTool: %w", err)
		}
		r := &p.last().rule.Reply
		r.ToolCalls = append(r.ToolCalls, sim.ToolSpec{Name: name, Arguments: raw})
		return nil
	}
}

// ReplyJSON answers with v as JSON text, as structured output does.
func ReplyJSON(v any) Option {
	return func(p *plan) error {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("ReplyJSON: %w", err)
		}
		p.last().rule.Reply.JSON = b
		return nil
	}
}

// Thinking puts reasoning before the reply: a thinking block for Anthropic's
// clients, reasoning_content for OpenAI's.
func Thinking(text string) Option {
	return reply(func(r *sim.ReplySpec) { r.Thinking = text })
}

// Usage sets the token counts of the reply. Without it they are estimated: a
// quarter of the characters, rounded up.
func Usage(input, output int) Option {
	return reply(func(r *sim.ReplySpec) { r.Usage.Input, r.Usage.Output = new(input), new(output) })
}

// CachedUsage says how many of the input tokens came from the prompt cache.
func CachedUsage(tokens int) Option {
	return reply(func(r *sim.ReplySpec) { r.Usage.Cached = new(tokens) })
}

// Finish sets why the answer ended: stop, length, tool_calls, content_filter, in
// whatever protocol is spoken, or any other word as it is.
func Finish(reason string) Option {
	return reply(func(r *sim.ReplySpec) { r.Finish = sim.Finish(reason) })
}

// Chunks sets how a stream splits text: word (the default), char, token, whole,
// or a number of characters.
func Chunks(how string) Option {
	return reply(func(r *sim.ReplySpec) { r.Chunks = sim.Chunks(how) })
}

// CutBytes writes the answer in pieces of n bytes, wherever that cuts events and
// characters.
func CutBytes(n int) Option {
	return reply(func(r *sim.ReplySpec) { r.Cut = n })
}

// RateLimit answers 429, with retryAfter in the protocol's headers (in whole
// seconds, rounded up; for OpenAI's clients in milliseconds too). 0 sends none.
func RateLimit(retryAfter time.Duration) Option {
	return fault(sim.FaultSpec{Kind: sim.FaultRateLimit, RetryAfter: new(sim.Duration(retryAfter))})
}

// ServerError answers 500.
func ServerError() Option { return fault(sim.FaultSpec{Kind: sim.FaultServerError}) }

// Overloaded answers 529 to Anthropic's clients, 503 to OpenAI's.
func Overloaded() Option { return fault(sim.FaultSpec{Kind: sim.FaultOverloaded}) }

// Unauthorized answers 401.
func Unauthorized() Option { return fault(sim.FaultSpec{Kind: sim.FaultAuth}) }

// OutOfQuota answers as a provider does whose account is out of money.
func OutOfQuota() Option { return fault(sim.FaultSpec{Kind: sim.FaultQuota}) }

// CutStream ends streams without their end mark, once at least afterTokens
// tokens are out; other answers are cut in half.
func CutStream(afterTokens int) Option {
	return fault(sim.FaultSpec{Kind: sim.FaultTruncate, AfterTokens: new(afterTokens)})
}

// DropStream is CutStream with a broken connection: the client's read fails.
func DropStream(afterTokens int) Option {
	return fault(sim.FaultSpec{Kind: sim.FaultTruncate, AfterTokens: new(afterTokens), Variant: "close"})
}

// MidStreamError sends an error event in the stream, once at least afterTokens
// tokens are out; 0 makes it the first event. Other answers are an error body
// under a status of 200.
func MidStreamError(afterTokens int) Option {
	return fault(sim.FaultSpec{Kind: sim.FaultMidStreamError, AfterTokens: new(afterTokens)})
}

// Hang never answers: the client has to give up.
func Hang() Option { return fault(sim.FaultSpec{Kind: sim.FaultTimeout}) }

// Stall stops a stream in the middle, once at least afterTokens tokens are out,
// and leaves the connection open.
func Stall(afterTokens int) Option {
	return fault(sim.FaultSpec{Kind: sim.FaultTimeout, AfterTokens: new(afterTokens)})
}

// Reset cuts the connection, by a TCP reset, before any answer.
func Reset() Option { return fault(sim.FaultSpec{Kind: sim.FaultReset}) }

// Garbage answers what is not JSON; in a stream, one event is damaged.
func Garbage() Option { return fault(sim.FaultSpec{Kind: sim.FaultGarbage}) }

// Empty answers 200 with nothing behind it.
func Empty() Option { return fault(sim.FaultSpec{Kind: sim.FaultEmpty}) }

// fault is one that hits every call of the step.
func fault(f sim.FaultSpec) Option {
	return func(p *plan) error {
		r := &p.last().rule
		r.Faults = append(r.Faults, f)
		return nil
	}
}

// Fault makes calls fail by chance. kind is one of [FaultKinds], rate the share of
// calls from 0 to 1. Rates of several faults add up.
func Fault(kind string, rate float64) Option {
	return addFault(sim.FaultSpec{Kind: sim.FaultKind(kind), Rate: new(rate)})
}

// FaultSpec is Fault in the mock command's notation, such as
// "truncate=0.1,after_tokens=3" or "overloaded,at=10s,for=5s".
func FaultSpec(spec string) Option {
	f, err := sim.ParseFault(spec)
	if err != nil {
		return func(*plan) error { return err }
	}
	return addFault(f)
}

func addFault(f sim.FaultSpec) Option {
	return func(p *plan) error {
		if p.nested {
			return fault(f)(p)
		}
		p.faults = append(p.faults, f)
		return nil
	}
}

// FaultKinds lists the kinds of fault.
func FaultKinds() []string {
	var out []string
	for _, k := range sim.FaultKinds() {
		out = append(out, string(k))
	}
	return out
}

func timing(set func(*sim.Timing)) Option {
	return func(p *plan) error {
		if p.nested {
			set(&p.last().rule.Time)
		} else {
			set(&p.time)
		}
		return nil
	}
}

// Latency is the time until the head of an answer.
func Latency(d time.Duration) Option {
	return timing(func(t *sim.Timing) { t.Latency = sim.Duration(d) })
}

// TTFT is the time until the first content, counted from the request's arrival.
func TTFT(d time.Duration) Option {
	return timing(func(t *sim.Timing) { t.TTFT = sim.Duration(d) })
}

// TokensPerSecond is the pace after the first token. An answer that is not a
// stream comes when a stream's last token would have come.
func TokensPerSecond(rate float64) Option {
	return timing(func(t *sim.Timing) { t.TokensPerSecond = rate })
}

// Then adds a step: what the next call is answered.
func Then(opts ...Option) Option {
	return func(p *plan) error {
		p.steps = append(p.steps, step{used: true})
		return p.nest(opts)
	}
}

// FailFirst gives the first n calls an answer of their own, before all steps.
func FailFirst(n int, opts ...Option) Option {
	return func(p *plan) error {
		if n < 1 {
			return fmt.Errorf("FailFirst: %d calls; give 1 or more", n)
		}
		inner := plan{steps: make([]step, 1)}
		if err := inner.nest(opts); err != nil {
			return err
		}
		if len(inner.steps) != 1 || len(inner.before) != 0 {
			return fmt.Errorf("FailFirst: its options must be one step, without Then, Replies or FailFirst")
		}
		inner.steps[0].calls = n
		p.before = append(p.before, inner.steps[0])
		return nil
	}
}

func (p *plan) nest(opts []Option) error {
	outer := p.nested
	p.nested = true
	defer func() { p.nested = outer }()
	for _, o := range opts {
		if err := o(p); err != nil {
			return err
		}
	}
	return nil
}

// Script answers by a script, the YAML that the mock command takes. It cannot go
// with options that describe steps.
func Script(yaml string) Option {
	return func(p *plan) (err error) {
		p.script, err = sim.ParseScript("script", []byte(yaml))
		return err
	}
}

// ScriptFile is Script with the text in a file.
func ScriptFile(path string) Option {
	return func(p *plan) (err error) {
		p.script, err = sim.LoadScript(path)
		return err
	}
}

// Seed sets what chance is made of: faults with a rate, ids. One seed and one
// order of calls give the same. The default is 1.
func Seed(n uint64) Option {
	return func(p *plan) error {
		p.seed = n
		return nil
	}
}
