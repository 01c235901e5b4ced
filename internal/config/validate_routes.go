package config

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

func (k *checker) providers() {
	for _, e := range k.c.Providers {
		path := join("providers", e.Name)
		k.name(path, e.Name, "")
		k.provider(path, &e.Value)
	}
}

func (k *checker) provider(path string, p *Provider) {
	if p.Type == "" {
		k.fail(path+".type", "known are "+strings.Join(p.Type.Values(), ", "), "the type is missing")
		return
	}
	k.oneOf(path+".type", string(p.Type), p.Type.Values())
	if p.Type == Mock {
		if p.BaseURL != "" {
			k.fail(path+".base_url", "remove it, or choose type: openai to call a mock over HTTP", "a mock has no address")
		}
		if !p.APIKey.None && len(p.APIKey.Refs) > 0 {
			k.fail(path+".api_key", "remove it", "a mock takes no key")
		}
	} else {
		if p.Script != "" {
			k.fail(path+".script", "remove it, or choose type: mock", "only a mock has a script")
		}
		k.baseURL(path+".base_url", p)
		k.apiKey(path+".api_key", p)
	}
	if p.Region != "" {
		k.name(path+".region", p.Region, "")
	}
	k.notNegative(path+".limits.concurrency", p.Limits.Concurrency)
	k.notNegative(path+".limits.rpm", p.Limits.RPM)
	k.notNegative(path+".limits.tpm", p.Limits.TPM)
}

func (k *checker) apiKey(path string, p *Provider) {
	if p.APIKey.IsZero() {
		k.fail(path, "write a reference such as env://NAME, or none if the provider wants no key", "base_url is set, so the key must be named too")
	}
	for i, ref := range p.APIKey.Refs {
		at := path
		if len(p.APIKey.Refs) > 1 {
			at = item(path, i)
		}
		k.secret(at, ref.Literal)
		if ref.IsZero() {
			continue // reported by the decoder
		}
		first := slices.IndexFunc(p.APIKey.Refs, func(r secret.Ref) bool { return !r.Literal && r.String() == ref.String() })
		if first >= 0 && first < i {
			k.fail(at, "remove it", "the same key is listed twice")
		}
	}
}

func (k *checker) baseURL(path string, p *Provider) {
	u, err := checkURL(p.BaseURL)
	if err != nil {
		k.fail(path, "write one such as https://api.example.com/v1", "%s", err)
		return
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) && len(p.APIKey.Refs) > 0 {
		k.warn(path, "use https", "the key and all texts go over the network unencrypted")
	}
	bare := strings.Trim(u.Path, "/") == ""
	switch {
	case p.Type != Anthropic && p.Type != Gemini && bare:
		k.warn(path, "add /v1 if calls end in 404", "an OpenAI-compatible address usually has a version in its path")
	case p.Type == Anthropic && strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1"),
		p.Type == Gemini && (strings.HasSuffix(u.Path, "/v1beta") || strings.HasSuffix(u.Path, "/v1")):
		k.warn(path, "leave the version out if calls end in 404", "this type's address has no version in its path")
	}
}

// checkURL checks the address of a service. Its errors do not repeat the
// address, which may hold a password.
func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || hasControl(s) || strings.ContainsAny(s, " \\"):
		return nil, errors.New("not an address")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the address does not begin with http:// or https://")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("the address has no host")
	case u.User != nil:
		return nil, errors.New("the address has credentials in it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("the address has a query or a fragment")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port of the address is not a number from 1 to 65535")
		}
	}
	return u, nil
}

func (k *checker) models() {
	for _, e := range k.c.Models {
		path := join("models", e.Name)
		k.name(path, e.Name, "/@+")
		if provider, _, ok := strings.Cut(e.Name, "/"); ok && k.c.Providers.Has(provider) {
			k.warn(path, "", "calls for %q go here, not to that model of provider %q", e.Name, provider)
		}
		k.model(path, &e.Value)
	}
}

