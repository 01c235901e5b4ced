package anthropic

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) NewDecoder() wire.EventDecoder { return &decoder{} }

// decoder reads one stream. A content block is one part: its index is the
// part's position.
type decoder struct {
	started bool
	ended   bool
	next    int // above every part so far
	usage   llm.Usage
	open    []*openBlock // blocks between their start and their stop; mostly one
}

type openBlock struct {
	index int
	kind  string
	// args, of a tool call: some came. input is what the start brought.
	args  bool
	input string
	// cited are the citations of a text so far.
	cited []byte
	// raw is the start of a block that only this protocol knows; partial its
	// input as it comes, text its content.
	raw     []byte
	partial bytes.Buffer
	text    bytes.Buffer
}

func (d *decoder) Decode(dst []llm.Event, name, data []byte) ([]llm.Event, error) {
	if d.ended || len(data) == 0 || string(data) == "[DONE]" || string(name) == "ping" {
		return dst, nil
	}
	if !isObject(data) {
		return dst, badResponse("an event is not a JSON object")
	}
	if len(name) == 0 {
		name = []byte(stringOf(member(data, "type")))
	}
	switch string(name) {
	case "content_block_delta":
		return d.delta(dst, data), nil
	case "message_start":
		return d.start(dst, member(data, "message")), nil
	case "content_block_start":
		return d.blockStart(dst, data), nil
	case "content_block_stop":
		index := int(intOf(member(data, "index")))
		for i, b := range d.open {
			if b.index == index {
				d.open = append(d.open[:i], d.open[i+1:]...)
				return b.stop(dst), nil
			}
		}
		return dst, nil
	case "message_delta":
		return d.messageDelta(dst, data), nil
	case "message_stop":
		if !d.started {
			return dst, badResponse("message_stop without message_start")
		}
		d.ended = true
		return append(dst, llm.Event{Type: llm.EventEnd}), nil
	case "error":
		return dst, errorObject(data)
	}
	return dst, nil
}

// End fails unless message_stop was seen: nothing else marks a whole answer.
func (d *decoder) End(dst []llm.Event) ([]llm.Event, error) {
	if d.ended {
		return dst, nil
	}
	return dst, llm.Errorf(llm.KindIncompleteStream, "the provider's answer broke off")
}

func (d *decoder) start(dst []llm.Event, message []byte) []llm.Event {
	if d.started {
		return dst
	}
	d.started = true
	usage := member(message, "usage")
	dst = append(dst, llm.Event{
		Type: llm.EventStart, ID: stringOf(member(message, "id")), Model: stringOf(member(message, "model")),
		ServiceTier: stringOf(member(usage, "service_tier")),
	})
	return d.report(dst, usage)
}

// report tells a usage object. A later report that does not take its cache
// writes apart keeps the part for one hour that an earlier one told.
func (d *decoder) report(dst []llm.Event, raw []byte) []llm.Event {
	u, split := readUsage(raw)
	if !u.Reported {
		return dst
	}
	if long := d.usage.CacheWrite1h; !split && long > 0 && u.CacheWrite >= long {
		u.CacheWrite, u.CacheWrite1h = u.CacheWrite-long, long
	}
	d.usage.Merge(u)
	return append(dst, llm.Event{Type: llm.EventUsage, Usage: u})
}

func (d *decoder) messageDelta(dst []llm.Event, data []byte) []llm.Event {
	delta := member(data, "delta")
	if word := stringOf(member(delta, "stop_reason")); word != "" {
		for _, b := range d.open { // never closed
			dst = b.stop(dst)
		}
		d.open = nil
		if text := refusalText(member(delta, "stop_details")); text != "" {
			dst = append(dst, llm.Event{Type: llm.EventRefusal, Part: d.next, Text: text}, llm.Event{Type: llm.EventPartEnd, Part: d.next})
		}
		dst = append(dst, llm.Event{
			Type: llm.EventFinish, Finish: decodeFinish(word), RawFinish: word, StopSequence: stringOf(member(delta, "stop_sequence")),
		})
	}
	return d.report(dst, member(data, "usage"))
}

