package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"
)

// openaiChat renders POST /v1/chat/completions.
type openaiChat struct{ openaiDialect }

func (openaiChat) name() string { return "openai.chat" }

func (openaiChat) parse(_ *http.Request, body []byte) (*ask, *failure) {
	if !gjson.ValidBytes(body) || !gjson.ParseBytes(body).IsObject() {
		return nil, &failure{kind: failInvalid, message: "We could not parse the JSON body of your request."}
	}
	doc := gjson.ParseBytes(body)
	a := &ask{
		model: doc.Get("model").Str, stream: doc.Get("stream").Bool(),
		includeUsage: doc.Get("stream_options.include_usage").Bool(),
		maxTokens:    -1, choices: 1, stop: stringList(doc.Get("stop")),
	}
	if a.model == "" {
		return a, &failure{kind: failInvalid, message: "you must provide a model parameter"}
	}
	messages := doc.Get("messages")
	if !messages.IsArray() || len(messages.Array()) == 0 {
		return a, &failure{kind: failInvalid, param: "messages", message: "Missing required parameter: 'messages'."}
	}
	for _, key := range []string{"max_tokens", "max_completion_tokens"} {
		if v := doc.Get(key); v.Type == gjson.Number {
			if a.maxTokens = int(v.Int()); a.maxTokens < 1 {
				return a, &failure{kind: failInvalid, param: key, message: "Invalid '" + key + "': integer below minimum value. Expected a value >= 1."}
			}
		}
	}
	if n := doc.Get("n"); n.Type == gjson.Number {
		if a.choices = int(n.Int()); a.choices < 1 || a.choices > 128 {
			return a, &failure{kind: failInvalid, param: "n", message: "Invalid 'n': expected a value from 1 to 128."}
		}
	}
	a.user = lastUserText(messages)
	a.input = inputTokens(messages, doc.Get("tools"))
	doc.Get("tools").ForEach(func(_, t gjson.Result) bool {
		if name := t.Get("function.name").Str; name != "" {
			a.tools = append(a.tools, offeredTool{name: name, schema: t.Get("function.parameters").Raw})
		}
		return true
	})
	switch choice := doc.Get("tool_choice"); {
	case choice.Str == "required" || choice.Str == "any":
		a.forced = "*"
	case choice.IsObject():
		a.forced = choice.Get("function.name").Str
	}
	switch format := doc.Get("response_format"); format.Get("type").Str {
	case "json_schema":
		a.schema = format.Get("json_schema.schema").Raw
	case "json_object":
		a.jsonMode = true
	}
	return a, nil
}

// chunkHead and chunkTail enclose a chunk's delta.
type openaiChunk struct {
	head  []byte // up to the choices list
	usage bool   // every chunk has a usage key
}

func newOpenAIChunk(x *exchange, id, fingerprint string) openaiChunk {
	b := append([]byte(nil), `data: {"id":`...)
	b = quote(b, id)
	b = append(b, `,"object":"chat.completion.chunk","created":`...)
	b = strconv.AppendInt(b, x.created.Unix(), 10)
	b = append(b, `,"model":`...)
	b = quote(b, x.model)
	b = append(b, `,"service_tier":"default","system_fingerprint":`...)
	b = quote(b, fingerprint)
	b = append(b, `,"choices":[`...)
	return openaiChunk{head: b, usage: x.ask.includeUsage && !x.reply.noUsage}
}

// delta renders a chunk with one choice. delta and finish are JSON.
func (c openaiChunk) delta(choice int, delta []byte, finish string) []byte {
	b := make([]byte, 0, len(c.head)+len(delta)+96)
	b = append(b, c.head...)
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(choice), 10)
	b = append(b, `,"delta":`...)
	b = append(b, delta...)
	b = append(b, `,"logprobs":null,"finish_reason":`...)
	b = append(b, finish...)
	b = append(b, "}]"...)
	if c.usage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

func (openaiChat) frames(x *exchange) []frame {
	id, fingerprint := x.ids.make("chatcmpl-", 29), x.ids.make("fp_", 10)
	chunk := newOpenAIChunk(x, id, fingerprint)
	var out []frame
	var scratch []byte
	if !x.reply.noChoices {
		for choice := range x.ask.choices {
			out = openaiChoice(out, x, chunk, choice, &scratch)
		}
	}
	if chunk.usage {
		b := append([]byte(nil), chunk.head...)
		b = append(b, `],"usage":`...)
		b = appendOpenAIUsage(b, x.reply.reported)
		out = append(out, frame{data: append(b, "}\n\n"...), tail: true})
	}
	return append(out, frame{data: []byte("data: [DONE]\n\n"), tail: true})
}

