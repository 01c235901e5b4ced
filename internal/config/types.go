package config

import "github.com/breakwater-llm/breakwater/internal/secret"

// Config is a whole configuration.
type Config struct {
	// Address to serve on, as host:port. Any address but loopback needs keys, or auth: off spelled out.
	Listen string `yaml:"listen"`
	// Folder of the embedded ledger and state. A relative path starts at the working directory.
	DataDir string `yaml:"data_dir"`
	// Who may call. auto: everybody on loopback while no keys exist, otherwise key holders; required: key holders only; off: everybody.
	Auth AuthMode `yaml:"auth"`
	// What to do with a request field that the chosen provider's protocol cannot express. error: refuse the call with 400 and name the field; drop: leave the field out.
	OnUnsupported Unsupported `yaml:"on_unsupported"`
	// What to do upstream when the client leaves. cancel: stop the provider's work; drain: read on, bounded, so that the reported usage is known.
	OnDisconnect Disconnect `yaml:"on_disconnect"`
	// How often secrets are read again from where they come from.
	Refresh Duration `yaml:"refresh"`
	// The admin API.
	Admin Admin `yaml:"admin"`
	// Who answers: a name of your choice for each provider account.
	Providers Map[Provider] `yaml:"providers"`
	// The model names that callers use, and what stands behind each. Without an entry, callers can name "provider/model".
	Models Map[Model] `yaml:"models"`
	// The callers.
	Keys []Key `yaml:"keys"`
	// Named sets of limits that keys refer to.
	Tiers Map[Tier] `yaml:"tiers"`
	// What is looked for in prompts and answers.
	Guards Guards `yaml:"guards"`
	// Answers kept and given again.
	Cache Cache `yaml:"cache"`
	// Conversations.
	Sessions Sessions `yaml:"sessions"`
	// Where the ledger and the shared state are kept.
	Storage Storage `yaml:"storage"`
	// Logs, metrics and traces.
	Telemetry Telemetry `yaml:"telemetry"`
	// Active health checks of providers.
	Health Health `yaml:"health"`
	// Limits of the gateway itself.
	Limits ServerLimits `yaml:"limits"`
	// What models cost.
	Prices Prices `yaml:"prices"`

	src *source // where things stand in the file; nil if there was none
}

// Admin configures the admin API.
type Admin struct {
	// Token that the admin API asks for. Without one the admin API is off.
	Token secret.Ref `yaml:"token"`
}

// Provider is one account at one provider.
type Provider struct {
	// Protocol and defaults to use. Left out, it is the provider's name, if that is one of the values.
	Type ProviderType `yaml:"type"`
	// Where to send calls: what the provider's official SDK takes, so with /v1 for OpenAI and compatible ones, without for Anthropic and Gemini. Default: the provider's public address.
	BaseURL string `yaml:"base_url"`
	// The provider's key, or a list of keys to spread calls over; none sends none. Default: the type's usual environment variable, unless base_url is set.
	APIKey APIKeys `yaml:"api_key"`
	// A label such as eu-west, for rules about where data may go.
	Region string `yaml:"region"`
	// Limits of this account, kept towards the provider.
	Limits ProviderLimits `yaml:"limits"`
	// File of scripted replies, for type mock.
	Script string `yaml:"script"`
}

// ProviderLimits are what a provider account allows. 0 means no limit.
type ProviderLimits struct {
	// Calls in flight at once; 0: no limit.
	Concurrency int `yaml:"concurrency"`
	// Requests a minute; 0: no limit.
	RPM int `yaml:"rpm"`
	// Tokens a minute; 0: no limit.
	TPM int `yaml:"tpm"`
}

// Model is a name callers use and the targets behind it.
type Model struct {
	// Who may answer, in order of preference.
	Targets []Target `yaml:"targets" jsonschema:"required,minItems=1"`
	// How a target is chosen. fallback: the first that works, in order.
	Strategy Strategy `yaml:"strategy"`
	// Trying again at the same target.
	Retry Retry `yaml:"retry"`
	// Time limits of a call.
	Timeout Timeout `yaml:"timeout"`
	// When to leave a failing target alone.
	Breaker Breaker `yaml:"breaker"`
	// A second call to another target when the first is slow; the first answer wins.
	Hedge Hedge `yaml:"hedge"`
	// What a break after the first token does. off: an error event, never a second answer glued on; continue: another target carries on from the delivered text.
	Resume Resume `yaml:"resume"`
	// on_unsupported for this model. Default: the top-level value.
	OnUnsupported Unsupported `yaml:"on_unsupported"`
	// Text added to the system prompt of every call.
	SystemPrompt SystemPrompt `yaml:"system_prompt"`
	// Parameters for calls that do not set them.
	Params Params `yaml:"params"`
	// Upper bounds of parameters, whatever a call sets.
	Limit ParamLimits `yaml:"limit"`
}

// Target is one provider's model.
type Target struct {
	// Name of a provider of this file.
	Provider string `yaml:"provider" jsonschema:"required"`
	// The model's name at that provider.
	Model string `yaml:"model" jsonschema:"required"`
	// Share of the calls, relative to the other targets, for strategy weighted.
	Weight float64 `yaml:"weight"`
	// Region of this target. Default: the provider's.
	Region string `yaml:"region"`
}

