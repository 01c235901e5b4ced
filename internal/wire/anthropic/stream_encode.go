package anthropic

import (
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) NewEncoder(o wire.EncoderOptions) wire.EventEncoder {
	return &encoder{options: o, parts: map[int]*streamPart{}}
}

// encoder writes one stream. The protocol wants one block after the other, while
// calls of tools may arrive mixed: only the part at the head of the queue is
// written as it comes; the ones behind it are kept until it is closed.
//
// message_start waits for the first event that is not about the head of the
// message, so that it can tell the usage known by then; message_delta waits for
// the end, so that it tells all of it.
type encoder struct {
	options wire.EncoderOptions
	start   llm.Event
	id      string
	usage   llm.Usage
	finish  llm.Event
	calls   bool
	refused bool

	begun bool // message_start is written
	ended bool

	parts map[int]*streamPart
	queue []*streamPart // in the order they began; the first may be open
	index int           // of the next block

	body []byte // reused
}

// streamPart is a part on its way to a block.
type streamPart struct {
	kind   llm.PartType
	id     string
	name   string
	raw    []byte // of a part of this protocol; citations of a text
	text   []byte // not yet written
	sign   []byte // not yet written
	open   bool   // content_block_start is written, with index
	index  int
	wrote  bool // a delta was written
	closed bool // nothing more comes
}

func (e *encoder) Encode(dst []byte, ev llm.Event) ([]byte, error) {
	if e.ended || ev.Choice != 0 {
		return dst, nil // the protocol has room for one choice
	}
	switch ev.Type {
	case llm.EventStart:
		if !e.begun {
			e.start = ev
		}
		return dst, nil
	case llm.EventUsage:
		e.usage.Merge(ev.Usage)
		return dst, nil
	case llm.EventLogprobs:
		return dst, nil
	}
	dst = e.begin(dst)
	switch ev.Type {
	case llm.EventPartEnd:
		if p := e.parts[ev.Part]; p != nil {
			p.closed = true
		}
	case llm.EventFinish:
		e.finish = ev
		e.closeAll()
	case llm.EventEnd:
		e.closeAll()
		return e.end(e.advance(dst)), nil
	default:
		e.take(ev)
	}
	return e.advance(dst), nil
}

func (e *encoder) closeAll() {
	for _, p := range e.queue {
		p.closed = true
	}
}

// take notes what an event brings for its part.
func (e *encoder) take(ev llm.Event) {
	kind, ok := partKind(ev)
	if !ok {
		return
	}
	e.refused = e.refused || ev.Type == llm.EventRefusal
	p := e.parts[ev.Part]
	if p == nil || p.closed || p.kind != kind {
		if ev.Type == llm.EventToolArgs || ev.Type == llm.EventSignature && p != nil {
			return // there is no block that it could belong to
		}
		p = &streamPart{kind: kind, id: ev.ID, name: ev.Name}
		e.calls = e.calls || kind == llm.PartToolCall
		for _, before := range e.queue {
			if before.kind != llm.PartToolCall { // only calls go on behind others
				before.closed = true
			}
		}
		e.parts[ev.Part] = p
		e.queue = append(e.queue, p)
	}
	switch ev.Type {
	case llm.EventSignature:
		p.sign = append(p.sign, ev.Text...)
	case llm.EventOther:
		p.raw = compact(ev.Raw)
	default:
		p.text = append(p.text, ev.Text...)
		if len(ev.Raw) > 0 {
			p.raw = compact(ev.Raw)
		}
	}
}

// partKind is the kind of block that an event belongs to.
func partKind(ev llm.Event) (llm.PartType, bool) {
	switch ev.Type {
	case llm.EventText, llm.EventRefusal:
		return llm.PartText, true
	case llm.EventThinking, llm.EventSignature:
		return llm.PartThinking, true
	case llm.EventRedacted:
		return llm.PartRedactedThinking, true
	case llm.EventToolCall, llm.EventToolArgs:
		return llm.PartToolCall, true
	case llm.EventOther:
		return llm.PartOther, ownBlock(ev.Name) && isObject(ev.Raw)
	}
	return 0, false
}

// advance writes what may be written: of the head of the queue everything, and
// on to the next as long as heads are closed.
func (e *encoder) advance(dst []byte) []byte {
	for len(e.queue) > 0 {
		p := e.queue[0]
		whole := p.kind == llm.PartRedactedThinking || p.kind == llm.PartOther
		if p.closed || !whole {
			dst = e.write(dst, p)
		}
		if !p.closed {
			return dst
		}
		if p.open {
			dst = e.frame(dst, "content_block_stop", append(e.indexed("content_block_stop", p.index), '}'))
		}
		e.queue = e.queue[1:]
	}
	return dst
}

