package upstreamtest

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/anthropic"
	"github.com/breakwater-llm/breakwater/internal/wire/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

// Dialect is a protocol as samples: what a client asks and what a provider answers. White space
// and members that nobody knows are part of the samples, for they must survive.
type Dialect struct {
	Codec     wire.Codec
	Request   string // a JSON object, without stream
	WantUsage string // members for a stream, if usage has to be asked for
	Tools     string // member with the tool ToolName
	Whole     map[Play]string
	Stream    map[Play][]string // the frames; a stream that breaks stops before the last two
	// Read tells what an answer says: text, finish word, calls as "id name args", marks of a whole answer.
	Read func(body string, stream bool) Said
	// Finish are the words for the end of a text and of a call.
	Finish map[Play]string
	// Unknown is a member with no counterpart in other protocols, and its name.
	Unknown, UnknownName string
	// Error makes an error body.
	Error func(typ, code, message string) string
	// ErrorFrame is an error inside a stream, of kind overloaded.
	ErrorFrame string
}

// Said is what an answer says.
type Said struct {
	Text, Finish string
	Calls        []string
	Ends         int
}

// Samples is the dialect of a protocol, or nil.
func Samples(p llm.Protocol) *Dialect { return dialects[p] }

var dialects = map[llm.Protocol]*Dialect{llm.OpenAIChat: openAI, llm.AnthropicMessages: anthropicMessages}

const openAIHead = `{"id":"chatcmpl-1", "object":"chat.completion","created":1700000000,"model":"` + AnswerModel + `","x_unknown":{"b":1,"a":2.50},`

const openAIUsage = `"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":3}}`

func openAIChunk(choices string) string {
	return `data: {"id":"chatcmpl-1", "object":"chat.completion.chunk","created":1700000000,"model":"` + AnswerModel + `","x_unknown":2.50,"choices":[` +
		choices + "],\"usage\":null}\n\n"
}

func openAIDelta(delta, finish string) string {
	return openAIChunk(`{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}`)
}

var openAITail = []string{
	`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"` + AnswerModel + `","choices":[],` + openAIUsage + "}\n\n",
	"data: [DONE]\n\n",
}

var openAI = &Dialect{
	Codec:     openai.New(),
	Request:   `{ "model" : "asked","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello there"}],"max_tokens":50}`,
	WantUsage: `,"stream_options":{"include_usage":true}`,
	Tools:     `"tools":[{"type":"function","function":{"name":"lookup","description":"Looks up","parameters":{"type":"object","properties":{"q":{"type":"string"}}}}}]`,
	Whole: map[Play]string{
		Text: openAIHead + `"choices":[{"index":0,"message":{"role":"assistant","content":"` + AnswerText + `"},"logprobs":null,"finish_reason":"stop"}],` + openAIUsage + `}`,
		Tool: openAIHead + `"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"lookup","arguments":` +
			strconv.Quote(ToolArgs) + `}}]},"finish_reason":"tool_calls"}],` + openAIUsage + `}`,
	},
	Stream: map[Play][]string{
		Text: append([]string{
			openAIDelta(`{"role":"assistant","content":""}`, "null"), openAIDelta(`{"content":"Grüße"}`, "null"), ": keep-alive\n\n",
			openAIDelta(`{"content":", 世"}`, "null"), openAIDelta(`{"content":"界!"}`, "null"), openAIDelta(`{}`, `"stop"`),
		}, openAITail...),
		Tool: append([]string{
			openAIDelta(`{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"lookup","arguments":""}}]}`, "null"),
			openAIDelta(`{"tool_calls":[{"index":0,"function":{"arguments":`+strconv.Quote(ToolArgs[:9])+`}}]}`, "null"),
			openAIDelta(`{"tool_calls":[{"index":0,"function":{"arguments":`+strconv.Quote(ToolArgs[9:])+`}}]}`, "null"),
			openAIDelta(`{}`, `"tool_calls"`),
		}, openAITail...),
	},
	Read:    readOpenAI,
	Finish:  map[Play]string{Text: "stop", Tool: "tool_calls"},
	Unknown: `"web_search_options":{"search_context_size":"low"}`, UnknownName: "web_search_options",
	Error: func(typ, code, message string) string {
		if code = strconv.Quote(code); code == `""` {
			code = "null"
		}
		return `{"error":{"message":` + strconv.Quote(message) + `,"type":` + strconv.Quote(typ) + `,"param":null,"code":` + code + `}}`
	},
	ErrorFrame: `data: {"error":{"message":"The server is overloaded","type":"server_error","param":null,"code":"server_is_overloaded"}}` + "\n\n",
}

// payloads are the data of a stream's frames.
func payloads(body string) (out []string) {
	for _, line := range strings.Split(body, "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			out = append(out, data)
		}
	}
	return out
}

func readOpenAI(body string, stream bool) (s Said) {
	var id, name, args string
	read := func(c, m gjson.Result) {
		s.Text += m.Get("content").String()
		if f := c.Get("finish_reason").String(); f != "" {
			s.Finish = f
		}
		for _, t := range m.Get("tool_calls").Array() {
			id, name, args = id+t.Get("id").String(), name+t.Get("function.name").String(), args+t.Get("function.arguments").String()
		}
	}
	if stream {
		for _, data := range payloads(body) {
			if data == "[DONE]" {
				s.Ends++
			}
			c := gjson.Get(data, "choices.0")
			read(c, c.Get("delta"))
		}
	} else {
		c := gjson.Get(body, "choices.0")
		read(c, c.Get("message"))
		s.Ends = 1
	}
	if name != "" {
		s.Calls = []string{id + " " + name + " " + args}
	}
	return s
}

