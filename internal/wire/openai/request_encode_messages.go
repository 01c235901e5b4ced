package openai

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/llm"
)

type messageOut struct {
	Role       string `json:"role"`
	Name       string `json:"name,omitzero"`
	Content    any    `json:"content"` // string, []any or nil
	Refusal    string `json:"refusal,omitzero"`
	Reasoning  string `json:"reasoning_content,omitzero"`
	ToolCalls  []any  `json:"tool_calls,omitzero"`
	ToolCallID string `json:"tool_call_id,omitzero"`
}

type textPartOut struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type imagePartOut struct {
	Type     string   `json:"type"`
	ImageURL imageOut `json:"image_url"`
}

type imageOut struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitzero"`
}

type audioPartOut struct {
	Type  string   `json:"type"`
	Audio audioOut `json:"input_audio"`
}

type audioOut struct {
	Data   string `json:"data"`
	Format string `json:"format"`
}

type filePartOut struct {
	Type string  `json:"type"`
	File fileOut `json:"file"`
}

type fileOut struct {
	Data     string `json:"file_data,omitzero"`
	ID       string `json:"file_id,omitzero"`
	Filename string `json:"filename,omitzero"`
}

// messages writes the turns. Tool results become messages of their own, straight after
// the call; what they hold besides text waits until all results of the turn are written,
// and then goes into a user message.
func (e *requestEncoder) messages(list []llm.Message) []messageOut {
	out := make([]messageOut, 0, len(list))
	var held []any // parts of tool results for the next user message
	flush := func() {
		if len(held) > 0 {
			out = append(out, messageOut{Role: "user", Content: held})
			held = nil
		}
	}
	for _, m := range joinSystem(list) {
		rest := m.Parts
		if m.Role != llm.RoleAssistant {
			var results []messageOut
			results, held, rest = e.results(m, held)
			out = append(out, results...)
			if len(rest) == 0 && (len(m.Parts) > 0 || m.Role == llm.RoleTool) {
				continue
			}
		}
		switch m.Role {
		case llm.RoleAssistant:
			flush()
			if a, ok := e.assistant(m); ok {
				out = append(out, a)
			}
		case llm.RoleSystem, llm.RoleDeveloper:
			flush()
			out = append(out, messageOut{Role: e.systemRole(m.Role), Name: m.Name, Content: content(e.parts(rest, "system"))})
		default:
			parts := append(held, e.parts(rest, "user")...)
			held = nil
			out = append(out, messageOut{Role: "user", Name: m.Name, Content: content(parts)})
		}
	}
	flush()
	return out
}

// joinSystem joins the leading system messages of one role into one: several
// servers take only one, and only at the beginning.
func joinSystem(list []llm.Message) []llm.Message {
	n := 0
	for n < len(list) && (list[n].Role == llm.RoleSystem || list[n].Role == llm.RoleDeveloper) &&
		list[n].Role == list[0].Role && list[n].Name == "" {
		n++
	}
	if n < 2 {
		return list
	}
	first := list[0]
	first.Parts = nil
	for _, m := range list[:n] {
		first.Parts = append(first.Parts, m.Parts...)
	}
	return append([]llm.Message{first}, list[n:]...)
}

// systemRole keeps the role developer for the models that know it.
func (e *requestEncoder) systemRole(role llm.Role) string {
	if role == llm.RoleDeveloper && isReasoningModel(e.model) {
		return "developer"
	}
	return "system"
}

// results takes the tool results out of a message.
func (e *requestEncoder) results(m llm.Message, held []any) (out []messageOut, nowHeld []any, rest []llm.Part) {
	for _, p := range m.Parts {
		if p.Type != llm.PartToolResult {
			rest = append(rest, p)
			continue
		}
		var msg messageOut
		msg, held = e.result(p.ToolResult, held)
		out = append(out, msg)
	}
	return out, held, rest
}

// result writes one tool result. Chat Completions takes only text there.
func (e *requestEncoder) result(r *llm.ToolResult, held []any) (messageOut, []any) {
	var texts, others []any
	for _, part := range e.parts(r.Parts, "tool") {
		if _, ok := part.(textPartOut); ok {
			texts = append(texts, part)
		} else {
			others = append(others, part)
		}
	}
	if len(others) > 0 {
		texts = append(texts, textPartOut{"text", "[The rest of this result follows in the next user message.]"})
		held = append(held, textPartOut{"text", "[From the result of tool call " + r.ID + ":]"})
		held = append(held, others...)
	}
	if r.IsError {
		texts = markError(texts)
	}
	return messageOut{Role: "tool", ToolCallID: r.ID, Content: content(texts)}, held
}

// errorMark begins the text of a tool result that is an error: the protocol has no flag for it.
const errorMark = "Error: "

func markError(texts []any) []any {
	if len(texts) == 0 {
		return []any{textPartOut{"text", errorMark + "the tool failed"}}
	}
	if t, ok := texts[0].(textPartOut); ok && !strings.HasPrefix(strings.ToLower(t.Text), "error") {
		t.Text = errorMark + t.Text
		texts[0] = t
	}
	return texts
}

