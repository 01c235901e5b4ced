package sim

import (
	"strconv"
	"unicode/utf8"
)

// Chunks says how a text is split into a stream's deltas: "word" (the default: a
// word with the space before it), "char", "token" (four characters), "whole", or
// a number of characters.
type Chunks string

func (c Chunks) validate() error {
	switch c {
	case "", "word", "char", "token", "whole":
		return nil
	}
	if n, err := strconv.Atoi(string(c)); err != nil || n < 1 {
		return at("", "%q is not a way to split text: use word, char, token, whole or a number of characters", string(c))
	}
	return nil
}

// split cuts text into pieces; never inside a character. They join to text.
func (c Chunks) split(text string) []string {
	if text == "" {
		return nil
	}
	n := 0
	switch c {
	case "", "word":
		return splitWords(text)
	case "whole":
		return []string{text}
	case "char":
		n = 1
	case "token":
		n = 4
	default:
		n, _ = strconv.Atoi(string(c))
	}
	return splitEvery(text, max(1, n))
}

func splitEvery(text string, n int) []string {
	out := make([]string, 0, len(text)/n+1)
	for len(text) > 0 {
		end := 0
		for k := 0; k < n && end < len(text); k++ {
			_, size := utf8.DecodeRuneInString(text[end:])
			end += size
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}

// splitWords cuts before each run of white space that follows a word. Words of
// more than 16 characters are cut, so that scripts without spaces stream too.
func splitWords(text string) []string {
	const longest = 16
	var out []string
	start, runes, word := 0, 0, false
	for i, r := range text {
		space := r == ' ' || r == '\n' || r == '\t'
		if i > start && (space && word || runes >= longest) {
			out = append(out, text[start:i])
			start, runes, word = i, 0, false
		}
		word = word || !space
		runes++
	}
	return append(out, text[start:])
}
