package sim

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// minimalInstance makes a small value that satisfies a JSON schema: required
// properties only, the first choice where there is one, the shortest list, text
// and number allowed. The keywords not, if, dependentSchemas and uniqueItems are
// not looked at; where a schema cannot be met, the value does not meet it.
func minimalInstance(schema string) string {
	g := generator{root: gjson.Parse(schema)}
	return string(g.value(nil, g.root, 0))
}

// minimalObject is minimalInstance for tool arguments: an object in any case.
func minimalObject(schema string) string {
	if v := minimalInstance(schema); strings.HasPrefix(v, "{") {
		return v
	}
	return "{}"
}

type generator struct {
	root  gjson.Result
	steps int // taken so far
}

// Bounds against schemas that are endless or huge: beyond them a value is null.
const (
	maxSchemaDepth = 48
	maxSchemaSteps = 10_000
	maxSchemaBytes = 256 << 10
)

// spent counts a step and reports whether there have been too many.
func (g *generator) spent() bool {
	g.steps++
	return g.steps > maxSchemaSteps
}

func (g *generator) value(b []byte, s gjson.Result, depth int) []byte {
	s = g.resolve(s)
	if depth > maxSchemaDepth || !s.IsObject() || len(b) > maxSchemaBytes || g.spent() {
		return append(b, "null"...)
	}
	if v := s.Get("const"); v.Exists() {
		return append(b, v.Raw...)
	}
	if v := s.Get("enum").Array(); len(v) > 0 {
		return append(b, v[0].Raw...)
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list := s.Get(key).Array(); len(list) > 0 {
			return g.value(b, g.simplest(list), depth+1)
		}
	}
	if s.Get("allOf").IsArray() || s.Get("properties").Exists() || s.Get("required").Exists() {
		if typeOf(s) == "" || typeOf(s) == "object" {
			if o := g.collect(s, objectSchema{}, depth); o.isObject {
				return g.object(b, o, depth)
			}
			if list := s.Get("allOf").Array(); len(list) > 0 {
				return g.value(b, list[0], depth+1)
			}
		}
	}
	return g.typed(b, s, depth)
}

// simplest is the first alternative that is not a reference to a schema around
// it, so that recursive schemas end.
func (g *generator) simplest(list []gjson.Result) gjson.Result {
	for _, alt := range list {
		if r := g.resolve(alt); typeOf(r) != "object" && typeOf(r) != "array" && !alt.Get("$ref").Exists() && typeOf(r) != "null" {
			return alt
		}
	}
	for _, alt := range list {
		if !alt.Get("$ref").Exists() {
			return alt
		}
	}
	return list[0]
}

func (g *generator) typed(b []byte, s gjson.Result, depth int) []byte {
	switch typeOf(s) {
	case "string":
		return quote(b, stringFor(s))
	case "integer", "number":
		return append(b, numberFor(s)...)
	case "boolean":
		return append(b, "true"...)
	case "null":
		return append(b, "null"...)
	case "array":
		b = append(b, '[')
		for i := range int(min(s.Get("minItems").Int(), 1000)) {
			if i > 0 {
				b = append(b, ',')
			}
			item := s.Get("items")
			if prefix := s.Get("prefixItems").Array(); i < len(prefix) {
				item = prefix[i]
			}
			b = g.value(b, item, depth+1)
		}
		return append(b, ']')
	}
	return g.object(b, g.collect(s, objectSchema{}, depth), depth)
}

// objectSchema is an object's properties, those of allOf included.
type objectSchema struct {
	isObject bool
	names    []string
	schemas  map[string]gjson.Result
	required []string
}

func (g *generator) collect(s gjson.Result, o objectSchema, depth int) objectSchema {
	s = g.resolve(s)
	if depth > maxSchemaDepth || g.spent() {
		return o
	}
	if o.schemas == nil {
		o.schemas = map[string]gjson.Result{}
	}
	o.isObject = o.isObject || typeOf(s) == "object" || s.Get("properties").Exists()
	s.Get("properties").ForEach(func(k, v gjson.Result) bool {
		if _, seen := o.schemas[k.String()]; !seen {
			o.names = append(o.names, k.String())
		}
		o.schemas[k.String()] = v
		return true
	})
	o.required = append(o.required, stringList(s.Get("required"))...)
	for _, part := range s.Get("allOf").Array() {
		o = g.collect(part, o, depth+1)
	}
	return o
}

