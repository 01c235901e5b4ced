package secret

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// The schemes of references.
const (
	SchemeEnv   = "env"      // env://NAME
	SchemeFile  = "file"     // file:///path
	SchemeAWS   = "aws-sm"   // aws-sm://ID[#json-key]
	SchemeVault = "vault"    // vault://MOUNT/PATH#key
	SchemeGCP   = "gcp-sm"   // gcp-sm://PROJECT/NAME[/VERSION]
	SchemeAzure = "azure-kv" // azure-kv://VAULT/NAME
)

// ErrUnsupported means that a reference is well formed but this build has no
// reader for its manager.
var ErrUnsupported = errors.New("this build reads env:// and file://")

// Ref says where a secret comes from. The zero Ref names nothing.
type Ref struct {
	Scheme string // "" for a literal
	Name   string // what follows "scheme://"; "" for a literal
	// Literal means that the text itself was written in place of a reference.
	Literal bool

	value Value // of a literal
}

// Parse reads a reference, or takes text as the secret itself (see
// [Ref.Literal]). Text of the form "scheme://..." with a scheme that is not
// known is an error, not a literal: a misspelt reference must not be sent to a
// provider as a key. The error never repeats the text.
func Parse(text string) (Ref, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return Ref{}, errors.New("the reference is empty")
	case text == Mask:
		return Ref{}, fmt.Errorf("%q is the mask of a secret, not a secret", Mask)
	case strings.HasPrefix(text, "$"):
		return Ref{}, errors.New("variables are not expanded; write env://NAME")
	}
	scheme, name, ok := cutScheme(text)
	if !ok {
		return Ref{Literal: true, value: New(text)}, nil
	}
	r := Ref{Scheme: scheme, Name: name}
	switch scheme {
	case SchemeEnv:
		if !validEnvName(name) {
			return Ref{}, errors.New("env:// needs the name of an environment variable, as in env://OPENAI_API_KEY")
		}
	case SchemeFile:
		if !filepath.IsAbs(name) || hasControl(name) {
			return Ref{}, errors.New("file:// needs an absolute path, as in file:///run/secrets/openai")
		}
	case SchemeAWS, SchemeVault, SchemeGCP, SchemeAzure:
		if name == "" || hasControl(name) {
			return Ref{}, fmt.Errorf("%s:// needs the name of a secret", scheme)
		}
	default:
		return Ref{}, errors.New("unknown kind of reference; known are env://, file://, aws-sm://, vault://, gcp-sm:// and azure-kv://")
	}
	return r, nil
}

// IsZero reports whether the reference names nothing.
func (r Ref) IsZero() bool { return r.Scheme == "" && !r.Literal }

// String returns the reference as it was written, and [Mask] for a literal.
func (r Ref) String() string {
	switch {
	case r.Literal:
		return Mask
	case r.Scheme == "":
		return ""
	}
	return r.Scheme + "://" + r.Name
}

// MarshalText returns what String returns.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// cutScheme splits "scheme://rest". A scheme is letters, digits, '+', '-', '.',
// and begins with a letter (RFC 3986, 3.1).
func cutScheme(s string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(s, "://")
	if !ok || scheme == "" {
		return "", "", false
	}
	for i := range len(scheme) {
		c := scheme[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return "", "", false
		}
	}
	return scheme, rest, true
}

func validEnvName(s string) bool {
	return s != "" && !strings.ContainsAny(s, "= \t#/") && !hasControl(s)
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
