package openai

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) NewDecoder() wire.EventDecoder { return &decoder{} }

// decoder reads one stream. Finish reasons are held back until the end, because
// some providers send several, with content behind the first: the last one counts.
type decoder struct {
	started bool
	ended   bool // after [DONE], End or an error nothing more is told
	id      string
	choices []*choiceState // in the order they were seen
}

// choiceState is what is known of one choice.
type choiceState struct {
	index    int
	parts    int  // parts opened so far
	open     bool // the part openPart is open; tool calls stay open to the end
	openType llm.EventType
	openPart int
	calls    []*callState // in the order they came
	byIndex  map[int]*callState
	byID     map[string]*callState
	finish   llm.Event
	raw      string // the last finish_reason; "" none yet
}

// callState is one tool call. It is told once its name is known; arguments that
// come earlier wait.
type callState struct {
	part    int
	told    bool
	id      string
	name    string
	waiting string
}

func (d *decoder) Decode(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	data = bytes.TrimSpace(data)
	switch {
	case d.ended:
		return dst, nil
	case bytes.Equal(data, done):
		return d.finish(dst)
	case string(name) == "error":
		return dst, d.fail(streamError(data))
	case len(data) == 0:
		return dst, nil
	case data[0] != '{' || !gjson.ValidBytes(data):
		return dst, d.fail(llm.Errorf(llm.KindBadResponse, "the provider sent a stream event that is not a JSON object"))
	}
	chunk := gjson.ParseBytes(data)
	if e := chunk.Get("error"); e.Exists() && e.Type != gjson.Null {
		return dst, d.fail(streamError(data))
	}
	return d.chunk(dst, chunk)
}

func (d *decoder) fail(err *llm.Error) error {
	d.ended = true
	return err
}

// End is the end of the body. Without [DONE] the answer is whole if each choice has its
// finish reason.
func (d *decoder) End(dst []llm.Event) ([]llm.Event, error) {
	if d.ended {
		return dst, nil
	}
	for _, c := range d.choices {
		if c.raw == "" {
			return dst, d.fail(incomplete())
		}
	}
	return d.finish(dst)
}

func incomplete() *llm.Error {
	return llm.Errorf(llm.KindIncompleteStream, "the provider's stream ended before the answer was complete")
}

func (d *decoder) finish(dst []llm.Event) ([]llm.Event, error) {
	if len(d.choices) == 0 {
		return dst, d.fail(incomplete())
	}
	d.ended = true
	for _, c := range d.choices {
		dst = c.close(dst)
		for _, call := range c.calls {
			dst = call.tell(dst, c, true)
			dst = append(dst, llm.Event{Type: llm.EventPartEnd, Choice: c.index, Part: call.part})
		}
		f := c.finish
		f.Type, f.Choice, f.RawFinish = llm.EventFinish, c.index, c.raw
		f.Finish = finishWithCalls(f.Finish, len(c.calls) > 0)
		dst = append(dst, f)
	}
	return append(dst, llm.Event{Type: llm.EventEnd}), nil
}

func (d *decoder) chunk(dst []llm.Event, chunk gjson.Result) ([]llm.Event, error) {
	choices := chunk.Get("choices").Array()
	usage := usageIn(chunk)
	if !d.started && (len(choices) > 0 || usage.Reported) {
		d.started = true
		d.id = chunk.Get("id").String()
		dst = append(dst, llm.Event{
			Type: llm.EventStart, ID: d.id, Model: chunk.Get("model").String(), Created: countOf(chunk.Get("created")),
			ServiceTier: chunk.Get("service_tier").String(), Fingerprint: chunk.Get("system_fingerprint").String(),
		})
	}
	for i, choice := range choices {
		var err *llm.Error
		if dst, err = d.choice(dst, choice, i); err != nil {
			return dst, d.fail(err)
		}
	}
	if usage.Reported {
		dst = append(dst, llm.Event{Type: llm.EventUsage, Usage: usage})
	}
	return dst, nil
}

// state finds the choice that a chunk's choice belongs to.
func (d *decoder) state(choice gjson.Result, at int) *choiceState {
	if index := choice.Get("index"); index.Type == gjson.Number {
		at = int(countOf(index))
	}
	for _, c := range d.choices {
		if c.index == at {
			return c
		}
	}
	c := &choiceState{index: at}
	d.choices = append(d.choices, c)
	return c
}

func (d *decoder) choice(dst []llm.Event, choice gjson.Result, at int) ([]llm.Event, *llm.Error) {
	if !choice.IsObject() {
		return dst, llm.Errorf(llm.KindBadResponse, "the provider sent a choice that is not an object")
	}
	c := d.state(choice, at)
	if e := choice.Get("error"); e.IsObject() {
		return dst, inChoice([]byte(e.Raw))
	}
	dst = d.delta(dst, c, choice.Get("delta"))
	if lp := logprobsOf(choice); lp != nil {
		dst = append(dst, llm.Event{Type: llm.EventLogprobs, Choice: c.index, Raw: lp})
	}
	if raw, f, stop := finishIn(choice); raw != "" {
		if kind, ok := failedReasons[raw]; ok {
			return dst, llm.Errorf(kind, "the provider broke the answer off (finish_reason %q)", raw)
		}
		c.raw = raw
		c.finish = llm.Event{Finish: f, StopSequence: stop}
	}
	return dst, nil
}

