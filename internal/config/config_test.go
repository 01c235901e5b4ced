package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/config"
)

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *config.Update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test -update", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is stale; run go test -update if the change is meant\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, _, err := config.Parse("test.yaml", []byte(text), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustFail(t *testing.T, text string) config.Errors {
	t.Helper()
	_, _, err := config.Parse("test.yaml", []byte(text), config.LoadOptions{})
	var errs config.Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("%q: error %v", text, err)
	}
	return errs
}

// same compares all that users can set.
func same(a, b *config.Config) bool {
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range va.NumField() {
		if va.Type().Field(i).IsExported() && !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			return false
		}
	}
	return true
}

// Each file of testdata is a configuration; beside it stands what check says.
func TestMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, warnings, err := config.Parse(name, data, config.LoadOptions{})
			if good := strings.HasPrefix(name, "ok-"); good != (err == nil) || good != (c != nil) {
				t.Errorf("error %v", err)
			}
			var sb strings.Builder
			if err != nil {
				sb.WriteString(err.Error() + "\n")
			}
			for _, w := range warnings {
				fmt.Fprintf(&sb, "warning: %s\n", w)
			}
			if strings.Contains(sb.String(), "canary-") {
				t.Errorf("a message repeats a secret:\n%s", sb.String())
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", []byte(sb.String()))
		})
	}
}

func TestDefaults(t *testing.T) {
	c := parse(t, "")
	if !same(c, config.Default()) {
		t.Error("an empty file differs from Default")
	}
	if c.Listen != "127.0.0.1:8080" || c.Limits.MaxBody != 32<<20 || c.Limits.MaxStreams != 20000 ||
		c.Limits.WriteTimeout.Std() != 30*time.Second || c.Limits.Drain.Std() != 30*time.Second ||
		c.Health.Interval.Std() != time.Minute || c.Refresh.Std() != 5*time.Minute || c.Tiers.Get("tier-1").RPM != 500 {
		t.Errorf("defaults: %+v", c)
	}
	m := parse(t, "providers: {p: {type: mock}}\nmodels: {m: {targets: [{provider: p, model: x}]}}").Models.Get("m")
	if m.Strategy != config.StrategyFallback || m.Retry != (config.Retry{Attempts: 2, Backoff: config.Duration(250 * time.Millisecond), MaxBackoff: config.Duration(8 * time.Second), Budget: 0.2}) {
		t.Errorf("retry: %+v", m.Retry)
	}
	to := m.Timeout
	if to.Connect.Std() != 5*time.Second || to.FirstTokenOrDefault().Std() != 20*time.Second || to.Idle.Std() != 30*time.Second || to.Total.Std() != 10*time.Minute {
		t.Errorf("timeout: %+v", to)
	}
	if to.FirstTokenSet() {
		t.Error("first_token counts as set")
	}
	if m.Targets[0].Weight != 1 || m.OnUnsupported != config.UnsupportedError {
		t.Errorf("model: %+v", m)
	}
}

