package sse

import (
	"bytes"
	"strings"
)

// Append appends an event in its plain form (LF, one space after the colon; one data: line for each line of data): no event: line if name is
// empty.
//
// Lines end at LF, CRLF or CR, as they do for readers, so nothing in data can pass for
// another field; a name ends where its first line does. Empty data makes one empty data: line.
func Append(dst []byte, name string, data []byte) []byte {
	if name != "" {
		if i := strings.IndexAny(name, "\r\n"); i >= 0 {
			name = name[:i]
		}
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		dst = append(dst, '\n')
	}
	return append(appendLines(dst, "data: ", data), '\n')
}

// AppendComment appends a comment block: ": text", blank line.
func AppendComment(dst []byte, text string) []byte {
	return append(appendLines(dst, ": ", []byte(text)), '\n')
}

// appendLines appends one line for each line of text, and one if there is no text.
func appendLines(dst []byte, field string, text []byte) []byte {
	ends := "\n"
	if bytes.IndexByte(text, '\r') >= 0 {
		ends = "\r\n"
	}
	for {
		dst = append(dst, field...)
		i := bytes.IndexAny(text, ends) // one byte: as fast as IndexByte
		if i < 0 {
			dst = append(dst, text...)
			return append(dst, '\n')
		}
		dst = append(dst, text[:i]...)
		dst = append(dst, '\n')
		if bytes.HasPrefix(text[i:], []byte("\r\n")) {
			i++
		}
		text = text[i+1:]
	}
}
