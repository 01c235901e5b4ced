package sim

import (
	"regexp/syntax"
	"strings"
)

// matching makes a short text that a regular expression matches: fewest
// repetitions, first alternatives. For an expression that RE2 does not know it
// is "text".
func matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "text"
	}
	var sb strings.Builder
	writeMatch(&sb, re.Simplify())
	return sb.String()
}

func writeMatch(sb *strings.Builder, re *syntax.Regexp) {
	if sb.Len() > 10_000 {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		sb.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		sb.WriteRune(fromClass(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		sb.WriteByte('x')
	case syntax.OpCapture, syntax.OpPlus:
		writeMatch(sb, re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			writeMatch(sb, re.Sub[0])
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			writeMatch(sb, sub)
		}
	case syntax.OpAlternate:
		writeMatch(sb, re.Sub[0])
	}
}

// fromClass picks a plain character from a class, given as pairs of bounds.
func fromClass(bounds []rune) rune {
	for _, want := range "a0A-_ " {
		for i := 0; i+1 < len(bounds); i += 2 {
			if want >= bounds[i] && want <= bounds[i+1] {
				return want
			}
		}
	}
	if len(bounds) == 0 {
		return 'x'
	}
	return bounds[0]
}
