package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// forms returns the encodings in which s may be echoed, without s itself, each
// once, and none shorter than minSecret.
func forms(s string) []string {
	out := append(base64Forms(s), hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))))
	for _, e := range []string{url.QueryEscape(s), url.PathEscape(s), percentAll(s)} {
		out = append(out, e, lowerPercent(e))
	}
	out = append(out, jsonForms(s)...)
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(f string) bool { return f == s || len(f) < minSecret })
}

// base64Forms covers s encoded alone and s inside a longer text, where it may
// begin at any of three offsets (as a password does in Basic credentials).
// Unpadded text is a prefix of padded text, so padding needs no form of its own
// but for secrets that are only looked for whole.
func base64Forms(s string) []string {
	out := []string{
		base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s)),
		base64.RawStdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for off := range 3 {
			// Whole groups of three bytes that s fills by itself.
			inner := s[min(len(s), (3-off)%3):]
			inner = inner[:len(inner)/3*3]
			if len(inner)*4/3 >= plainGram {
				out = append(out, enc.EncodeToString([]byte(inner)))
			}
		}
	}
	return out
}

// jsonForms are the spellings of s inside a JSON string: with and without HTML
// escapes, with an escaped slash, and in ASCII only.
func jsonForms(s string) []string {
	html, plain := jsonString(s, true), jsonString(s, false)
	ascii := asciiJSON(plain)
	slash := func(t string) string { return strings.ReplaceAll(t, "/", `\/`) }
	return []string{html, plain, ascii, slash(html), slash(plain), slash(ascii)}
}

func jsonString(s string, escapeHTML bool) string {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(buf.String(), "\n"), `"`), `"`)
}

func asciiJSON(s string) string {
	const digits = "0123456789abcdef"
	var sb strings.Builder
	for _, r := range s {
		if r < 0x80 {
			sb.WriteRune(r)
			continue
		}
		units := []rune{r}
		if r > 0xFFFF {
			r -= 0x10000
			units = []rune{0xD800 + r>>10, 0xDC00 + r&0x3FF}
		}
		for _, u := range units {
			sb.Write([]byte{'\\', 'u', digits[u>>12&15], digits[u>>8&15], digits[u>>4&15], digits[u&15]})
		}
	}
	return sb.String()
}

// percentAll is s with everything but unreserved characters (RFC 3986, 2.3)
// escaped: stricter than Go's own escapes, as JavaScript's and Python's are.
func percentAll(s string) string {
	const digits = "0123456789ABCDEF"
	var sb strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			sb.WriteByte(c)
			continue
		}
		sb.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return sb.String()
}

// lowerPercent is s with the digits of its percent escapes in lower case.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}
