package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Mask is what stands where a secret would be printed.
const Mask = "[secret]"

// Value is a secret's text. The zero Value is no secret.
//
// The text lies behind a pointer because fmt calls no methods on values in
// unexported fields: there it prints the fields themselves, and of a pointer
// only the address. It must be a pointer to a string, not to a struct: with a
// verb that does not fit, as %s, fmt follows pointers to structs.
type Value struct {
	_ [0]func() // no ==, which would compare addresses; see Equal
	p *string
}

// New returns s as a secret. An empty s gives the zero Value.
func New(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{p: &s}
}

// Reveal returns the text. Call it where the text is sent or compared, and keep
// no copy.
func (v Value) Reveal() string {
	if v.p == nil {
		return ""
	}
	return *v.p
}

// IsZero reports whether there is no secret.
func (v Value) IsZero() bool { return v.p == nil }

// Equal compares two secrets in time that depends on their lengths alone. Two
// absent secrets are not equal: nothing is not a credential.
func (v Value) Equal(w Value) bool {
	if v.IsZero() || w.IsZero() {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(*v.p), []byte(*w.p)) == 1
}

// String returns [Mask].
func (v Value) String() string { return Mask }

// GoString returns [Mask].
func (v Value) GoString() string { return Mask }

// Format writes [Mask] for every verb.
func (v Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(Mask)) }

// MarshalText returns [Mask], for encoders of any format.
func (v Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalJSON returns [Mask] as a JSON string.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// MarshalYAML returns [Mask].
func (v Value) MarshalYAML() (any, error) { return Mask, nil }

// LogValue returns [Mask].
func (v Value) LogValue() slog.Value { return slog.StringValue(Mask) }
