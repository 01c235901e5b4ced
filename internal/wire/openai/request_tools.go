package openai

import (
	"encoding/json"

	"github.com/breakwater-llm/breakwater/llm"
)

func (d *requestDecoder) tool(path string, v []byte) {
	var t llm.Tool
	var typ string
	var function []byte
	var others []llm.Field
	d.fields(v, func(name string, v []byte) {
		switch name {
		case "type":
			typ = d.str(path+".type", v)
		case "function":
			function = v
		case "cache_control":
			t.Cache = cacheMarker(v)
		default:
			others = append(others, llm.Field{Path: name, Raw: v})
		}
	})
	switch {
	case d.err != nil:
		return
	case typ == "" && function == nil:
		d.fail(path+".type", "%s.type is required", path)
	case typ != "" && typ != "function":
		d.req.Tools = append(d.req.Tools, llm.Tool{Type: typ, Raw: json.RawMessage(v)})
	case function == nil:
		d.fail(path+".function", "%s.function is required", path)
	default:
		d.function(path+".function", function, &t)
		for _, o := range others {
			d.extra("tools."+o.Path, path+"."+o.Path, o.Raw)
		}
		d.req.Tools = append(d.req.Tools, t)
	}
}

func (d *requestDecoder) function(path string, v []byte, t *llm.Tool) {
	if !d.object(path, v) {
		return
	}
	d.fields(v, func(name string, v []byte) {
		at := path + "." + name
		switch name {
		case "name":
			t.Name = d.str(at, v)
		case "description":
			t.Description = d.str(at, v)
		case "parameters":
			if d.object(at, v) {
				t.Schema = json.RawMessage(v)
			}
		case "strict":
			t.Strict = unless(d.boolean(at, v), false)
		default:
			d.extra("tools.function."+name, at, v)
		}
	})
	if t.Name == "" {
		d.fail(path+".name", "%s.name is required", path)
	}
}

func (d *requestDecoder) toolChoice(path string, v []byte) {
	if v[0] == '"' {
		switch mode := d.str(path, v); mode {
		case "auto", "none", "required":
			d.req.ToolChoice = &llm.ToolChoice{Mode: llm.ToolChoiceMode(mode)}
		case "any": // Mistral's word
			d.req.ToolChoice = &llm.ToolChoice{Mode: llm.ToolsRequired}
		default:
			d.fail(path, "tool_choice must be none, auto, required or an object")
		}
		return
	}
	if !d.object(path, v) {
		return
	}
	var typ, name string
	d.fields(v, func(member string, v []byte) {
		switch member {
		case "type":
			typ = d.str(path+".type", v)
		case "function":
			d.fields(v, func(member string, v []byte) {
				if member == "name" {
					name = d.str(path+".function.name", v)
				}
			})
		}
	})
	switch {
	case d.err != nil:
	case typ == "function" && name == "":
		d.fail(path+".function.name", "%s.function.name is required", path)
	case typ == "function":
		d.req.ToolChoice = &llm.ToolChoice{Mode: llm.ToolsNamed, Name: name}
	case typ == "":
		d.fail(path+".type", "%s.type is required", path)
	default: // allowed_tools, custom
		d.req.ToolChoice = &llm.ToolChoice{Mode: allowedMode(v), Raw: json.RawMessage(v)}
	}
}

// allowedMode is the mode inside an allowed_tools choice.
func allowedMode(v []byte) llm.ToolChoiceMode {
	mode := llm.ToolsAuto
	members(v, func(name, v []byte) bool {
		if nameIs(name, "allowed_tools") {
			members(v, func(name, v []byte) bool {
				if nameIs(name, "mode") && spanText(v) == string(llm.ToolsRequired) {
					mode = llm.ToolsRequired
				}
				return true
			})
		}
		return true
	})
	return mode
}

// cacheMarker reads the cache_control that OpenRouter and Vercel take in Anthropic's form, or nil.
func cacheMarker(v []byte) *llm.CacheMarker {
	var typ, ttl string
	members(v, func(name, v []byte) bool {
		switch string(name) {
		case "type":
			typ = spanText(v)
		case "ttl":
			ttl = spanText(v)
		}
		return true
	})
	if typ != "ephemeral" {
		return nil
	}
	return &llm.CacheMarker{TTL: ttl}
}
