package config

// Guards say what is looked for in prompts and answers.
type Guards struct {
	// Personal data in prompts.
	PII PIIGuard `yaml:"pii"`
	// Attempts to take over the model.
	Injection InjectionGuard `yaml:"injection"`
	// Credentials in prompts.
	Secrets SecretsGuard `yaml:"secrets"`
	// What is looked for in answers.
	Output OutputGuard `yaml:"output"`
}

// PIIGuard finds personal data.
type PIIGuard struct {
	// What to do with a finding. redact: a placeholder goes to the provider; block: refuse the call; flag: report only.
	Mode GuardMode `yaml:"mode"`
	// Put the original values back into the answer.
	Restore bool `yaml:"restore"`
	// Kinds to look for.
	Types []PIIType `yaml:"types"`
	// Values that are no finding.
	Allow []string `yaml:"allow"`
}

// InjectionGuard finds attempts to take over the model.
type InjectionGuard struct {
	// What to do with a finding. block: refuse the call; flag: report only.
	Mode FlagMode `yaml:"mode"`
	// Score from which a text is a finding, 0 to 1.
	Threshold float64 `yaml:"threshold"`
	// Texts that are always a finding.
	Phrases []string `yaml:"phrases"`
	// Whose texts are read.
	Scan []ScanRole `yaml:"scan"`
}

// SecretsGuard finds credentials.
type SecretsGuard struct {
	// What to do with a finding. redact: a placeholder goes to the provider; block: refuse the call; flag: report only.
	Mode GuardMode `yaml:"mode"`
}

// OutputGuard reads answers.
type OutputGuard struct {
	// What to do with personal data in an answer.
	PII GuardMode `yaml:"pii"`
	// What to do with credentials in an answer.
	Secrets GuardMode `yaml:"secrets"`
	// Put a marker into the system prompt and treat its appearance in an answer as a leak.
	Canary bool `yaml:"canary"`
}

// Cache keeps answers.
type Cache struct {
	// exact: the same request gets the same answer; semantic: so does one of the same meaning.
	Mode CacheMode `yaml:"mode"`
	// How long an answer is kept.
	TTL Duration `yaml:"ttl"`
	// Memory for answers; the least recently used leave first.
	MaxSize Size `yaml:"max_size"`
	// Who shares answers. key: nobody but the same key; all: all callers.
	Scope CacheScope `yaml:"scope"`
}

// Sessions follow conversations.
type Sessions struct {
	// Recognise the turns of one conversation when the client names none.
	Stitch bool `yaml:"stitch"`
	// How long sessions are kept.
	Retain Duration `yaml:"retain"`
	// Keep the texts too: off, redacted or full.
	Content ContentMode `yaml:"content"`
}

// Storage says where the ledger and the shared state are kept.
type Storage struct {
	// sqlite, or postgres://user@host/db, or a reference to such an address.
	Ledger string `yaml:"ledger"`
	// memory, or redis://host:6379/0, or a reference to such an address: limits, budgets, breakers, idempotency and cache shared by all replicas.
	State string `yaml:"state"`
	// buffer: keep rows in a bounded buffer, then refuse calls; block: refuse calls at once. Never a silent loss.
	OnLedgerFailure LedgerFailure `yaml:"on_ledger_failure"`
	// local: go on with this replica's own share of each limit; refuse: refuse calls.
	OnStateFailure StateFailure `yaml:"on_state_failure"`
}

// Telemetry configures what the gateway tells about itself.
type Telemetry struct {
	// The log on stderr: one line a call, never prompt or answer text.
	Log Log `yaml:"log"`
	// OpenTelemetry traces and metrics.
	OTLP OTLP `yaml:"otlp"`
	// Serve Prometheus metrics at /metrics.
	Metrics bool `yaml:"metrics"`
}

// Log configures the log.
type Log struct {
	// Least severe level to print.
	Level LogLevel `yaml:"level"`
	// json, or text for reading at a terminal.
	Format LogFormat `yaml:"format"`
	// Log texts too: off, redacted or full.
	Content ContentMode `yaml:"content"`
}

// OTLP configures OpenTelemetry's protocol.
type OTLP struct {
	// Address of the collector, as http://host:4318; empty: off.
	Endpoint string `yaml:"endpoint"`
}

// Health configures active checks.
type Health struct {
	// auto: a one-token call to providers that carry no traffic; off: none.
	Probe Probe `yaml:"probe"`
	// Time between two checks of a provider.
	Interval Duration `yaml:"interval"`
}

// ServerLimits bound what the gateway itself takes on.
type ServerLimits struct {
	// Largest request body; over it 413.
	MaxBody Size `yaml:"max_body"`
	// Calls in flight at once, over all callers; over it 503.
	MaxStreams int `yaml:"max_streams"`
	// Longest wait for a client that reads nothing, before the call is closed.
	WriteTimeout Duration `yaml:"write_timeout"`
	// Time for calls in flight to finish when the process is asked to stop.
	Drain Duration `yaml:"drain"`
}

// Prices say what models cost.
type Prices struct {
	// What to do with a call to a model without a known price. refuse: refuse it where a budget depends on it; allow: count it as free.
	Unpriced Unpriced `yaml:"unpriced"`
	// Prices for "provider/model", in place of the built-in list.
	Overrides Map[Price] `yaml:"overrides"`
}

// Price is what a model costs, in US dollars per million tokens.
type Price struct {
	// Input tokens.
	Input float64 `yaml:"input"`
	// Output tokens.
	Output float64 `yaml:"output"`
	// Input tokens read from the provider's cache. Default: the price of input.
	CachedInput *float64 `yaml:"cached_input"`
	// Input tokens written to the provider's cache. Default: the price of input.
	CacheWrite *float64 `yaml:"cache_write"`
}
