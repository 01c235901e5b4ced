package jsondoc

import (
	"bytes"
	"unicode/utf8"
	"unsafe"
)

const (
	surrogate    = 0xD800
	surrogateLow = 0xDC00
	surrogateEnd = 0xDFFF
)

// hex4 reads four hexadecimal digits.
func hex4(src []byte, i int) (r rune, ok bool) {
	if i+4 > len(src) {
		return 0, false
	}
	for _, c := range src[i : i+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// Quote appends s as a JSON string to dst. Invalid UTF-8 becomes U+FFFD; <, > and & stay as they are.
func Quote(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0 // of s
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[done:i]...)
				dst = append(dst, "\uFFFD"...)
				done = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[done:i]...)
		i++
		done = i
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

// Unquote returns the text of a raw JSON string. ok is false if raw is not exactly one string
// that [Parse] would take. The text is a copy.
func Unquote(raw []byte) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	sc := scanner{src: raw}
	end, escaped := sc.str(0)
	if end != len(raw) {
		return "", false
	}
	raw = raw[1 : end-1]
	if escaped {
		return shared(appendUnescaped(make([]byte, 0, len(raw)), raw)), true
	}
	if len(raw) >= longText {
		return shared(raw), true
	}
	return string(raw), true
}

// longText is the length from which an unescaped text shares the document's memory: prompts of megabytes are
// not held twice, while a short string does not keep a document alive.
const longText = 4 << 10

// shared is b as a string without a copy. Documents do not change (see Doc), nor does b otherwise.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendUnescaped appends the text of what is between the quotes of a string that was checked.
func appendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw, 0)
			raw = raw[4:]
			if r >= surrogate && r <= surrogateEnd {
				low, _ := hex4(raw, 2)
				raw = raw[6:]
				r = (r-surrogate)<<10 + (low - surrogateLow) + 0x10000
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}
