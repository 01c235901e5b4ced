// Package jsondoc reads a JSON object once, strictly, and offers its top-level
// members as spans of the original bytes, and edits applied to those bytes in
// one pass. Whatever is not edited stays byte for byte as it came: unknown
// members, number forms, escapes, white space and key order.
//
// Strict means: what a reader of the document sees is what any other reader
// sees. Duplicate names at any depth (escaped spellings too), invalid UTF-8,
// lone surrogates, bad escapes, raw control characters, leading zeros, NaN,
// trailing data, and names that differ only by case from one that the protocol
// knows (see [Shape]) are refused.
//
// It is not a decoder: it builds no tree and no Go values. The cost of a
// document is linear in its length, whatever is in it.
package jsondoc

import (
	"strconv"
	"strings"
)

// Limits bound a document. They are generous: a document above them is not a
// request that any provider takes.
const (
	MaxDepth   = 512    // objects and arrays inside one another, the document itself included
	MaxMembers = 20_000 // names in one object
)

// SyntaxError says where and why a document was refused. It carries no part of
// the document but, at most, a member name of the protocol.
type SyntaxError struct {
	Offset int    // byte offset
	Path   string // such as "messages[2].content"; "" at the top
	Reason string // "duplicate name", "invalid UTF-8", ...
}

func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString("invalid JSON")
	if e.Path != "" {
		b.WriteString(" in ")
		b.WriteString(e.Path)
	}
	b.WriteString(" at byte ")
	b.WriteString(strconv.Itoa(e.Offset))
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

// Member is a top-level member. Value is the raw JSON of it, sharing the
// document's bytes.
type Member struct {
	Name  string // unescaped
	Value []byte
}

// member is a Member that knows its place.
type member struct {
	Member
	start int // offset of Value
}

func (m *member) end() int { return m.start + len(m.Value) }

// Doc is a parsed document. It keeps src, which must not change any more.
// A Doc does not change: its methods may be called concurrently.
type Doc struct {
	src     []byte
	members []member
}

// Parse checks src, which must hold one JSON object, and notes where its members are.
// Its error is a *SyntaxError.
func Parse(src []byte, shape *Shape) (*Doc, error) {
	s := scanners.Get().(*scanner)
	defer s.release()
	s.src = src
	if s.document(shape) < 0 {
		return nil, &SyntaxError{Offset: s.offset, Path: s.path, Reason: s.reason}
	}
	return &Doc{src: src, members: s.members()}, nil
}

// Valid reports whether src passes as a document of any shape. It keeps nothing. What it
// refuses may still be JSON that a lenient reader takes.
func Valid(src []byte) bool {
	s := scanners.Get().(*scanner)
	s.src = src
	ok := s.document(nil) >= 0
	s.release()
	return ok
}

// Bytes is the document as it came.
func (d *Doc) Bytes() []byte { return d.src }

// Get returns the raw value of a top-level member.
func (d *Doc) Get(name string) (raw []byte, ok bool) {
	if i := d.index(name); i >= 0 {
		return d.members[i].Value, true
	}
	return nil, false
}

func (d *Doc) index(name string) int {
	for i := range d.members {
		if d.members[i].Name == name {
			return i
		}
	}
	return -1
}

// Members returns the top-level members in their order. The slice is the caller's.
func (d *Doc) Members() []Member {
	out := make([]Member, len(d.members))
	for i := range d.members {
		out[i] = d.members[i].Member
	}
	return out
}

// String returns a top-level member that is a string, unescaped. ok is false if it
// is absent, null or not a string. The string is a copy: keeping it does not keep the document.
func (d *Doc) String(name string) (s string, ok bool) {
	raw, _ := d.Get(name)
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return Unquote(raw)
}

// Bool returns a top-level member that is true or false.
func (d *Doc) Bool(name string) (b, ok bool) {
	raw, _ := d.Get(name)
	switch string(raw) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Int returns a top-level member that is an integral number. Its form does not
// matter, its value does: 2, 2.0 and 20e-1 are integral. ok is false too for
// a number that an int cannot hold.
func (d *Doc) Int(name string) (n int, ok bool) {
	raw, _ := d.Get(name)
	if len(raw) == 0 || (raw[0] != '-' && !isDigit(raw[0])) {
		return 0, false
	}
	return integral(string(raw))
}

// integral reads a JSON number exactly, without going through a float.
func integral(num string) (int, bool) {
	if n, err := strconv.Atoi(num); err == nil {
		return n, true
	}
	const most = 19 // digits of an int64

	// num is sign digits * 10^exp, with neither zeros nor a point around the digits.
	digits, exp := num, 0
	if i := strings.IndexAny(num, "eE"); i >= 0 {
		var err error
		digits = num[:i]
		if exp, err = strconv.Atoi(num[i+1:]); err != nil || exp > len(num)+most || exp < -len(num) {
			exp = len(num) + most // out of range either way, unless the digits are all zero
		}
	}
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if i := strings.IndexByte(digits, '.'); i >= 0 {
		exp -= len(digits) - i - 1
		digits = digits[:i] + digits[i+1:]
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, true
	}
	trimmed := strings.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)
	if exp < 0 || exp+len(trimmed) > most {
		return 0, false
	}
	n, err := strconv.Atoi(sign + trimmed + strings.Repeat("0", exp))
	if err != nil {
		return 0, false
	}
	return n, true
}
