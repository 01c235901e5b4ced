package anthropic

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

func (codec) DecodeRequest(doc *jsondoc.Doc) (*llm.Request, error) {
	d := requestReader{}
	for _, m := range doc.Members() {
		if kindOf(m.Value) == 'n' { // null is what absent means
			continue
		}
		if err := d.member(m.Value, &place{name: m.Name}); err != nil {
			return nil, err
		}
	}
	if raw, ok := doc.Get("messages"); !ok || kindOf(raw) != '[' {
		return nil, llm.Invalid("messages", "messages: an array is required")
	}
	if len(d.system) > 0 {
		d.r.Messages = append([]llm.Message{{Role: llm.RoleSystem, Parts: d.system}}, d.r.Messages...)
	}
	d.r.StreamWithUsage = d.r.Stream // streams of this protocol always tell it
	d.r.Extra = d.extra
	return &d.r, nil
}

type requestReader struct {
	reader
	r      llm.Request
	system []llm.Part
}

func (d *requestReader) member(raw []byte, at *place) error {
	switch at.name {
	case "model":
		return d.read(raw, &d.r.Model, at)
	case "messages":
		return d.messages(raw, at)
	case "system":
		parts, err := d.content(raw, at)
		d.system = parts
		return err
	case "max_tokens":
		return d.read(raw, &d.r.MaxTokens, at)
	case "stop_sequences":
		return d.read(raw, &d.r.Stop, at)
	case "temperature":
		return d.read(raw, &d.r.Temperature, at)
	case "top_p":
		return d.read(raw, &d.r.TopP, at)
	case "top_k":
		return d.read(raw, &d.r.TopK, at)
	case "stream":
		return d.read(raw, &d.r.Stream, at)
	case "service_tier":
		return d.read(raw, &d.r.ServiceTier, at)
	case "tools":
		return d.tools(raw, at)
	case "tool_choice":
		return d.toolChoice(raw, at)
	case "thinking":
		return d.thinking(raw, at)
	case "output_config":
		return d.outputConfig(raw, at)
	case "output_format":
		return d.format(raw, at)
	case "cache_control":
		var cc *cacheControl
		err := d.read(raw, &cc, at)
		d.r.CacheRequest = cc.marker()
		return err
	case "metadata":
		var m wireMetadata
		err := d.read(raw, &m, at)
		d.r.User = m.UserID
		d.unknown(m.Unknown, at)
		return err
	case "speed":
		if isString(raw, "standard") { // the default
			return nil
		}
	}
	d.leftover(raw, at)
	return nil
}

func (d *requestReader) messages(raw []byte, at *place) error {
	if kindOf(raw) != '[' {
		return at.invalid("must be an array")
	}
	c := walk(raw)
	for i := 0; ; i++ {
		_, v, ok := c.next()
		if !ok {
			return nil
		}
		if err := d.message(v, at.elem(i)); err != nil {
			return err
		}
	}
}

func (d *requestReader) message(raw []byte, at *place) error {
	if kindOf(raw) != '{' {
		return at.invalid("must be an object")
	}
	var role, content []byte
	for c := walk(raw); ; {
		name, v, ok := c.next()
		if !ok {
			break
		}
		switch string(name) {
		case "role":
			role = v
		case "content":
			content = v
		default:
			d.leftover(v, at.member(string(name)))
		}
	}
	parts, err := d.content(content, at.member("content"))
	if err != nil {
		return err
	}
	switch stringOf(role) {
	case "user":
		d.user(parts)
	case "assistant":
		d.r.Messages = append(d.r.Messages, llm.Message{Role: llm.RoleAssistant, Parts: parts})
	case "system":
		d.r.Messages = append(d.r.Messages, llm.Message{Role: llm.RoleSystem, Parts: parts})
	default:
		return at.member("role").invalid("must be user, assistant or system")
	}
	return nil
}

