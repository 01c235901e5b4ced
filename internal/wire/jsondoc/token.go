package jsondoc

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

func isDigit(c byte) bool { return c-'0' < 10 }

// skipSpace returns the offset of the first byte from i on that is not white space.
func skipSpace(src []byte, i int) int {
	for ; i < len(src); i++ {
		if c := src[i]; c > ' ' || (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
			break
		}
	}
	return i
}

// literal reads true, false or null.
func (s *scanner) literal(i int, want string) int {
	for k := range len(want) {
		if i+k >= len(s.src) || s.src[i+k] != want[k] {
			return s.unexpected(i + k)
		}
	}
	return i + len(want)
}

// number reads a number: RFC 8259, section 6.
func (s *scanner) number(i int) int {
	src := s.src
	if src[i] == '-' {
		i++
	}
	digits := func(i int) int {
		for i < len(src) && isDigit(src[i]) {
			i++
		}
		return i
	}
	if i < len(src) && src[i] == '0' {
		i++
		if i < len(src) && isDigit(src[i]) {
			return s.fail(i, "leading zero in a number")
		}
	} else {
		start := i
		if i = digits(i); i == start {
			return s.unexpected(i)
		}
	}
	if i < len(src) && src[i] == '.' {
		start := i + 1
		if i = digits(start); i == start {
			return s.unexpected(i)
		}
	}
	if i < len(src) && (src[i] == 'e' || src[i] == 'E') {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		start := i
		if i = digits(i); i == start {
			return s.unexpected(i)
		}
	}
	return i
}

const (
	ones  = 0x0101_0101_0101_0101
	highs = 0x8080_8080_8080_8080
)

// special marks, by their high bits, the bytes of w that are a quote, a backslash or a control
// character. Bytes above a marked one may be marked wrongly; the lowest mark is right.
//
// For bytes below 0x80: b-0x21 borrows into the high bit if b is below 0x21, and XOR with 2
// puts the quote, 0x22, there and takes the space, 0x20, away, while control
// characters stay among themselves.
func special(w uint64) uint64 {
	quote := (w ^ 0x02*ones) - 0x21*ones
	slash := (w ^ '\\'*ones) - ones
	return (quote | slash) &^ w & highs
}

// plain returns the offset of the first byte from i on that is special, and all bytes
// before it, one over the other: a high bit tells of non-ASCII.
func plain(src []byte, i int) (end int, seen uint64) {
	for len(src)-i >= 8 {
		w := binary.LittleEndian.Uint64(src[i : i+8])
		if m := special(w); m != 0 {
			return i + bits.TrailingZeros64(m)/8, seen | w&(m&-m-1)
		}
		seen |= w
		i += 8
	}
	for ; i < len(src) && src[i] >= ' ' && src[i] != '"' && src[i] != '\\'; i++ {
		seen |= uint64(src[i])
	}
	return i, seen
}

// str reads a string whose opening quote is at i, and tells whether it has escapes.
func (s *scanner) str(i int) (end int, escaped bool) {
	src := s.src
	i++
	start := i
	var seen uint64
	for {
		next, these := plain(src, i)
		i, seen = next, seen|these
		if i >= len(src) {
			return s.unexpected(i), false
		}
		switch src[i] {
		case '"':
			if seen&highs != 0 && !utf8.Valid(src[start:i]) {
				return s.fail(start+firstInvalid(src[start:i]), "invalid UTF-8"), false
			}
			return i + 1, escaped
		case '\\':
			escaped = true
			if i = s.escape(i); i < 0 {
				return -1, false
			}
		default:
			return s.fail(i, "control character in a string"), false
		}
	}
}

// escape reads an escape whose backslash is at i; both halves of a surrogate pair are one.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.src) {
		return s.unexpected(i + 1)
	}
	switch s.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		r, ok := hex4(s.src, i+2)
		switch {
		case !ok:
			return s.fail(i, "bad escape")
		case r < surrogate || r > surrogateEnd:
			return i + 6
		}
		if r < surrogateLow && i+7 < len(s.src) && s.src[i+6] == '\\' && s.src[i+7] == 'u' {
			if low, ok := hex4(s.src, i+8); ok && low >= surrogateLow && low <= surrogateEnd {
				return i + 12
			}
		}
		return s.fail(i, "lone surrogate")
	}
	return s.fail(i, "bad escape")
}

func firstInvalid(b []byte) int {
	i := 0
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}
