package e2e

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// said is what an answer means, in words that both protocols share. Of several choices only the first is read.
type said struct {
	text, thinking, refusal string
	calls                   []called
	finish                  string // stop, length, tools, filter; "" if none was told
	usage                   tokens
	model                   string
	ends                    int  // marks of a whole answer
	broken                  bool // it says itself that it failed
}

type called struct{ id, name, args string }

// tokens are the counts of an answer: cached and written are parts of input, reasoning of output.
type tokens struct {
	told                                      bool
	input, cached, written, output, reasoning int
}

func number(v any) int {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	f, _ := n.Float64()
	return int(f)
}

func object(v any, names ...string) map[string]any {
	m, _ := v.(map[string]any)
	for _, n := range names {
		m, _ = m[n].(map[string]any)
	}
	return m
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func decode(data []byte) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var m map[string]any
	if dec.Decode(&m) != nil {
		return nil
	}
	return m
}

// readAnswer reads an answer of the kind: a whole one, or a stream's events.
func readAnswer(t *testing.T, kind string, stream bool, body []byte) said {
	t.Helper()
	a := said{}
	switch {
	case kind == "openai" && stream:
		a.chatStream(events(t, body))
	case kind == "openai":
		a.chatWhole(decode(body))
	case stream:
		a.messagesStream(events(t, body))
	default:
		a.messagesWhole(decode(body))
	}
	if a.finish == "stop" && len(a.calls) > 0 {
		a.finish = "tools" // a forced function ends in stop
	}
	return a
}

// chatFinish are the words that providers of this protocol end with. Others mean stop.
var chatFinish = map[string]string{
	"": "", "length": "length", "max_tokens": "length", "model_length": "length", "tool_calls": "tools", "function_call": "tools",
	"content_filter": "filter", "refusal": "filter", "error": "broken", "insufficient_system_resource": "broken",
}

func (a *said) chatFinish(v any) {
	word, ok := v.(string)
	if !ok {
		return
	}
	class, known := chatFinish[word]
	if !known {
		class = "stop"
	}
	if class == "broken" {
		a.broken = true
	} else if class != "" {
		a.finish = class
	}
}

// chatMessage reads a message or a delta: all texts are pieces.
func (a *said) chatMessage(m map[string]any) {
	switch c := m["content"].(type) {
	case string:
		a.text += c
	case []any: // Mistral: chunks
		for _, v := range c {
			chunk := object(v)
			a.text += text(chunk["text"])
			switch th := chunk["thinking"].(type) {
			case string:
				a.thinking += th
			case []any:
				for _, x := range th {
					a.thinking += text(object(x)["text"])
				}
			}
		}
	}
	if s := text(m["reasoning_content"]); s != "" {
		a.thinking += s
	} else {
		a.thinking += text(m["reasoning"])
	}
	a.refusal += text(m["refusal"])
}

func (a *said) chatWhole(m map[string]any) {
	choices, _ := m["choices"].([]any)
	if m["error"] != nil || len(choices) == 0 {
		a.broken = true
		return
	}
	c := object(choices[0])
	msg := object(c["message"])
	a.chatMessage(msg)
	list, _ := msg["tool_calls"].([]any)
	for _, v := range list {
		f := object(v, "function")
		a.calls = append(a.calls, called{text(object(v)["id"]), text(f["name"]), arguments(f["arguments"])})
	}
	if f := object(msg["function_call"]); text(f["name"]) != "" { // the old way, without an id
		a.calls = append(a.calls, called{"", text(f["name"]), arguments(f["arguments"])})
	}
	a.model = text(m["model"])
	a.chatFinish(c["finish_reason"])
	a.chatUsage(m)
	a.ends = 1
}