func TestValuesLandOnDefaults(t *testing.T) {
	c := parse(t, `
on_unsupported: drop
providers: {b: {type: mock}, a: {type: mock}, claude: {type: anthropic}, local: {type: openai, base_url: "http://127.0.0.1:1/v1", api_key: none}}
models:
  m:
    targets: [{provider: b, model: x}, {provider: a, model: "7"}]
    timeout: {first_token: 20s}
    retry: {attempts: 3}
  n:
    targets: [{provider: b, model: 4}]
    on_unsupported: error
tiers: {tier-1: {tpm: 7}}
guards: {pii: {types: [email]}}
telemetry: {log: {level: debug}}
`)
	if got := c.Providers.Names(); !reflect.DeepEqual(got, []string{"b", "a", "claude", "local"}) {
		t.Errorf("order of providers: %v", got)
	}
	m, n := c.Models.Get("m"), c.Models.Get("n")
	if !m.Timeout.FirstTokenSet() || m.Timeout.Idle.Std() != 30*time.Second || m.Retry.Attempts != 3 || m.Retry.Backoff.Std() != 250*time.Millisecond {
		t.Errorf("m: %+v", m)
	}
	if m.OnUnsupported != config.UnsupportedDrop || n.OnUnsupported != config.UnsupportedError || n.Targets[0].Model != "4" {
		t.Errorf("on_unsupported: %v, %v", m.OnUnsupported, n.OnUnsupported)
	}
	if tier := c.Tiers.Get("tier-1"); tier.RPM != 500 || tier.TPM != 7 || len(c.Tiers) != 3 {
		t.Errorf("tiers: %+v", c.Tiers)
	}
	if len(c.Guards.PII.Types) != 1 || !c.Guards.PII.Restore || c.Telemetry.Log.Format != "json" {
		t.Errorf("guards %+v, log %+v", c.Guards, c.Telemetry.Log)
	}
	claude := c.Providers.Get("claude")
	if claude.BaseURL != "https://api.anthropic.com" || len(claude.APIKey.Refs) != 1 || claude.APIKey.Refs[0].String() != "env://ANTHROPIC_API_KEY" {
		t.Errorf("claude: %+v", claude)
	}
	if local := c.Providers.Get("local"); !local.APIKey.None || len(local.APIKey.Refs) != 0 {
		t.Errorf("local: %+v", local)
	}
	if c.Providers.Get("nobody") != nil || c.Providers.Has("nobody") {
		t.Error("a provider that is not there")
	}
}

// The usual variable's key must not go to another address by default.
func TestNoDefaultKeyForAnotherAddress(t *testing.T) {
	errs := mustFail(t, "providers: {openai: {base_url: 'https://elsewhere.example/v1'}}")
	if len(errs) != 1 || errs[0].Path != "providers.openai.api_key" {
		t.Errorf("%v", errs)
	}
}

func TestProblemPositions(t *testing.T) {
	errs := mustFail(t, "listen: 127.0.0.1:8080\nmodels:\n  fast:\n    targets: []\n    timeout:\n        conect: 5s\n")
	want := config.Errors{
		{File: "test.yaml", Line: 4, Column: 5, Path: "models.fast.targets", Message: "the model has no targets", Hint: "add one such as {provider: openai, model: gpt-4o-mini}"},
		{File: "test.yaml", Line: 6, Column: 9, Path: "models.fast.timeout.conect", Message: "unknown key", Hint: `did you mean "connect"?`},
	}
	if !reflect.DeepEqual(errs, want) {
		t.Errorf("got %+v", errs)
	}
	if got := errs[1].String(); got != `test.yaml:6:9: models.fast.timeout.conect: unknown key; did you mean "connect"?` {
		t.Errorf("prints %s", got)
	}
}

