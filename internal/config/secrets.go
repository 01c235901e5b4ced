package config

import (
	"crypto/sha256"
	"strings"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

// Secrets are the values behind a configuration's references.
type Secrets struct {
	Providers map[string][]secret.Value // by provider name; none for api_key: none
	Keys      map[string]secret.Value   // by key id
	Admin     secret.Value              // zero if there is no admin token
}

// All returns every secret, for a [secret.Scrubber].
func (s *Secrets) All() []secret.Value {
	var all []secret.Value
	for _, vs := range s.Providers {
		all = append(all, vs...)
	}
	for _, v := range s.Keys {
		all = append(all, v)
	}
	if !s.Admin.IsZero() {
		all = append(all, s.Admin)
	}
	return all
}

// ResolveSecrets fetches every secret that the configuration names. All that
// fail are reported at once, as [Errors] with the places of the references.
// Secrets go into HTTP headers, so those with control characters or space at
// their ends are refused, and so is one secret for two keys.
func (c *Config) ResolveSecrets(r *secret.Resolver) (*Secrets, error) {
	out := &Secrets{Providers: make(map[string][]secret.Value), Keys: make(map[string]secret.Value)}
	var problems Errors
	resolve := func(path string, ref secret.Ref) (secret.Value, bool) {
		v, err := r.Resolve(ref)
		if err != nil {
			problems = append(problems, c.src.problem(path, resolveHint(ref), "%s", err))
			return v, false
		}
		if s := v.Reveal(); strings.TrimSpace(s) != s || hasControl(s) {
			problems = append(problems, c.src.problem(path, "store it as one line without spaces around it", "%s: the secret has spaces around it or a control character in it", ref))
			return v, false
		}
		return v, true
	}
	for _, e := range c.Providers {
		path := join("providers", e.Name) + ".api_key"
		for i, ref := range e.Value.APIKey.Refs {
			at := path
			if len(e.Value.APIKey.Refs) > 1 {
				at = item(path, i)
			}
			if v, ok := resolve(at, ref); ok {
				out.Providers[e.Name] = append(out.Providers[e.Name], v)
			}
		}
	}
	owner := make(map[[sha256.Size]byte]string)
	for i, key := range c.Keys {
		path := item("keys", i) + ".secret"
		v, ok := resolve(path, key.Secret)
		if !ok {
			continue
		}
		sum := sha256.Sum256([]byte(v.Reveal()))
		if other, dup := owner[sum]; dup {
			problems = append(problems, c.src.problem(path, "give each key a secret of its own", "keys %q and %q have the same secret", other, key.ID))
			continue
		}
		owner[sum], out.Keys[key.ID] = key.ID, v
	}
	if !c.Admin.Token.IsZero() {
		out.Admin, _ = resolve("admin.token", c.Admin.Token)
	}
	if err := Errors(inOrder(problems)).orNil(); err != nil {
		return nil, err
	}
	return out, nil
}

func resolveHint(ref secret.Ref) string {
	switch ref.Scheme {
	case secret.SchemeEnv:
		return "set " + ref.Name
	case secret.SchemeFile:
		return "check the path and its permissions"
	}
	return ""
}