func (g *generator) object(b []byte, o objectSchema, depth int) []byte {
	b = append(b, '{')
	first := true
	put := func(name string, s gjson.Result) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(quote(b, name), ':')
		b = g.value(b, s, depth+1)
	}
	for _, name := range o.names {
		if slices.Contains(o.required, name) {
			put(name, o.schemas[name])
		}
	}
	for i, name := range o.required {
		if _, described := o.schemas[name]; !described && !slices.Contains(o.required[:i], name) {
			put(name, gjson.Parse(`{"type":"string"}`))
		}
	}
	return append(b, '}')
}

// resolve follows local references.
func (g *generator) resolve(s gjson.Result) gjson.Result {
	for range maxSchemaDepth {
		g.steps++
		ref := s.Get("$ref")
		if !ref.Exists() {
			return s
		}
		path, ok := strings.CutPrefix(ref.Str, "#")
		if !ok {
			return gjson.Result{}
		}
		s = g.root
		for step := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
			if step == "" {
				continue
			}
			step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
			s = child(s, step)
		}
	}
	return gjson.Result{}
}

// child is the member of that exact name: gjson's own paths have wildcards.
func child(s gjson.Result, name string) (out gjson.Result) {
	s.ForEach(func(k, v gjson.Result) bool {
		if k.String() == name {
			out = v
			return false
		}
		return true
	})
	return out
}

func typeOf(s gjson.Result) string {
	t := s.Get("type")
	if t.IsArray() {
		for _, e := range t.Array() {
			if e.Str != "null" {
				return e.Str
			}
		}
		return "null"
	}
	return t.Str
}

// numberFor finds a number within the bounds: 0 if it is, else one near a bound.
func numberFor(s gjson.Result) string {
	integer, step := typeOf(s) == "integer", s.Get("multipleOf").Num
	low, high := math.Inf(-1), math.Inf(1)
	lowOpen, highOpen := false, false
	if m := s.Get("minimum"); m.Type == gjson.Number {
		low = m.Num
	}
	if m := s.Get("exclusiveMinimum"); m.Type == gjson.Number && m.Num >= low {
		low, lowOpen = m.Num, true
	}
	if m := s.Get("maximum"); m.Type == gjson.Number {
		high = m.Num
	}
	if m := s.Get("exclusiveMaximum"); m.Type == gjson.Number && m.Num <= high {
		high, highOpen = m.Num, true
	}
	fits := func(v float64) bool {
		return !math.IsInf(v, 0) && !math.IsNaN(v) && (v > low || v == low && !lowOpen) && (v < high || v == high && !highOpen) &&
			(!integer || v == math.Trunc(v)) && (step <= 0 || math.Mod(v, step) == 0)
	}
	candidates := []float64{0, low, math.Floor(low) + 1, high, math.Ceil(high) - 1, (low + high) / 2}
	if step > 0 {
		candidates = append(candidates, math.Ceil(low/step)*step, (math.Floor(low/step)+1)*step, math.Floor(high/step)*step)
	}
	for _, v := range candidates {
		if fits(v) {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return "0"
}

// formats are values of the string formats that schemas name.
var formats = map[string]string{
	"date-time": "2026-01-01T00:00:00Z", "date": "2026-01-01", "time": "00:00:00Z", "duration": "P1D",
	"email": "user@example.com", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
	"uri": "https://example.com/", "url": "https://example.com/", "uuid": "00000000-0000-4000-8000-000000000000",
}

func stringFor(s gjson.Result) string {
	v := "text"
	if f, ok := formats[s.Get("format").Str]; ok {
		v = f
	} else if p := s.Get("pattern").Str; p != "" {
		v = matching(p)
	}
	if n := int(min(s.Get("minLength").Int(), 10_000)); len(v) < n {
		v += strings.Repeat("x", n-len(v))
	}
	if m := s.Get("maxLength"); m.Exists() && m.Int() >= 0 && len(v) > int(m.Int()) {
		v = v[:m.Int()]
	}
	return v
}
