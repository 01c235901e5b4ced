package anthropic

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/breakwater-llm/breakwater/llm"
)

// The pieces of a message and of a request as JSON. Unknown gathers the members
// that have no field.

type cacheControl struct {
	Type string `json:"type"`
	TTL  string `json:"ttl,omitzero"`
}

func encodeCache(m *llm.CacheMarker) *cacheControl {
	if m == nil {
		return nil
	}
	return &cacheControl{Type: "ephemeral", TTL: m.TTL}
}

func (c *cacheControl) marker() *llm.CacheMarker {
	if c == nil {
		return nil
	}
	return &llm.CacheMarker{TTL: c.TTL}
}

type textBlock struct {
	Type         string         `json:"type"`
	Text         string         `json:"text"`
	Citations    jsontext.Value `json:"citations,omitzero"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	Unknown      jsontext.Value `json:",embed"`
}

type mediaBlock struct {
	Type         string         `json:"type"` // image or document
	Source       source         `json:"source"`
	Title        string         `json:"title,omitzero"`
	Context      string         `json:"context,omitzero"`
	Citations    *citations     `json:"citations,omitzero"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	Unknown      jsontext.Value `json:",embed"`
}

type citations struct {
	Enabled bool `json:"enabled"`
}

type source struct {
	Type      string         `json:"type"` // base64, url, file, text; others are kept raw
	MediaType string         `json:"media_type,omitzero"`
	Data      string         `json:"data,omitzero"`
	URL       string         `json:"url,omitzero"`
	FileID    string         `json:"file_id,omitzero"`
	Unknown   jsontext.Value `json:",embed"`
}

type thinkingBlock struct {
	Type         string         `json:"type"`
	Thinking     string         `json:"thinking"`
	Signature    string         `json:"signature"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	Unknown      jsontext.Value `json:",embed"`
}

type redactedBlock struct {
	Type         string         `json:"type"`
	Data         string         `json:"data"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	Unknown      jsontext.Value `json:",embed"`
}

type toolUseBlock struct {
	Type         string         `json:"type"`
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Input        jsontext.Value `json:"input"`
	Caller       jsontext.Value `json:"caller,omitzero"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	Unknown      jsontext.Value `json:",embed"`
}

type toolResultBlock struct {
	Type         string         `json:"type"`
	ToolUseID    string         `json:"tool_use_id"`
	Content      any            `json:"content,omitzero"` // a string or blocks; read apart
	IsError      bool           `json:"is_error,omitzero"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	Unknown      jsontext.Value `json:",embed"`
}

type wireTool struct {
	Type         string         `json:"type,omitzero"`
	Name         string         `json:"name"`
	Description  string         `json:"description,omitzero"`
	InputSchema  jsontext.Value `json:"input_schema"`
	Strict       *bool          `json:"strict,omitzero"`
	CacheControl *cacheControl  `json:"cache_control,omitzero"`
	// EagerStreaming says how finely a call's arguments are streamed. It is read so that other
	// protocols, which have no word for it, need none: what arrives is the same.
	EagerStreaming jsontext.Value `json:"eager_input_streaming,omitzero"`
	Unknown        jsontext.Value `json:",embed"`
}

type wireToolChoice struct {
	Type            string         `json:"type"`
	Name            string         `json:"name,omitzero"`
	DisableParallel *bool          `json:"disable_parallel_tool_use,omitzero"`
	Unknown         jsontext.Value `json:",embed"`
}

type wireThinking struct {
	Type    string         `json:"type"`
	Budget  int            `json:"budget_tokens,omitzero"`
	Display string         `json:"display,omitzero"`
	Unknown jsontext.Value `json:",embed"`
}

type outputConfig struct {
	Effort  string         `json:"effort,omitzero"`
	Format  *outputFormat  `json:"format,omitzero"`
	Unknown jsontext.Value `json:",embed"`
}

type outputFormat struct {
	Type    string         `json:"type"`
	Schema  jsontext.Value `json:"schema,omitzero"`
	Unknown jsontext.Value `json:",embed"`
}

type wireMetadata struct {
	UserID  string         `json:"user_id,omitzero"`
	Unknown jsontext.Value `json:",embed"`
}

type wireMessage struct {
	Role    string `json:"role"`
	Content any    `json:"content"` // a string or blocks
}

// wireRequest is a request as this package writes it.
type wireRequest struct {
	Model         string          `json:"model"`
	MaxTokens     int             `json:"max_tokens"`
	System        any             `json:"system,omitzero"` // a string or text blocks
	Messages      []wireMessage   `json:"messages"`
	Tools         []any           `json:"tools,omitzero"`
	ToolChoice    *wireToolChoice `json:"tool_choice,omitzero"`
	StopSequences []string        `json:"stop_sequences,omitzero"`
	Temperature   *float64        `json:"temperature,omitzero"`
	TopP          *float64        `json:"top_p,omitzero"`
	TopK          *int            `json:"top_k,omitzero"`
	Thinking      *wireThinking   `json:"thinking,omitzero"`
	OutputConfig  *outputConfig   `json:"output_config,omitzero"`
	CacheControl  *cacheControl   `json:"cache_control,omitzero"`
	Metadata      *wireMetadata   `json:"metadata,omitzero"`
	ServiceTier   string          `json:"service_tier,omitzero"`
	Stream        bool            `json:"stream,omitzero"`
}
