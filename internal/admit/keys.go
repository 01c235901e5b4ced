// Package admit says who may call and how much: today the keys that the
// configuration lists. It compares hashes only, and never keeps a key's text.
package admit

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"path"
	"strings"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

// Key is a caller's key as configured.
type Key struct {
	ID     string
	Secret string // only read by New
	Models []string
	Tags   map[string]string
}

// Keys finds keys by their secret.
type Keys struct {
	open bool
	salt [32]byte
	keys map[[sha256.Size]byte]pipeline.Identity
}

// Anyone is no set of keys: it lets everyone in.
func Anyone() *Keys { return &Keys{open: true} }

// New makes a set; an empty one lets nobody in. Secrets must be distinct and not empty;
// the caller has checked.
func New(keys []Key) *Keys {
	k := &Keys{keys: make(map[[sha256.Size]byte]pipeline.Identity, len(keys))}
	_, _ = rand.Read(k.salt[:]) // never fails
	for _, key := range keys {
		k.keys[k.hash(key.Secret)] = pipeline.Identity{KeyID: key.ID, Models: key.Models, Tags: key.Tags}
	}
	return k
}

// hash is keyed with a salt of this process, so that nothing about a secret can
// be learned from how long a look-up of its hash takes.
func (k *Keys) hash(secret string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, k.salt[:])
	mac.Write([]byte(secret))
	mac.Sum(sum[:0])
	return sum
}

// Open reports whether no key is needed.
func (k *Keys) Open() bool { return k.open }

const errKey = "the API key is missing or not valid; send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'"

// Identify finds the caller by the credential in the headers. It fails with
// KindAuthentication, with the same text whatever is wrong.
func (k *Keys) Identify(h http.Header) (pipeline.Identity, *llm.Error) {
	if k.Open() {
		return pipeline.Identity{}, nil
	}
	secret, ok := credential(h)
	if !ok {
		return pipeline.Identity{}, llm.Errorf(llm.KindAuthentication, "%s", errKey)
	}
	sum := k.hash(secret)
	id, found := k.keys[sum]
	if !found {
		return pipeline.Identity{}, llm.Errorf(llm.KindAuthentication, "%s", errKey)
	}
	return id, nil
}

// credential is the one key that the headers hold, under any of the names that
// SDKs use. Several that differ are none.
func credential(h http.Header) (string, bool) {
	secret := ""
	take := func(v string) bool {
		if v == "" || (secret != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(v)) != 1) {
			return false
		}
		secret = v
		return true
	}
	for _, v := range h["Authorization"] {
		scheme, token, _ := strings.Cut(v, " ")
		if !strings.EqualFold(scheme, "Bearer") || !take(strings.TrimSpace(token)) {
			return "", false
		}
	}
	for _, name := range [...]string{"X-Api-Key", "X-Goog-Api-Key"} {
		for _, v := range h[name] {
			if !take(strings.TrimSpace(v)) {
				return "", false
			}
		}
	}
	return secret, secret != ""
}

// Models is a stage that refuses models which the caller's key does not list.
// Each member of a comma-separated chain must be listed. "*" in a pattern
// stands for any run of characters but a slash; alone, it stands for every model.
func Models() pipeline.Stage {
	return func(next pipeline.Handler) pipeline.Handler {
		return pipeline.HandlerFunc(func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
			if c.Identity.Models != nil && !Allowed(c.Identity.Models, c.Model) {
				e := llm.Errorf(llm.KindPermission, "this key may not use the model asked for; it may use: %s", strings.Join(c.Identity.Models, ", "))
				e.Param = "model"
				return nil, e
			}
			return next.Handle(ctx, c)
		})
	}
}

// Allowed reports whether the model, or each member of a comma-separated chain of models, matches one
// of the patterns. It reads names as the router does: spaces count, but for those around a chain's members.
func Allowed(patterns []string, model string) bool {
	if !strings.Contains(model, ",") {
		return matches(patterns, model)
	}
	for name := range strings.SplitSeq(model, ",") {
		if !matches(patterns, strings.TrimSpace(name)) {
			return false
		}
	}
	return true
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if p == "*" || p == name {
			return true
		}
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}
