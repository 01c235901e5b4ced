package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// readMessages reads an Anthropic Messages request.
func readMessages(t *testing.T, body []byte) wish {
	top := parse(t, body)
	a := wish{settings: map[string]string{}}
	top.take("model")
	conv := conversation{by: map[string]int{}}
	a.blocks(top, "system", item{role: "system"}, &conv)
	for _, m := range top.list("messages") {
		a.blocks(m, "content", item{role: m.str("role")}, &conv)
		a.leave(m)
	}
	for _, n := range top.list("tools") {
		a.messagesTool(n)
	}
	a.messagesChoice(top)
	for _, s := range []string{"temperature", "top_p", "top_k", "service_tier"} {
		a.set(s, top.take(s))
	}
	a.set("max", top.take("max_tokens"))
	a.set("stop", top.take("stop_sequences"))
	if top.take("stream") == true {
		a.set("stream", true)
	}
	if m, ok := top.object("metadata"); ok {
		a.set("user", m.take("user_id"))
		a.leave(m)
	}
	a.messagesReasoning(top)
	a.cache(top)
	a.leave(top)
	return a
}

func (a *wish) messagesReasoning(top node) {
	if th, ok := top.object("thinking"); ok {
		mode := th.str("type")
		if mode == "enabled" {
			mode += " " + canonical(th.take("budget_tokens"))
		}
		a.settings["thinking"] = mode
		th.take("display")
		a.leave(th)
	}
	format, ok := top.object("output_format")
	if c, is := top.object("output_config"); is {
		a.set("reasoning_effort", c.take("effort"))
		if f, is := c.object("format"); is {
			format, ok = f, true
		}
		a.leave(c)
	}
	if ok && format.str("type") == "json_schema" {
		a.set("schema", format.take("schema"))
		a.leave(format)
	}
}

// blocks reads a string or a list of blocks.
func (a *wish) blocks(m node, name string, i item, conv *conversation) {
	if s, ok := m.m[name].(string); ok {
		m.take(name)
		i.path = m.at(name)
		a.say(i, "text", s)
		return
	}
	for _, b := range m.list(name) {
		a.block(b, i, conv)
	}
}

func (a *wish) block(b node, i item, conv *conversation) {
	i.path = b.path
	inResult := i.kind == "result"
	add := func(kind, value, typ string) {
		if i.value, i.typ = value, typ; inResult {
			i.value, i.typ = kind+" "+value, "media"
		} else {
			i.kind = kind
		}
		a.items = append(a.items, i)
	}
	whole := canonical(b.m)
	a.cache(b)
	switch typ := b.str("type"); typ {
	case "text":
		a.say(i, "text", b.str("text"))
	case "thinking":
		i.signed = b.str("signature") != ""
		a.say(i, "thinking", b.str("thinking"))
	case "redacted_thinking":
		i.signed = true
		a.say(i, "thinking", b.str("data"))
	case "tool_use":
		i.call = conv.call(b.str("id"))
		name := b.str("name")
		add("call", name+" "+arguments(b.take("input")), "")
	case "tool_result":
		i.kind, i.call = "result", conv.by[b.str("tool_use_id")]
		a.items = append(a.items, i)
		a.blocks(b, "content", i, conv)
		if b.take("is_error") == true {
			i.kind = "error"
			a.items = append(a.items, i)
		}
	case "image", "document":
		src, _ := b.object("source")
		kind := src.str("type")
		value := ""
		switch kind {
		case "base64":
			value = src.str("media_type") + " " + hash(src.str("data"))
		case "url":
			value = src.str("url")
		case "file":
			value = src.str("file_id")
		case "text":
			src.take("media_type")
			value = src.str("data")
			if c := b.str("context"); c != "" {
				value = "[Context: " + c + "]\n" + value
			}
			if title := b.str("title"); title != "" {
				value = "[Document: " + title + "]\n" + value
			}
		default:
			i.typ = typ
			add("other", whole, typ)
			return
		}
		b.take("title")
		if c, ok := b.object("citations"); ok {
			if c.take("enabled") == true {
				a.rest = append(a.rest, "citations")
			}
			a.leave(c)
		}
		add(typ, value, kind)
		a.leave(src)
	default:
		add("other", whole, typ)
		return
	}
	a.leave(b)
}

func (a *wish) messagesTool(n node) {
	typ := n.str("type")
	if typ != "" && typ != "custom" {
		a.items = append(a.items, item{role: "tools", kind: "other", typ: typ, path: n.path})
		return
	}
	name, description, schema := n.str("name"), n.str("description"), n.take("input_schema")
	a.tools = append(a.tools, line(name, description, schema, n.take("strict") == true))
	a.cache(n)
	a.leave(n)
}

