package sim

import "unicode/utf8"

// EstimateTokens is the simulator's token count of a text: its characters
// (Unicode code points) divided by four, rounded up. It is deterministic and
// language-blind; no real tokenizer agrees with it exactly.
func EstimateTokens(s string) int { return (utf8.RuneCountInString(s) + 3) / 4 }

// counter counts the tokens of a text given in pieces, so that the pieces' counts
// add up to that of the whole.
type counter struct{ runes int }

func (c *counter) add(piece string) int {
	before := (c.runes + 3) / 4
	c.runes += utf8.RuneCountInString(piece)
	return (c.runes+3)/4 - before
}

// truncate cuts text to n tokens.
func truncate(text string, n int) (string, bool) {
	if n < 0 || EstimateTokens(text) <= n {
		return text, false
	}
	left := 4 * n
	for i := range text {
		if left == 0 {
			return text[:i], true
		}
		left--
	}
	return text, false
}