const anthropicUsage = `"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":5}`

func anthropicWhole(content, stop string) string {
	return `{"id":"msg_1", "type":"message","role":"assistant","model":"` + AnswerModel + `","x_unknown":{"b":1,"a":2.50},"content":[` + content +
		`],"stop_reason":"` + stop + `","stop_sequence":null,` + anthropicUsage + `}`
}

func anthropicEvent(name, members string) string {
	return "event: " + name + "\ndata: {\"type\":\"" + name + `"` + members + "}\n\n"
}

func anthropicStream(block string, stop string, deltas ...string) []string {
	out := []string{
		anthropicEvent("message_start", `,"message":{"id":"msg_1", "type":"message","role":"assistant","model":"`+AnswerModel+
			`","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":1}}`),
		anthropicEvent("content_block_start", `,"index":0,"content_block":`+block),
		anthropicEvent("ping", ""),
	}
	for _, d := range deltas {
		out = append(out, anthropicEvent("content_block_delta", `,"index":0,"x_unknown":2.50,"delta":`+d))
	}
	return append(out, anthropicEvent("content_block_stop", `,"index":0`),
		anthropicEvent("message_delta", `,"delta":{"stop_reason":"`+stop+`","stop_sequence":null},"usage":{"output_tokens":5}`),
		anthropicEvent("message_stop", ""))
}

var anthropicMessages = &Dialect{
	Codec:   anthropic.New(),
	Request: `{ "model" : "asked","max_tokens":50,"system":"Be brief.","messages":[{"role":"user","content":"Hello there"}]}`,
	Tools:   `"tools":[{"name":"lookup","description":"Looks up","input_schema":{"type":"object","properties":{"q":{"type":"string"}}}}]`,
	Whole: map[Play]string{
		Text:  anthropicWhole(`{"type":"text","text":"`+AnswerText+`"}`, "end_turn"),
		Tool:  anthropicWhole(`{"type":"tool_use","id":"call_1","name":"lookup","input":`+ToolArgs+`}`, "tool_use"),
		Count: `{"input_tokens": 42, "x_unknown":2.50}`,
	},
	Stream: map[Play][]string{
		Text: anthropicStream(`{"type":"text","text":""}`, "end_turn",
			`{"type":"text_delta","text":"Grüße"}`, `{"type":"text_delta","text":", 世"}`, `{"type":"text_delta","text":"界!"}`),
		Tool: anthropicStream(`{"type":"tool_use","id":"call_1","name":"lookup","input":{}}`, "tool_use",
			`{"type":"input_json_delta","partial_json":""}`, `{"type":"input_json_delta","partial_json":`+strconv.Quote(ToolArgs[:9])+`}`,
			`{"type":"input_json_delta","partial_json":`+strconv.Quote(ToolArgs[9:])+`}`),
	},
	Read:    readAnthropic,
	Finish:  map[Play]string{Text: "end_turn", Tool: "tool_use"},
	Unknown: `"container":"container_1"`, UnknownName: "container",
	Error: func(typ, _, message string) string {
		return `{"type":"error","error":{"type":` + strconv.Quote(typ) + `,"message":` + strconv.Quote(message) + `},"request_id":"req_p1"}`
	},
	ErrorFrame: anthropicEvent("error", `,"error":{"type":"overloaded_error","message":"Overloaded"}`),
}

func readAnthropic(body string, stream bool) (s Said) {
	call := ""
	block := func(b gjson.Result) {
		s.Text += b.Get("text").String()
		if b.Get("type").String() == "tool_use" {
			call = b.Get("id").String() + " " + b.Get("name").String() + " "
		}
	}
	if stream {
		for _, data := range payloads(body) {
			switch gjson.Get(data, "type").String() {
			case "content_block_start":
				block(gjson.Get(data, "content_block"))
			case "content_block_delta":
				s.Text += gjson.Get(data, "delta.text").String()
				call += gjson.Get(data, "delta.partial_json").String()
			case "message_delta":
				s.Finish = gjson.Get(data, "delta.stop_reason").String()
			case "message_stop":
				s.Ends++
			}
		}
	} else {
		for _, b := range gjson.Get(body, "content").Array() {
			block(b)
			call += b.Get("input").Raw
		}
		s.Finish, s.Ends = gjson.Get(body, "stop_reason").String(), 1
	}
	if call != "" {
		s.Calls = []string{call}
	}
	return s
}

// bodyOf is the answer that a dialect's provider sends in a scene, cut where the scene breaks it, and its
// content type.
func bodyOf(d *Dialect, s Scene, c *pipeline.Call) (frames []string, contentType string) {
	if c.Op == pipeline.OpCountTokens || s.Stream == s.Opposite {
		play := s.Play
		if play == Cut || play == Stall || play == ErrorEvent {
			play = Text
		}
		body := d.Whole[play]
		if s.Play == Cut || s.Play == Stall {
			body = body[:len(body)/2]
		}
		return []string{body}, "application/json"
	}
	play := s.Play
	if play != Tool {
		play = Text
	}
	frames = d.Stream[play]
	switch s.Play {
	case Cut:
		frames = frames[:len(frames)-3] // no finish reason, no usage, no end mark
	case Stall:
		frames = frames[:2]
	case ErrorEvent:
		frames = append(append([]string(nil), frames[:2]...), d.ErrorFrame)
	}
	return frames, "text/event-stream"
}
