package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/secret"
)

// contractExample returns the configuration in section 3 of the contract.
func contractExample(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "CONTRACT.md")
	data, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skipf("the contract is not beside the repository: %v", err)
	}
	_, rest, ok := strings.Cut(string(data), "```yaml\n")
	example, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("the contract has no YAML example")
	}
	return []byte(example)
}

func TestContractExample(t *testing.T) {
	c, warnings, err := config.Parse("contract.yaml", contractExample(t), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if w.Message != "not active in this version" {
			t.Errorf("warning: %s", w)
		}
	}
	fast, web := c.Models.Get("fast"), c.Keys[0]
	if len(c.Providers) != 5 || fast.Hedge.After.Percentile != 95 || *fast.Params.MaxTokens != 512 || fast.Targets[1].Weight != 2 ||
		web.Limits.MaxWait.Std() != 2*time.Second || web.Tags["team"] != "web" || c.Sessions.Retain.Std() != 90*24*time.Hour ||
		len(c.Providers.Get("eu").APIKey.Refs) != 2 || c.Prices.Overrides.Get("openai/my-finetune").Output != 3 {
		t.Errorf("%+v", c)
	}
	checkRoundTrip(t, c)
}

// checkRoundTrip prints a configuration and reads it back.
func checkRoundTrip(t *testing.T, c *config.Config) {
	t.Helper()
	text := config.Print(c)
	back, _, err := config.Parse("printed.yaml", text, config.LoadOptions{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !same(c, back) {
		t.Fatalf("another configuration came back from\n%s\nwhich prints\n%s", text, config.Print(back))
	}
}

func TestPrint(t *testing.T) {
	checkRoundTrip(t, config.Default())
	checkRoundTrip(t, config.FromEnv(allKeys))
	files, err := filepath.Glob("testdata/ok-*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if c := parse(t, string(data)); !bytes.Contains(data, []byte("literal")) {
			checkRoundTrip(t, c)
		}
	}
	// Texts that YAML could take for something else.
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		odd := []string{"yes", "off", "null", "~", "1", "1.0", "0x1", "a: b", "a #b", "- a", "[a", "{a}", "&a", "*a", "!a", "|", ">", "'", "\"", "\\", "%a", "@a", "`", "a\nb", "\ta ", "é", "日本", "\u0085", "\u2028", "\ufeff", "😀", "?", ":", "-", "2001-01-01", "1:30", "=", "<<", ".inf", "\x7f", "1e3", "_", ",", "a,b"}
		s := odd[r.IntN(len(odd))]
		if r.IntN(2) == 0 {
			s += odd[r.IntN(len(odd))]
		}
		c := config.Default()
		c.Keys = []config.Key{{ID: "k", Secret: ref(t, "env://A"), Tags: map[string]string{s: s}}}
		m := config.DefaultModel()
		m.Params.Stop = []string{s, s}
		m.SystemPrompt.Text = s
		c.Models.Set("m", m)
		back, errs := decodeOnly(config.Print(c))
		if back == nil || back.Keys[0].Tags[s] != s || back.Models[0].Value.Params.Stop[1] != s || back.Models[0].Value.SystemPrompt.Text != s {
			t.Fatalf("%q: %v\n%s", s, errs, config.Print(c))
		}
	}
}

// decodeOnly reads what passes no check as well.
func decodeOnly(data []byte) (*config.Config, error) { return config.DecodeOnly(data) }