func (a *wish) messagesChoice(top node) {
	c, ok := top.object("tool_choice")
	if !ok {
		return
	}
	switch typ := c.str("type"); typ {
	case "none":
		a.set("choice", typ)
	case "any":
		a.set("choice", "required")
	case "tool":
		a.set("choice", "the function "+canonical(c.take("name")))
	}
	if c.take("disable_parallel_tool_use") == true {
		a.set("one call at a time", true)
	}
	a.leave(c)
}

// quietMessages lists what may be left out of a Messages request without a word.
var quietMessages = map[string]string{
	"speed":                          `"standard"`,
	"messages[].content[].citations": "", // of an earlier answer
}

// toChat is what a Messages request must have become for the OpenAI model that translated requests
// are sent to, and what of it must be named.
func (a wish) toChat(t *testing.T, body []byte) (want wish, named []string) {
	want = wish{settings: map[string]string{}, tools: a.tools, wrong: a.wrong}
	for _, p := range a.rest {
		if v, quiet := quietMessages[withoutIndexes(p)]; !quiet || v != "" && v != valueAt(t, body, p) {
			named = append(named, p)
		}
	}
	for _, i := range a.items {
		name, ok := i.toChat()
		if name != "" {
			named = append(named, name)
		}
		if !ok {
			continue
		}
		if i.kind == "document" && i.typ == "text" {
			i.kind = "text"
		}
		if rest, ok := strings.CutPrefix(i.value, "document "); ok && i.kind == "result" && i.typ == "media" && strings.Contains(rest, "\n") {
			i.value, i.typ = rest, ""
		}
		if i.kind == "error" {
			want.items = markFailed(want.items, i.call)
			continue
		}
		want.items = append(want.items, i)
	}
	return want, append(named, a.settingsToChat(want.settings)...)
}

// markFailed says in words that a result is an error: its text begins with that.
func markFailed(items []item, call int) []item {
	for k := range items {
		if items[k].kind != "result" || items[k].call != call || items[k].value == "" || items[k].typ == "media" {
			continue
		}
		if !strings.HasPrefix(strings.ToLower(items[k].value), "error") {
			items[k].value = "Error: " + items[k].value
		}
		return items
	}
	return append(items, item{role: "user", kind: "result", call: call, value: "Error: the tool failed"})
}

// toChat says whether an item has a place there, and its name if it must be named.
func (i item) toChat() (name string, ok bool) {
	switch {
	case i.role == "tools":
		return "tools." + i.typ, false
	case i.kind == "other", i.kind == "result" && strings.HasPrefix(i.value, "other "):
		if i.kind == "result" {
			var block struct{ Type string }
			_ = json.Unmarshal([]byte(strings.TrimPrefix(i.value, "other ")), &block)
			i.typ = block.Type
		}
		return "content." + i.typ, false
	case i.kind == "thinking":
		return "", false // its provider's own; gpt models take none
	case i.kind == "document" && i.typ == "url":
		return "content.document.url", false
	case (i.kind == "document" || i.kind == "image") && i.typ == "file":
		return "content." + i.kind + ".file_id", strings.HasPrefix(i.value, "file-")
	case i.role == "assistant" && (i.kind == "image" || i.kind == "document"):
		return "assistant." + i.kind, false
	}
	return "", true
}

func (a wish) settingsToChat(want map[string]string) (named []string) {
	for _, name := range []string{"stream", "schema", "user", "max", "temperature", "top_p"} {
		if v := a.settings[name]; v != "" {
			want[name] = v
		}
	}
	if want["stream"] != "" {
		want["usage wanted"] = "true"
	}
	if a.settings["top_k"] != "" {
		named = append(named, "top_k")
	}
	if v := a.settings["stop"]; v != "" {
		var all []string
		_ = json.Unmarshal([]byte(v), &all)
		if len(all) > 4 {
			named, all = append(named, "stop_sequences"), all[:4]
		}
		if len(all) > 0 {
			want["stop"] = canonical(all)
		}
	}
	if len(a.tools) > 0 { // without functions both mean nothing
		for _, name := range []string{"choice", "one call at a time"} {
			if v := a.settings[name]; v != "" {
				want[name] = v
			}
		}
	}
	if a.settings["service_tier"] == `"standard_only"` {
		want["service_tier"] = `"default"`
	}
	thinking, budget, _ := strings.Cut(a.settings["thinking"], " ")
	tokens, _ := strconv.Atoi(budget)
	switch effort := a.settings["reasoning_effort"]; {
	case thinking == "disabled":
	case effort != "":
		want["reasoning_effort"] = effort
	case thinking == "adaptive", thinking == "enabled" && tokens >= 4096 && tokens < 16384:
		want["reasoning_effort"] = `"medium"`
	case thinking == "enabled" && tokens < 4096:
		want["reasoning_effort"] = `"low"`
	case thinking == "enabled":
		want["reasoning_effort"] = `"high"`
	}
	return named
}