func openaiChoice(out []frame, x *exchange, chunk openaiChunk, choice int, scratch *[]byte) []frame {
	r := x.reply
	add := func(tokens int, delta []byte) {
		out = append(out, frame{data: chunk.delta(choice, delta, "null"), tokens: tokens})
		*scratch = delta[:0]
	}
	add(0, append(*scratch, `{"role":"assistant","content":`+openaiFirstContent(r)+`,"refusal":null}`...))
	texts := func(key, text string) {
		var c counter
		for _, piece := range r.chunks.split(text) {
			d := append(*scratch, `{"`...)
			d = append(d, key...)
			d = append(d, `":`...)
			add(c.add(piece), append(quote(d, piece), '}'))
		}
	}
	texts("reasoning_content", r.Thinking)
	texts("content", r.Text)
	for i, call := range r.ToolCalls {
		at := `{"tool_calls":[{"index":` + strconv.Itoa(i)
		d := append(*scratch, at...)
		d = quote(append(d, `,"id":`...), x.ids.make("call_", 24))
		d = quote(append(d, `,"type":"function","function":{"name":`...), call.Name)
		add(EstimateTokens(call.Name), append(d, `,"arguments":""}}]}`...))
		var c counter
		for _, piece := range argumentChunks(r.chunks).split(call.Arguments) {
			d := append(*scratch, at...)
			d = quote(append(d, `,"function":{"arguments":`...), piece)
			add(c.add(piece), append(d, `}}]}`...))
		}
	}
	return append(out, frame{data: chunk.delta(choice, []byte("{}"), openaiFinish(r)), tail: true})
}

func openaiFirstContent(r *Reply) string {
	if r.Text == "" && len(r.ToolCalls) > 0 {
		return "null"
	}
	return `""`
}

// argumentChunks splits arguments by four characters unless told otherwise: JSON
// has few spaces.
func argumentChunks(c Chunks) Chunks {
	if c == "" || c == "word" {
		return "token"
	}
	return c
}

func openaiFinish(r *Reply) string { return string(quote(nil, string(r.Finish))) }

func appendOpenAIUsage(b []byte, u Usage) []byte {
	field := func(name string, v int) {
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, int64(v), 10)
	}
	b = append(b, '{')
	field("prompt_tokens", u.Input)
	b = append(b, ',')
	field("completion_tokens", u.Output)
	b = append(b, ',')
	field("total_tokens", u.Input+u.Output)
	b = append(b, `,"prompt_tokens_details":{`...)
	field("cached_tokens", u.Cached)
	if u.CacheWrite != 0 {
		b = append(b, ',')
		field("cache_write_tokens", u.CacheWrite)
	}
	b = append(b, `,"audio_tokens":0},"completion_tokens_details":{`...)
	field("reasoning_tokens", u.Reasoning)
	return append(b, `,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`...)
}

func (openaiChat) whole(x *exchange) []byte {
	r := x.reply
	b := quote([]byte(`{"id":`), x.ids.make("chatcmpl-", 29))
	b = append(b, `,"object":"chat.completion","created":`...)
	b = strconv.AppendInt(b, x.created.Unix(), 10)
	b = quote(append(b, `,"model":`...), x.model)
	if !r.noChoices {
		b = append(b, `,"choices":[`...)
		for i := range x.ask.choices {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendOpenAIChoice(b, x, i)
		}
		b = append(b, ']')
	}
	if !r.noUsage {
		b = appendOpenAIUsage(append(b, `,"usage":`...), r.reported)
	}
	b = append(b, `,"service_tier":"default","system_fingerprint":`...)
	b = append(quote(b, x.ids.make("fp_", 10)), '}')
	return indent(b)
}

func appendOpenAIChoice(b []byte, x *exchange, index int) []byte {
	r := x.reply
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"message":{"role":"assistant","content":`...)
	if r.Text == "" && len(r.ToolCalls) > 0 {
		b = append(b, "null"...)
	} else {
		b = quote(b, r.Text)
	}
	if r.Thinking != "" {
		b = quote(append(b, `,"reasoning_content":`...), r.Thinking)
	}
	for i, call := range r.ToolCalls {
		if i == 0 {
			b = append(b, `,"tool_calls":[`...)
		} else {
			b = append(b, ',')
		}
		b = quote(append(b, `{"id":`...), x.ids.make("call_", 24))
		b = quote(append(b, `,"type":"function","function":{"name":`...), call.Name)
		b = quote(append(b, `,"arguments":`...), call.Arguments)
		b = append(b, "}}"...)
	}
	if len(r.ToolCalls) > 0 {
		b = append(b, ']')
	}
	b = append(b, `,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":`...)
	b = append(b, openaiFinish(r)...)
	return append(b, '}')
}

// indent lays JSON out as OpenAI's API does: two spaces, a line end at the end.
func indent(b []byte) []byte {
	var out bytes.Buffer
	out.Grow(2 * len(b))
	if json.Indent(&out, b, "", "  ") != nil {
		return b
	}
	out.WriteByte('\n')
	return out.Bytes()
}
