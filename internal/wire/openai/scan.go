package openai

import "bytes"

// A small reader of JSON spans, without copies or allocations. It checks
// brackets and quotes only, not the whole grammar: enough for bodies that were
// checked at the door, and for reading facts off events that are passed on as
// they are.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at b[i], or -1.
func skipString(b []byte, i int) int {
	for i++; ; {
		q := bytes.IndexByte(b[i:], '"')
		if q < 0 {
			return -1
		}
		i += q + 1
		esc := 0
		for j := i - 2; b[j] == '\\'; j-- {
			esc++
		}
		if esc%2 == 0 {
			return i
		}
	}
}

// skipValue returns the index behind the value that begins at b[i], or -1.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	start := i
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			if i == start {
				return -1
			}
			return i
		case '"', '{', '[', ':':
			return -1
		}
		i++
	}
	return i
}

func skipNested(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// members calls f for each member of the object b, with the name as it stands
// between the quotes. f may return false to stop. The result is false if b is
// not an object.
func members(b []byte, f func(name, value []byte) bool) bool {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return skipSpace(b, i+1) == len(b)
	}
	for i < len(b) && b[i] == '"' {
		end := skipString(b, i)
		if end < 0 {
			return false
		}
		name := b[i+1 : end-1]
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return false
		}
		i = skipSpace(b, i+1)
		if end = skipValue(b, i); end < 0 {
			return false
		}
		if !f(name, b[i:end]) {
			return true
		}
		i = skipSpace(b, end)
		if i >= len(b) {
			return false
		}
		if b[i] == '}' {
			return skipSpace(b, i+1) == len(b)
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpace(b, i+1)
	}
	return false
}

// elems calls f for each element of the array b. f may return false to stop.
// The result is false if b is not an array.
func elems(b []byte, f func(i int, value []byte) bool) bool {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return false
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return skipSpace(b, i+1) == len(b)
	}
	for n := 0; i < len(b); n++ {
		end := skipValue(b, i)
		if end < 0 {
			return false
		}
		if !f(n, b[i:end]) {
			return true
		}
		i = skipSpace(b, end)
		if i >= len(b) {
			return false
		}
		if b[i] == ']' {
			return skipSpace(b, i+1) == len(b)
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpace(b, i+1)
	}
	return false
}

// textLen is the length in bytes of a JSON string's text once unescaped, or 0
// if raw is not a string. A \u escape counts as 3 bytes.
func textLen(raw []byte) int {
	if len(raw) < 2 || raw[0] != '"' {
		return 0
	}
	n := len(raw) - 2
	for i := 1; ; {
		k := bytes.IndexByte(raw[i:len(raw)-1], '\\')
		if k < 0 {
			return n
		}
		i += k + 2
		n--
		if raw[i-1] == 'u' {
			n -= 2
		}
		if i >= len(raw)-1 {
			return n
		}
	}
}
