package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

// reservedKeyID is the key under which the ledger counts health probes.
const reservedKeyID = "health"

func (k *checker) keys() {
	first := make(map[string]int)
	for i := range k.c.Keys {
		key := &k.c.Keys[i]
		path := item("keys", i)
		switch other, dup := first[key.ID]; {
		case key.ID == "":
			k.fail(path+".id", "give each key a name of its own", "the id is missing")
		case dup:
			k.fail(path+".id", "give each key a name of its own", "the id %q is also that of keys[%d]", key.ID, other)
		case key.ID == reservedKeyID:
			k.fail(path+".id", "choose another", "%q is kept for the gateway's own health probes", key.ID)
		default:
			k.name(path+".id", key.ID, "@")
			first[key.ID] = i
		}
		k.key(path, key)
	}
}

func (k *checker) key(path string, key *Key) {
	if key.Secret.IsZero() {
		k.fail(path+".secret", "write a reference such as env://WEB_KEY", "the secret is missing")
	}
	k.secret(path+".secret", key.Secret.Literal)
	if key.Models != nil && len(key.Models) == 0 {
		k.fail(path+".models", "remove the line to allow every model", "the list is empty, so the key may use nothing")
	}
	for i, m := range key.Models {
		k.keyModel(item(path+".models", i), m)
	}
	if key.Tier != "" && !k.c.Tiers.Has(key.Tier) {
		k.fail(path+".tier", suggest(key.Tier, k.c.Tiers.Names()), "no tier %s", quote(key.Tier))
	}
	l := key.Limits
	k.notNegative(path+".limits.concurrency", l.Concurrency)
	k.notNegative(path+".limits.rpm", l.RPM)
	k.notNegative(path+".limits.tpm", l.TPM)
	k.notNegative(path+".limits.queue", l.Queue)
	k.between(path+".budget.usd", key.Budget.USD, 0, 1e9)
	for _, name := range sortedKeys(key.Tags) {
		if value := key.Tags[name]; name == "" || len(name) > maxName || strings.ContainsAny(name, ",=") || hasControl(name) ||
			len(value) > maxName || strings.ContainsAny(value, ",=") || hasControl(value) {
			k.fail(join(path+".tags", name), "names and values are short texts without , and =", "not a tag")
		}
	}
}

// keyModel checks one entry of a key's list: a model of the file,
// "provider/model", a name whose maker is a configured provider, or "*".
func (k *checker) keyModel(path, name string) {
	if name == "*" || k.c.Models.Has(name) {
		return
	}
	provider, model, slash := strings.Cut(name, "/")
	if slash && model != "" && k.c.Providers.Has(provider) {
		return
	}
	if owner, ok := Owner(name); ok && len(k.c.Models) == 0 {
		for _, e := range k.c.Providers {
			if e.Value.Type == owner {
				return
			}
		}
	}
	if strings.Contains(name, "*") {
		k.fail(path, `write "*" for every model, or the names one by one`, "%s: a * only stands alone", quote(name))
		return
	}
	if near := nearest(name, k.c.Models.Names()); near != "" {
		k.fail(path, fmt.Sprintf("did you mean %q?", near), "no model %s", quote(name))
		return
	}
	if slash {
		k.fail(path, suggest(provider, k.c.Providers.Names()), "no model %s and no provider %s", quote(name), quote(provider))
		return
	}
	k.fail(path, "name a model of this file, provider/model, or *", "no model %s", quote(name))
}

func (k *checker) tiers() {
	for _, e := range k.c.Tiers {
		path := join("tiers", e.Name)
		k.name(path, e.Name, "")
		k.notNegative(path+".concurrency", e.Value.Concurrency)
		k.notNegative(path+".rpm", e.Value.RPM)
		k.notNegative(path+".tpm", e.Value.TPM)
	}
}

func (k *checker) guards() {
	g := k.c.Guards
	k.between("guards.injection.threshold", g.Injection.Threshold, 0, 1)
	if g.PII.Mode != "off" && len(g.PII.Types) == 0 {
		k.fail("guards.pii.types", "name what to look for, or remove the line", "the list is empty, so nothing would be found")
	}
	if g.Injection.Mode != "off" && len(g.Injection.Scan) == 0 {
		k.fail("guards.injection.scan", "name whose texts to read, or remove the line", "the list is empty, so nothing would be read")
	}
	for i, s := range g.PII.Allow {
		k.text(item("guards.pii.allow", i), s)
	}
	for i, s := range g.Injection.Phrases {
		k.text(item("guards.injection.phrases", i), s)
	}
}

func (k *checker) sections() {
	c := k.c
	k.positive("cache.ttl", c.Cache.TTL)
	if c.Cache.MaxSize <= 0 {
		k.fail("cache.max_size", "write one such as 256MiB", "%s is not more than 0", c.Cache.MaxSize)
	}
	k.positive("sessions.retain", c.Sessions.Retain)
	if c.Telemetry.OTLP.Endpoint != "" {
		if _, err := checkURL(c.Telemetry.OTLP.Endpoint); err != nil {
			k.fail("telemetry.otlp.endpoint", "write one such as http://127.0.0.1:4318", "%s", err)
		}
	}
}

func (k *checker) storage() {
	k.store("storage.ledger", k.c.Storage.Ledger, "sqlite", "postgres", "postgresql")
	k.store("storage.state", k.c.Storage.State, "memory", "redis", "rediss")
}

// store checks the place of a store: the word for the built-in one, an address,
// or a reference to an address. Passwords belong into a reference.
func (k *checker) store(path, s, builtin string, schemes ...string) {
	if s == builtin {
		return
	}
	hint := fmt.Sprintf("write %s, %s://..., or a reference such as env://NAME", builtin, schemes[0])
	u, err := url.Parse(s)
	switch {
	case err != nil || hasControl(s) || !strings.Contains(s, "://"):
		k.fail(path, hint, "not a place for a store")
		return
	case u.Scheme == schemes[0] || u.Scheme == schemes[1]:
		if _, has := u.User.Password(); has || u.Query().Has("password") {
			k.fail(path, "put the whole address into an environment variable and write env://NAME", "the address has a password in it")
		} else if u.Host == "" {
			k.fail(path, hint, "the address has no host")
		}
		return
	}
	if ref, err := secret.Parse(s); err != nil || ref.Literal {
		k.fail(path, hint, "not a place for a store")
	}
}

func (k *checker) prices() {
	for _, e := range k.c.Prices.Overrides {
		path := join("prices.overrides", e.Name)
		if provider, model, ok := strings.Cut(e.Name, "/"); !ok || model == "" {
			k.fail(path, "write provider/model", "the name has no provider")
		} else if !k.c.Providers.Has(provider) {
			k.noProvider(path, provider)
		}
		k.between(path+".input", e.Value.Input, 0, 1e6)
		k.between(path+".output", e.Value.Output, 0, 1e6)
		if p := e.Value.CachedInput; p != nil {
			k.between(path+".cached_input", *p, 0, 1e6)
		}
		if p := e.Value.CacheWrite; p != nil {
			k.between(path+".cache_write", *p, 0, 1e6)
		}
	}
}
