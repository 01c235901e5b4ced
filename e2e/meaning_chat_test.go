package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// readChat reads a Chat Completions request.
func readChat(t *testing.T, body []byte) wish {
	top := parse(t, body)
	a := wish{settings: map[string]string{}}
	top.take("model")
	conv := conversation{by: map[string]int{}}
	for _, m := range top.list("messages") {
		a.chatMessage(m, &conv)
	}
	for _, n := range top.list("tools") {
		a.chatTool(n)
	}
	a.chatChoice(top)
	a.chatFormat(top)
	for _, s := range []string{
		"temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "n", "logprobs", "top_logprobs", "logit_bias",
		"user", "safety_identifier", "metadata", "service_tier", "store", "prompt_cache_key", "verbosity", "reasoning_effort",
	} {
		a.set(s, top.take(s))
	}
	a.set("max", top.take("max_tokens"))
	a.set("max", top.take("max_completion_tokens"))
	if a.settings["max"] == "0" {
		a.wrong = append(a.wrong, "max_tokens")
	}
	switch stop := top.take("stop").(type) {
	case string:
		a.set("stop", []any{stop})
	case []any:
		a.set("stop", stop)
	}
	if top.take("stream") == true {
		a.set("stream", true)
	}
	if o, ok := top.object("stream_options"); ok {
		if o.take("include_usage") == true {
			a.set("usage wanted", true)
		}
		a.leave(o)
	}
	a.leave(top)
	return a
}

func (a *wish) chatMessage(m node, conv *conversation) {
	role := m.str("role")
	i := item{role: role, path: m.path}
	switch role {
	case "developer":
		i.role = "system"
	case "tool":
		m.take("name") // the call's id says as much
		i.role, i.kind, i.call = "user", "result", conv.by[m.str("tool_call_id")]
		a.items = append(a.items, i) // there is a result, even if it is empty
	}
	if role == "assistant" {
		thinking := m.str("reasoning_content")
		if other := m.str("reasoning"); thinking == "" {
			thinking = other
		}
		a.say(i, "thinking", thinking)
	}
	a.chatContent(m, i, conv)
	if role == "assistant" {
		a.say(i, "refusal", m.str("refusal"))
		for _, c := range m.list("tool_calls") {
			a.chatCall(c, conv)
		}
	}
	a.cache(m)
	a.leave(m)
}

// say adds a text if there is any.
func (a *wish) say(i item, kind, text string) {
	if text == "" {
		return
	}
	if i.kind == "" {
		i.kind = kind
	}
	i.value = text
	a.items = append(a.items, i)
}

func (a *wish) chatCall(c node, conv *conversation) {
	i := item{role: "assistant", kind: "call", path: c.path}
	if typ := c.str("type"); typ != "" && typ != "function" {
		i.kind, i.typ = "other", typ
		a.items = append(a.items, i)
		return
	}
	i.call = conv.call(c.str("id"))
	f, _ := c.object("function")
	args := arguments(f.take("arguments"))
	if !strings.HasPrefix(args, "{") {
		a.wrong = append(a.wrong, f.at("arguments"))
	}
	i.value = f.str("name") + " " + args
	a.items = append(a.items, i)
	a.leave(f)
	a.leave(c)
}

// movedMark leads the media of a tool result that stand in a user message instead.
const movedMark, movedNote = "[From the result of tool call ", "[The rest of this result follows in the next user message.]"

func (a *wish) chatContent(m node, i item, conv *conversation) {
	if s, ok := m.m["content"].(string); ok {
		m.take("content")
		i.path = m.at("content")
		a.say(i, "text", strings.TrimSuffix(s, movedNote))
		return
	}
	if v := m.m["content"]; v != nil {
		if _, ok := v.([]any); !ok {
			a.wrong = append(a.wrong, m.at("content"))
		}
	}
	result := 0 // of the moved media that follow
	for _, p := range m.list("content") {
		if s, ok := p.m["text"].(string); ok && i.kind == "result" && strings.HasSuffix(s, movedNote) {
			p.m["text"] = strings.TrimSuffix(s, movedNote)
		} else if ok && strings.HasPrefix(s, movedMark) {
			result = conv.by[strings.TrimSuffix(strings.TrimPrefix(s, movedMark), ":]")]
			continue
		} else if ok {
			result = 0
		}
		moved := i
		if result > 0 {
			moved.kind, moved.call = "result", result
		}
		a.chatPart(p, moved)
	}
}

