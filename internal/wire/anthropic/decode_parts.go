package anthropic

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/llm"
)

// place is a path in a document, spelled only when it is needed.
type place struct {
	up    *place
	name  string // a member, or
	index int    // an element
}

func (p *place) member(name string) *place { return &place{up: p, name: name} }
func (p *place) elem(i int) *place         { return &place{up: p, index: i} }

func (p *place) String() string {
	switch {
	case p == nil:
		return ""
	case p.name == "":
		return p.up.String() + "[" + strconv.Itoa(p.index) + "]"
	case p.up == nil:
		return p.name
	}
	return p.up.String() + "." + p.name
}

func (p *place) invalid(format string, args ...any) error {
	path := p.String()
	return llm.Invalid(path, "%s: %s", path, fmt.Sprintf(format, args...))
}

// reader decodes pieces and notes the members that have no place in package llm.
type reader struct {
	extra []llm.Field
}

// Requests were checked at the door; answers are read as leniently as their
// provider's own clients do, and raw pieces are written as they came.
var (
	lenient   = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	asWritten = json.JoinOptions(lenient, jsontext.PreserveRawStrings(true))
)

// compact takes the white space out of a piece of JSON, so that it fits one
// line of an event.
func compact(raw []byte) []byte {
	v := jsontext.Value(bytes.Clone(raw))
	if v.Compact(asWritten) != nil {
		return raw
	}
	return v
}

// read decodes raw into v, which must be a pointer. Errors name the field.
func (r *reader) read(raw []byte, v any, at *place) error {
	err := json.Unmarshal(raw, v, lenient)
	if err == nil {
		return nil
	}
	var sem *json.SemanticError
	if !errors.As(err, &sem) {
		return at.invalid("not valid JSON")
	}
	for token := range sem.JSONPointer.Tokens() {
		if n, err := strconv.Atoi(token); err == nil {
			at = at.elem(n)
		} else {
			at = at.member(token)
		}
	}
	return at.invalid("must be %s", wanted(sem.GoType))
}

// wanted tells a caller what kind of value belongs in a field.
func wanted(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "an array"
	}
	return "an object"
}

// unknown notes the members in raw (an object, or nothing). Nulls say nothing.
func (r *reader) unknown(raw jsontext.Value, at *place) {
	if len(raw) == 0 {
		return
	}
	for c := walk(raw); ; {
		name, v, ok := c.next()
		if !ok {
			return
		}
		r.leftover(v, at.member(string(name)))
	}
}

func (r *reader) leftover(raw []byte, at *place) {
	if len(raw) > 0 && kindOf(raw) != 'n' {
		r.extra = append(r.extra, llm.Field{Path: at.String(), Raw: raw})
	}
}

