package anthropic

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/llm"
)

// turn is a message being written: all neighbours with one role.
type turn struct {
	role    string
	results []any // tool results, which must come first
	blocks  []any
}

func (e *requestWriter) messages() error {
	for i := range e.r.Messages {
		if err := e.message(i); err != nil {
			return err
		}
	}
	for _, t := range e.turns {
		e.out.Messages = append(e.out.Messages, wireMessage{Role: t.role, Content: asContent(append(t.results, t.blocks...))})
	}
	if len(e.out.Messages) == 0 {
		return llm.Invalid("messages", "messages: a user or assistant message with content is required")
	}
	if len(e.system) > 0 {
		e.out.System = asContent(e.system)
	}
	return nil
}

// asContent is the short form of blocks: a string, if they are one plain text.
func asContent(blocks []any) any {
	if len(blocks) == 1 {
		if t, ok := blocks[0].(*textBlock); ok && t.CacheControl == nil && len(t.Citations) == 0 {
			return t.Text
		}
	}
	return blocks
}

func (e *requestWriter) message(i int) error {
	m := &e.r.Messages[i]
	at := (&place{name: "messages"}).elem(i)
	e.noIf(m.Name != "" && m.Role != llm.RoleTool, at.member("name").String()) // a tool's name says nothing that its id does not
	calls := 0
	for j := range m.Parts {
		p := &m.Parts[j]
		var block any
		switch p.Type {
		case llm.PartToolCall:
			var err error
			if block, err = encodeCall(p, at.member("tool_calls").elem(calls)); err != nil {
				return err
			}
			calls++
		case llm.PartToolResult:
			block = e.toolResult(p, at)
		default:
			block = e.part(p, at.member("content").elem(j))
		}
		if block != nil {
			e.add(m.Role, block, at.member("content").elem(j))
		}
	}
	return nil
}

// add puts a block where its role belongs.
func (e *requestWriter) add(role llm.Role, block any, at *place) {
	name := "user"
	switch role {
	case llm.RoleSystem, llm.RoleDeveloper:
		if _, ok := block.(*textBlock); ok {
			e.system = append(e.system, block)
		} else {
			e.no(at.String())
		}
		return
	case llm.RoleAssistant:
		name = "assistant"
	}
	if n := len(e.turns); n == 0 || e.turns[n-1].role != name {
		e.turns = append(e.turns, turn{role: name})
	}
	t := &e.turns[len(e.turns)-1]
	if _, ok := block.(*toolResultBlock); ok {
		t.results = append(t.results, block)
	} else {
		t.blocks = append(t.blocks, block)
	}
}

// part writes a part that is neither a call nor a result. nil means that there
// is nothing to write; what cannot be written has been named then.
func (e *requestWriter) part(p *llm.Part, at *place) any {
	switch p.Type {
	case llm.PartText:
		if strings.TrimSpace(p.Text) == "" { // the API refuses blank text
			return nil
		}
		return &textBlock{Type: "text", Text: p.Text, Citations: ownCitations(p.Raw), CacheControl: encodeCache(p.Cache)}
	case llm.PartRefusal:
		if strings.TrimSpace(p.Text) == "" {
			return nil
		}
		return &textBlock{Type: "text", Text: p.Text, CacheControl: encodeCache(p.Cache)}
	case llm.PartThinking:
		if p.Signature == "" { // another provider's: the API takes signed ones only
			return nil
		}
		return &thinkingBlock{Type: "thinking", Thinking: p.Text, Signature: p.Signature}
	case llm.PartRedactedThinking:
		return &redactedBlock{Type: "redacted_thinking", Data: p.Text}
	case llm.PartImage, llm.PartDocument:
		if b := encodeMedia(p); b != nil {
			return b
		}
	case llm.PartOther:
		if ownBlock(p.Name) && isObject(p.Raw) {
			return jsontext.Value(p.Raw)
		}
	}
	e.no(at.String())
	return nil
}

// ownBlock reports whether a block type is one of this protocol.
func ownBlock(kind string) bool {
	switch kind {
	case "image", "document", "search_result", "server_tool_use", "mcp_tool_use", "container_upload", "compaction", "tool_reference",
		"tool_addition", "tool_removal", "fallback":
		return true
	}
	return strings.HasSuffix(kind, "_tool_result")
}

