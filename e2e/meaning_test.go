package e2e

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a request means, read from its JSON without the gateway's own codecs, so that
// the two can be held against each other. The rules are those of docs/translation.md.

// wish is a request in words that both protocols share.
type wish struct {
	items    []item
	tools    []string          // one line a function: name, description, schema, strict
	settings map[string]string // by neutral name; absent: not given
	rest     []string          // paths of members that have no place above
	cached   int               // marks that ask for caching
	wrong    []string          // paths of what no provider of the other protocol can be asked
}

// item is one thing somebody says.
type item struct {
	role   string // system, user, assistant
	kind   string // text, thinking, image, document, audio, call, result, error, other
	call   int    // of a call or a result: the call's number in the conversation, 0 if there is none
	value  string
	path   string // where it stands in the request
	typ    string // other: the part's type. Media: base64, url, file, text
	signed bool   // thinking that its provider signed
}

func (i item) String() string {
	s := i.role + " " + i.kind
	if i.call > 0 {
		s += " #" + strconv.Itoa(i.call)
	}
	return s + " " + i.value
}

// node is a JSON object being read: what was not taken is left for rest.
type node struct {
	path string
	m    map[string]any
}

func (n node) take(name string) any {
	v := n.m[name]
	delete(n.m, name)
	return v
}

func (n node) str(name string) string {
	s, _ := n.take(name).(string)
	return s
}

func (n node) at(name string) string {
	if n.path == "" {
		return name
	}
	return n.path + "." + name
}

// object takes a member that is an object.
func (n node) object(name string) (node, bool) {
	m, ok := n.take(name).(map[string]any)
	return node{n.at(name), m}, ok
}

// list takes a member that is a list of objects.
func (n node) list(name string) (out []node) {
	vs, _ := n.take(name).([]any)
	for i, v := range vs {
		m, _ := v.(map[string]any)
		out = append(out, node{n.at(name) + "[" + strconv.Itoa(i) + "]", m})
	}
	return out
}

// leave notes what nobody took. Null says nothing.
func (a *wish) leave(n node) {
	for name, v := range n.m {
		if v != nil {
			a.rest = append(a.rest, n.at(name))
		}
	}
}

// cache takes a mark for caching.
func (a *wish) cache(n node) {
	if m, ok := n.take("cache_control").(map[string]any); ok && m["type"] == "ephemeral" {
		a.cached++
	}
}

// set notes a setting, in its canonical form, if it is given.
func (a *wish) set(name string, v any) {
	if v != nil {
		a.settings[name] = canonical(v)
	}
}

// canonical is a JSON value as text that is the same for equal values.
func canonical(v any) string {
	if n, ok := v.(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func parse(t *testing.T, body []byte) node {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("not a JSON object: %v: %.300s", err, body)
	}
	return node{m: m}
}

// arguments are a call's arguments as a value: the text of a JSON object, or the object.
func arguments(v any) string {
	s, ok := v.(string)
	if !ok {
		if v == nil {
			return "{}"
		}
		return canonical(v)
	}
	if strings.TrimSpace(s) == "" {
		return "{}"
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var val any
	if dec.Decode(&val) != nil || dec.More() {
		return "broken " + s
	}
	return canonical(val)
}

func hash(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))[:16] }

// dataURL describes a data URL by type and hash, any other URL by itself.
func dataURL(u string) (value, typ string) {
	rest, ok := strings.CutPrefix(u, "data:")
	if !ok {
		return u, "url"
	}
	head, data, _ := strings.Cut(rest, ",")
	return strings.TrimSuffix(head, ";base64") + " " + hash(data), "base64"
}

// line is how a function is compared.
func line(name, description string, schema any, strict bool) string {
	return fmt.Sprintf("%s %q %s strict=%t", name, description, canonical(schema), strict)
}

// arrange brings the parts of each turn into one order, for the protocols do not leave the
// same freedom: results of calls first, each with its texts before its media, then what the user
// says; thinking, then text, then calls of the assistant.
func (a *wish) arrange() {
	turn := make([]int, len(a.items))
	for i := range a.items {
		if i > 0 {
			turn[i] = turn[i-1]
			if a.items[i].role != a.items[i-1].role {
				turn[i]++
			}
		}
	}
	rank := func(i item) int {
		media := 0
		if i.kind == "image" || i.kind == "document" || i.typ == "media" {
			media = 1
		}
		switch {
		case i.kind == "result":
			return -1_000_000 + 2*i.call + media
		case i.kind == "thinking":
			return 0
		case i.kind == "call":
			return 2
		}
		return 1
	}
	order := make([]int, len(a.items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(turn[x]-turn[y], rank(a.items[x])-rank(a.items[y]))
	})
	sorted := make([]item, 0, len(order))
	for _, i := range order {
		sorted = append(sorted, a.items[i])
	}
	a.items = sorted
}

// differ says how two requests differ in meaning, or nothing.
func differ(got, want wish) string {
	got.arrange()
	want.arrange()
	var b strings.Builder
	lines := func(items []item) (out []string) {
		for _, i := range items {
			out = append(out, i.String())
		}
		return out
	}
	list := func(what string, got, want []string) {
		for i := range max(len(got), len(want)) {
			var g, w string
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i]
			}
			if g != w {
				fmt.Fprintf(&b, "%s %d of %d (want %d):\n  got  %.600s\n  want %.600s\n", what, i, len(got), len(want), g, w)
				return
			}
		}
	}
	list("message part", lines(got.items), lines(want.items))
	list("tool", got.tools, want.tools)
	for name, w := range want.settings {
		if g := got.settings[name]; g != w {
			fmt.Fprintf(&b, "%s: got %q, want %q\n", name, g, w)
		}
	}
	for name, g := range got.settings {
		if _, ok := want.settings[name]; !ok {
			fmt.Fprintf(&b, "%s: got %q, want none\n", name, g)
		}
	}
	if len(got.rest) > 0 {
		fmt.Fprintf(&b, "members that the protocol does not have: %v\n", got.rest)
	}
	if got.cached != want.cached {
		fmt.Fprintf(&b, "marks for caching: got %d, want %d\n", got.cached, want.cached)
	}
	return b.String()
}

// conversation numbers calls in their order and finds them again by id.
type conversation struct {
	n  int
	by map[string]int
}

func (c *conversation) call(id string) int {
	c.n++
	c.by[id] = c.n
	return c.n
}
