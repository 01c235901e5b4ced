package sim

import (
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"
)

// anthropicMessages renders POST /v1/messages.
type anthropicMessages struct{ anthropicDialect }

func (anthropicMessages) name() string { return "anthropic.messages" }

func (anthropicMessages) parse(r *http.Request, body []byte) (*ask, *failure) {
	a, doc, f := anthropicCommon(r, body)
	if f != nil {
		return a, f
	}
	limit := doc.Get("max_tokens")
	if limit.Type != gjson.Number {
		return a, &failure{kind: failInvalid, message: "max_tokens: Field required"}
	}
	if a.maxTokens = int(limit.Int()); a.maxTokens < 0 {
		return a, &failure{kind: failInvalid, message: "max_tokens: Input should be greater than or equal to 0"}
	}
	return a, nil
}

// anthropicCommon reads what messages and count_tokens have in common.
func anthropicCommon(r *http.Request, body []byte) (*ask, gjson.Result, *failure) {
	if !gjson.ValidBytes(body) || !gjson.ParseBytes(body).IsObject() {
		return nil, gjson.Result{}, &failure{kind: failInvalid, message: "The request body is not valid JSON."}
	}
	doc := gjson.ParseBytes(body)
	a := &ask{
		model: doc.Get("model").Str, stream: doc.Get("stream").Bool(),
		maxTokens: -1, choices: 1, stop: stringList(doc.Get("stop_sequences")),
	}
	if r.Header.Get("Anthropic-Version") == "" {
		return a, doc, &failure{kind: failInvalid, message: "anthropic-version: header is required"}
	}
	if a.model == "" {
		return a, doc, &failure{kind: failInvalid, message: "model: Field required"}
	}
	messages := doc.Get("messages")
	if !messages.IsArray() {
		return a, doc, &failure{kind: failInvalid, message: "messages: Field required"}
	}
	if len(messages.Array()) == 0 {
		return a, doc, &failure{kind: failInvalid, message: "messages: at least one message is required"}
	}
	a.user = lastUserText(messages)
	a.input = inputTokens(doc.Get("system"), messages, doc.Get("tools"))
	doc.Get("tools").ForEach(func(_, t gjson.Result) bool {
		if t.Get("input_schema").Exists() {
			a.tools = append(a.tools, offeredTool{name: t.Get("name").Str, schema: t.Get("input_schema").Raw})
		}
		return true
	})
	switch choice := doc.Get("tool_choice"); choice.Get("type").Str {
	case "any":
		a.forced = "*"
	case "tool":
		a.forced = choice.Get("name").Str
	}
	for _, path := range []string{"output_config.format", "output_format"} {
		if format := doc.Get(path); format.Get("type").Str == "json_schema" {
			a.schema = format.Get("schema").Raw
		}
	}
	return a, doc, nil
}

// event renders one event; body is the data after its type.
func anthropicEvent(name, body string) []byte {
	b := make([]byte, 0, 2*len(name)+len(body)+32)
	b = append(b, "event: "...)
	b = append(b, name...)
	b = append(b, "\ndata: {\"type\":\""...)
	b = append(b, name...)
	b = append(b, '"')
	b = append(b, body...)
	return append(b, "}\n\n"...)
}

func (d anthropicMessages) frames(x *exchange) []frame {
	r := x.reply
	out := []frame{{data: anthropicEvent("message_start", `,"message":`+string(anthropicMessage(x, true)))}}
	index := 0
	block := func(open string, deltas func(add func(tokens int, delta string))) {
		at := `,"index":` + strconv.Itoa(index)
		out = append(out, frame{data: anthropicEvent("content_block_start", at+`,"content_block":`+open)})
		if index == 0 {
			out = append(out, frame{data: d.ping()})
		}
		deltas(func(tokens int, delta string) {
			out = append(out, frame{data: anthropicEvent("content_block_delta", at+`,"delta":`+delta), tokens: tokens})
		})
		out = append(out, frame{data: anthropicEvent("content_block_stop", at)})
		index++
	}
	pieces := func(chunks Chunks, text, open string, add func(int, string)) {
		var c counter
		for _, piece := range chunks.split(text) {
			add(c.add(piece), string(append(quote([]byte(open), piece), '}')))
		}
	}
	if r.Thinking != "" {
		block(`{"type":"thinking","thinking":"","signature":""}`, func(add func(int, string)) {
			pieces(r.chunks, r.Thinking, `{"type":"thinking_delta","thinking":`, add)
			add(0, `{"type":"signature_delta","signature":"`+x.ids.make("sim", 64)+`"}`)
		})
	}
	if r.Text != "" || len(r.ToolCalls) == 0 && !r.noChoices {
		block(`{"type":"text","text":""}`, func(add func(int, string)) {
			pieces(r.chunks, r.Text, `{"type":"text_delta","text":`, add)
		})
	}
	for _, call := range r.ToolCalls {
		open := quote([]byte(`{"type":"tool_use","id":"`+x.ids.make("toolu_01", 22)+`","name":`), call.Name)
		block(string(open)+`,"input":{}}`, func(add func(int, string)) {
			add(EstimateTokens(call.Name), `{"type":"input_json_delta","partial_json":""}`)
			pieces(argumentChunks(r.chunks), call.Arguments, `{"type":"input_json_delta","partial_json":`, add)
		})
	}
	end := `,"delta":{"stop_reason":` + anthropicFinish(r) + `,"stop_sequence":` + string(quoteOrNull(nil, r.stopSequence)) + `}`
	if !r.noUsage {
		end += `,"usage":` + string(appendAnthropicUsage(nil, r.reported, r.reported.Output, false))
	}
	return append(out,
		frame{data: anthropicEvent("message_delta", end), tail: true},
		frame{data: anthropicEvent("message_stop", ""), tail: true})
}