func (a *said) chatStream(evs []event) {
	calls := map[int]*called{}
	var order []int
	piece := func(i int, id string, f map[string]any) {
		if k := calls[i]; k != nil && id != "" && k.id != id && text(f["name"]) != "" { // every call with index 0
			i = 1000 + len(order)
		}
		if calls[i] == nil {
			calls[i], order = &called{}, append(order, i)
		}
		k := calls[i]
		if k.id == "" {
			k.id = id
		}
		if k.name == "" {
			k.name = text(f["name"])
		}
		k.args += text(f["arguments"])
	}
	for _, ev := range evs {
		if ev.data == "[DONE]" {
			a.ends++
			break
		}
		m := decode([]byte(ev.data))
		if m["error"] != nil || ev.name == "error" {
			a.broken = true
			return
		}
		if s := text(m["model"]); s != "" && a.model == "" {
			a.model = s
		}
		a.chatUsage(m)
		choices, _ := m["choices"].([]any)
		for _, v := range choices {
			c := object(v)
			if number(c["index"]) != 0 {
				continue
			}
			d := object(c["delta"])
			a.chatMessage(d)
			a.chatFinish(c["finish_reason"])
			list, _ := d["tool_calls"].([]any)
			for _, v := range list {
				piece(number(object(v)["index"]), text(object(v)["id"]), object(v, "function"))
			}
			if f := object(d["function_call"]); text(f["name"]) != "" || text(f["arguments"]) != "" {
				piece(0, "", f)
			}
		}
	}
	for _, i := range order {
		k := calls[i]
		a.calls = append(a.calls, called{k.id, k.name, arguments(k.args)})
	}
}

// chatUsage takes the last report, in any of the ways in which providers of this protocol count.
func (a *said) chatUsage(m map[string]any) {
	u := object(m["usage"])
	if u == nil {
		u = object(m["x_groq"], "usage")
	}
	if u == nil {
		return
	}
	prompt, completion, total := number(u["prompt_tokens"]), number(u["completion_tokens"]), number(u["total_tokens"])
	in, out := object(u["prompt_tokens_details"]), object(u["completion_tokens_details"])
	reasoning := number(out["reasoning_tokens"])
	if reasoning == 0 {
		reasoning = number(u["reasoning_tokens"])
	}
	rest := total - prompt - completion
	switch {
	case reasoning > 0 && (rest == reasoning || reasoning > completion): // xAI, Vercel: told apart
		completion += reasoning
	case rest > 0 && (number(in["audio_tokens"]) > 0 || number(u["prompt_audio_seconds"]) > 0): // Mistral
		prompt += rest
	case rest > 0 && reasoning == 0: // Gemini
		completion, reasoning = completion+rest, rest
	}
	first := func(vs ...any) int {
		for _, v := range vs {
			if n := number(v); n > 0 {
				return n
			}
		}
		return 0
	}
	cached := min(first(in["cached_tokens"], u["prompt_cache_hit_tokens"], u["cached_tokens"], u["num_cached_tokens"]), prompt)
	written := min(first(in["cache_write_tokens"], u["cache_creation_input_tokens"]), prompt-cached)
	a.usage = tokens{true, prompt, cached, written, completion, reasoning}
}

var messagesFinish = map[string]string{
	"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
	"tool_use": "tools", "refusal": "filter", "pause_turn": "stop",
}

func (a *said) messagesFinish(m map[string]any) {
	if word := text(m["stop_reason"]); word != "" {
		if a.finish = messagesFinish[word]; a.finish == "" {
			a.finish = "stop"
		}
	}
	a.refusal += text(object(m["stop_details"])["explanation"])
}

func (a *said) messagesUsage(u map[string]any) {
	if u == nil {
		return
	}
	later := func(old int, name string) int {
		if n := number(u[name]); n != 0 {
			return n
		}
		return old
	}
	plain := a.usage.input - a.usage.cached - a.usage.written
	n := tokens{
		told: true, cached: later(a.usage.cached, "cache_read_input_tokens"), written: later(a.usage.written, "cache_creation_input_tokens"),
		output: later(a.usage.output, "output_tokens"), reasoning: a.usage.reasoning,
	}
	n.input = later(plain, "input_tokens") + n.cached + n.written
	if r := number(object(u["output_tokens_details"])["thinking_tokens"]); r > 0 {
		n.reasoning = r
	}
	passes, _ := u["iterations"].([]any)
	for _, p := range passes { // billed, but not in the totals
		if m := object(p); m["type"] == "compaction" {
			n.input += number(m["input_tokens"])
			n.output += number(m["output_tokens"])
		}
	}
	a.usage = n
}

