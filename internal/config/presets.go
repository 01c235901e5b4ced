package config

import (
	"strings"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

// Preset is what is known of a kind of provider.
type Preset struct {
	Type ProviderType
	// BaseURL is the provider's public address as its SDK takes it: with the
	// version in the path for OpenAI and compatible ones. Empty for the mock.
	BaseURL string
	// EnvKey and EnvBaseURL are the variables that the provider's SDKs read.
	EnvKey, EnvBaseURL string
	// Model is a small, current chat model, used where a call names none.
	Model string
	// Prefixes begin the names of models that the provider makes itself.
	Prefixes []string
}

// Presets lists the kinds of provider in the order in which the environment is
// searched. Model names: public price lists of autumn 2026.
var Presets = []Preset{
	{
		Type: OpenAI, BaseURL: "https://api.openai.com/v1",
		EnvKey: "OPENAI_API_KEY", EnvBaseURL: "OPENAI_BASE_URL",
		Model: "gpt-4o-mini", Prefixes: []string{"gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-"},
	},
	{
		Type: Anthropic, BaseURL: "https://api.anthropic.com",
		EnvKey: "ANTHROPIC_API_KEY", EnvBaseURL: "ANTHROPIC_BASE_URL",
		Model: "claude-haiku-4-5", Prefixes: []string{"claude-"},
	},
	{
		Type: Gemini, BaseURL: "https://generativelanguage.googleapis.com",
		EnvKey: "GEMINI_API_KEY", EnvBaseURL: "GEMINI_BASE_URL",
		Model: "gemini-2.5-flash", Prefixes: []string{"gemini-"},
	},
	{
		Type: Mistral, BaseURL: "https://api.mistral.ai/v1",
		EnvKey: "MISTRAL_API_KEY", EnvBaseURL: "MISTRAL_BASE_URL",
		Model: "mistral-small-latest", Prefixes: []string{"mistral-", "codestral", "ministral", "magistral", "devstral"},
	},
	{
		Type: Groq, BaseURL: "https://api.groq.com/openai/v1",
		EnvKey: "GROQ_API_KEY", EnvBaseURL: "GROQ_BASE_URL",
		Model: "llama-3.1-8b-instant",
	},
	{
		Type: DeepSeek, BaseURL: "https://api.deepseek.com/v1",
		EnvKey: "DEEPSEEK_API_KEY", EnvBaseURL: "DEEPSEEK_BASE_URL",
		Model: "deepseek-flash", Prefixes: []string{"deepseek-"},
	},
	{
		Type: OpenRouter, BaseURL: "https://openrouter.ai/api/v1",
		EnvKey: "OPENROUTER_API_KEY", EnvBaseURL: "OPENROUTER_BASE_URL",
		Model: "openai/gpt-4o-mini",
	},
	{Type: Mock, Model: "mock"},
}

// PresetFor returns the preset of a type.
func PresetFor(t ProviderType) (Preset, bool) {
	for _, p := range Presets {
		if p.Type == t {
			return p, true
		}
	}
	return Preset{}, false
}

// Owner returns the kind of provider whose own models begin like this name.
func Owner(model string) (ProviderType, bool) {
	for _, p := range Presets {
		for _, prefix := range p.Prefixes {
			if strings.HasPrefix(model, prefix) {
				return p.Type, true
			}
		}
	}
	return "", false
}

// apiKey is the reference to the usual variable, or none.
func (p Preset) apiKey() APIKeys {
	if p.EnvKey == "" {
		return APIKeys{None: true}
	}
	return APIKeys{Refs: []secret.Ref{{Scheme: secret.SchemeEnv, Name: p.EnvKey}}}
}

// Names that a configuration from the environment uses.
const (
	// Simulator is the provider that answers when no key is found.
	Simulator = "simulator"
	// DefaultModelName is the model whose targets are all providers found.
	DefaultModelName = "default"
)

// FromEnv makes a configuration without a file: a provider for each key found in
// the environment, in the order of [Presets], and one model, "default", that
// falls back from one to the next. Without any key the built-in simulator
// answers. An empty variable counts as not set. getenv is as os.LookupEnv.
//
// A *_BASE_URL variable may be wrong: call [Config.Validate].
func FromEnv(getenv func(string) (string, bool)) *Config {
	c := Default()
	c.src = &source{file: "environment", at: map[string]position{}, listen: c.Listen}
	model := DefaultModel()
	add := func(name string, preset Preset, p Provider) {
		c.Providers.Set(name, p)
		model.Targets = append(model.Targets, Target{Provider: name, Model: preset.Model, Weight: 1})
	}
	for _, preset := range Presets {
		if key, _ := getenv(preset.EnvKey); preset.EnvKey == "" || strings.TrimSpace(key) == "" {
			continue
		}
		p := Provider{Type: preset.Type, BaseURL: preset.BaseURL, APIKey: preset.apiKey()}
		if u, _ := getenv(preset.EnvBaseURL); strings.TrimSpace(u) != "" {
			p.BaseURL = strings.TrimSpace(u)
		}
		add(string(preset.Type), preset, p)
	}
	if len(c.Providers) == 0 {
		preset, _ := PresetFor(Mock)
		add(Simulator, preset, Provider{Type: Mock, APIKey: preset.apiKey()})
	}
	c.Models.Set(DefaultModelName, model)
	c.fillIn()
	return c
}