func (anthropicMessages) whole(x *exchange) []byte { return anthropicMessage(x, false) }

// anthropicMessage renders the message object: whole, or as it opens a stream.
func anthropicMessage(x *exchange, opening bool) []byte {
	r := x.reply
	b := quote([]byte(`{"model":`), x.model)
	b = append(b, `,"id":"`+x.ids.make("msg_01", 22)+`","type":"message","role":"assistant"`...)
	if opening {
		b = append(b, `,"content":[],"stop_reason":null,"stop_sequence":null`...)
	} else {
		if !r.noChoices {
			b = append(appendAnthropicContent(append(b, `,"content":[`...), x), ']')
		}
		b = append(b, `,"stop_reason":`+anthropicFinish(r)+`,"stop_sequence":`...)
		b = quoteOrNull(b, r.stopSequence)
	}
	if !r.noUsage {
		output := r.reported.Output
		if opening && output > 1 {
			output = 1
		}
		b = appendAnthropicUsage(append(b, `,"usage":`...), r.reported, output, true)
	}
	return append(b, '}')
}

func appendAnthropicContent(b []byte, x *exchange) []byte {
	r, sep := x.reply, ""
	if r.Thinking != "" {
		b = quote(append(b, `{"type":"thinking","thinking":`...), r.Thinking)
		b = append(b, `,"signature":"`+x.ids.make("sim", 64)+`"}`...)
		sep = ","
	}
	if r.Text != "" {
		b = append(quote(append(b, sep+`{"type":"text","text":`...), r.Text), '}')
		sep = ","
	}
	for _, call := range r.ToolCalls {
		b = append(b, sep+`{"type":"tool_use","id":"`+x.ids.make("toolu_01", 22)+`","name":`...)
		b = append(quote(b, call.Name), `,"input":`...)
		switch {
		case call.Arguments == "":
			b = append(b, "{}"...)
		case gjson.Valid(call.Arguments):
			b = append(b, call.Arguments...)
		default: // what is not JSON can stand in a JSON body only as a string
			b = append(quote(append(b, `{"INVALID_JSON":`...), call.Arguments), '}')
		}
		b = append(b, '}')
		sep = ","
	}
	return b
}

func anthropicFinish(r *Reply) string {
	reason := string(r.Finish)
	switch r.Finish {
	case FinishStop:
		reason = "end_turn"
		if r.stopSequence != "" {
			reason = "stop_sequence"
		}
	case FinishLength:
		reason = "max_tokens"
	case FinishToolCalls:
		reason = "tool_use"
	case FinishContentFilter:
		reason = "refusal"
	}
	return string(quote(nil, reason))
}

func appendAnthropicUsage(b []byte, u Usage, output int, full bool) []byte {
	n := func(name string, v int) {
		b = append(b, name...)
		b = strconv.AppendInt(b, int64(v), 10)
	}
	n(`{"input_tokens":`, u.Input-u.Cached-u.CacheWrite)
	n(`,"cache_creation_input_tokens":`, u.CacheWrite)
	n(`,"cache_read_input_tokens":`, u.Cached)
	if full {
		n(`,"cache_creation":{"ephemeral_5m_input_tokens":`, u.CacheWrite)
		b = append(b, `,"ephemeral_1h_input_tokens":0}`...)
	}
	n(`,"output_tokens":`, output)
	if u.Reasoning != 0 {
		n(`,"output_tokens_details":{"thinking_tokens":`, u.Reasoning)
		b = append(b, '}')
	}
	if full {
		b = append(b, `,"service_tier":"standard","inference_geo":"global"`...)
	}
	return append(b, '}')
}