func (d *decoder) delta(dst []llm.Event, c *choiceState, delta gjson.Result) []llm.Event {
	if t := thinkingIn(delta); t != "" {
		dst = c.text(dst, llm.EventThinking, t)
	}
	dst = c.content(dst, delta)
	if s := delta.Get("refusal"); s.Type == gjson.String && s.Str != "" {
		dst = c.text(dst, llm.EventRefusal, s.Str)
	}
	if calls := delta.Get("tool_calls"); calls.IsArray() {
		for _, call := range calls.Array() {
			dst = c.call(dst, call, d.id)
		}
	}
	if fc := delta.Get("function_call"); fc.IsObject() && (fc.Get("name").String() != "" || fc.Get("arguments").String() != "") {
		dst = c.callDelta(dst, -1, "", fc, d.id)
	}
	return dst
}

func (c *choiceState) content(dst []llm.Event, delta gjson.Result) []llm.Event {
	content := delta.Get("content")
	if content.Type == gjson.String && content.Str != "" {
		dst = c.text(dst, llm.EventText, content.Str)
	} else if content.IsArray() {
		for _, p := range contentParts(content, nil) {
			switch p.Type {
			case llm.PartText:
				dst = c.text(dst, llm.EventText, p.Text)
			case llm.PartThinking:
				dst = c.text(dst, llm.EventThinking, p.Text)
			default:
				dst = c.close(dst)
				dst = append(dst, llm.Event{Type: llm.EventOther, Choice: c.index, Part: c.next(), Name: p.Name, Raw: p.Raw})
			}
		}
	}
	if notes := annotationsIn(delta); notes != nil {
		dst = c.text(dst, llm.EventText, "")
		dst[len(dst)-1].Raw = notes
	}
	return dst
}

// next opens a part and returns its place.
func (c *choiceState) next() int {
	c.parts++
	return c.parts - 1
}

// text adds to the open part if it is of the same kind, else opens another one.
func (c *choiceState) text(dst []llm.Event, typ llm.EventType, s string) []llm.Event {
	if !c.open || c.openType != typ {
		dst = c.close(dst)
		c.open, c.openType, c.openPart = true, typ, c.next()
	}
	return append(dst, llm.Event{Type: typ, Choice: c.index, Part: c.openPart, Text: s})
}

func (c *choiceState) close(dst []llm.Event) []llm.Event {
	if !c.open {
		return dst
	}
	c.open = false
	return append(dst, llm.Event{Type: llm.EventPartEnd, Choice: c.index, Part: c.openPart})
}

// call takes one element of a delta's tool_calls.
func (c *choiceState) call(dst []llm.Event, call gjson.Result, answer string) []llm.Event {
	if !call.IsObject() {
		return dst
	}
	index := -1
	if i := call.Get("index"); i.Type == gjson.Number {
		index = int(countOf(i))
	}
	if custom := call.Get("custom"); custom.IsObject() && !call.Get("function").IsObject() {
		dst = c.close(dst)
		return append(dst, llm.Event{Type: llm.EventOther, Choice: c.index, Part: c.next(), Name: "custom", Raw: json.RawMessage(call.Raw)})
	}
	return c.callDelta(dst, index, call.Get("id").String(), call.Get("function"), answer)
}

func (c *choiceState) callDelta(dst []llm.Event, index int, id string, fn gjson.Result, answer string) []llm.Event {
	name := fn.Get("name").String()
	call := c.findCall(index, id, name)
	if call == nil {
		dst = c.close(dst)
		call = c.addCall(index, id, name, answer)
	}
	if call.name == "" {
		call.name = name
	}
	args := argumentsOf(fn)
	if call.told {
		if args == "" {
			return dst
		}
		return append(dst, llm.Event{Type: llm.EventToolArgs, Choice: c.index, Part: call.part, Text: args})
	}
	call.waiting += args
	return call.tell(dst, c, false)
}

// tell announces the call as soon as it has a name, or at the end in any case.
func (call *callState) tell(dst []llm.Event, c *choiceState, last bool) []llm.Event {
	if call.told || call.name == "" && !last {
		return dst
	}
	call.told = true
	return append(dst, llm.Event{
		Type: llm.EventToolCall, Choice: c.index, Part: call.part, ID: call.id, Name: call.name, Text: call.waiting,
	})
}

// findCall finds the call that a delta continues, or nil for a new one. The index
// decides. Two exceptions, both for servers that do not count: an index met again with
// another id and a name begins another call, and without an index an id not seen yet, or
// a name, does; anything else goes to the last call.
func (c *choiceState) findCall(index int, id, name string) *callState {
	if index >= 0 {
		call := c.byIndex[index]
		if call != nil && id != "" && id != call.id && name != "" && call.name != "" {
			return nil
		}
		return call
	}
	if id != "" {
		return c.byID[id]
	}
	if len(c.calls) == 0 {
		return nil
	}
	last := c.calls[len(c.calls)-1]
	if name != "" && last.name != "" {
		return nil
	}
	return last
}

// addCall opens a new call.
func (c *choiceState) addCall(index int, id, name, answer string) *callState {
	call := &callState{part: c.next(), id: id}
	if id == "" {
		call.id = madeCallID(answer, c.index, len(c.calls), name)
	}
	c.calls = append(c.calls, call)
	if c.byIndex == nil {
		c.byIndex, c.byID = map[int]*callState{}, map[string]*callState{}
	}
	if index >= 0 {
		c.byIndex[index] = call
	}
	c.byID[call.id] = call
	return call
}
