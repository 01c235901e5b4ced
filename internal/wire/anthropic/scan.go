package anthropic

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
)

// valid reports whether b is JSON. Everything below wants that checked first.
func valid(b []byte) bool { return jsondoc.Valid(b) || gjson.ValidBytes(b) } // the lenient check only where the quick one fails

// isObject reports whether b is a JSON object.
func isObject(b []byte) bool { return kindOf(b) == '{' && valid(b) }

// kindOf is the first byte of a JSON value: one of { [ " t f n, a minus or a
// digit; 0 if there is none.
func kindOf(raw []byte) byte {
	i := skipSpace(raw, 0)
	if i == len(raw) {
		return 0
	}
	return raw[i]
}

// cursor goes over the members of an object or the elements of an array without
// copying. The JSON must be valid; of anything else it makes an early end.
type cursor struct {
	b      []byte
	i      int
	object bool
	into   string // see enter
}

func walk(raw []byte) cursor {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' && raw[i] != '[' {
		return cursor{}
	}
	return cursor{b: raw, i: i + 1, object: raw[i] == '{'}
}

// next returns the next member, or element (name is nil then). Names come
// without quotes, and unescaped if they need it.
func (c *cursor) next() (name, value []byte, ok bool) {
	i := skipSpace(c.b, c.i)
	if i < len(c.b) && c.b[i] == ',' {
		i = skipSpace(c.b, i+1)
	}
	if i >= len(c.b) || c.b[i] == '}' || c.b[i] == ']' {
		c.i = len(c.b)
		return nil, nil, false
	}
	if c.object {
		end := skipString(c.b, i)
		if c.b[i] != '"' || end < i+2 {
			c.i = len(c.b)
			return nil, nil, false
		}
		name = c.b[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if s, ok := jsondoc.Unquote(c.b[i:end]); ok {
				name = []byte(s)
			}
		}
		i = skipSpace(c.b, end)
		if i >= len(c.b) || c.b[i] != ':' {
			c.i = len(c.b)
			return nil, nil, false
		}
		i = skipSpace(c.b, i+1)
	}
	end := i
	if c.into == "" || c.into != string(name) {
		end = skipValue(c.b, i)
	}
	c.i = end
	return name, c.b[i:end], true
}

// enter goes straight into the first member of that name of an object, without
// looking for its end first.
func enter(obj []byte, name string) cursor {
	c := walk(obj)
	c.into = name
	for {
		n, _, ok := c.next()
		if !ok {
			return cursor{}
		}
		if string(n) == name {
			return walk(c.b[c.i:])
		}
	}
}

// member returns the value of a member of an object, the last if there are
// several, or nil.
func member(obj []byte, name string) []byte {
	var found []byte
	if kindOf(obj) != '{' {
		return nil
	}
	for c := walk(obj); ; {
		n, v, ok := c.next()
		if !ok {
			return found
		}
		if string(n) == name {
			found = v
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipValue returns where the value that begins at i ends.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
				if depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(b)
	}
	for i < len(b) && b[i] > ' ' && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		slashes := 0
		for b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// stringOf returns the text of a JSON string, "" for any other value. Providers'
// strings may hold halves of surrogate pairs or bytes that are no UTF-8: each
// becomes U+FFFD.
func stringOf(raw []byte) string {
	if kindOf(raw) != '"' {
		return ""
	}
	if s, ok := jsondoc.Unquote(raw); ok {
		return s
	}
	return strings.ToValidUTF8(gjson.ParseBytes(raw).String(), "\uFFFD")
}

// isString reports whether raw is the JSON string s, which needs no escapes.
func isString(raw []byte, s string) bool {
	return len(raw) == len(s)+2 && raw[0] == '"' && string(raw[1:len(raw)-1]) == s
}

// intOf returns an integer of at least 0; of anything else it makes 0.
func intOf(raw []byte) int64 {
	var n int64
	for _, c := range raw {
		if c < '0' || c > '9' || n > 1<<53 {
			return floatInt(raw)
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// floatInt reads the odd forms of an integer: 1e3, 12.0.
func floatInt(raw []byte) int64 {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(f >= 0 && f < 1<<53) {
		return 0
	}
	return int64(f)
}

// textSize is the size in bytes of a JSON string's text, escapes undone.
func textSize(raw []byte) int {
	if len(raw) < 2 || raw[0] != '"' {
		return 0
	}
	s := raw[1 : len(raw)-1]
	n := len(s)
	for i := bytes.IndexByte(s, '\\'); i >= 0 && i+1 < len(s); {
		skip := 2
		if s[i+1] == 'u' && i+6 <= len(s) {
			skip = 6
			code, _ := strconv.ParseUint(string(s[i+2:i+6]), 16, 32)
			switch w := utf8.RuneLen(rune(code)); {
			case w < 0: // half of a pair: the whole takes 4 bytes
				n -= 4
			default:
				n -= 6 - w
			}
		} else {
			n--
		}
		next := bytes.IndexByte(s[i+skip:], '\\')
		if next < 0 {
			break
		}
		i += skip + next
	}
	return n
}