// Retry says how often and how fast a target is tried again.
type Retry struct {
	// Calls to one target at most, the first included: 1 to 10.
	Attempts int `yaml:"attempts"`
	// Wait before the first repetition; it doubles each time, with full jitter.
	Backoff Duration `yaml:"backoff"`
	// Longest wait.
	MaxBackoff Duration `yaml:"max_backoff"`
	// Repetitions allowed, as a share of first calls, so that retries cannot multiply an outage.
	Budget Percent `yaml:"budget"`
}

// Timeout limits the phases of a call. FirstToken and Idle are fed by content
// only, never by pings.
type Timeout struct {
	// Longest wait for a connection.
	Connect Duration `yaml:"connect"`
	// Longest wait for the first content. Default 20s; a call that does not stream has it only when it is set here.
	FirstToken *Duration `yaml:"first_token"`
	// Longest silence between pieces of content.
	Idle Duration `yaml:"idle"`
	// Longest call, all attempts included. A healthy stream is not cut by it.
	Total Duration `yaml:"total"`
}

// DefaultFirstToken is the limit for the first content when none is set.
const DefaultFirstToken = Duration(20e9)

// FirstTokenSet reports whether the file sets first_token.
func (t Timeout) FirstTokenSet() bool { return t.FirstToken != nil }

// FirstTokenOrDefault is the limit for the first content.
func (t Timeout) FirstTokenOrDefault() Duration {
	if t.FirstToken == nil {
		return DefaultFirstToken
	}
	return *t.FirstToken
}

// Breaker stops calls to a target that keeps failing.
type Breaker struct {
	// Failures within the window that open the breaker; 0 turns it off.
	Failures int `yaml:"failures"`
	// Span of time in which failures are counted.
	Window Duration `yaml:"window"`
	// How long the target is left alone before one call tries it again.
	OpenFor Duration `yaml:"open_for"`
}

// Hedge sends a second call when the first is slow.
type Hedge struct {
	// When the second call goes out: off, a percentile of this target's usual time to the first token such as p95, or a duration.
	After HedgeAfter `yaml:"after"`
	// Extra calls at most: 1 to 3.
	Max int `yaml:"max"`
}

// SystemPrompt is text put into every call of a model.
type SystemPrompt struct {
	// The text; empty adds nothing.
	Text string `yaml:"text"`
	// Where it goes: prepend: before the caller's system prompt; append: after it; replace: instead of it.
	Position PromptPosition `yaml:"position"`
}

// Params are request parameters. Those not set are left to the caller.
type Params struct {
	// Output tokens at most, reasoning included.
	MaxTokens *int `yaml:"max_tokens"`
	// Sampling temperature, 0 to 2.
	Temperature *float64 `yaml:"temperature"`
	// Nucleus sampling, 0 to 1.
	TopP *float64 `yaml:"top_p"`
	// Sample from the k likeliest tokens.
	TopK *int `yaml:"top_k"`
	// Penalty for frequent tokens, -2 to 2.
	FrequencyPenalty *float64 `yaml:"frequency_penalty"`
	// Penalty for tokens that have occurred, -2 to 2.
	PresencePenalty *float64 `yaml:"presence_penalty"`
	// Seed for providers that sample repeatably.
	Seed *int `yaml:"seed"`
	// Texts that end the answer.
	Stop []string `yaml:"stop"`
}

// ParamLimits are upper bounds of request parameters.
type ParamLimits struct {
	// Output tokens that a call may ask for.
	MaxTokens *int `yaml:"max_tokens"`
	// Highest sampling temperature.
	Temperature *float64 `yaml:"temperature"`
}

// Key is one caller.
type Key struct {
	// Name of the key in logs and the ledger; never the secret.
	ID string `yaml:"id" jsonschema:"required"`
	// What the caller sends as its key.
	Secret secret.Ref `yaml:"secret" jsonschema:"required"`
	// What the key may use: model names of this file, "provider/model", or "*". Left out, everything.
	Models []string `yaml:"models"`
	// Name of a tier, whose limits hold where this key sets none.
	Tier string `yaml:"tier"`
	// Limits of this key.
	Limits KeyLimits `yaml:"limits"`
	// Money this key may spend.
	Budget Budget `yaml:"budget"`
	// Labels for cost attribution, put on every call of this key.
	Tags map[string]string `yaml:"tags"`
}

// KeyLimits are a caller's limits. 0 means no limit.
type KeyLimits struct {
	// Calls in flight at once; 0: no limit.
	Concurrency int `yaml:"concurrency"`
	// Requests a minute; 0: no limit.
	RPM int `yaml:"rpm"`
	// Tokens a minute; 0: no limit.
	TPM int `yaml:"tpm"`
	// Calls that may wait for a free place; 0: none, they are refused at once.
	Queue int `yaml:"queue"`
	// Longest wait in the queue.
	MaxWait Duration `yaml:"max_wait"`
}

// Budget is an amount of money for a span of time.
type Budget struct {
	// US dollars; 0: no budget.
	USD float64 `yaml:"usd"`
	// When it renews.
	Per Period `yaml:"per"`
}

// Tier is a named set of limits. 0 means no limit.
type Tier struct {
	// Calls in flight at once; 0: no limit.
	Concurrency int `yaml:"concurrency"`
	// Requests a minute; 0: no limit.
	RPM int `yaml:"rpm"`
	// Tokens a minute; 0: no limit.
	TPM int `yaml:"tpm"`
}