func TestCheckExposure(t *testing.T) {
	for _, tc := range []struct {
		yaml, listen string
		ok           bool
	}{
		{yaml: "listen: 127.0.0.1:80", ok: true},
		{yaml: "listen: localhost:80", ok: true},
		{yaml: "listen: '[::1]:80'", ok: true},
		{yaml: "listen: 127.9.9.9:80", ok: true},
		{yaml: "listen: '[::ffff:127.0.0.1]:80'", ok: true},
		{yaml: "listen: 0.0.0.0:80"},
		{yaml: "listen: ':80'"},
		{yaml: "listen: '[::]:80'"},
		{yaml: "listen: gateway.example.com:80"},
		{yaml: "listen: localhost.example.com:80"},
		{yaml: "listen: 10.0.0.1:80"},
		{yaml: "{listen: '0.0.0.0:80', auth: off}", ok: true},
		{yaml: "{listen: '0.0.0.0:80', auth: required}", ok: true},
		{yaml: "{listen: '0.0.0.0:80', keys: [{id: a, secret: env://A}]}", ok: true},
		{yaml: "listen: 127.0.0.1:80", listen: "0.0.0.0:80"},
		{yaml: "listen: 0.0.0.0:80", listen: "127.0.0.1:80", ok: true},
		{yaml: "", listen: "nonsense"},
	} {
		c := parse(t, tc.yaml)
		if tc.listen != "" {
			c.Listen = tc.listen
		}
		err := c.CheckExposure()
		if (err == nil) != tc.ok {
			t.Errorf("%s with %q: %v", tc.yaml, tc.listen, err)
		}
		if err != nil && tc.listen == "" {
			for _, want := range []string{"test.yaml:1:", "keys:", "auth: off"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v does not say %q", tc.yaml, err, want)
				}
			}
		}
		if err != nil && tc.listen != "" && strings.Contains(err.Error(), "test.yaml") {
			t.Errorf("a flag's mistake is put down to the file: %v", err)
		}
	}
	if c := parse(t, ""); !c.Open() {
		t.Error("auto without keys is not open")
	}
	if c := parse(t, "keys: [{id: a, secret: env://A}]"); c.Open() {
		t.Error("auto with keys is open")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "breakwater.yaml")
	if err := os.WriteFile(path, config.Starter(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := config.Load(path, config.LoadOptions{})
	if err != nil || len(warnings) != 0 || c.Models.Get("fast") == nil {
		t.Errorf("the starter file: %v, %v", warnings, err)
	}
	if err := c.CheckExposure(); err != nil {
		t.Error(err)
	}
	if _, _, err := config.Load(filepath.Join(dir, "none.yaml"), config.LoadOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.Load(path, config.LoadOptions{}); err == nil || !strings.Contains(err.Error(), "over 1 MiB") {
		t.Errorf("a large file: %v", err)
	}
	injected := config.LoadOptions{ReadFile: func(string) ([]byte, error) { return []byte("lisen: x"), nil }}
	if _, _, err := config.Load("f.yaml", injected); err == nil || !strings.HasPrefix(err.Error(), "f.yaml:1:1: lisen: unknown key") {
		t.Errorf("an injected file: %v", err)
	}
}

// Every line of the starter file that is commented out must be right as well.
func TestStarterUncommented(t *testing.T) {
	var sb strings.Builder
	for line := range strings.Lines(string(config.Starter())) {
		body := strings.TrimLeft(line, " ")
		rest, ok := strings.CutPrefix(body, "# ")
		key, _, colon := strings.Cut(rest, ":")
		isYAML := colon && !strings.Contains(strings.TrimSpace(key), " ") && strings.ToLower(key) == key || strings.HasPrefix(rest, "- {") || strings.HasPrefix(rest, "  - {")
		if ok && isYAML {
			line = line[:len(line)-len(body)] + rest
		}
		sb.WriteString(line)
	}
	c, warnings, err := config.Parse("starter.yaml", []byte(sb.String()), config.LoadOptions{})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v, %v\n%s", warnings, err, sb.String())
	}
	if len(c.Providers) != 6 || len(c.Keys) != 1 || len(c.Models.Get("fast").Targets) != 2 {
		t.Errorf("not everything was uncommented:\n%s", sb.String())
	}
}

func TestHugeFilesAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"keys":     strings.Repeat("abc: def\n", 5_000),
		"too many": strings.Repeat("abc: def\n", 100_000),
		"anchors":  strings.Repeat("&a ", 300_000),
		"laughs":   "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
		"flow":     "a: " + strings.Repeat("[", 500_000),
		"dashes":   strings.Repeat("- ", 500_000),
		"marks":    strings.Repeat("? ", 500_000),
		"tags":     strings.Repeat("!!str ", 150_000),
		"indent":   indented(1400),
		"colons":   strings.Repeat("a: ", 300_000),
	} {
		start := time.Now()
		mustFail(t, text)
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s took %v", name, d)
		}
		t.Logf("%s: %v", name, time.Since(start))
	}
}

func indented(n int) string {
	var sb strings.Builder
	for i := range n {
		sb.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return sb.String()
}
