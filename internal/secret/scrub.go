package secret

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Lengths in bytes that decide what counts as an echo of a secret.
const (
	minSecret = 4  // shorter ones are not looked for: they would match anywhere
	plainGram = 8  // a piece of a secret's own text this long is removed
	codedGram = 12 // a piece of an encoded form this long is removed
)

var stars = []byte("***")

// Scrubber removes secrets from texts that others wrote, such as a provider's
// error body that repeats the key it refused. It knows each secret as it is, in
// base64 (both alphabets, any padding, at any offset inside a longer text), hex,
// URL-encoded and JSON-escaped. It removes whole secrets, pieces of 8 bytes and
// more of their own text, and pieces of 12 and more of the other forms. Of
// secrets under 8 bytes only whole forms are removed; those under 4 are
// ignored.
//
// The nil Scrubber changes nothing. A Scrubber is immutable and safe for
// concurrent use.
type Scrubber struct{ ix *index }

// NewScrubber returns a scrubber for the secrets; zero values are skipped.
func NewScrubber(secrets ...Value) *Scrubber {
	ix := &index{
		plain: make(map[uint64]struct{}),
		coded: make(map[gram12]struct{}),
		whole: make(map[string]struct{}),
	}
	for _, v := range secrets {
		if s := v.Reveal(); len(s) >= minSecret {
			ix.add(s)
		}
	}
	ix.finish()
	return &Scrubber{ix: ix}
}

// String says nothing of the secrets.
func (s *Scrubber) String() string { return "secret.Scrubber" }

// Scrub returns text with every echo of a secret replaced by "***".
func (s *Scrubber) Scrub(text string) string {
	if s == nil || s.ix.empty() {
		return text
	}
	spans := s.ix.find([]byte(text))
	if len(spans) == 0 {
		return text
	}
	return string(replace([]byte(text), spans))
}

// ScrubBytes is [Scrubber.Scrub] for bytes. It does not change text; the result
// is text itself when there was nothing to remove.
func (s *Scrubber) ScrubBytes(text []byte) []byte {
	if s == nil || s.ix.empty() {
		return text
	}
	spans := s.ix.find(text)
	if len(spans) == 0 {
		return text
	}
	return replace(text, spans)
}

// index holds every piece that is looked for. Pieces are found by their first
// bytes: a bit set of hashes answers "no" for nearly every position of a clean
// text, and the maps decide the rest.
type index struct {
	heads8  bitset // the first 8 bytes of plain and coded pieces
	heads4  bitset // the first 4 bytes of whole forms
	plain   map[uint64]struct{}
	coded   map[gram12]struct{}
	whole   map[string]struct{} // forms with no pieces: of short secrets, and those under codedGram
	lengths []int               // the lengths in whole, longest first
}

type gram12 struct {
	head uint64
	tail uint32
}

func (ix *index) empty() bool {
	return len(ix.plain) == 0 && len(ix.coded) == 0 && len(ix.whole) == 0
}

// add enters all forms of one secret.
func (ix *index) add(s string) {
	if len(s) < plainGram {
		ix.whole[s] = struct{}{}
		for _, f := range forms(s) {
			ix.whole[f] = struct{}{}
		}
		return
	}
	b := []byte(s)
	for i := 0; i+plainGram <= len(b); i++ {
		ix.plain[binary.LittleEndian.Uint64(b[i:])] = struct{}{}
	}
	for _, f := range forms(s) {
		if len(f) < codedGram {
			ix.whole[f] = struct{}{}
			continue
		}
		for i := 0; i+codedGram <= len(f); i++ {
			ix.coded[gram12At([]byte(f[i:i+codedGram]))] = struct{}{}
		}
	}
}

// finish builds what speeds up the search.
func (ix *index) finish() {
	ix.heads8 = newBitset(len(ix.plain) + len(ix.coded))
	for g := range ix.plain {
		ix.heads8.add(g)
	}
	for g := range ix.coded {
		ix.heads8.add(g.head)
	}
	ix.heads4 = newBitset(len(ix.whole))
	for f := range ix.whole {
		ix.heads4.add(head4([]byte(f)))
		if !slices.Contains(ix.lengths, len(f)) {
			ix.lengths = append(ix.lengths, len(f))
		}
	}
	slices.Sort(ix.lengths)
	slices.Reverse(ix.lengths)
}

func head4(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }

func gram12At(b []byte) gram12 {
	return gram12{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])}
}

// bitset answers whether a value may be in a set: a single-hash Bloom filter
// with at least 32 bits for each value.
type bitset struct {
	words []uint64
	shift uint8
}

func newBitset(values int) bitset {
	n := max(6, bits.Len(uint(values))+5) // the logarithm of the number of bits
	return bitset{words: make([]uint64, 1<<(n-6)), shift: uint8(64 - n)}
}

func (b *bitset) add(v uint64) {
	h := b.hash(v)
	b.words[h>>6] |= 1 << (h & 63)
}

func (b *bitset) has(v uint64) bool {
	h := b.hash(v)
	return b.words[h>>6]&(1<<(h&63)) != 0
}

// The multiplier is 2^64 over the golden ratio: it spreads neighbouring values
// over the top bits.
func (b *bitset) hash(v uint64) uint64 { return v * 0x9E3779B97F4A7C15 >> b.shift }

type span struct{ from, to int }

// find returns the spans to remove, in order and apart from each other.
func (ix *index) find(b []byte) []span {
	var spans []span
	for i := 0; i+minSecret <= len(b); i++ {
		if n := ix.match(b[i:]); n > 0 {
			spans = cover(spans, span{i, i + n})
		}
	}
	return spans
}

// match returns the length of the longest piece that b begins with, or 0. b has
// at least minSecret bytes.
func (ix *index) match(b []byte) int {
	n := 0
	if len(b) >= plainGram && ix.heads8.has(binary.LittleEndian.Uint64(b)) {
		n = ix.matchPiece(b)
	}
	if len(ix.whole) > 0 && ix.heads4.has(head4(b)) {
		n = max(n, ix.matchWhole(b))
	}
	return n
}

func (ix *index) matchPiece(b []byte) int {
	if len(b) >= codedGram {
		if _, ok := ix.coded[gram12At(b)]; ok {
			return codedGram
		}
	}
	if _, ok := ix.plain[binary.LittleEndian.Uint64(b)]; ok {
		return plainGram
	}
	return 0
}

func (ix *index) matchWhole(b []byte) int {
	for _, l := range ix.lengths {
		if l <= len(b) {
			if _, ok := ix.whole[string(b[:l])]; ok {
				return l
			}
		}
	}
	return 0
}

// cover adds s, which begins at or after the last span's start.
func cover(spans []span, s span) []span {
	if n := len(spans); n > 0 && s.from <= spans[n-1].to {
		spans[n-1].to = max(spans[n-1].to, s.to)
		return spans
	}
	return append(spans, s)
}

func replace(b []byte, spans []span) []byte {
	out := make([]byte, 0, len(b)+len(stars)*len(spans))
	at := 0
	for _, s := range spans {
		out = append(append(out, b[at:s.from]...), stars...)
		at = s.to
	}
	return append(out, b[at:]...)
}