func (a *wish) chatPart(p node, i item) {
	i.path = p.path
	inResult := i.kind == "result"
	add := func(kind, value, typ string) {
		if i.value, i.typ = value, typ; inResult {
			i.value, i.typ = kind+" "+value, "media"
		} else {
			i.kind = kind
		}
		a.items = append(a.items, i)
	}
	a.cache(p)
	switch typ := p.str("type"); typ {
	case "text":
		a.say(i, "text", p.str("text"))
	case "refusal":
		a.say(i, "refusal", p.str("refusal"))
	case "thinking":
		switch v := p.take("thinking").(type) {
		case string:
			a.say(i, "thinking", v)
		case []any:
			for _, x := range v {
				m, _ := x.(map[string]any)
				s, _ := m["text"].(string)
				a.say(i, "thinking", s)
			}
		}
	case "image_url":
		url, ok := p.m["image_url"].(string)
		if ok {
			p.take("image_url")
		} else if o, ok := p.object("image_url"); ok {
			url = o.str("url")
			o.take("detail") // a hint
			a.leave(o)
		}
		if url == "" {
			a.wrong = append(a.wrong, p.at("image_url")+".url")
		}
		value, typ := dataURL(url)
		add("image", value, typ)
	case "file":
		o, _ := p.object("file")
		name := o.str("filename")
		if data := o.str("file_data"); data != "" {
			value, typ := dataURL(data)
			if strings.HasSuffix(strings.ToLower(name), ".pdf") && typ == "url" && !strings.HasPrefix(data, "http") {
				value, typ = "application/pdf "+hash(data), "base64"
			}
			add("document", value, typ)
		} else {
			add("document", o.str("file_id"), "file")
		}
		a.leave(o)
	case "input_audio":
		o, _ := p.object("input_audio")
		add("audio", o.str("format")+" "+hash(o.str("data")), "base64")
		a.leave(o)
	default:
		add("other", canonical(p.m), typ)
		return
	}
	a.leave(p)
}

func (a *wish) chatTool(n node) {
	if typ := n.str("type"); typ != "" && typ != "function" {
		a.items = append(a.items, item{role: "tools", kind: "other", typ: typ, path: n.path})
		return
	}
	f, _ := n.object("function")
	name, description, schema := f.str("name"), f.str("description"), f.take("parameters")
	a.tools = append(a.tools, line(name, description, schema, f.take("strict") == true))
	a.cache(n)
	a.leave(f)
	a.leave(n)
}

func (a *wish) chatChoice(top node) {
	switch v := top.take("tool_choice").(type) {
	case string:
		if v == "any" {
			v = "required"
		}
		if v != "auto" { // the default
			a.set("choice", v)
		}
	case map[string]any:
		if f, ok := v["function"].(map[string]any); ok && v["type"] == "function" {
			a.set("choice", "the function "+canonical(f["name"]))
		} else {
			a.rest = append(a.rest, "tool_choice")
		}
	}
	if top.take("parallel_tool_calls") == false {
		a.set("one call at a time", true)
	}
}

func (a *wish) chatFormat(top node) {
	f, ok := top.object("response_format")
	if !ok {
		return
	}
	switch typ := f.str("type"); typ {
	case "text":
	case "json_object":
		a.set("json", true)
	case "json_schema":
		s, _ := f.object("json_schema")
		a.set("schema", s.take("schema"))
		for _, name := range []string{"name", "description", "strict"} { // words to the model that the other side lacks
			s.take(name)
		}
		a.leave(s)
	default:
		a.rest = append(a.rest, "response_format")
	}
	a.leave(f)
}

// quietChat lists what may be left out of a chat request without a word: it cannot change what the answer
// means. Indexes are taken out of the path; with a value given, only that value.
var quietChat = map[string]string{
	"prediction": "", "prompt_cache_retention": "", "prompt_cache_options": "", "usage": "",
	"modalities": `["text"]`, "functions": `[]`,
	"stream_options.include_obfuscation": "", "stream_options.continuous_usage_stats": "",
	"messages[].annotations": "", "messages[].reasoning_details": "", "messages[].provider_metadata": "", "messages[].extra_content": "",
	"messages[].executed_tools": "", "messages[].channel": "", "messages[].index": "", "messages[].id": "", "messages[].parsed": "",
	"messages[].prefix": "false", "messages[].content[].prompt_cache_breakpoint": "",
	"messages[].tool_calls[].index": "", "messages[].tool_calls[].cache_control": "", "messages[].tool_calls[].extra_content": "",
}

// defaults are the settings that mean the same as none.
var defaults = map[string]string{
	"n": "1", "logprobs": "false", "top_logprobs": "0", "frequency_penalty": "0", "presence_penalty": "0", "store": "false",
	"verbosity": `"medium"`, "logit_bias": "{}", "metadata": "{}", "stop": "[]", "top_p": "1",
}

