package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. The YAML parser needs time quadratic in the number of
// tokens and stack linear in the depth, so both are checked before it runs.
const (
	maxFileSize = 1 << 20
	maxTokens   = 50_000
	maxDepth    = 32
)

// parseTree reads data as one YAML document. The node is nil for an empty file.
func parseTree(file string, data []byte) (node ast.Node, problem *Problem) {
	fail := func(at position, hint, format string, args ...any) (ast.Node, *Problem) {
		return nil, &Problem{File: file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	if len(data) > maxFileSize {
		return fail(position{}, "", "the file is over 1 MiB")
	}
	if at, ok := invalidUTF8(data); ok {
		return fail(at, "save the file as UTF-8", "not valid UTF-8")
	}
	// The parser is known to panic on some malformed input.
	defer func() {
		if recover() != nil {
			node, problem = fail(position{}, "check quotes, brackets and indentation", "not valid YAML")
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if p := checkTokens(tokens); p != nil {
		p.File = file
		return nil, p
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			return fail(tokenPosition(syntax.Token), "", "not valid YAML: %s", syntax.Message)
		}
		return fail(position{}, "check quotes, brackets and indentation", "not valid YAML")
	}
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if node != nil {
			return fail(nodePosition(doc.Body), "keep one document, without ---", "more than one YAML document in the file")
		}
		node = doc.Body
	}
	return node, nil
}

// checkTokens refuses what the parser should not see: anchors, aliases and merge
// keys, whose expansion is unbounded, and nesting without end.
func checkTokens(tokens token.Tokens) *Problem {
	fail := func(t *token.Token, message, hint string) *Problem {
		at := tokenPosition(t)
		return &Problem{Line: at.line, Column: at.column, Message: message, Hint: hint}
	}
	if len(tokens) > maxTokens {
		return fail(tokens[maxTokens], "the file has more than 50,000 YAML tokens", "")
	}
	depth, line, onLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return fail(t, "anchors, aliases and merge keys are not supported", "write the value out")
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType:
			onLine++ // each may open a level: "- - - x"
		}
		if depth+onLine > maxDepth {
			return fail(t, "nested too deeply", "")
		}
	}
	return nil
}

func invalidUTF8(data []byte) (position, bool) {
	if utf8.Valid(data) {
		return position{}, false
	}
	line, column := 1, 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && n == 1:
			return position{line, column}, true
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		data = data[n:]
	}
	return position{}, false
}

func tokenPosition(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}

// nodePosition is where a node begins. The parser gives a block mapping the
// place of its first colon.
func nodePosition(n ast.Node) position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return tokenPosition(m.Values[0].Key.GetToken())
	}
	return tokenPosition(n.GetToken())
}

// kindOf names a node's kind as a reader of the file would.
func kindOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.TagNode:
		return "a tag"
	}
	return "text"
}

// plain reports whether a scalar stands without quotes.
func plain(n ast.Node) bool {
	switch n.GetToken().Type {
	case token.SingleQuoteType, token.DoubleQuoteType, token.LiteralType, token.FoldedType:
		return false
	}
	return true
}

// scalarText returns a scalar as text; ok is false for what is no scalar.
func scalarText(n ast.Node) (s string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return strings.TrimSpace(n.GetToken().Value), true
	}
	return "", false
}
