package upstream

import (
	"bytes"
	"strconv"

	"github.com/breakwater-llm/breakwater/llm"
)

// clean takes credentials out of all that an error quotes. What a body spells in
// escapes is plain in the texts that were read from it, so those are looked at too,
// and such a body is not passed on.
func (e *Endpoint) clean(le *llm.Error) {
	le.Body = e.scrub(le.Body)
	if plain := unescaped(le.Body); plain != nil && !bytes.Equal(e.scrub(plain), plain) {
		le.Body = nil
	}
	for _, s := range [...]*string{&le.Message, &le.Type, &le.Code, &le.Param} {
		if *s != "" {
			*s = string(e.scrub([]byte(*s)))
		}
	}
}

// unescaped is JSON with the escapes of ASCII characters undone, to be searched and
// not to be parsed; nil if there are no escapes.
func unescaped(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return nil
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			if b[i+1] == 'u' && i+6 <= len(b) {
				if c, err := strconv.ParseUint(string(b[i+2:i+6]), 16, 7); err == nil {
					out = append(out, byte(c))
					i += 5
					continue
				}
			}
			i++
		}
		out = append(out, b[i])
	}
	return out
}
