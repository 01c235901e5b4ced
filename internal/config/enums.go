package config

// enum is a word out of a fixed list. The list is also in the schema.
type enum interface{ Values() []string }

// ProviderType is a kind of provider.
type ProviderType string

// The kinds of provider.
const (
	OpenAI     ProviderType = "openai"
	Anthropic  ProviderType = "anthropic"
	Gemini     ProviderType = "gemini"
	Mistral    ProviderType = "mistral"
	Groq       ProviderType = "groq"
	DeepSeek   ProviderType = "deepseek"
	OpenRouter ProviderType = "openrouter"
	Mock       ProviderType = "mock"
)

// Values lists the allowed words.
func (ProviderType) Values() []string {
	return []string{"openai", "anthropic", "gemini", "mistral", "groq", "deepseek", "openrouter", "mock"}
}

// AuthMode says who may call.
type AuthMode string

// The ways to authenticate.
const (
	AuthAuto     AuthMode = "auto"
	AuthRequired AuthMode = "required"
	AuthOff      AuthMode = "off"
)

// Values lists the allowed words.
func (AuthMode) Values() []string { return []string{"auto", "required", "off"} }

// Unsupported says what happens to a field that a protocol cannot express.
type Unsupported string

// What happens to an unsupported field.
const (
	UnsupportedError Unsupported = "error"
	UnsupportedDrop  Unsupported = "drop"
)

// Values lists the allowed words.
func (Unsupported) Values() []string { return []string{"error", "drop"} }

// Disconnect says what happens upstream when the client leaves.
type Disconnect string

// What happens upstream when the client leaves.
const (
	DisconnectCancel Disconnect = "cancel"
	DisconnectDrain  Disconnect = "drain"
)

// Values lists the allowed words.
func (Disconnect) Values() []string { return []string{"cancel", "drain"} }

// Strategy is a way to choose a target.
type Strategy string

// The ways to choose a target.
const (
	StrategyFallback   Strategy = "fallback"
	StrategyWeighted   Strategy = "weighted"
	StrategyLatency    Strategy = "latency"
	StrategyCost       Strategy = "cost"
	StrategyRoundRobin Strategy = "round_robin"
)

// Values lists the allowed words.
func (Strategy) Values() []string {
	return []string{"fallback", "weighted", "latency", "cost", "round_robin"}
}

// Resume says what a break after the first token does.
type Resume string

// What a break after the first token does.
const (
	ResumeOff      Resume = "off"
	ResumeContinue Resume = "continue"
)

// Values lists the allowed words.
func (Resume) Values() []string { return []string{"off", "continue"} }

// PromptPosition says where a configured system prompt goes.
type PromptPosition string

// Values lists the allowed words.
func (PromptPosition) Values() []string { return []string{"prepend", "append", "replace"} }

// Period is a span of time in which a budget is spent.
type Period string

// Values lists the allowed words.
func (Period) Values() []string { return []string{"hour", "day", "week", "month"} }

// GuardMode says what a guard does with a finding.
type GuardMode string

// Values lists the allowed words.
func (GuardMode) Values() []string { return []string{"off", "redact", "block", "flag"} }

// FlagMode is a [GuardMode] without redaction.
type FlagMode string

// Values lists the allowed words.
func (FlagMode) Values() []string { return []string{"off", "block", "flag"} }

// PIIType is a kind of personal data.
type PIIType string

// Values lists the allowed words.
func (PIIType) Values() []string {
	return []string{"email", "phone", "us_ssn", "credit_card", "iban", "ip"}
}

// ScanRole says whose texts are read.
type ScanRole string

// Values lists the allowed words.
func (ScanRole) Values() []string { return []string{"system", "user", "assistant", "tool"} }

// CacheMode says what counts as the same request.
type CacheMode string

// Values lists the allowed words.
func (CacheMode) Values() []string { return []string{"off", "exact", "semantic"} }

// CacheScope says who shares cached answers.
type CacheScope string

// Values lists the allowed words.
func (CacheScope) Values() []string { return []string{"key", "all"} }

// ContentMode says whether texts are kept.
type ContentMode string

// Values lists the allowed words.
func (ContentMode) Values() []string { return []string{"off", "redacted", "full"} }

// LedgerFailure says what happens while the ledger cannot be written.
type LedgerFailure string

// Values lists the allowed words.
func (LedgerFailure) Values() []string { return []string{"buffer", "block"} }

// StateFailure says what happens while the shared state cannot be reached.
type StateFailure string

// Values lists the allowed words.
func (StateFailure) Values() []string { return []string{"local", "refuse"} }

// LogLevel is the least severe level that is printed.
type LogLevel string

// Values lists the allowed words.
func (LogLevel) Values() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormat is the form of the log.
type LogFormat string

// Values lists the allowed words.
func (LogFormat) Values() []string { return []string{"json", "text"} }

// Probe says whether idle providers are checked.
type Probe string

// The ways to probe.
const (
	ProbeAuto Probe = "auto"
	ProbeOff  Probe = "off"
)

// Values lists the allowed words.
func (Probe) Values() []string { return []string{"auto", "off"} }

// Unpriced says what happens to calls to models without a price.
type Unpriced string

// Values lists the allowed words.
func (Unpriced) Values() []string { return []string{"refuse", "allow"} }