func (a *said) messagesWhole(m map[string]any) {
	list, ok := m["content"].([]any)
	if m["type"] == "error" || !ok {
		a.broken = true
		return
	}
	for _, v := range list {
		b := object(v)
		switch b["type"] {
		case "text":
			a.text += text(b["text"])
		case "thinking":
			a.thinking += text(b["thinking"])
		case "tool_use":
			a.calls = append(a.calls, called{text(b["id"]), text(b["name"]), arguments(b["input"])})
		}
	}
	a.model = text(m["model"])
	a.messagesFinish(m)
	a.messagesUsage(object(m["usage"]))
	a.ends = 1
}

func (a *said) messagesStream(evs []event) {
	type block struct {
		kind string
		call called // its arguments as text
		args any    // as the start tells them
	}
	blocks := map[int]*block{}
	var order []int
	for _, ev := range evs {
		m := decode([]byte(ev.data))
		i := number(m["index"])
		switch m["type"] {
		case "error":
			a.broken = true
			return
		case "message_start":
			a.model = text(object(m["message"])["model"])
			a.messagesUsage(object(m["message"], "usage"))
		case "content_block_start":
			b := object(m["content_block"])
			blocks[i] = &block{text(b["type"]), called{id: text(b["id"]), name: text(b["name"])}, b["input"]}
			order = append(order, i)
			if blocks[i].kind == "text" {
				a.text += text(b["text"])
			}
		case "content_block_delta":
			d := object(m["delta"])
			a.text += text(d["text"])
			a.thinking += text(d["thinking"])
			if b := blocks[i]; b != nil {
				b.call.args += text(d["partial_json"])
			}
		case "message_delta":
			a.messagesFinish(object(m["delta"]))
			a.messagesUsage(object(m["usage"]))
		case "message_stop":
			a.ends++
		}
		if a.ends > 0 {
			break
		}
	}
	slices.Sort(order)
	for _, i := range order {
		if b := blocks[i]; b.kind == "tool_use" {
			if b.call.args != "" {
				b.args = b.call.args
			}
			b.call.args = arguments(b.args)
			a.calls = append(a.calls, b.call)
		}
	}
}

// retold is what must become of an answer of the kind in the other protocol.
func (a said) retold(kind string) said {
	if kind == "openai" {
		a.text += a.refusal // a text block
		if a.refusal != "" && a.finish == "stop" {
			a.finish = "filter"
		}
		a.refusal = ""
	}
	if a.finish == "" {
		a.finish = "stop"
		if len(a.calls) > 0 {
			a.finish = "tools"
		}
	}
	for i, c := range a.calls { // cut by the limit: nothing is lost, and it does not pass for a call
		if args, cut := strings.CutPrefix(c.args, "broken "); cut && kind == "openai" && a.finish == "length" {
			a.calls[i].args = `{"_incomplete_arguments":` + strconv.Quote(args) + `}`
		}
	}
	return a
}

// compare holds what the client was told against what it should have been.
func (got said) compare(t *testing.T, want said) {
	t.Helper()
	for _, x := range []struct{ what, got, want string }{
		{"text", got.text, want.text},
		{"thinking", got.thinking, want.thinking},
		{"refusal", got.refusal, want.refusal},
		{"finish", got.finish, want.finish},
		{"model", got.model, want.model},
	} {
		if x.got != x.want && (x.what != "model" || x.want != "") {
			t.Errorf("%s: got %.300q, want %.300q", x.what, x.got, x.want)
		}
	}
	if got.ends != 1 || got.broken {
		t.Errorf("%d marks of a whole answer, failed: %t", got.ends, got.broken)
	}
	if len(got.calls) != len(want.calls) {
		t.Errorf("%d calls, want %d: %v, want %v", len(got.calls), len(want.calls), got.calls, want.calls)
	} else {
		ids := map[string]bool{}
		for i, g := range got.calls {
			w := want.calls[i]
			if g.name != w.name || g.args != w.args {
				t.Errorf("call %d: %s %s, want %s %s", i, g.name, g.args, w.name, w.args)
			}
			if g.id == "" || ids[g.id] {
				t.Errorf("call %d has the id %q, which tells it from nothing", i, g.id)
			}
			ids[g.id] = true
			if g.id != w.id && plainID.MatchString(w.id) {
				t.Errorf("call %d: id %q, was %q", i, g.id, w.id)
			}
		}
	}
	if got.usage != want.usage && want.usage.told {
		t.Errorf("usage: %+v, want %+v", got.usage, want.usage)
	}
}
