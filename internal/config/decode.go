package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

// decoder fills Go values from YAML nodes. It keeps what the values held
// before (the defaults) where the file says nothing, and it collects problems
// instead of stopping at the first.
type decoder struct {
	src      *source
	problems []Problem
}

// failAt records a problem at a node.
func (d *decoder) failAt(n ast.Node, path, hint, format string, args ...any) {
	at := nodePosition(n)
	d.problems = append(d.problems, Problem{
		File: d.src.file, Line: at.line, Column: at.column,
		Path: path, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// decode puts node into v, which is settable.
func (d *decoder) decode(n ast.Node, v reflect.Value, path string) {
	d.src.at[path] = nodePosition(n)
	if _, tagged := n.(*ast.TagNode); tagged {
		d.failAt(n, path, "leave the tag out", "tags are not supported")
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *secret.Ref:
		d.ref(n, p, path)
		return
	case *APIKeys:
		d.apiKeys(n, p, path)
		return
	}
	if _, null := n.(*ast.NullNode); null {
		return // as if the key were not there
	}
	switch p := v.Addr().Interface().(type) {
	case enum:
		d.enum(n, v, p.Values(), path)
		return
	case encoding.TextUnmarshaler:
		d.text(n, p, path)
		return
	case orderedMap:
		d.orderedMap(n, p, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.stringMap(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

// entries returns a mapping's entries with their keys' text. Duplicate keys and
// keys that are not plain text are reported and left out.
func (d *decoder) entries(n ast.Node, path string, known []string) []entry {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		hint := ""
		if len(known) > 0 {
			hint = "its keys are " + strings.Join(known, ", ")
		}
		d.failAt(n, path, hint, "expected a mapping, got %s", kindOf(n))
		return nil
	}
	seen := make(map[string]int, len(values))
	out := make([]entry, 0, len(values))
	for _, mv := range values {
		key, ok := scalarText(mv.Key)
		if !ok {
			d.failAt(mv.Key, path, "write plain text before the colon", "not a key")
			continue
		}
		if line, dup := seen[key]; dup {
			d.failAt(mv.Key, join(path, key), "remove one of them", "duplicate key, first on line %d", line)
			continue
		}
		seen[key] = nodePosition(mv.Key).line
		out = append(out, entry{key, mv.Key, mv.Value})
	}
	return out
}

type entry struct {
	name       string
	key, value ast.Node
}

func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	names := fieldNames(v.Type())
	for _, e := range d.entries(n, path, names) {
		f := fieldByName(v, e.name)
		if !f.IsValid() {
			d.failAt(e.key, join(path, e.name), suggest(e.name, names), "unknown key")
			continue
		}
		p := join(path, e.name)
		d.decode(e.value, f, p)
		if _, scalar := scalarText(e.value); !scalar {
			d.src.at[p] = nodePosition(e.key) // a block's value begins on another line
		}
	}
}

// orderedMap is a [Map] of any type, seen by the decoder.
type orderedMap interface {
	// place returns the settable value of the name, made with defaults if new.
	place(name string) reflect.Value
}

func (m *Map[T]) place(name string) reflect.Value {
	if m.Get(name) == nil {
		var v T
		if d, ok := any(&v).(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		*m = append(*m, Entry[T]{name, v})
	}
	return reflect.ValueOf(m.Get(name)).Elem()
}

func (d *decoder) orderedMap(n ast.Node, m orderedMap, path string) {
	for _, e := range d.entries(n, path, nil) {
		p := join(path, e.name)
		d.decode(e.value, m.place(e.name), p)
		d.src.at[p] = nodePosition(e.key)
	}
}

// list replaces v's elements: a default list is not added to.
func (d *decoder) list(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.failAt(n, path, "write [a, b] or one line for each with a dash", "expected a list, got %s", kindOf(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, child := range seq.Values {
		e := out.Index(i)
		if s, ok := e.Addr().Interface().(interface{ setDefaults() }); ok {
			s.setDefaults()
		}
		if _, null := child.(*ast.NullNode); null {
			d.failAt(child, item(path, i), "write a value or remove the entry", "the entry is empty")
			continue
		}
		d.decode(child, e, item(path, i))
	}
	v.Set(out)
}

func (d *decoder) stringMap(n ast.Node, v reflect.Value, path string) {
	entries := d.entries(n, path, nil)
	m := make(map[string]string, len(entries))
	for _, e := range entries {
		s, ok := scalarText(e.value)
		if !ok {
			d.failAt(e.value, join(path, e.name), "", "expected text, got %s", kindOf(e.value))
			continue
		}
		m[e.name] = s
		d.src.at[join(path, e.name)] = nodePosition(e.value)
	}
	v.Set(reflect.ValueOf(m))
}

func (d *decoder) enum(n ast.Node, v reflect.Value, values []string, path string) {
	s, ok := scalarText(n)
	if ok {
		for _, w := range values {
			if s == w {
				v.SetString(s)
				return
			}
		}
	}
	hint := ""
	if near := nearest(s, values); near != "" && ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	got := kindOf(n)
	if ok {
		got = quote(s)
	}
	d.failAt(n, path, hint, "%s is not one of %s", got, strings.Join(values, ", "))
}

func (d *decoder) text(n ast.Node, v encoding.TextUnmarshaler, path string) {
	s, ok := scalarText(n)
	if !ok {
		d.failAt(n, path, "", "expected a value, got %s", kindOf(n))
		return
	}
	if err := v.UnmarshalText([]byte(s)); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		d.failAt(n, path, hint, "%s is %s", quote(s), message)
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	s, ok := scalarText(n)
	switch {
	case !ok:
		d.failAt(n, path, "", "expected %s, got %s", wanted(v), kindOf(n))
	case v.Kind() == reflect.String:
		v.SetString(s)
	case v.Kind() == reflect.Bool:
		b, isBool := n.(*ast.BoolNode)
		if !isBool {
			d.failAt(n, path, "", "%s is not true or false", quote(s))
			return
		}
		v.SetBool(b.Value)
	case !plain(n):
		d.failAt(n, path, "remove the quotes", "expected %s, got text", wanted(v))
	case v.Kind() == reflect.Int:
		i, err := strconv.ParseInt(s, 10, strconv.IntSize)
		if err != nil {
			d.failAt(n, path, "", "%s is not a whole number", quote(s))
			return
		}
		v.SetInt(i)
	case v.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f-f != 0 { // f-f is 0 for finite numbers only
			d.failAt(n, path, "", "%s is not a number", quote(s))
			return
		}
		v.SetFloat(f)
	default:
		panic("config: no decoder for " + v.Type().String())
	}
}

func wanted(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Float64:
		return "a number"
	}
	return "text"
}

// ref reads a secret reference. No problem of it repeats the text.
func (d *decoder) ref(n ast.Node, r *secret.Ref, path string) {
	s, ok := scalarText(n)
	if _, null := n.(*ast.NullNode); !ok && !null {
		d.failAt(n, path, "write a reference such as env://NAME", "expected a secret, got %s", kindOf(n))
		return
	}
	ref, err := secret.Parse(s)
	if err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		d.failAt(n, path, hint, "%s", message)
		return
	}
	*r = ref
}

func (d *decoder) apiKeys(n ast.Node, k *APIKeys, path string) {
	if s, ok := scalarText(n); ok && s == "none" {
		*k = APIKeys{None: true}
		return
	}
	k.None = false
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		k.Refs = make([]secret.Ref, 1)
		d.ref(n, &k.Refs[0], path)
		return
	}
	k.Refs = make([]secret.Ref, len(seq.Values))
	for i, child := range seq.Values {
		d.decode(child, reflect.ValueOf(&k.Refs[i]).Elem(), item(path, i))
	}
	if len(seq.Values) == 0 {
		d.failAt(n, path, "write none if the provider wants no key", "the list is empty")
	}
}

// quote shows a value of the file in a message, shortened.
func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "..."
	}
	return strconv.Quote(s)
}

// fieldNames lists a struct's keys in the order of the struct.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// fieldByName returns the field with the key, the zero Value if there is none.
func fieldByName(v reflect.Value, key string) reflect.Value {
	t := v.Type()
	for i := range t.NumField() {
		if key != "" && t.Field(i).Tag.Get("yaml") == key {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}