// user adds a user's turn: its tool results first, as a message of their own.
func (d *requestReader) user(parts []llm.Part) {
	var results, rest []llm.Part
	for _, p := range parts {
		if p.Type == llm.PartToolResult {
			results = append(results, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(results) > 0 {
		d.r.Messages = append(d.r.Messages, llm.Message{Role: llm.RoleTool, Parts: results})
	}
	if len(rest) > 0 || len(results) == 0 {
		d.r.Messages = append(d.r.Messages, llm.Message{Role: llm.RoleUser, Parts: rest})
	}
}

func (d *requestReader) tools(raw []byte, at *place) error {
	if kindOf(raw) != '[' {
		return at.invalid("must be an array")
	}
	c := walk(raw)
	for i := 0; ; i++ {
		_, v, ok := c.next()
		if !ok {
			return nil
		}
		t, err := d.tool(v, at.elem(i))
		if err != nil {
			return err
		}
		d.r.Tools = append(d.r.Tools, t)
	}
}

func (d *requestReader) tool(raw []byte, at *place) (llm.Tool, error) {
	if kindOf(raw) != '{' {
		return llm.Tool{}, at.invalid("must be an object")
	}
	if kind := stringOf(member(raw, "type")); kind != "" && kind != "custom" {
		return llm.Tool{Type: kind, Name: stringOf(member(raw, "name")), Raw: raw}, nil
	}
	var t wireTool
	if err := d.read(raw, &t, at); err != nil {
		return llm.Tool{}, err
	}
	if t.Name == "" {
		return llm.Tool{}, at.member("name").invalid("is required")
	}
	if kind := kindOf(t.InputSchema); kind != 0 && kind != '{' {
		return llm.Tool{}, at.member("input_schema").invalid("must be an object")
	}
	d.unknown(t.Unknown, at)
	tool := llm.Tool{Name: t.Name, Description: t.Description, Strict: t.Strict, Cache: t.CacheControl.marker()}
	if len(t.InputSchema) > 0 {
		tool.Schema = []byte(t.InputSchema)
	}
	return tool, nil
}

var choiceModes = map[string]llm.ToolChoiceMode{
	"auto": llm.ToolsAuto, "any": llm.ToolsRequired, "tool": llm.ToolsNamed, "none": llm.ToolsNone,
}

func (d *requestReader) toolChoice(raw []byte, at *place) error {
	var tc wireToolChoice
	if err := d.read(raw, &tc, at); err != nil {
		return err
	}
	mode, ok := choiceModes[tc.Type]
	if !ok {
		return at.member("type").invalid("must be auto, any, tool or none")
	}
	if mode == llm.ToolsNamed && tc.Name == "" {
		return at.member("name").invalid("is required with type tool")
	}
	d.r.ToolChoice = &llm.ToolChoice{Mode: mode, Name: tc.Name}
	if tc.DisableParallel != nil {
		parallel := !*tc.DisableParallel
		d.r.ParallelToolCalls = &parallel
	}
	d.unknown(tc.Unknown, at)
	return nil
}

func (d *requestReader) thinking(raw []byte, at *place) error {
	var t wireThinking
	if err := d.read(raw, &t, at); err != nil {
		return err
	}
	switch t.Type {
	case "enabled", "adaptive", "disabled":
	default:
		d.leftover(raw, at)
		return nil
	}
	r := d.reasoning()
	r.Mode, r.BudgetTokens, r.Display = t.Type, t.Budget, t.Display
	d.unknown(t.Unknown, at)
	return nil
}

func (d *requestReader) reasoning() *llm.Reasoning {
	if d.r.Reasoning == nil {
		d.r.Reasoning = &llm.Reasoning{}
	}
	return d.r.Reasoning
}

func (d *requestReader) outputConfig(raw []byte, at *place) error {
	var head struct {
		Effort  string         `json:"effort"`
		Format  jsontext.Value `json:"format"`
		Unknown jsontext.Value `json:",embed"`
	}
	if err := d.read(raw, &head, at); err != nil {
		return err
	}
	if head.Effort != "" {
		d.reasoning().Effort = head.Effort
	}
	d.unknown(head.Unknown, at)
	if kind := kindOf(head.Format); kind == 0 || kind == 'n' {
		return nil
	}
	return d.format(head.Format, at.member("format"))
}

func (d *requestReader) format(raw []byte, at *place) error {
	var f outputFormat
	if err := d.read(raw, &f, at); err != nil {
		return err
	}
	if f.Type != "json_schema" {
		d.leftover(raw, at)
		return nil
	}
	if kindOf(f.Schema) != '{' {
		return at.member("schema").invalid("must be an object")
	}
	d.r.Format = &llm.Format{Type: llm.FormatJSONSchema, Schema: []byte(f.Schema)}
	d.unknown(f.Unknown, at)
	return nil
}
