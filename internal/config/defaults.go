package config

import "time"

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Listen:        "127.0.0.1:8080",
		DataDir:       "./breakwater-data",
		Auth:          AuthAuto,
		OnUnsupported: UnsupportedError,
		OnDisconnect:  DisconnectCancel,
		Refresh:       seconds(300),
		Tiers: Map[Tier]{
			{"free", Tier{RPM: 3}},
			{"tier-1", Tier{RPM: 500}},
			{"tier-2", Tier{RPM: 5000}},
		},
		Guards: Guards{
			PII: PIIGuard{
				Mode: "off", Restore: true,
				Types: []PIIType{"email", "phone", "us_ssn", "credit_card", "iban", "ip"},
			},
			Injection: InjectionGuard{Mode: "off", Threshold: 0.5, Scan: []ScanRole{"user", "tool"}},
			Secrets:   SecretsGuard{Mode: "off"},
			Output:    OutputGuard{PII: "off", Secrets: "off"},
		},
		Cache:     Cache{Mode: "off", TTL: seconds(3600), MaxSize: 256 << 20, Scope: "key"},
		Sessions:  Sessions{Stitch: true, Retain: Duration(90 * day), Content: "off"},
		Storage:   Storage{Ledger: "sqlite", State: "memory", OnLedgerFailure: "buffer", OnStateFailure: "local"},
		Telemetry: Telemetry{Log: Log{Level: "info", Format: "json", Content: "off"}, Metrics: true},
		Health:    Health{Probe: ProbeAuto, Interval: seconds(60)},
		Limits:    ServerLimits{MaxBody: 32 << 20, MaxStreams: 20000, WriteTimeout: seconds(30), Drain: seconds(30)},
		Prices:    Prices{Unpriced: "refuse"},
	}
}

// DefaultModel returns the settings of a model that the file does not name: for
// calls that ask for "provider/model". It has no targets.
func DefaultModel() Model {
	var m Model
	m.setDefaults()
	return m
}

func (m *Model) setDefaults() {
	*m = Model{
		Strategy:     StrategyFallback,
		Retry:        Retry{Attempts: 2, Backoff: Duration(250 * time.Millisecond), MaxBackoff: seconds(8), Budget: 0.2},
		Timeout:      Timeout{Connect: seconds(5), Idle: seconds(30), Total: seconds(600)},
		Breaker:      Breaker{Failures: 5, Window: seconds(30), OpenFor: seconds(15)},
		Hedge:        Hedge{Max: 1},
		Resume:       ResumeOff,
		SystemPrompt: SystemPrompt{Position: "prepend"},
	}
}

func (t *Target) setDefaults() { t.Weight = 1 }

func (k *Key) setDefaults() {
	k.Limits.MaxWait = seconds(2)
	k.Budget.Per = "month"
}

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }

// fillIn sets what follows from other values: a provider's type from its name,
// its address and key variable from its type, a model's on_unsupported from the
// top-level one.
func (c *Config) fillIn() {
	for i := range c.Providers {
		p := &c.Providers[i].Value
		if p.Type == "" {
			if _, ok := PresetFor(ProviderType(c.Providers[i].Name)); ok {
				p.Type = ProviderType(c.Providers[i].Name)
			}
		}
		preset, ok := PresetFor(p.Type)
		if !ok {
			continue
		}
		// The usual variable holds a key for the usual address: it is not sent
		// anywhere else unless the file says so.
		if p.APIKey.IsZero() && p.BaseURL == "" {
			p.APIKey = preset.apiKey()
		}
		if p.BaseURL == "" {
			p.BaseURL = preset.BaseURL
		}
	}
	for i := range c.Models {
		m := &c.Models[i].Value
		if m.OnUnsupported == "" {
			m.OnUnsupported = c.OnUnsupported
		}
	}
}
