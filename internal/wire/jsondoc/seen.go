package jsondoc

import "hash/maphash"

// smallObject is how many names are compared one by one before hashes take over.
const smallObject = 24

const firstSlots = 128

var hashSeed = maphash.MakeSeed() // secret, so that nobody can choose names that collide

// seen is a hash table of the names of a large object.
type seen struct {
	slots []slot // a power of two of them, at most half of them taken
	n     int
}

type slot struct {
	hash uint32
	name int32 // place in the object's names, counted from 1; 0 if the slot is free
}

// add adds the name that is the last of names, and reports whether it was not there.
func (t *seen) add(s *scanner, names []span) bool {
	for t.n < len(names)-1 { // those that came before the table
		t.insert(s, names[:t.n+1])
	}
	return t.insert(s, names)
}

func (t *seen) insert(s *scanner, names []span) bool {
	if 2*len(names) > len(t.slots) {
		t.grow()
	}
	name := s.name(names[len(names)-1])
	h := uint32(maphash.Bytes(hashSeed, name))
	mask := uint32(len(t.slots) - 1)
	i := h & mask
	for ; t.slots[i].name != 0; i = (i + 1) & mask {
		if t.slots[i].hash == h && string(s.name(names[t.slots[i].name-1])) == string(name) {
			return false
		}
	}
	t.n++
	t.slots[i] = slot{h, int32(t.n)}
	return true
}

func (t *seen) grow() {
	old := t.slots
	t.slots = make([]slot, max(firstSlots, 4*len(old)))
	mask := uint32(len(t.slots) - 1)
	for _, taken := range old {
		if taken.name == 0 {
			continue
		}
		i := taken.hash & mask
		for t.slots[i].name != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = taken
	}
}
