package openai

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) NewEncoder(o wire.EncoderOptions) wire.EventEncoder { return &encoder{opts: o} }

// encoder writes one stream. All its chunks share one head: id, created and
// model are those of the start.
type encoder struct {
	opts    wire.EncoderOptions
	head    []byte // up to the choices' value
	choices map[int]*choiceOutState
	order   []int
	usage   llm.Usage
	ended   bool
}

// choiceOutState is one choice of the stream being written.
type choiceOutState struct {
	calls    map[int]*callOutState // by part
	inOrder  []*callOutState
	finished bool
}

// callOutState is one tool call: its index counts calls only.
type callOutState struct {
	index int
	args  bool // some of the arguments were written
	ended bool
}

func (e *encoder) Encode(dst []byte, ev llm.Event) ([]byte, error) {
	if e.ended {
		return dst, nil
	}
	if e.head == nil {
		e.begin(ev)
	}
	switch ev.Type {
	case llm.EventStart:
		dst, _ = e.choice(dst, 0)
		return dst, nil
	case llm.EventUsage:
		e.usage.Merge(ev.Usage)
		return dst, nil
	case llm.EventEnd:
		return e.end(dst), nil
	}
	dst, c := e.choice(dst, ev.Choice)
	if c.finished {
		return dst, nil // nothing of a choice may follow its finish reason
	}
	return e.content(dst, c, ev), nil
}

// begin fixes the head of all chunks by the first event.
func (e *encoder) begin(ev llm.Event) {
	id, model, created := e.opts.ID, e.opts.Model, e.opts.Created
	tier, fingerprint := "", ""
	if ev.Type == llm.EventStart {
		id, model = or(ev.ID, id), or(ev.Model, model)
		if ev.Created != 0 {
			created = ev.Created
		}
		tier, fingerprint = ev.ServiceTier, ev.Fingerprint
	}
	h := append(e.head, `data: {"id":`...)
	h = jsondoc.Quote(h, id)
	h = append(h, `,"object":"chat.completion.chunk","created":`...)
	h = strconv.AppendInt(h, created, 10)
	h = append(h, `,"model":`...)
	h = jsondoc.Quote(h, model)
	if tier != "" {
		h = jsondoc.Quote(append(h, `,"service_tier":`...), tier)
	}
	if fingerprint != "" {
		h = jsondoc.Quote(append(h, `,"system_fingerprint":`...), fingerprint)
	}
	e.head = append(h, `,"choices":[`...)
	e.choices = map[int]*choiceOutState{}
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// choice finds a choice and writes its role chunk when it is new.
func (e *encoder) choice(dst []byte, index int) ([]byte, *choiceOutState) {
	c := e.choices[index]
	if c == nil {
		c = &choiceOutState{}
		e.choices[index] = c
		e.order = append(e.order, index)
		dst = e.open(dst, index)
		dst = append(dst, `"role":"assistant","content":"","refusal":null`...)
		dst = e.close(dst, "", nil)
	}
	return dst, c
}

// open begins a chunk with one choice, up to the inside of its delta.
func (e *encoder) open(dst []byte, choice int) []byte {
	dst = append(dst, e.head...)
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(choice), 10)
	return append(dst, `,"delta":{`...)
}

// close ends what open began.
func (e *encoder) close(dst []byte, finish string, logprobs []byte) []byte {
	dst = append(dst, `},"logprobs":`...)
	if logprobs == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, logprobs...)
	}
	dst = append(dst, `,"finish_reason":`...)
	if finish == "" {
		dst = append(dst, "null"...)
	} else {
		dst = jsondoc.Quote(dst, finish)
	}
	return e.tail(append(dst, '}'), nil)
}

// tail closes the list of choices and the chunk. With usage asked for, every chunk
// has the member, null but for the last.
func (e *encoder) tail(dst, usage []byte) []byte {
	dst = append(dst, ']')
	if e.opts.WantUsage {
		dst = append(dst, `,"usage":`...)
		if usage == nil {
			dst = append(dst, "null"...)
		}
		dst = append(dst, usage...)
	}
	return append(dst, "}\n\n"...)
}

