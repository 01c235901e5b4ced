package jsondoc

import (
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Shape names the members that a protocol gives a meaning to, so that odd-case
// twins of them ("Model", "CONTENT") can be refused, at the places where the
// protocol defines the names. Below a nil Shape any name is free (tool
// arguments, JSON schemas, metadata).
//
// A Shape may refer to itself. It must not change once it was used, and may then be
// used concurrently.
type Shape struct {
	// Members applies when the value is an object.
	Members map[string]*Shape
	// Elem applies to the elements when the value is an array.
	Elem *Shape

	table atomic.Pointer[table]
}

// table is what the scanner asks of a shape's Members, made at their first use.
type table struct {
	known  [][]field         // by the length of the name: few share one
	folded map[string]string // folded name to its right spelling
}

type field struct {
	name  string // so that the document's members need no copies of known names
	shape *Shape
}

// fields returns the shape's table, nil if no names are known.
func (sh *Shape) fields() *table {
	if sh == nil || len(sh.Members) == 0 {
		return nil
	}
	if t := sh.table.Load(); t != nil {
		return t
	}
	t := &table{folded: make(map[string]string, len(sh.Members))}
	for name, child := range sh.Members {
		for len(t.known) <= len(name) {
			t.known = append(t.known, nil)
		}
		t.known[len(name)] = append(t.known[len(name)], field{name, child})
		t.folded[string(fold(nil, []byte(name)))] = name
	}
	sh.table.Store(t)
	return t
}

// field returns the known field of that name.
func (t *table) field(name []byte) (field, bool) {
	if len(name) < len(t.known) {
		for _, f := range t.known[len(name)] {
			if f.name == string(name) {
				return f, true
			}
		}
	}
	return field{}, false
}

// twin returns the known name that an unknown one is an odd-case twin of.
func (t *table) twin(name []byte) (string, bool) {
	var buf [64]byte
	known, ok := t.folded[string(fold(buf[:0], name))]
	return known, ok
}

// fold appends name in the form that all names share which are equal to it under
// simple Unicode case folding, as strings.EqualFold sees it: ſ is s, the Kelvin sign is k.
func fold(dst, name []byte) []byte {
	for i := 0; i < len(name); {
		if c := name[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(name[i:])
		dst = utf8.AppendRune(dst, foldRune(r))
		i += n
	}
	return dst
}

// foldRune picks one rune of the orbit of r: the lower-case letter if the orbit has an
// ASCII one, else the least.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}