func ref(t *testing.T, text string) secret.Ref {
	t.Helper()
	r, err := secret.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPrintMasksLiterals(t *testing.T) {
	text := "providers: {p: {type: openai, api_key: [env://A, sk-canary-1234]}, q: {type: openai, api_key: sk-canary-5678}}\nkeys: [{id: a, secret: sk-canary-9012}]\nadmin: {token: sk-canary-3456}\n"
	c := parse(t, text)
	out := string(config.Print(c))
	if strings.Contains(out, "canary-") || strings.Count(out, `"[secret]"`) != 4 || !strings.Contains(out, "env://A") {
		t.Errorf("printed\n%s", out)
	}
	for _, verb := range []string{"v", "+v", "#v", "x", "q", "s", "d"} { // also those that do not fit
		for _, v := range []any{c, *c, c.Keys} {
			if s := fmt.Sprintf("%"+verb, v); strings.Contains(s, "canary-") {
				t.Errorf("%%%s shows a secret: %s", verb, s)
			}
		}
	}
	if j, err := json.Marshal(c); err != nil || bytes.Contains(j, []byte("canary-")) {
		t.Errorf("json: %v, %s", err, j)
	}
	if errs := mustFail(t, out); len(errs) != 4 {
		t.Errorf("masks read back: %v", errs)
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks a YAML text against the schema.
func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestSchema(t *testing.T) {
	s := compileSchema(t)
	if err := validate(t, s, config.Starter()); err != nil {
		t.Errorf("the starter file: %v", err)
	}
	if err := validate(t, s, config.Print(config.Default())); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for _, name := range []string{"ok-warnings", "ok-no-models", "ok-inactive"} {
		data, err := os.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{
		"lisen: x", "listen: 1", "auth: none", "models: {m: {}}", "models: {m: {targets: [{provider: p}]}}", "models: {m: {targets: []}}",
		"keys: [{id: a}]", "limits: {drain: 30}", "limits: {drain: ''}", "limits: {max_body: 1TB}", "providers: {p: {type: opnai}}",
		"providers: {p: {api_key: []}}", "guards: {pii: {types: [dna]}}", "telemetry: {metrics: 1}",
		"models: {m: {targets: [{provider: p, model: m}], retry: {budget: 2}}}",
	} {
		if validate(t, s, []byte(bad)) == nil {
			t.Errorf("the schema accepts %s", bad)
		}
		mustFail(t, bad)
	}
	t.Run("contract", func(t *testing.T) {
		if err := validate(t, s, contractExample(t)); err != nil {
			t.Error(err)
		}
	})
}

// allKeys is an environment with every key and no address.
func allKeys(name string) (string, bool) {
	if strings.HasSuffix(name, "_API_KEY") {
		return "value", true
	}
	return "", false
}

func TestFromEnv(t *testing.T) {
	env := func(m map[string]string) func(string) (string, bool) {
		return func(n string) (string, bool) { s, ok := m[n]; return s, ok }
	}
	c := config.FromEnv(env(nil))
	if p := c.Providers.Get(config.Simulator); len(c.Providers) != 1 || p == nil || p.Type != config.Mock || !p.APIKey.None {
		t.Errorf("nothing set: %+v", c.Providers)
	}
	c = config.FromEnv(env(map[string]string{"OPENROUTER_API_KEY": "a", "MISTRAL_API_KEY": "", "GROQ_API_KEY": " ", "OPENAI_API_KEY": "b", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "ANTHROPIC_BASE_URL": "http://x"}))
	if got := fmt.Sprint(c.Providers.Names()); got != "[openai openrouter]" {
		t.Errorf("providers %s", got)
	}
	if u := c.Providers.Get("openai").BaseURL; u != "http://127.0.0.1:9/v1" {
		t.Errorf("base_url %s", u)
	}
	if u := c.Providers.Get("openrouter").BaseURL; u != "https://openrouter.ai/api/v1" {
		t.Errorf("base_url %s", u)
	}
	targets := c.Models.Get(config.DefaultModelName).Targets
	if len(targets) != 2 || targets[0] != (config.Target{Provider: "openai", Model: "gpt-4o-mini", Weight: 1}) || targets[1].Provider != "openrouter" {
		t.Errorf("targets %+v", targets)
	}
	all := config.FromEnv(allKeys)
	if got := fmt.Sprint(all.Providers.Names()); got != "[openai anthropic gemini mistral groq deepseek openrouter]" {
		t.Errorf("order %s", got)
	}
	for _, c := range []*config.Config{c, all, config.FromEnv(env(nil))} {
		if w, err := c.Validate(); err != nil || len(w) > 0 {
			t.Errorf("%v, %v", w, err)
		}
		if err := c.CheckExposure(); err != nil {
			t.Error(err)
		}
	}
	bad := config.FromEnv(env(map[string]string{"OPENAI_API_KEY": "b", "OPENAI_BASE_URL": "nonsense"}))
	if _, err := bad.Validate(); err == nil || err.Error() != "environment: providers.openai.base_url: the address does not begin with http:// or https://; write one such as https://api.example.com/v1" {
		t.Errorf("a bad address: %v", err)
	}
}

// Model names of the presets must be on the price list.
func TestPresetsArePriced(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "prices.tsv"))
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skipf("the price list is not beside the repository: %v", err)
	}
	for _, p := range config.Presets {
		provider := map[config.ProviderType]string{config.Gemini: "google"}[p.Type]
		if provider == "" {
			provider = string(p.Type)
		}
		if p.Type != config.Mock && p.Type != config.OpenRouter && !bytes.Contains(data, []byte("\n"+provider+"\t"+p.Model+"\t")) {
			t.Errorf("%s %s has no price", provider, p.Model)
		}
	}
}

func TestOwner(t *testing.T) {
	for model, want := range map[string]config.ProviderType{
		"gpt-4o": config.OpenAI, "o3-mini": config.OpenAI, "claude-haiku-4-5": config.Anthropic, "gemini-2.5-flash": config.Gemini,
		"codestral-2508": config.Mistral, "deepseek-chat": config.DeepSeek, "llama-3.1-8b-instant": "", "": "",
	} {
		if got, ok := config.Owner(model); got != want || ok != (want != "") {
			t.Errorf("Owner(%q) = %q, %v", model, got, ok)
		}
	}
	for _, typ := range config.ProviderType("").Values() {
		if p, ok := config.PresetFor(config.ProviderType(typ)); !ok || p.Model == "" || (p.BaseURL == "") != (typ == "mock") {
			t.Errorf("%s: %+v, %v", typ, p, ok)
		}
	}
}

func TestResolveSecrets(t *testing.T) {
	resolver := func(env map[string]string) *secret.Resolver {
		return secret.NewResolver(secret.Options{
			Getenv:   func(n string) (string, bool) { s, ok := env[n]; return s, ok },
			ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		})
	}
	c := parse(t, `admin: {token: env://ADMIN}
providers:
  a: {type: openai, api_key: env://A}
  b: {type: openai, api_key: [env://B1, env://B2]}
  c: {type: mock}
keys:
  - {id: web, secret: env://WEB}
  - {id: ops, secret: literal-ops-key}
`)
	good := map[string]string{"A": "va", "B1": "vb1", "B2": "vb2", "WEB": "vweb", "ADMIN": "vadmin"}
	s, err := c.ResolveSecrets(resolver(good))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Providers) != 2 || s.Providers["b"][1].Reveal() != "vb2" || s.Keys["web"].Reveal() != "vweb" ||
		s.Keys["ops"].Reveal() != "literal-ops-key" || s.Admin.Reveal() != "vadmin" || len(s.All()) != 6 {
		t.Errorf("resolved %+v", s)
	}
	for _, tc := range []struct {
		change map[string]string
		want   string
	}{
		{map[string]string{"A": ""}, "test.yaml:3:30: providers.a.api_key: env://A: the secret is empty; set A"},
		{map[string]string{"B2": "canary 1\n"}, "test.yaml:4:41: providers.b.api_key[1]: env://B2: the secret has spaces around it or a control character in it; store it as one line without spaces around it"},
		{map[string]string{"WEB": "literal-ops-key"}, "test.yaml:8:23: keys[1].secret: keys \"web\" and \"ops\" have the same secret; give each key a secret of its own"},
	} {
		env := map[string]string{}
		for k, v := range good {
			env[k] = v
		}
		for k, v := range tc.change {
			env[k] = v
		}
		if s, err := c.ResolveSecrets(resolver(env)); err == nil || err.Error() != tc.want || s != nil {
			t.Errorf("%v: %v", tc.change, err)
		}
	}
	if _, err := c.ResolveSecrets(resolver(nil)); err == nil || strings.Count(err.Error(), "\n") != 4 ||
		!strings.HasPrefix(err.Error(), "test.yaml:1:16: admin.token: env://ADMIN: the environment variable ADMIN is not set; set ADMIN\n") {
		t.Errorf("nothing set: %v", err)
	}
	c = config.FromEnv(func(n string) (string, bool) { return "x", n == "OPENAI_API_KEY" })
	if _, err := c.ResolveSecrets(resolver(nil)); err == nil || !strings.HasPrefix(err.Error(), "environment: providers.openai.api_key: ") {
		t.Errorf("from the environment: %v", err)
	}
}