// content is a message's content: a single text as a string, which every server
// takes, else a list.
func content(parts []any) any {
	if len(parts) == 0 {
		return ""
	}
	if t, ok := parts[0].(textPartOut); ok && len(parts) == 1 {
		return t.Text
	}
	return parts
}

// assistant writes an answer of the history. It is left out if all it had was thinking
// that cannot be sent.
func (e *requestEncoder) assistant(m llm.Message) (messageOut, bool) {
	out := messageOut{Role: "assistant", Name: m.Name}
	var rest []llm.Part
	dropped := false
	for _, p := range m.Parts {
		switch p.Type {
		case llm.PartThinking:
			if p.Signature != "" || isOpenAIModel(e.model) {
				dropped = true
			} else {
				out.Reasoning += p.Text
			}
		case llm.PartRedactedThinking:
			dropped = true
		case llm.PartRefusal:
			out.Refusal += p.Text
		case llm.PartToolCall:
			out.ToolCalls = append(out.ToolCalls, encodeCall(p.ToolCall))
		case llm.PartToolResult:
			e.cannot("content.tool_result")
		default:
			if isCustom(p.Name, p.Raw) && p.Type == llm.PartOther {
				out.ToolCalls = append(out.ToolCalls, jsontext.Value(p.Raw))
			} else {
				rest = append(rest, p)
			}
		}
	}
	parts := e.parts(rest, "assistant")
	switch {
	case len(parts) > 0:
		out.Content = content(parts)
	case len(out.ToolCalls) > 0 || out.Refusal != "":
	case dropped && out.Reasoning == "":
		return out, false
	default:
		out.Content = ""
	}
	return out, true
}

// parts writes content parts. Where says whose they are: only users show images,
// files and sounds (and tools, whose are moved to a user message).
func (e *requestEncoder) parts(list []llm.Part, where string) []any {
	var out []any
	media := where == "user" || where == "tool"
	for _, p := range list {
		switch {
		case p.Type == llm.PartText:
			if p.Text != "" {
				out = append(out, textPartOut{"text", p.Text})
			}
		case p.Type == llm.PartOther:
			e.cannot("content." + or(p.Name, "other"))
		case p.Media == nil:
			e.cannot("content." + partNames[p.Type])
		case p.Type == llm.PartDocument && p.Media.Text != "":
			out = append(out, e.textDocument(p.Media))
		case !media:
			e.cannot(where + "." + partNames[p.Type])
		default:
			if part := e.media(p); part != nil {
				out = append(out, part)
			}
		}
	}
	return out
}

// partNames are the words for parts in lists of what is not supported.
var partNames = map[llm.PartType]string{
	llm.PartImage: "image", llm.PartDocument: "document", llm.PartAudio: "audio", llm.PartThinking: "thinking",
	llm.PartRedactedThinking: "redacted_thinking", llm.PartRefusal: "refusal", llm.PartToolCall: "tool_use",
	llm.PartToolResult: "tool_result",
}

// media writes an image, sound or file, or nil if it cannot be said.
func (e *requestEncoder) media(p llm.Part) any {
	m := p.Media
	switch {
	case p.Type == llm.PartImage && m.URL != "":
		return imagePartOut{"image_url", imageOut{m.URL, m.Detail}}
	case p.Type == llm.PartImage && m.Data != "":
		return imagePartOut{"image_url", imageOut{dataURL(or(m.MIME, "image/png"), m.Data), m.Detail}}
	case p.Type == llm.PartAudio && m.Data != "":
		return audioPartOut{"input_audio", audioOut{m.Data, or(audioFormat(m), "wav")}}
	case p.Type == llm.PartDocument && m.Data != "":
		e.documentOptions(m)
		mime := or(m.MIME, "application/pdf")
		return filePartOut{"file", fileOut{Data: dataURL(mime, m.Data), Filename: or(m.Name, defaultName(mime))}}
	case p.Type == llm.PartDocument && strings.HasPrefix(m.FileID, "file-"): // OpenAI's own ids
		e.documentOptions(m)
		return filePartOut{"file", fileOut{ID: m.FileID, Filename: m.Name}}
	case m.FileID != "":
		e.cannot("content." + partNames[p.Type] + ".file_id")
	default:
		e.cannot("content." + partNames[p.Type] + ".url")
	}
	return nil
}

func defaultName(mime string) string {
	if mime == "application/pdf" {
		return "document.pdf"
	}
	return "document"
}

// textDocument writes a plain-text document as a text part, its title and context
// before it.
func (e *requestEncoder) textDocument(m *llm.Media) textPartOut {
	text := m.Text
	if m.Context != "" {
		text = "[Context: " + m.Context + "]\n" + text
	}
	if m.Name != "" {
		text = "[Document: " + m.Name + "]\n" + text
	}
	if m.Citations {
		e.cannot("citations")
	}
	return textPartOut{"text", text}
}

// documentOptions names the options of a document that a file part has no place for.
func (e *requestEncoder) documentOptions(m *llm.Media) {
	if m.Citations {
		e.cannot("citations")
	}
	if m.Context != "" {
		e.cannot("context")
	}
}