func (k *checker) model(path string, m *Model) {
	if len(m.Targets) == 0 {
		k.fail(path+".targets", "add one such as {provider: openai, model: gpt-4o-mini}", "the model has no targets")
	}
	for i := range m.Targets {
		k.target(item(path+".targets", i), &m.Targets[i])
	}
	k.oneOf(path+".strategy", string(m.Strategy), m.Strategy.Values())
	if m.Retry.Attempts < 1 || m.Retry.Attempts > 10 {
		k.fail(path+".retry.attempts", "1 means no repetition", "%d is not between 1 and 10", m.Retry.Attempts)
	}
	k.positive(path+".retry.backoff", m.Retry.Backoff)
	if m.Retry.MaxBackoff < m.Retry.Backoff {
		k.fail(path+".retry.max_backoff", "", "%s is less than backoff, %s", m.Retry.MaxBackoff, m.Retry.Backoff)
	}
	k.between(path+".retry.budget", float64(m.Retry.Budget), 0, 1)
	k.positive(path+".timeout.connect", m.Timeout.Connect)
	k.positive(path+".timeout.first_token", m.Timeout.FirstTokenOrDefault())
	k.positive(path+".timeout.idle", m.Timeout.Idle)
	k.positive(path+".timeout.total", m.Timeout.Total)
	if m.Breaker.Failures < 0 {
		k.fail(path+".breaker.failures", "write 0 to turn the breaker off", "%d is negative", m.Breaker.Failures)
	}
	k.positive(path+".breaker.window", m.Breaker.Window)
	k.positive(path+".breaker.open_for", m.Breaker.OpenFor)
	if m.Hedge.Max < 1 || m.Hedge.Max > 3 {
		k.fail(path+".hedge.max", "", "%d is not between 1 and 3", m.Hedge.Max)
	}
	k.params(path, m)
}

func (k *checker) target(path string, t *Target) {
	switch names := k.c.Providers.Names(); {
	case t.Provider == "":
		k.fail(path+".provider", suggest("", names), "the provider is missing")
	case !k.c.Providers.Has(t.Provider):
		k.noProvider(path+".provider", t.Provider)
	}
	if t.Model == "" {
		hint := "write the model's name at the provider"
		if p := k.c.Providers.Get(t.Provider); p != nil {
			if preset, ok := PresetFor(p.Type); ok && preset.Type != Mock {
				hint += ", such as " + preset.Model
			}
		}
		k.fail(path+".model", hint, "the model is missing")
	} else {
		k.text(path+".model", t.Model)
	}
	if !(t.Weight > 0 && t.Weight <= 1e6) {
		k.fail(path+".weight", "to leave a target out, remove it", "%s is not a weight, which is more than 0 and at most 1000000", number(t.Weight))
	}
	if t.Region != "" {
		k.name(path+".region", t.Region, "")
	}
}

// noProvider reports a provider's name that is none.
func (k *checker) noProvider(path, name string) {
	hint := suggest(name, k.c.Providers.Names())
	if hint == "" {
		hint = "add it under providers:"
	}
	k.fail(path, hint, "no provider %s", quote(name))
}

func (k *checker) params(path string, m *Model) {
	p := m.Params
	between := func(name string, f *float64, low, high float64) {
		if f != nil {
			k.between(path+name, *f, low, high)
		}
	}
	atLeast1 := func(name string, n *int) {
		if n != nil && *n < 1 {
			k.fail(path+name, "", "%d is not 1 or more", *n)
		}
	}
	atLeast1(".params.max_tokens", p.MaxTokens)
	atLeast1(".params.top_k", p.TopK)
	between(".params.temperature", p.Temperature, 0, 2)
	between(".params.top_p", p.TopP, 0, 1)
	between(".params.frequency_penalty", p.FrequencyPenalty, -2, 2)
	between(".params.presence_penalty", p.PresencePenalty, -2, 2)
	atLeast1(".limit.max_tokens", m.Limit.MaxTokens)
	between(".limit.temperature", m.Limit.Temperature, 0, 2)
	for i, s := range p.Stop {
		if s == "" {
			k.fail(item(path+".params.stop", i), "remove it", "the text is empty")
		}
	}
	if p.MaxTokens != nil && m.Limit.MaxTokens != nil && *m.Limit.MaxTokens > 0 && *p.MaxTokens > *m.Limit.MaxTokens {
		k.fail(path+".params.max_tokens", "", "%d is over the model's limit.max_tokens, %d", *p.MaxTokens, *m.Limit.MaxTokens)
	}
}