func (e *encoder) write(dst []byte, p *streamPart) []byte {
	switch p.kind {
	case llm.PartText:
		if !p.open && len(p.text) > 0 {
			dst = e.openBlock(dst, p, &textBlock{Type: "text"})
		}
		dst = e.delta(dst, p, "text_delta", "text", p.text)
		if p.closed && p.open {
			dst = e.citations(dst, p)
		}
	case llm.PartThinking:
		if !p.open {
			dst = e.openBlock(dst, p, &thinkingBlock{Type: "thinking"})
		}
		dst = e.delta(dst, p, "thinking_delta", "thinking", p.text)
		dst = e.delta(dst, p, "signature_delta", "signature", p.sign)
		p.sign = p.sign[:0]
	case llm.PartToolCall:
		if !p.open {
			dst = e.openBlock(dst, p, &toolUseBlock{
				Type: "tool_use", ID: answerToolID(p.id, e.id, e.index), Name: p.name, Input: []byte("{}"),
			})
		}
		if len(p.text) > 0 || p.closed && !p.wrote {
			p.wrote = true
			dst = e.rawDelta(dst, p, "input_json_delta", "partial_json", jsondoc.Quote(nil, string(p.text)))
		}
	case llm.PartRedactedThinking:
		dst = e.openBlock(dst, p, &redactedBlock{Type: "redacted_thinking", Data: string(p.text)})
	case llm.PartOther:
		dst = e.other(dst, p)
	}
	p.text = p.text[:0]
	return dst
}

// other writes a block of this protocol. Input comes as a delta, as it does
// from the provider; the rest stands in the start.
func (e *encoder) other(dst []byte, p *streamPart) []byte {
	input := member(p.raw, "input")
	if input == nil {
		return e.openRaw(dst, p, p.raw)
	}
	dst = e.openRaw(dst, p, setMember(p.raw, "input", []byte("{}")))
	return e.rawDelta(dst, p, "input_json_delta", "partial_json", jsondoc.Quote(nil, string(input)))
}

func (e *encoder) citations(dst []byte, p *streamPart) []byte {
	for c := walk(ownCitations(p.raw)); ; {
		_, v, ok := c.next()
		if !ok {
			return dst
		}
		dst = e.rawDelta(dst, p, "citations_delta", "citation", v)
	}
}

func (e *encoder) delta(dst []byte, p *streamPart, kind, name string, text []byte) []byte {
	if len(text) == 0 {
		return dst
	}
	return e.rawDelta(dst, p, kind, name, jsondoc.Quote(nil, string(text)))
}

func (e *encoder) rawDelta(dst []byte, p *streamPart, kind, name string, value []byte) []byte {
	b := append(e.indexed("content_block_delta", p.index), `,"delta":{"type":"`...)
	b = append(append(append(b, kind...), `","`...), name...)
	b = append(append(append(b, `":`...), value...), `}}`...)
	return e.frame(dst, "content_block_delta", b)
}

func (e *encoder) openBlock(dst []byte, p *streamPart, block any) []byte {
	raw, err := json.Marshal(block, asWritten)
	if err != nil { // strings only: it cannot
		raw = []byte(`{"type":"text","text":""}`)
	}
	return e.openRaw(dst, p, raw)
}

func (e *encoder) openRaw(dst []byte, p *streamPart, block []byte) []byte {
	p.open, p.index = true, e.index
	e.index++
	b := append(e.indexed("content_block_start", p.index), `,"content_block":`...)
	return e.frame(dst, "content_block_start", append(append(b, block...), '}'))
}

// indexed begins the data of an event about a block.
func (e *encoder) indexed(kind string, index int) []byte {
	b := append(append(e.body[:0], `{"type":"`...), kind...)
	b = strconv.AppendInt(append(b, `","index":`...), int64(index), 10)
	return b
}

func (e *encoder) frame(dst []byte, name string, data []byte) []byte {
	e.body = data[:0]
	return sse.Append(dst, name, data)
}

func (e *encoder) begin(dst []byte) []byte {
	if e.begun {
		return dst
	}
	e.begun = true
	out := wireResponse{ID: e.start.ID, Type: "message", Role: "assistant", Model: e.start.Model, Content: []any{}}
	if out.ID == "" {
		out.ID = e.options.ID
	}
	if out.Model == "" {
		out.Model = e.options.Model
	}
	out.ID = messageID(out.ID)
	e.id = out.ID
	out.Usage = encodeUsage(e.usage, e.start.ServiceTier)
	return e.marshal(dst, "message_start", struct {
		Type    string       `json:"type"`
		Message wireResponse `json:"message"`
	}{"message_start", out})
}

func (e *encoder) end(dst []byte) []byte {
	e.ended = true
	type delta struct {
		StopReason   string  `json:"stop_reason"`
		StopSequence *string `json:"stop_sequence"`
	}
	d := delta{StopReason: encodeFinish(e.finish.Finish, e.finish.RawFinish, e.calls, e.refused)}
	if e.finish.Finish == llm.FinishStopSequence && e.finish.StopSequence != "" {
		d.StopSequence = &e.finish.StopSequence
	}
	dst = e.marshal(dst, "message_delta", struct {
		Type  string    `json:"type"`
		Delta delta     `json:"delta"`
		Usage wireUsage `json:"usage"`
	}{"message_delta", d, encodeUsage(e.usage, "")})
	return sse.Append(dst, "message_stop", []byte(`{"type":"message_stop"}`))
}

func (e *encoder) marshal(dst []byte, name string, v any) []byte {
	data, err := json.Marshal(v, asWritten)
	if err != nil { // strings and numbers: it cannot
		return dst
	}
	return sse.Append(dst, name, data)
}
