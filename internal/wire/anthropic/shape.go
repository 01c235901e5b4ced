package anthropic

import "github.com/breakwater-llm/breakwater/internal/wire/jsondoc"

// names makes the members of a shape whose values are free or scalar.
func names(list ...string) map[string]*jsondoc.Shape {
	m := make(map[string]*jsondoc.Shape, len(list))
	for _, n := range list {
		m[n] = nil
	}
	return m
}

func object(list ...string) *jsondoc.Shape { return &jsondoc.Shape{Members: names(list...)} }

// requestShape names what the protocol defines. Tool input, JSON schemas and
// metadata beyond user_id are the caller's own.
var requestShape = makeRequestShape()

func makeRequestShape() *jsondoc.Shape {
	cache := object("type", "ttl")
	block := &jsondoc.Shape{Members: names(
		"type", "text", "thinking", "signature", "data", "id", "name", "input", "tool_use_id", "is_error",
		"title", "context", "file_id", "server_name", "tool_name", "url", "encrypted_content", "page_age")}
	blocks := &jsondoc.Shape{Members: block.Members, Elem: block}
	block.Members["cache_control"] = cache
	block.Members["content"] = blocks
	block.Members["citations"] = &jsondoc.Shape{
		Members: names("enabled"),
		Elem: object("type", "cited_text", "document_index", "document_title", "file_id", "start_char_index", "end_char_index",
			"start_page_number", "end_page_number", "start_block_index", "end_block_index", "encrypted_index", "title", "url",
			"search_result_index", "source")}
	block.Members["source"] = &jsondoc.Shape{Members: names("type", "media_type", "data", "url", "file_id")}
	block.Members["source"].Members["content"] = blocks
	block.Members["caller"] = object("type", "tool_id")
	block.Members["tool"] = object("type", "name")

	message := &jsondoc.Shape{Members: names("role")}
	message.Members["content"] = blocks

	tool := &jsondoc.Shape{Members: names("type", "name", "description", "input_schema", "strict", "defer_loading",
		"allowed_callers", "input_examples", "eager_input_streaming", "max_uses", "allowed_domains", "blocked_domains",
		"max_content_tokens", "display_width_px", "display_height_px", "display_number", "enable_zoom", "max_characters", "model",
		"max_tokens", "mcp_server_name", "default_config", "configs")}
	tool.Members["cache_control"] = cache
	tool.Members["citations"] = object("enabled")
	tool.Members["user_location"] = object("type", "city", "country", "region", "timezone")

	format := object("type", "schema")
	output := object("effort", "task_budget")
	output.Members["format"] = format

	top := &jsondoc.Shape{Members: names("model", "max_tokens", "stop_sequences", "temperature", "top_p", "top_k", "stream",
		"service_tier", "container", "inference_geo", "speed", "diagnostics", "user_profile_id", "workspace_id", "betas")}
	top.Members["system"] = blocks
	top.Members["messages"] = &jsondoc.Shape{Elem: message}
	top.Members["tools"] = &jsondoc.Shape{Elem: tool}
	top.Members["tool_choice"] = object("type", "name", "disable_parallel_tool_use")
	top.Members["thinking"] = object("type", "budget_tokens", "display")
	top.Members["output_config"] = output
	top.Members["output_format"] = format
	top.Members["cache_control"] = cache
	top.Members["metadata"] = object("user_id")
	top.Members["context_management"] = object("edits")
	top.Members["mcp_servers"] = &jsondoc.Shape{Elem: object("type", "url", "name", "authorization_token", "tool_configuration")}
	return top
}
