package jsondoc

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// Reasons of a SyntaxError that several places give.
const (
	reasonEnd        = "unexpected end"
	reasonUnexpected = "unexpected character"
	reasonDuplicate  = "duplicate name"
	reasonDeep       = "nested too deep"
	reasonMembers    = "too many members in one object"
)

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// scanner walks a document by recursive descent. Its methods take the offset to
// go on from and return the one after what they read, or -1 when they failed. The
// path of a failure is put together while the calls return, so that it costs nothing else.
type scanner struct {
	src   []byte
	names []span  // names of the objects that are open, innermost last
	text  []byte  // unescaped forms of those names that have escapes
	top   []place // members of the document; their names stay in names

	offset       int // of the failure
	path, reason string
}

// span is a name: src[start:end], or, if start is negative, text[^start:end].
type span struct{ start, end int }

// place is where the value of a top-level member is.
type place struct {
	known      string // its name, if the protocol knows it
	start, end int
}

// release gives the scanner back, without what belonged to the document.
func (s *scanner) release() {
	const keep = 1024
	clear(s.top)
	if cap(s.names) > keep || cap(s.top) > keep || cap(s.text) > 16*keep {
		return
	}
	*s = scanner{names: s.names[:0], text: s.text[:0], top: s.top[:0]}
	scanners.Put(s)
}

func (s *scanner) fail(offset int, reason string) int {
	s.offset, s.reason = offset, reason
	return -1
}

// unexpected fails at an offset where something else should be.
func (s *scanner) unexpected(offset int) int {
	if offset >= len(s.src) {
		return s.fail(len(s.src), reasonEnd)
	}
	return s.fail(offset, reasonUnexpected)
}

// document reads all of src.
func (s *scanner) document(shape *Shape) int {
	if bytes.HasPrefix(s.src, []byte("\xef\xbb\xbf")) {
		return s.fail(0, "byte order mark")
	}
	i := skipSpace(s.src, 0)
	if i == len(s.src) {
		return s.fail(i, "empty")
	}
	if s.src[i] != '{' {
		return s.fail(i, "must be an object")
	}
	if i = s.object(i, 1, shape); i < 0 {
		return -1
	}
	if i = skipSpace(s.src, i); i < len(s.src) {
		return s.fail(i, "data after the object")
	}
	return i
}

// members returns the members of the document. All names that the protocol does not know share one allocation.
func (s *scanner) members() []member {
	size := 0
	for i := range s.top {
		if s.top[i].known == "" {
			size += len(s.name(s.names[i]))
		}
	}
	var b strings.Builder
	b.Grow(size)
	for i := range s.top {
		if s.top[i].known == "" {
			b.Write(s.name(s.names[i]))
		}
	}
	unknown := b.String()
	out := make([]member, len(s.top))
	for i, p := range s.top {
		name := p.known
		if name == "" {
			n := len(s.name(s.names[i]))
			name, unknown = unknown[:n], unknown[n:]
		}
		out[i] = member{Member{name, s.src[p.start:p.end:p.end]}, p.start}
	}
	return out
}

// value reads a value that begins at i; depth is that of the container it is in.
func (s *scanner) value(i, depth int, shape *Shape) int {
	if i >= len(s.src) {
		return s.unexpected(i)
	}
	switch c := s.src[i]; c {
	case '"':
		end, _ := s.str(i)
		return end
	case '{':
		return s.object(i, depth+1, shape)
	case '[':
		return s.array(i, depth+1, shape)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c == '-' || isDigit(c) {
			return s.number(i)
		}
		return s.unexpected(i)
	}
}

// object is an object being read.
type object struct {
	depth int
	names int    // where its names begin in scanner.names
	known *table // nil if any name is free
	seen  seen   // its names, once they are many
}

// object reads an object that opens at i.
func (s *scanner) object(i, depth int, shape *Shape) int {
	if depth > MaxDepth {
		return s.fail(i, reasonDeep)
	}
	i = skipSpace(s.src, i+1)
	if i < len(s.src) && s.src[i] == '}' {
		return i + 1
	}
	o := object{depth: depth, names: len(s.names), known: shape.fields()}
	text := len(s.text)
	for {
		if i = s.member(i, &o); i < 0 {
			return -1
		}
		i = skipSpace(s.src, i)
		if i >= len(s.src) {
			return s.unexpected(i)
		}
		switch s.src[i] {
		case ',':
			i = skipSpace(s.src, i+1)
		case '}':
			if depth > 1 {
				s.names, s.text = s.names[:o.names], s.text[:text]
			}
			return i + 1
		default:
			return s.unexpected(i)
		}
	}
}