func (d *decoder) blockStart(dst []llm.Event, data []byte) []llm.Event {
	block := member(data, "content_block")
	b := &openBlock{index: int(intOf(member(data, "index"))), kind: stringOf(member(block, "type"))}
	d.open = append(d.open, b)
	d.next = max(d.next, b.index+1)
	ev := llm.Event{Part: b.index}
	switch b.kind {
	case "text":
		ev.Type, ev.Text = llm.EventText, stringOf(member(block, "text"))
	case "thinking":
		ev.Type, ev.Text = llm.EventThinking, stringOf(member(block, "thinking"))
		if sig := stringOf(member(block, "signature")); sig != "" {
			dst = append(dst, ev)
			ev.Type, ev.Text = llm.EventSignature, sig
		}
	case "redacted_thinking":
		ev.Type, ev.Text = llm.EventRedacted, stringOf(member(block, "data"))
	case "tool_use":
		ev.Type, ev.ID, ev.Name = llm.EventToolCall, decodeID(stringOf(member(block, "id"))), stringOf(member(block, "name"))
		b.input = "{}"
		if input := member(block, "input"); kindOf(input) == '{' {
			b.input = string(input)
		}
	default:
		b.raw = bytes.Clone(block)
		return dst
	}
	return append(dst, ev)
}

func (d *decoder) block(index int) *openBlock {
	for _, b := range d.open {
		if b.index == index {
			return b
		}
	}
	return nil
}

func (d *decoder) delta(dst []llm.Event, data []byte) []llm.Event {
	index := int(intOf(member(data, "index")))
	d.next = max(d.next, index+1)
	b := d.block(index)
	for c := walk(member(data, "delta")); ; {
		name, v, ok := c.next()
		if !ok {
			return dst
		}
		ev := llm.Event{Part: index}
		switch string(name) {
		case "text":
			ev.Type, ev.Text = llm.EventText, stringOf(v)
		case "thinking":
			ev.Type, ev.Text = llm.EventThinking, stringOf(v)
		case "signature":
			ev.Type, ev.Text = llm.EventSignature, stringOf(v)
		case "partial_json":
			ev.Type, ev.Text = llm.EventToolArgs, stringOf(v)
			if b != nil && b.raw != nil {
				b.partial.WriteString(ev.Text)
				continue
			}
			if b != nil && ev.Text != "" {
				b.args = true
			}
		case "citation":
			b.cite(v)
			continue
		case "content": // of a compaction
			if b != nil {
				b.text.WriteString(stringOf(v))
			}
			continue
		default:
			continue
		}
		if ev.Text != "" {
			dst = append(dst, ev)
		}
	}
}

func (b *openBlock) cite(citation []byte) {
	if b == nil || kindOf(citation) != '{' {
		return
	}
	if len(b.cited) == 0 {
		b.cited = append(b.cited, '[')
	} else {
		b.cited = append(b.cited, ',')
	}
	b.cited = append(b.cited, citation...)
}

// stop tells what is only known at the end of a block: citations, the
// arguments of a call without any, and blocks that only this protocol knows.
func (b *openBlock) stop(dst []llm.Event) []llm.Event {
	switch {
	case b.raw != nil:
		dst = append(dst, llm.Event{Type: llm.EventOther, Part: b.index, Name: b.kind, Raw: b.whole()})
	case b.kind == "tool_use" && !b.args:
		dst = append(dst, llm.Event{Type: llm.EventToolArgs, Part: b.index, Text: b.input})
	case len(b.cited) > 0:
		dst = append(dst, llm.Event{Type: llm.EventText, Part: b.index, Raw: append(b.cited, ']')})
	}
	return append(dst, llm.Event{Type: llm.EventPartEnd, Part: b.index})
}

// whole is the block with the input and content that came in deltas.
func (b *openBlock) whole() []byte {
	raw := b.raw
	if b.partial.Len() > 0 && valid(b.partial.Bytes()) {
		raw = setMember(raw, "input", b.partial.Bytes())
	}
	if b.text.Len() > 0 {
		text, _ := json.Marshal(b.text.String(), asWritten)
		raw = setMember(raw, "content", text)
	}
	return raw
}

// setMember gives a member of an object a value: in its place, or as the last.
func setMember(obj []byte, name string, value []byte) []byte {
	for c := walk(obj); ; {
		n, v, ok := c.next()
		if !ok {
			break
		}
		if string(n) == name {
			out := append([]byte(nil), obj[:c.i-len(v)]...)
			return append(append(out, value...), obj[c.i:]...)
		}
	}
	end := bytes.LastIndexByte(obj, '}')
	out := append([]byte(nil), obj[:end]...)
	if hasMembers(obj) {
		out = append(out, ',')
	}
	out = append(append(append(out, '"'), name...), '"', ':')
	return append(append(out, value...), '}')
}