// toAnthropic is what a chat request must have become for the Anthropic model that translated
// requests are sent to, and what of it must be named because it has no counterpart.
func (a wish) toAnthropic(t *testing.T, body []byte) (want wish, named []string) {
	want = wish{settings: map[string]string{}, tools: a.tools, cached: a.cached, wrong: a.wrong}
	for _, p := range a.rest {
		if v, quiet := quietChat[withoutIndexes(p)]; !quiet || v != "" && v != valueAt(t, body, p) {
			named = append(named, p)
		}
	}
	var system, turns []item
	for _, i := range a.items {
		if why, ok := i.toAnthropic(); !ok {
			if why != "" {
				named = append(named, why)
			}
			continue
		}
		switch {
		case i.kind == "refusal":
			i.kind = "text"
		case i.kind == "image" || i.kind == "result":
			i.value = strings.Replace(i.value, "image/jpg ", "image/jpeg ", 1)
		}
		if i.role == "system" {
			system = append(system, i)
		} else {
			turns = append(turns, i)
		}
	}
	want.items = append(system, turns...)
	if len(turns) == 0 { // nobody says anything
		want.wrong = append(want.wrong, "messages")
	}
	for i, line := range want.tools { // the schema of a function without parameters
		for _, none := range []string{`" null strict=`, `" {} strict=`} {
			want.tools[i] = strings.Replace(line, none, `" {"properties":{},"type":"object"} strict=`, 1)
		}
	}
	return want, append(named, a.settingsToAnthropic(want.settings)...)
}

// toAnthropic says whether an item has a place there; if not, and it must be named, why is its name.
func (i item) toAnthropic() (why string, ok bool) {
	switch {
	case i.role == "tools", i.kind == "other", i.kind == "audio", strings.HasPrefix(i.value, "audio "):
		return i.path, false
	case i.kind == "thinking": // no signature: another provider's
		return "", false
	case i.kind == "text" || i.kind == "refusal":
		return "", strings.TrimSpace(i.value) != ""
	case i.role == "system":
		return i.path, false
	case i.kind == "document" && i.typ == "base64":
		return i.path, strings.HasPrefix(i.value, "application/pdf ")
	case i.kind == "document" && i.typ == "file":
		return i.path, strings.HasPrefix(i.value, "file_")
	case i.typ == "url":
		return i.path, strings.HasPrefix(i.value, "http")
	}
	return "", true
}

func (a wish) settingsToAnthropic(want map[string]string) (named []string) {
	has := map[string]string{}
	for name, v := range a.settings {
		if defaults[name] != v {
			has[name] = v
		}
	}
	for _, name := range []string{
		"frequency_penalty", "presence_penalty", "seed", "n", "logprobs", "top_logprobs", "logit_bias", "metadata", "store", "verbosity",
	} {
		if has[name] != "" {
			named = append(named, name)
		}
	}
	for _, name := range []string{"stream", "schema", "user"} {
		if has[name] != "" {
			want[name] = has[name]
		}
	}
	if want["user"] == "" && has["safety_identifier"] != "" {
		want["user"] = has["safety_identifier"]
	}
	want["max"] = "64000" // claude-sonnet-4-6: the model's own limit, where none is given
	if has["max"] != "" {
		want["max"] = has["max"]
	}
	if has["json"] != "" {
		named = append(named, "response_format")
	}
	if tier := has["service_tier"]; tier != "" && tier != `"auto"` && tier != `"default"` {
		named = append(named, "service_tier")
	}
	if has["stop"] != "" {
		var all, kept []string
		_ = json.Unmarshal([]byte(has["stop"]), &all)
		for _, s := range all {
			if strings.TrimSpace(s) != "" {
				kept = append(kept, s)
			}
		}
		if len(kept) < len(all) {
			named = append(named, "stop")
		}
		if len(kept) > 0 {
			want["stop"] = canonical(kept)
		}
	}
	if choice := has["choice"]; choice != "" && (len(a.tools) > 0 || choice != `"none"`) {
		want["choice"] = choice
	}
	if has["one call at a time"] != "" && len(a.tools) > 0 && has["choice"] != `"none"` {
		want["one call at a time"] = "true"
	}
	thinks := a.effortToAnthropic(has, want, &named)
	switch temp := has["temperature"]; {
	case temp == "":
	case temp == "1" && thinks:
	case thinks || temp != "1" && temp != "0" && !strings.HasPrefix(temp, "0.") && !strings.Contains(temp, "e-"):
		named = append(named, "temperature")
	default:
		want["temperature"] = temp
	}
	for _, name := range []string{"top_p", "top_k"} {
		if v := has[name]; v == "" {
		} else if thinks && (name == "top_k" || v < "0.95") {
			named = append(named, name)
		} else {
			want[name] = v
		}
	}
	return named
}

// effortToAnthropic is the row of the table of models for claude-sonnet-4-6.
func (a wish) effortToAnthropic(has, want map[string]string, named *[]string) (thinks bool) {
	effort := strings.Trim(has["reasoning_effort"], `"`)
	switch effort {
	case "", "none":
		return false
	case "minimal":
		effort = "low"
	case "xhigh":
		effort = "high"
	case "low", "medium", "high", "max":
	default:
		*named = append(*named, "reasoning_effort")
		return false
	}
	want["reasoning_effort"] = `"` + effort + `"`
	if choice := has["choice"]; choice != "" && choice != `"none"` {
		return false // a forced tool and thinking exclude each other
	}
	want["thinking"] = "adaptive"
	return true
}