// member reads a name, which begins at i, and its value.
func (s *scanner) member(i int, o *object) int {
	if i >= len(s.src) || s.src[i] != '"' {
		return s.unexpected(i)
	}
	end, escaped := s.str(i)
	if end < 0 {
		return -1
	}
	name := s.push(i, end, escaped)
	var f field
	if o.known != nil {
		var ok bool
		if f, ok = o.known.field(name); !ok {
			if right, ok := o.known.twin(name); ok {
				s.fail(i, "name differs only by case from "+strconv.Quote(right))
				return s.under(right)
			}
		}
	}
	if !s.fresh(name, o) {
		s.fail(i, reasonDuplicate)
		return s.under(f.name)
	}
	if len(s.names)-o.names > MaxMembers {
		return s.fail(i, reasonMembers)
	}

	i = skipSpace(s.src, end)
	if i >= len(s.src) || s.src[i] != ':' {
		s.unexpected(i)
		return s.under(f.name)
	}
	start := skipSpace(s.src, i+1)
	if end = s.value(start, o.depth, f.shape); end < 0 {
		return s.under(f.name)
	}
	if o.depth == 1 {
		s.top = append(s.top, place{f.name, start, end})
	}
	return end
}

// push notes the name whose raw string is src[start:end], and returns its text.
func (s *scanner) push(start, end int, escaped bool) []byte {
	raw := s.src[start+1 : end-1]
	if !escaped {
		s.names = append(s.names, span{start + 1, end - 1})
		return raw
	}
	n := len(s.text)
	s.text = appendUnescaped(s.text, raw)
	s.names = append(s.names, span{^n, len(s.text)})
	return s.text[n:]
}

func (s *scanner) name(at span) []byte {
	if at.start < 0 {
		return s.text[^at.start:at.end]
	}
	return s.src[at.start:at.end]
}

// fresh reports whether the name pushed last is new in its object.
func (s *scanner) fresh(name []byte, o *object) bool {
	names := s.names[o.names:]
	if len(names) > smallObject {
		return o.seen.add(s, names)
	}
	for _, at := range names[:len(names)-1] {
		if string(s.name(at)) == string(name) {
			return false
		}
	}
	return true
}

// array reads an array that opens at i.
func (s *scanner) array(i, depth int, shape *Shape) int {
	if depth > MaxDepth {
		return s.fail(i, reasonDeep)
	}
	i = skipSpace(s.src, i+1)
	if i < len(s.src) && s.src[i] == ']' {
		return i + 1
	}
	var elem *Shape
	if shape != nil {
		elem = shape.Elem
	}
	for n := 0; ; n++ {
		if i = s.value(i, depth, elem); i < 0 {
			return s.at(n, shape)
		}
		i = skipSpace(s.src, i)
		if i >= len(s.src) {
			return s.unexpected(i)
		}
		switch s.src[i] {
		case ',':
			i = skipSpace(s.src, i+1)
		case ']':
			return i + 1
		default:
			return s.unexpected(i)
		}
	}
}

// under adds the name of a member to the path of a failure that is inside of it. An
// unknown name ("") is the client's own and takes what is below it out of the path.
func (s *scanner) under(name string) int {
	switch {
	case name == "":
		s.path = ""
	case s.path == "" || s.path[0] == '[':
		s.path = name + s.path
	default:
		s.path = name + "." + s.path
	}
	return -1
}

// at adds the place in an array, if the protocol gives that array's elements a shape.
func (s *scanner) at(n int, shape *Shape) int {
	if shape == nil || shape.Elem == nil {
		s.path = ""
		return -1
	}
	dot := "."
	if s.path == "" || s.path[0] == '[' {
		dot = ""
	}
	s.path = "[" + strconv.Itoa(n) + "]" + dot + s.path
	return -1
}
