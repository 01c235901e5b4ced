package sim

import (
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"text/template"

	"github.com/tidwall/gjson"
)

// rule is a Rule made ready to match.
type rule struct {
	spec     Rule
	user     *regexp.Regexp
	template *template.Template
	calls    []callRange
	cassette *cassette
	count    atomic.Int64 // requests that met all conditions but call
}

// compile checks a script and makes its rules ready.
func (s *Script) compile() ([]*rule, error) {
	if s == nil {
		return nil, nil
	}
	if err := s.Time.validate(); err != nil {
		return nil, under(err, "time", -1)
	}
	for i, f := range s.Faults {
		if err := f.validate(); err != nil {
			return nil, under(err, "faults", i)
		}
	}
	rules := make([]*rule, len(s.Rules))
	for i, spec := range s.Rules {
		r, err := compileRule(spec, s.dir)
		if err != nil {
			return nil, under(err, "rules", i)
		}
		rules[i] = r
	}
	return rules, nil
}

func compileRule(spec Rule, dir string) (*rule, error) {
	r := &rule{spec: spec}
	var err error
	if r.calls, err = spec.Match.Call.ranges(); err != nil {
		return nil, under(err, "match.call", -1)
	}
	if r.user, err = regexp.Compile(spec.Match.User); err != nil {
		return nil, at("match.user", "%v", err)
	}
	if err := validSurface(spec.Match.Surface); err != nil {
		return nil, under(err, "match.surface", -1)
	}
	if err := spec.Time.validate(); err != nil {
		return nil, under(err, "time", -1)
	}
	for i, f := range spec.Faults {
		if err := f.validate(); err != nil {
			return nil, under(err, "faults", i)
		}
	}
	if err := r.compileReply(dir); err != nil {
		return nil, under(err, "reply", -1)
	}
	return r, nil
}

func (r *rule) compileReply(dir string) (err error) {
	spec := &r.spec.Reply
	var kinds []string
	for _, k := range []struct {
		name string
		set  bool
	}{{"text", spec.Text != nil}, {"template", spec.Template != ""}, {"json", len(spec.JSON) > 0}, {"cassette", spec.Cassette != ""}} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	if len(kinds) > 1 {
		return at(kinds[1], "a reply has %s already: give one of text, template, json and cassette", kinds[0])
	}
	if spec.Cassette != "" && (len(spec.ToolCalls) > 0 || spec.Thinking != "" || spec.Finish != "") {
		return at("cassette", "is sent as it was recorded: tool_calls, thinking and finish cannot go with it")
	}
	if spec.Template != "" {
		if r.template, err = template.New("reply").Option("missingkey=error").Parse(spec.Template); err != nil {
			return at("template", "%v", err)
		}
		if _, err := r.render(&ask{}, "", 1); err != nil {
			return at("template", "%v", err)
		}
	}
	for i, t := range spec.ToolCalls {
		if t.Name == "" {
			return under(at("name", "is missing"), "tool_calls", i)
		}
		if v := gjson.ParseBytes(t.Arguments); len(t.Arguments) > 0 && !v.IsObject() && v.Type != gjson.String {
			return under(at("arguments", "is neither an object nor a string"), "tool_calls", i)
		}
	}
	if err := spec.Usage.validate(); err != nil {
		return under(err, "usage", -1)
	}
	if err := spec.Chunks.validate(); err != nil {
		return under(err, "chunks", -1)
	}
	if spec.Cut < 0 {
		return at("cut", "is negative")
	}
	if spec.Cassette != "" {
		path := spec.Cassette
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if r.cassette, err = loadCassette(path); err != nil {
			return at("cassette", "%v", err)
		}
	}
	return nil
}

// surfaces are the names that Match.Surface takes.
var surfaces = []string{"openai", "openai.chat", "anthropic", "anthropic.messages"}

func validSurface(name string) error {
	if name == "" {
		return nil
	}
	for _, s := range surfaces {
		if s == name {
			return nil
		}
	}
	return at("", "unknown surface %q: use one of %s", name, strings.Join(surfaces, ", "))
}

// meets reports whether a request meets all conditions but the call number.
func (r *rule) meets(a *ask, surface string) bool {
	m := &r.spec.Match
	return (m.Surface == "" || m.Surface == surface || strings.HasPrefix(surface, m.Surface+".")) &&
		(m.Model == "" || wildcard(m.Model, a.model)) &&
		(m.User == "" || r.user.MatchString(a.user))
}

func (r *rule) takes(call int) bool {
	if len(r.calls) == 0 {
		return true
	}
	for _, c := range r.calls {
		if call >= c.from && call <= c.to {
			return true
		}
	}
	return false
}

// choose finds the rule for a request, and which call of that rule it is. Each
// rule that the request meets counts it, chosen or not.
func choose(rules []*rule, a *ask, surface string) (*rule, int) {
	var chosen *rule
	number := 0
	for _, r := range rules {
		if !r.meets(a, surface) {
			continue
		}
		n := int(r.count.Add(1))
		if chosen == nil && r.takes(n) {
			chosen, number = r, n
		}
	}
	return chosen, number
}

// templateData is what a template sees.
type templateData struct {
	Model, User, Surface string
	Call                 int
}

// render makes the reply of a rule.
func (r *rule) render(a *ask, surface string, call int) (Reply, error) {
	spec := &r.spec.Reply
	if spec.isDefault() {
		reply := defaultReply(a)
		reply.Finish, reply.chunks = spec.Finish, spec.Chunks
		return reply, nil
	}
	reply := Reply{Thinking: spec.Thinking, Finish: spec.Finish, chunks: spec.Chunks}
	if spec.Text != nil {
		reply.Text = *spec.Text
	}
	if len(spec.JSON) > 0 {
		reply.Text = string(spec.JSON)
	}
	if r.template != nil {
		var sb strings.Builder
		if err := r.template.Execute(&sb, templateData{a.model, a.user, surface, call}); err != nil {
			return reply, err
		}
		reply.Text = sb.String()
	}
	for _, t := range spec.ToolCalls {
		args := string(t.Arguments)
		if v := gjson.Parse(args); v.Type == gjson.String {
			args = v.Str
		} else if args == "" {
			args = "{}"
		}
		reply.ToolCalls = append(reply.ToolCalls, ToolCall{Name: t.Name, Arguments: args})
	}
	return reply, nil
}

// wildcard matches name against a pattern in which * stands for any characters.
func wildcard(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, parts[last])
}
