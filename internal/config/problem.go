package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake, or one warning, with its place.
type Problem struct {
	File    string `json:"file,omitempty"`   // "" when there is no file
	Line    int    `json:"line,omitempty"`   // from 1; 0 when the place is not known
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Path    string `json:"path,omitempty"`   // such as models.fast.targets[0].provider
	Message string `json:"message"`          // what is wrong
	Hint    string `json:"hint,omitempty"`   // what to do about it
}

// Warning is a problem that does not stop anything.
type Warning = Problem

// String gives the problem as "file:line:column: path: what is wrong; what to do".
func (p Problem) String() string {
	var sb strings.Builder
	if p.File != "" {
		sb.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&sb, ":%d:%d", p.Line, p.Column)
		}
		sb.WriteString(": ")
	}
	if p.Path != "" {
		sb.WriteString(p.Path + ": ")
	}
	sb.WriteString(p.Message)
	if p.Hint != "" {
		sb.WriteString("; " + p.Hint)
	}
	return sb.String()
}

// Errors are all the mistakes found, in the order of the file.
type Errors []Problem

// Error gives one line a problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// orNil is e as an error, nil if there are none.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// inOrder sorts by place and drops repetitions.
func inOrder(ps []Problem) []Problem {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(ps)
}

// position is a place in a file, from 1.
type position struct{ line, column int }

// source knows where the values of a Config stand.
type source struct {
	file   string
	at     map[string]position // of values, by path
	listen string              // the listen address as the file gave it
}

// locate returns the place of path, or of the nearest thing around it.
func (s *source) locate(path string) position {
	for {
		if p, ok := s.at[path]; ok {
			return p
		}
		cut := max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['))
		if cut <= 0 {
			return s.at[""]
		}
		path = path[:cut]
	}
}

// problem makes a Problem with its place.
func (s *source) problem(path, hint, format string, args ...any) Problem {
	p := Problem{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	if s != nil {
		at := s.locate(path)
		p.File, p.Line, p.Column = s.file, at.line, at.column
	}
	return p
}

// join adds a key to a path: "a.b", and `a["b c"]` for names with other than
// simple characters.
func join(path, key string) string {
	if !simpleKey(key) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func simpleKey(s string) bool {
	for _, r := range s {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// item adds an index to a path.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// nearest returns the candidate that word is probably meant to be, "" if none
// is near.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", 1+max(1, len([]rune(word))/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the edits (insert, delete, replace, swap neighbours) from a
// to b. Words over 64 characters are far from everything.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > 64 || len(t) > 64 {
		return 64
	}
	before, prev, cur := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range s {
		cur[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j]+cost, prev[j+1]+1, cur[j]+1)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				cur[j+1] = min(cur[j+1], before[j-1]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(t)]
}

// suggest is the hint for a word that is none of those known: the nearest, or
// the whole list.
func suggest(word string, known []string) string {
	if n := nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	if len(known) == 0 {
		return ""
	}
	return "known are " + strings.Join(known, ", ")
}
