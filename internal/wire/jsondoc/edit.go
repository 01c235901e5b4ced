package jsondoc

import (
	"cmp"
	"slices"
)

// Edit is a change to a document. An edit keeps the slice it was given until it is applied.
type Edit struct {
	kind       editKind
	name       string
	start, end int
	raw        []byte
}

type editKind uint8

const (
	editReplace editKind = iota // the zero Edit replaces nothing by nothing
	editSet
	editDelete
)

// Set gives a top-level member a value (raw JSON): in its place if it is there, else as the last member.
func Set(name string, raw []byte) Edit { return Edit{kind: editSet, name: name, raw: raw} }

// Delete takes a top-level member out. It is no error if there is none.
func Delete(name string) Edit { return Edit{kind: editDelete, name: name} }

// Replace puts raw in the place of the bytes [start, end) of the document. Edits must not overlap.
func Replace(start, end int, raw []byte) Edit { return Edit{start: start, end: end, raw: raw} }

// Apply returns the document's bytes with the edits made; with no edits, the document's own bytes.
//
// Of several Set and Delete of one name the last one counts. Edits may come in any
// order otherwise. Raw JSON in them is taken as it is. Edits that overlap or lie
// outside the document are a mistake in the program: Apply panics.
func (d *Doc) Apply(edits ...Edit) []byte {
	var room [16]cut
	cuts := d.cuts(room[:0], edits)
	if len(cuts) == 0 {
		return d.src
	}
	slices.SortStableFunc(cuts, func(a, b cut) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	size := len(d.src)
	for i := range cuts {
		size += cuts[i].maxSize()
	}
	out := make([]byte, 0, size)
	done := 0
	for i := range cuts {
		c := &cuts[i]
		if c.start < done || c.end < c.start || c.end > len(d.src) {
			panic("jsondoc: edits overlap or lie outside the document")
		}
		out = append(out, d.src[done:c.start]...)
		out = c.append(out)
		done = c.end
	}
	return append(out, d.src[done:]...)
}

// cut is what stands in the place of the bytes [start, end) of the document: raw, or a whole
// member if it is to be named.
type cut struct {
	start, end int
	raw        []byte
	name       string
	named      bool
	comma      bool // before the member
}

func (c *cut) maxSize() int {
	if !c.named {
		return len(c.raw)
	}
	return len(`,"":`) + len(`\u0000`)*len(c.name) + len(c.raw)
}

func (c *cut) append(dst []byte) []byte {
	if c.comma {
		dst = append(dst, ',')
	}
	if c.named {
		dst = append(Quote(dst, c.name), ':')
	}
	return append(dst, c.raw...)
}

// cuts says which bytes the edits change.
func (d *Doc) cuts(dst []cut, edits []Edit) []cut {
	var room [16]int
	deleted := room[:0] // members, in their order
	added := 0          // edits that add a member
	for i := range edits {
		e := &edits[i]
		if e.kind == editReplace {
			if e.start != e.end || len(e.raw) > 0 {
				dst = append(dst, cut{start: e.start, end: e.end, raw: e.raw})
			}
			continue
		}
		if overruled(e, edits[i+1:]) {
			continue
		}
		at := d.index(e.name)
		switch {
		case e.kind == editDelete && at >= 0:
			k, _ := slices.BinarySearch(deleted, at)
			deleted = slices.Insert(deleted, k, at)
		case e.kind == editSet && at >= 0:
			m := &d.members[at]
			dst = append(dst, cut{start: m.start, end: m.end(), raw: e.raw})
		case e.kind == editSet:
			added++
		}
	}
	dst = d.cutDeleted(dst, deleted)
	if added > 0 {
		dst = d.cutAdded(dst, edits, deleted)
	}
	return dst
}

// overruled reports whether a later edit sets or deletes the same member.
func overruled(e *Edit, later []Edit) bool {
	for i := range later {
		if later[i].kind != editReplace && later[i].name == e.name {
			return true
		}
	}
	return false
}

// cutDeleted takes members out, each with one comma: the one before it, or, for those
// that no member stays before, the one after it.
func (d *Doc) cutDeleted(dst []cut, deleted []int) []cut {
	for k, at := range deleted {
		m := &d.members[at]
		switch {
		case at > k: // some earlier member stays
			dst = append(dst, cut{start: d.members[at-1].end(), end: m.end()})
		case at+1 < len(d.members):
			dst = append(dst, cut{start: d.head(at), end: d.head(at + 1)})
		default:
			dst = append(dst, cut{start: d.head(at), end: m.end()})
		}
	}
	return dst
}

// head is the offset behind the brace or comma before a member.
func (d *Doc) head(at int) int {
	if at == 0 {
		return skipSpace(d.src, 0) + len("{")
	}
	return skipSpace(d.src, d.members[at-1].end()) + len(",")
}

// cutAdded puts new members behind the last one that stays.
func (d *Doc) cutAdded(dst []cut, edits []Edit, deleted []int) []cut {
	last := len(d.members) - 1
	for k := len(deleted) - 1; k >= 0 && deleted[k] == last; k-- {
		last--
	}
	pos := d.head(0)
	if last >= 0 {
		pos = d.members[last].end()
	}
	comma := last >= 0
	for i := range edits {
		e := &edits[i]
		if e.kind == editSet && !overruled(e, edits[i+1:]) && d.index(e.name) < 0 {
			dst = append(dst, cut{start: pos, end: pos, raw: e.raw, name: e.name, named: true, comma: comma})
			comma = true
		}
	}
	return dst
}
