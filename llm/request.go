package llm

import "encoding/json"

// Protocol names a wire format.
type Protocol string

// The wire formats.
const (
	OpenAIChat        Protocol = "openai.chat"        // POST /v1/chat/completions
	AnthropicMessages Protocol = "anthropic.messages" // POST /v1/messages
	Native            Protocol = "llm"                // this package's own types: the Go library, no bytes
)

// Role says who speaks in a [Message].
type Role string

// The roles. Developer is OpenAI's newer word for System; Tool carries results
// back to the model.
const (
	RoleSystem    Role = "system"
	RoleDeveloper Role = "developer"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Request asks for a completion. The zero value of a field means that the
// caller did not set it; pointers tell "not set" from zero.
type Request struct {
	Model    string
	Messages []Message
	Tools    []Tool

	ToolChoice        *ToolChoice
	ParallelToolCalls *bool // nil: the provider's default

	MaxTokens        *int     // output tokens, reasoning included
	Temperature      *float64 // as the client's protocol scales it: 0-2 (OpenAI, Gemini), 0-1 (Anthropic)
	TopP             *float64
	TopK             *int
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64
	N                *int // number of choices
	Stop             []string
	Logprobs         *bool
	TopLogprobs      *int
	LogitBias        json.RawMessage // object of token id to bias

	Format    *Format
	Reasoning *Reasoning

	User            string // end user's id
	Metadata        map[string]string
	ServiceTier     string
	Store           *bool
	PromptCacheKey  string
	Verbosity       string
	SafetyID        string
	CacheRequest    *CacheMarker // a cache marker on the whole request (Anthropic's top-level cache_control)
	Stream          bool
	StreamWithUsage bool // the client asked for a usage chunk at the stream's end

	// Extra holds request fields that have no place here, in the order they
	// came. A codec of another protocol must refuse or drop each, by name.
	Extra []Field
}

// Field is a named piece of raw JSON with its path in the protocol it came from,
// such as "web_search_options" or "messages[2].audio".
type Field struct {
	Path string
	Raw  json.RawMessage
}

// Message is one turn.
type Message struct {
	Role  Role
	Name  string // OpenAI's participant name
	Parts []Part
}

// PartType says which fields of a [Part] count.
type PartType uint8

// The kinds of part.
const (
	PartText PartType = iota
	PartImage
	PartDocument
	PartAudio
	PartThinking         // Text and Signature
	PartRedactedThinking // Text holds the opaque data
	PartRefusal          // Text
	PartToolCall
	PartToolResult
	PartOther // a part only its own protocol knows: Raw, and its type in Name
)

// Part is a piece of a message's content.
type Part struct {
	Type       PartType
	Text       string
	Signature  string // of a thinking part: proves to its provider that the text is its own
	Media      *Media
	ToolCall   *ToolCall
	ToolResult *ToolResult
	Cache      *CacheMarker
	Name       string          // PartOther: the type's name in its protocol
	Raw        json.RawMessage // PartOther: the whole part. PartText: annotations or citations, if any
}

// Media is an image, document or audio: exactly one of Data, URL, FileID and
// Text is set.
type Media struct {
	MIME   string // "image/png"; may be empty with URL and FileID
	Data   string // standard base64, as it came
	URL    string
	FileID string // a file stored with one provider: no other can read it
	Text   string // a plain-text document
	Name   string // file name or title
	Detail string // OpenAI: auto, low, high
	Format string // audio: wav, mp3
	// Context and Citations are Anthropic's document options.
	Context   string
	Citations bool
}

// ToolCall is a call the model made. ID is opaque. Arguments is the JSON text
// the model wrote; it may be empty for a tool without parameters, and in an
// answer cut by the token limit it may be incomplete.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string
}

// ToolResult answers the tool call with the same id.
type ToolResult struct {
	ID      string
	Parts   []Part // text, images, documents
	IsError bool
}

// Tool is a function the model may call.
type Tool struct {
	Name        string
	Description string
	Schema      json.RawMessage // JSON Schema of the arguments; nil: none given
	Strict      *bool
	Cache       *CacheMarker
	// Type and Raw are set for a tool that is not a function: one that the
	// provider runs itself. Only its own protocol can carry it.
	Type string
	Raw  json.RawMessage
}

// ToolChoiceMode says how free the model is to call tools.
type ToolChoiceMode string

// The modes.
const (
	ToolsAuto     ToolChoiceMode = "auto"
	ToolsNone     ToolChoiceMode = "none"
	ToolsRequired ToolChoiceMode = "required" // at least one call
	ToolsNamed    ToolChoiceMode = "named"    // exactly the tool in Name
)

// ToolChoice tells the model whether, or which, tools to call.
type ToolChoice struct {
	Mode ToolChoiceMode
	Name string          // with ToolsNamed
	Raw  json.RawMessage // a choice only its own protocol knows (allowed_tools)
}

// FormatType is the kind of output asked for.
type FormatType string

// The output formats.
const (
	FormatText       FormatType = "text"
	FormatJSON       FormatType = "json_object"
	FormatJSONSchema FormatType = "json_schema"
)

// Format constrains the answer's text.
type Format struct {
	Type        FormatType
	Name        string
	Description string
	Schema      json.RawMessage
	Strict      *bool
}

// Reasoning asks for thinking before the answer. Effort is one of none,
// minimal, low, medium, high, xhigh, max; Mode is "", "enabled" (with
// BudgetTokens), "adaptive" or "disabled".
type Reasoning struct {
	Effort       string
	Mode         string
	BudgetTokens int
	Display      string // Anthropic: summarized, omitted
}

// CacheMarker asks the provider to cache the prompt up to here.
type CacheMarker struct {
	TTL string // "", "5m" or "1h"
}