func TestScalars(t *testing.T) {
	for in, want := range map[string]string{
		"30s": "30s", "90d": "90d", "1d12h": "36h", "0": "0s", "0s": "0s", "60m": "1h", "24h": "1d", "1h30m": "1h30m", "10m": "10m",
		"1.5s": "1.5s", "250ms": "250ms", "106751d": "106751d", "1m0.5s": "1m0.5s",
		"": "", "d": "", "1": "", "-1s": "", "+1s": "", "1d-1h": "", "1.5d": "", "s": "", "1w": "", "106752d": "", "999999999999h": "", "106751d99h": "", "1 s": "", "0d-0s": "",
	} {
		var d config.Duration
		err := d.UnmarshalText([]byte(in))
		if (err == nil) != (want != "") || err == nil && d.String() != want {
			t.Errorf("duration %q = %s, %v", in, d, err)
		}
	}
	for in, want := range map[string]config.Size{
		"0": 0, "10": 10, "1B": 1, "512KiB": 512 << 10, "32MiB": 32 << 20, "1GiB": 1 << 30, "10MB": 10e6, "1KB": 1e3, "2kB": 2e3, "3GB": 3e9, "5 MiB": 5 << 20,
		"": -1, "MiB": -1, "-1MiB": -1, "+1": -1, "1.5MiB": -1, "1TB": -1, "9999999999GiB": -1, "1mib": -1, "1M": -1,
	} {
		var z config.Size
		if err := z.UnmarshalText([]byte(in)); (err == nil) != (want >= 0) || err == nil && z != want {
			t.Errorf("size %q = %d, %v", in, z, err)
		}
	}
	for in, want := range map[string]float64{
		"20%": 0.2, "0.2": 0.2, "0": 0, "0%": 0, "1": 1, "100%": 1, "12.5%": 0.125, "20": -1, "101%": -1, "-1%": -1, "": -1, "%": -1, "NaN": -1, "Inf": -1, "x": -1,
	} {
		var p config.Percent
		if err := p.UnmarshalText([]byte(in)); (err == nil) != (want >= 0) || err == nil && float64(p) != want {
			t.Errorf("share %q = %v, %v", in, p, err)
		}
	}
	for in, want := range map[string]config.HedgeAfter{
		"off": {}, "p95": {Percentile: 95}, "p1": {Percentile: 1}, "800ms": {Delay: config.Duration(800 * time.Millisecond)},
	} {
		var h config.HedgeAfter
		if err := h.UnmarshalText([]byte(in)); err != nil || h != want || h.String() != in {
			t.Errorf("hedge %q = %+v, %v", in, h, err)
		}
	}
	for _, in := range []string{"", "p0", "p100", "p", "0s", "on", "p9.5"} {
		var h config.HedgeAfter
		if h.UnmarshalText([]byte(in)) == nil {
			t.Errorf("hedge %q = %+v", in, h)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	f.Add(config.Starter())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := config.Parse("fuzz.yaml", data, config.LoadOptions{})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without text")
			}
			return
		}
		if text := config.Print(c); !bytes.Contains(text, []byte(secret.Mask)) {
			checkRoundTrip(t, c)
		}
		_ = c.CheckExposure()
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"1d2h", "30s", "0.5ms", "106751d23h", "1h0m0s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d, e config.Duration
		if d.UnmarshalText([]byte(s)) != nil {
			return
		}
		if err := e.UnmarshalText([]byte(d.String())); err != nil || e != d || d < 0 {
			t.Fatalf("%q is %s, which reads back as %s, %v", s, d, e, err)
		}
	})
}