// ownCitations returns the citations of a text if they are this protocol's: all
// their types are locations.
func ownCitations(raw []byte) jsontext.Value {
	if kindOf(raw) != '[' || !valid(raw) || !hasMembers(raw) {
		return nil
	}
	for c := walk(raw); ; {
		_, v, ok := c.next()
		if !ok {
			return jsontext.Value(raw)
		}
		if !strings.HasSuffix(stringOf(member(v, "type")), "_location") {
			return nil
		}
	}
}

func encodeMedia(p *llm.Part) *mediaBlock {
	m := p.Media
	if m == nil {
		return nil
	}
	b := &mediaBlock{Type: "image", CacheControl: encodeCache(p.Cache)}
	src, ok := imageSource(m)
	if p.Type == llm.PartDocument {
		b.Type, b.Title, b.Context = "document", m.Name, m.Context
		if m.Citations {
			b.Citations = &citations{Enabled: true}
		}
		src, ok = documentSource(m)
	}
	if !ok {
		return nil
	}
	b.Source = src
	return b
}

func imageSource(m *llm.Media) (source, bool) {
	if m.Data != "" {
		mime := m.MIME
		switch {
		case mime == "image/jpg":
			mime = "image/jpeg"
		case mime == "":
			mime = sniff(m.Data)
		}
		return source{Type: "base64", MediaType: mime, Data: m.Data}, strings.HasPrefix(mime, "image/")
	}
	return remoteSource(m)
}

func documentSource(m *llm.Media) (source, bool) {
	mime := m.MIME
	if mime == "" {
		mime = sniff(m.Data)
	}
	switch {
	case m.Text != "":
		return source{Type: "text", MediaType: "text/plain", Data: m.Text}, true
	case m.Data == "":
		return remoteSource(m)
	case mime == "application/pdf":
		return source{Type: "base64", MediaType: mime, Data: m.Data}, true
	case mime == "text/plain":
		text, err := base64.StdEncoding.DecodeString(m.Data)
		return source{Type: "text", MediaType: mime, Data: string(text)}, err == nil && utf8.Valid(text) && len(text) > 0
	}
	return source{}, false
}

// remoteSource is a URL that the provider fetches, or a file stored with it
// (its ids begin with file_; OpenAI's with file-).
func remoteSource(m *llm.Media) (source, bool) {
	switch {
	case strings.HasPrefix(m.FileID, "file_"):
		return source{Type: "file", FileID: m.FileID}, true
	case strings.HasPrefix(m.URL, "https://"), strings.HasPrefix(m.URL, "http://"):
		return source{Type: "url", URL: m.URL}, true
	}
	return source{}, false
}

// sniff tells a type from the first characters of base64 data.
func sniff(data string) string {
	for _, t := range []struct{ start, mime string }{
		{"iVBOR", "image/png"}, {"/9j/", "image/jpeg"}, {"R0lG", "image/gif"}, {"UklG", "image/webp"}, {"JVBERi", "application/pdf"},
	} {
		if strings.HasPrefix(data, t.start) {
			return t.mime
		}
	}
	return ""
}

func encodeCall(p *llm.Part, at *place) (any, error) {
	call := p.ToolCall
	if call == nil {
		return nil, at.invalid("is empty")
	}
	args := strings.TrimSpace(call.Arguments)
	if args == "" {
		args = "{}"
	}
	if !isObject([]byte(args)) {
		return nil, at.member("function").member("arguments").invalid("must be a JSON object")
	}
	return &toolUseBlock{
		Type: "tool_use", ID: encodeID(call.ID), Name: call.Name, Input: jsontext.Value(args), CacheControl: encodeCache(p.Cache),
	}, nil
}

func (e *requestWriter) toolResult(p *llm.Part, at *place) any {
	res := p.ToolResult
	if res == nil {
		return nil
	}
	b := &toolResultBlock{Type: "tool_result", ToolUseID: encodeID(res.ID), IsError: res.IsError, CacheControl: encodeCache(p.Cache)}
	var blocks []any
	for k := range res.Parts {
		if block := e.part(&res.Parts[k], at.member("content").elem(k)); block != nil {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) > 0 {
		b.Content = asContent(blocks)
	}
	return b
}