func (e *encoder) textChunk(dst []byte, choice int, member, text string) []byte {
	dst = e.open(dst, choice)
	dst = append(dst, member...)
	dst = jsondoc.Quote(dst, text)
	return e.close(dst, "", nil)
}

func (e *encoder) content(dst []byte, c *choiceOutState, ev llm.Event) []byte {
	switch ev.Type {
	case llm.EventText:
		if ev.Text != "" {
			dst = e.textChunk(dst, ev.Choice, `"content":`, ev.Text)
		}
		if notes := annotations(ev.Raw); notes != nil {
			dst = e.open(dst, ev.Choice)
			dst = append(append(dst, `"annotations":`...), rawLine(ev.Raw)...)
			dst = e.close(dst, "", nil)
		}
	case llm.EventThinking:
		if ev.Text != "" {
			dst = e.textChunk(dst, ev.Choice, `"reasoning_content":`, ev.Text)
		}
	case llm.EventRefusal:
		if ev.Text != "" {
			dst = e.textChunk(dst, ev.Choice, `"refusal":`, ev.Text)
		}
	case llm.EventToolCall, llm.EventToolArgs:
		dst = e.call(dst, c, ev)
	case llm.EventLogprobs:
		if isObject(ev.Raw) {
			dst = e.close(e.open(dst, ev.Choice), "", rawLine(ev.Raw))
		}
	case llm.EventPartEnd:
		dst = e.endCall(dst, ev.Choice, c.calls[ev.Part])
	case llm.EventFinish:
		dst = e.finish(dst, c, ev.Choice, ev.Finish)
	}
	return dst
}

// rawLine is raw JSON on one line, as a data: line needs it.
func rawLine(raw []byte) []byte {
	if bytes.ContainsAny(raw, "\r\n") {
		v := jsontext.Value(bytes.Clone(raw))
		_ = v.Compact(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
		return v
	}
	return raw
}

func (e *encoder) call(dst []byte, c *choiceOutState, ev llm.Event) []byte {
	call := c.calls[ev.Part]
	first := call == nil
	if first {
		call = &callOutState{index: len(c.calls)}
		if c.calls == nil {
			c.calls = map[int]*callOutState{}
		}
		c.calls[ev.Part] = call
		c.inOrder = append(c.inOrder, call)
	} else if ev.Text == "" {
		return dst
	}
	call.args = call.args || ev.Text != ""
	dst = e.open(dst, ev.Choice)
	dst = append(dst, `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(call.index), 10)
	if first {
		dst = jsondoc.Quote(append(dst, `,"id":`...), ev.ID)
		dst = append(dst, `,"type":"function","function":{"name":`...)
		dst = append(jsondoc.Quote(dst, ev.Name), ',')
	} else {
		dst = append(dst, `,"function":{`...)
	}
	dst = jsondoc.Quote(append(dst, `"arguments":`...), ev.Text)
	return e.close(append(dst, `}}]`...), "", nil)
}

// endCall gives a call without arguments the empty object: clients read what they
// collected as JSON.
func (e *encoder) endCall(dst []byte, choice int, call *callOutState) []byte {
	if call == nil || call.args || call.ended {
		return dst
	}
	call.ended = true
	dst = e.open(dst, choice)
	dst = append(dst, `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(call.index), 10)
	return e.close(append(dst, `,"function":{"arguments":"{}"}}]`...), "", nil)
}

func (e *encoder) finish(dst []byte, c *choiceOutState, choice int, reason llm.FinishReason) []byte {
	for _, call := range c.inOrder {
		dst = e.endCall(dst, choice, call)
	}
	c.finished = true
	return e.close(e.open(dst, choice), finishWord(reason, len(c.calls) > 0), nil)
}

// end writes finish chunks that are still owed, the usage chunk if it was asked for
// and is known, and the end mark.
func (e *encoder) end(dst []byte) []byte {
	e.ended = true
	for _, i := range e.order {
		if c := e.choices[i]; !c.finished {
			dst = e.finish(dst, c, i, llm.FinishUnknown)
		}
	}
	if e.opts.WantUsage && (e.usage.Reported || e.usage.Total() > 0) {
		if u, err := marshal(usageFor(e.usage)); err == nil {
			dst = e.tail(append(dst, e.head...), u)
		}
	}
	return append(dst, "data: [DONE]\n\n"...)
}
