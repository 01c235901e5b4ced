package sim

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// MaxScript bounds a script, in bytes.
const MaxScript = 8 << 20

// Script says what a [Server] answers. A request is answered by the first rule
// that matches it, and by the default reply if none does.
type Script struct {
	Seed   uint64      `yaml:"seed"`
	Models []string    `yaml:"models"` // for GET /v1/models
	Time   Timing      `yaml:"time"`
	Faults []FaultSpec `yaml:"faults"`
	Rules  []Rule      `yaml:"rules"`

	dir string // cassette paths are relative to it
}

// Rule is a match with what is answered to it.
type Rule struct {
	Match  Match       `yaml:"match"` // empty: everything
	Reply  ReplySpec   `yaml:"reply"` // empty: the default reply
	Time   Timing      `yaml:"time"`
	Faults []FaultSpec `yaml:"faults"`
}

// Match is a set of conditions, all of which must hold.
type Match struct {
	Model   string `yaml:"model"`   // exact, or with * for any characters
	Surface string `yaml:"surface"` // openai, anthropic, or one API of them: openai.chat, anthropic.messages
	User    string `yaml:"user"`    // RE2 regular expression, found anywhere in the last user text

	// Call says which of the requests that meet the other conditions match,
	// counted from 1: "1", "2-4", "3-", "1,3-5". Empty: all.
	Call Calls `yaml:"call"`
}

// ReplySpec says what is answered. At most one of Text, Template, JSON and
// Cassette is set; ToolCalls and Thinking may go with the first three.
type ReplySpec struct {
	Text      *string    `yaml:"text"`
	Template  string     `yaml:"template"` // text/template with .Model, .User, .Call and .Surface
	JSON      RawJSON    `yaml:"json"`     // a value, sent as JSON text
	ToolCalls []ToolSpec `yaml:"tool_calls"`
	Thinking  string     `yaml:"thinking"`
	Cassette  string     `yaml:"cassette"` // a recorded answer, sent as it is; path relative to the script
	Usage     UsageSpec  `yaml:"usage"`
	Finish    Finish     `yaml:"finish"` // stop, length, tool_calls, content_filter, or any other word
	Chunks    Chunks     `yaml:"chunks"`

	// Cut writes the answer's bytes in pieces of this many, wherever that cuts
	// events and characters. 0 is off.
	Cut int `yaml:"cut"`
}

func (r *ReplySpec) isDefault() bool {
	return r.Text == nil && r.Template == "" && len(r.JSON) == 0 && len(r.ToolCalls) == 0 && r.Thinking == "" && r.Cassette == ""
}

// ToolSpec is a tool call to make.
type ToolSpec struct {
	Name string `yaml:"name"`
	// Arguments is an object, or a string that is sent as it is, JSON or not.
	Arguments RawJSON `yaml:"arguments"`
}

// RawJSON is any YAML value, kept as JSON with its keys in order.
type RawJSON []byte

// UnmarshalYAML turns YAML into JSON.
func (r *RawJSON) UnmarshalYAML(b []byte) error {
	out, err := yaml.YAMLToJSON(b)
	if err != nil {
		return err
	}
	*r = bytes.TrimSpace(out)
	return nil
}

// Calls is a set of call numbers; see [Match].
type Calls string

// UnmarshalYAML reads a number, a list of numbers, or a text of ranges.
func (c *Calls) UnmarshalYAML(node ast.Node) error {
	list := []ast.Node{node}
	if seq, ok := node.(*ast.SequenceNode); ok {
		list = seq.Values
	}
	words := make([]string, len(list))
	for i, e := range list {
		switch e.(type) {
		case *ast.IntegerNode, *ast.StringNode:
			words[i] = e.GetToken().Value
		default:
			return atNode(e, errors.New("is not a number, a range such as 2-4, or a list of them"))
		}
	}
	*c = Calls(strings.Join(words, ","))
	return nil
}

type callRange struct{ from, to int }

func (c Calls) ranges() ([]callRange, error) {
	if c == "" {
		return nil, nil
	}
	var out []callRange
	for word := range strings.SplitSeq(string(c), ",") {
		word = strings.TrimSpace(word)
		first, last, isRange := strings.Cut(word, "-")
		from, err := strconv.Atoi(strings.TrimSpace(first))
		to := from
		if err == nil && isRange {
			if last = strings.TrimSpace(last); last == "" {
				to = int(^uint(0) >> 1)
			} else {
				to, err = strconv.Atoi(last)
			}
		}
		if err != nil || from < 1 || to < from {
			return nil, at("", "%q is not a call number from 1, or a range such as 2-4 or 3-", word)
		}
		out = append(out, callRange{from, to})
	}
	return out, nil
}

// LoadScript reads a script file.
func LoadScript(path string) (*Script, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	return parseScript(path, filepath.Dir(path), b)
}

// ParseScript reads a script. name stands in error messages, which have the form
// "name:line:column: field: what is wrong". Cassette paths are relative to the
// working directory.
func ParseScript(name string, src []byte) (*Script, error) { return parseScript(name, "", src) }

func parseScript(name, dir string, src []byte) (*Script, error) {
	if len(src) > MaxScript {
		return nil, fmt.Errorf("%s: the script is longer than %d bytes", name, MaxScript)
	}
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, yamlError(name, err)
	}
	s := &Script{}
	if err := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict()).Decode(s); err != nil && len(file.Docs) > 0 && file.Docs[0].Body != nil {
		return nil, yamlError(name, err)
	}
	if len(file.Docs) > 1 {
		return nil, fmt.Errorf("%s: more than one YAML document", name)
	}
	s.dir = dir
	if _, err := s.compile(); err != nil {
		var fe *fieldError
		if errors.As(err, &fe) {
			if line, column, ok := position(file, fe.path); ok {
				return nil, fmt.Errorf("%s:%d:%d: %w", name, line, column, fe)
			}
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// placedError is a mistake at a place of the script.
type placedError struct {
	line, column int
	err          error
}

func (e *placedError) Error() string { return e.err.Error() }

func atNode(node ast.Node, err error) error {
	if err == nil {
		return nil
	}
	pos := node.GetToken().Position
	return &placedError{pos.Line, pos.Column, err}
}

// yamlError gives a decoder's error the form name:line:column: message.
func yamlError(name string, err error) error {
	var placed *placedError
	if errors.As(err, &placed) {
		return fmt.Errorf("%s:%d:%d: %w", name, placed.line, placed.column, placed.err)
	}
	var ye yaml.Error
	if errors.As(err, &ye) {
		if tk := ye.GetToken(); tk != nil && tk.Position != nil {
			return fmt.Errorf("%s:%d:%d: %s", name, tk.Position.Line, tk.Position.Column, ye.GetMessage())
		}
		return fmt.Errorf("%s: %s", name, ye.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// position finds the place of a field, or of the nearest one above it.
func position(file *ast.File, path string) (line, column int, ok bool) {
	for path != "" {
		if p, err := yaml.PathString("$." + path); err == nil {
			if node, err := p.FilterFile(file); err == nil && node != nil && node.GetToken() != nil {
				pos := node.GetToken().Position
				return pos.Line, pos.Column, true
			}
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return 0, 0, false
}