// content reads a string or a list of blocks.
func (r *reader) content(raw []byte, at *place) ([]llm.Part, error) {
	switch kindOf(raw) {
	case '"':
		return []llm.Part{{Type: llm.PartText, Text: stringOf(raw)}}, nil
	case '[':
	default:
		return nil, at.invalid("must be a string or an array of blocks")
	}
	var parts []llm.Part
	c := walk(raw)
	for i := 0; ; i++ {
		_, v, ok := c.next()
		if !ok {
			return parts, nil
		}
		p, err := r.block(v, at.elem(i))
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
}

// block reads one content block. A type that package llm has no form for
// becomes a PartOther.
func (r *reader) block(raw []byte, at *place) (llm.Part, error) {
	kind := member(raw, "type")
	if kindOf(raw) != '{' || kindOf(kind) != '"' {
		return llm.Part{}, at.invalid("must be an object with a type")
	}
	switch name := stringOf(kind); name {
	case "text":
		return r.text(raw, at)
	case "image", "document":
		return r.media(raw, name, at)
	case "thinking":
		var b thinkingBlock
		err := r.read(raw, &b, at)
		r.unknown(b.Unknown, at)
		return llm.Part{Type: llm.PartThinking, Text: b.Thinking, Signature: b.Signature, Cache: b.CacheControl.marker()}, err
	case "redacted_thinking":
		var b redactedBlock
		err := r.read(raw, &b, at)
		r.unknown(b.Unknown, at)
		return llm.Part{Type: llm.PartRedactedThinking, Text: b.Data, Cache: b.CacheControl.marker()}, err
	case "tool_use":
		return r.toolUse(raw, at)
	case "tool_result":
		return r.toolResult(raw, at)
	default:
		return llm.Part{Type: llm.PartOther, Name: name, Raw: raw}, nil
	}
}

func (r *reader) text(raw []byte, at *place) (llm.Part, error) {
	var b textBlock
	if err := r.read(raw, &b, at); err != nil {
		return llm.Part{}, err
	}
	p := llm.Part{Type: llm.PartText, Text: b.Text, Cache: b.CacheControl.marker()}
	if kindOf(b.Citations) == '[' {
		p.Raw = []byte(b.Citations)
	} else {
		r.leftover(b.Citations, at.member("citations"))
	}
	r.unknown(b.Unknown, at)
	return p, nil
}

func (r *reader) media(raw []byte, kind string, at *place) (llm.Part, error) {
	switch stringOf(member(member(raw, "source"), "type")) {
	case "base64", "url", "file", "text":
	case "":
		return llm.Part{}, at.member("source").invalid("must be an object with a type")
	default: // a document made of blocks, or something newer
		return llm.Part{Type: llm.PartOther, Name: kind, Raw: raw}, nil
	}
	var b mediaBlock
	if err := r.read(raw, &b, at); err != nil {
		return llm.Part{}, err
	}
	m := &llm.Media{MIME: b.Source.MediaType, Name: b.Title, Context: b.Context, Citations: b.Citations != nil && b.Citations.Enabled}
	switch b.Source.Type {
	case "base64":
		m.Data = b.Source.Data
	case "url":
		m.URL = b.Source.URL
	case "file":
		m.FileID = b.Source.FileID
	case "text":
		m.Text = b.Source.Data
	}
	if m.Data+m.URL+m.FileID+m.Text == "" {
		return llm.Part{}, at.member("source").invalid("is empty")
	}
	r.unknown(b.Source.Unknown, at.member("source"))
	r.unknown(b.Unknown, at)
	p := llm.Part{Type: llm.PartImage, Media: m, Cache: b.CacheControl.marker()}
	if kind == "document" {
		p.Type = llm.PartDocument
	}
	return p, nil
}

func (r *reader) toolUse(raw []byte, at *place) (llm.Part, error) {
	var b toolUseBlock
	if err := r.read(raw, &b, at); err != nil {
		return llm.Part{}, err
	}
	args := string(b.Input)
	if kind := kindOf(b.Input); kind == 0 || kind == 'n' {
		args = "{}"
	} else if kind != '{' {
		return llm.Part{}, at.member("input").invalid("must be an object")
	}
	if !isString(member(b.Caller, "type"), "direct") { // direct is what no caller means
		r.leftover(b.Caller, at.member("caller"))
	}
	r.unknown(b.Unknown, at)
	call := &llm.ToolCall{ID: decodeID(b.ID), Name: b.Name, Arguments: args}
	return llm.Part{Type: llm.PartToolCall, ToolCall: call, Cache: b.CacheControl.marker()}, nil
}

func (r *reader) toolResult(raw []byte, at *place) (llm.Part, error) {
	res := &llm.ToolResult{}
	p := llm.Part{Type: llm.PartToolResult, ToolResult: res}
	for c := walk(raw); ; {
		name, v, ok := c.next()
		if !ok {
			break
		}
		here := at.member(string(name))
		var err error
		switch string(name) {
		case "type":
		case "tool_use_id":
			err = r.read(v, &res.ID, here)
			res.ID = decodeID(res.ID)
		case "is_error":
			err = r.read(v, &res.IsError, here)
		case "cache_control":
			var cc *cacheControl
			err = r.read(v, &cc, here)
			p.Cache = cc.marker()
		case "content":
			if kindOf(v) != 'n' {
				res.Parts, err = r.content(v, here)
			}
		default:
			r.leftover(v, here)
		}
		if err != nil {
			return p, err
		}
	}
	if res.ID == "" {
		return p, at.member("tool_use_id").invalid("is required")
	}
	return p, nil
}

// asBadResponse turns a decoding error into the provider's fault.
func asBadResponse(err error) *llm.Error {
	var e *llm.Error
	if errors.As(err, &e) && e.Param != "" {
		return llm.Errorf(llm.KindBadResponse, "the provider's answer does not follow the protocol: %s", strings.TrimSpace(e.Message))
	}
	return llm.Wrap(llm.KindBadResponse, err, "the provider's answer does not follow the protocol")
}
