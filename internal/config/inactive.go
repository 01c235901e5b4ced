package config

import (
	"fmt"
	"maps"
	"slices"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// inactiveRule is a key that this build reads and checks but does not act on.
type inactiveRule struct {
	path string
	// set returns the places, of those the path stands for, where the key asks
	// for something that does not happen. Nil: only the reference says so.
	set func(*Config) []string
}

// inactive is the one table of features that are still to come. A feature that
// is built leaves it, and nothing else changes.
var inactive = []inactiveRule{
	{"data_dir", top("data_dir", func(c *Config) bool { return c.DataDir != Default().DataDir })},
	{"on_disconnect", top("on_disconnect", func(c *Config) bool { return c.OnDisconnect != DisconnectCancel })},
	{"refresh", top("refresh", func(c *Config) bool { return c.Refresh != Default().Refresh })},
	{"admin.token", top("admin.token", func(c *Config) bool { return !c.Admin.Token.IsZero() })},
	{"providers.*.limits", eachProvider("limits", func(p *Provider) bool { return p.Limits != ProviderLimits{} })},
	{"models.*.strategy", eachModel("strategy", func(m *Model) bool { return m.Strategy != StrategyFallback })},
	{"models.*.breaker", eachModel("breaker", func(m *Model) bool { return m.Breaker != DefaultModel().Breaker })},
	{"models.*.hedge", eachModel("hedge", func(m *Model) bool { return !m.Hedge.After.Off() })},
	{"models.*.resume", eachModel("resume", func(m *Model) bool { return m.Resume != ResumeOff })},
	{"models.*.system_prompt", eachModel("system_prompt", func(m *Model) bool { return m.SystemPrompt.Text != "" })},
	{"models.*.params", eachModel("params", func(m *Model) bool { return !m.Params.isZero() })},
	{"models.*.limit", eachModel("limit", func(m *Model) bool { return m.Limit != ParamLimits{} })},
	{"keys.*.tier", eachKey("tier", func(k *Key) bool { return k.Tier != "" })},
	{"keys.*.limits", eachKey("limits", func(k *Key) bool {
		l := k.Limits
		return l.Concurrency != 0 || l.RPM != 0 || l.TPM != 0 || l.Queue != 0
	})},
	{"keys.*.budget", eachKey("budget", func(k *Key) bool { return k.Budget.USD != 0 })},
	{"tiers", top("tiers", func(c *Config) bool { return !slices.Equal(c.Tiers, Default().Tiers) })},
	{"guards.pii", top("guards.pii", func(c *Config) bool { return c.Guards.PII.Mode != "off" })},
	{"guards.injection", top("guards.injection", func(c *Config) bool { return c.Guards.Injection.Mode != "off" })},
	{"guards.secrets", top("guards.secrets", func(c *Config) bool { return c.Guards.Secrets.Mode != "off" })},
	{"guards.output", top("guards.output", func(c *Config) bool { return c.Guards.Output != Default().Guards.Output })},
	{"cache", top("cache", func(c *Config) bool { return c.Cache.Mode != "off" })},
	{"sessions", top("sessions", func(c *Config) bool { return c.Sessions != Default().Sessions })},
	{"storage", top("storage", func(c *Config) bool { return c.Storage != Default().Storage })},
	{"telemetry.log.content", top("telemetry.log.content", func(c *Config) bool { return c.Telemetry.Log.Content != "off" })},
	{"telemetry.metrics", nil},
	{"telemetry.otlp", top("telemetry.otlp", func(c *Config) bool { return c.Telemetry.OTLP.Endpoint != "" })},
	{"health", top("health", func(c *Config) bool { return c.Health.Interval != Default().Health.Interval })},
	{"prices", top("prices", func(c *Config) bool {
		return c.Prices.Unpriced != Default().Prices.Unpriced || len(c.Prices.Overrides) > 0
	})},
}

// InactivePaths lists the keys that are read and checked but not acted on.
func InactivePaths() []string {
	paths := make([]string, len(inactive))
	for i, r := range inactive {
		paths[i] = r.path
	}
	return paths
}

func (k *checker) inactive() {
	for _, r := range inactive {
		if r.set == nil {
			continue
		}
		for _, path := range r.set(k.c) {
			k.warn(path, "", "not active in this version")
		}
	}
}

func top(path string, set func(*Config) bool) func(*Config) []string {
	return func(c *Config) []string {
		if set(c) {
			return []string{path}
		}
		return nil
	}
}

func eachProvider(key string, set func(*Provider) bool) func(*Config) []string {
	return func(c *Config) (paths []string) {
		for i := range c.Providers {
			if set(&c.Providers[i].Value) {
				paths = append(paths, join("providers", c.Providers[i].Name)+"."+key)
			}
		}
		return paths
	}
}

func eachModel(key string, set func(*Model) bool) func(*Config) []string {
	return func(c *Config) (paths []string) {
		for i := range c.Models {
			if set(&c.Models[i].Value) {
				paths = append(paths, join("models", c.Models[i].Name)+"."+key)
			}
		}
		return paths
	}
}

func eachKey(key string, set func(*Key) bool) func(*Config) []string {
	return func(c *Config) (paths []string) {
		for i := range c.Keys {
			if set(&c.Keys[i]) {
				paths = append(paths, fmt.Sprintf("keys[%d].%s", i, key))
			}
		}
		return paths
	}
}

// isZero reports whether no parameter is set.
func (p Params) isZero() bool {
	return p.MaxTokens == nil && p.Temperature == nil && p.TopP == nil && p.TopK == nil && p.FrequencyPenalty == nil &&
		p.PresencePenalty == nil && p.Seed == nil && len(p.Stop) == 0
}
