package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

// Update is the flag that rewrites golden files, the schema and the reference.
var Update = flag.Bool("update", false, "rewrite golden files, schema.json and the reference in docs/configuration.md")

// comments returns the comment of each "Type.Field" of this package's types.
func comments(t *testing.T) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, file := range []string{"types.go", "types_sections.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						out[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return out
}

// defaults holds, for each struct type of the file, the values of an entry that
// sets nothing.
func defaults() map[reflect.Type]reflect.Value {
	out := make(map[reflect.Type]reflect.Value)
	var add func(v reflect.Value)
	add = func(v reflect.Value) {
		if v.Kind() != reflect.Struct || len(fieldNames(v.Type())) == 0 {
			return
		}
		out[v.Type()] = v
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("yaml") != "" {
				add(v.Field(i))
			}
		}
	}
	model, target, key := DefaultModel(), Target{}, Key{}
	target.setDefaults()
	key.setDefaults()
	for _, v := range []any{Default(), &model, &target, &key, &Provider{}, &Tier{}, &Price{}} {
		add(reflect.ValueOf(v).Elem())
	}
	return out
}

// Every key must have a comment: it is the text of the schema and the reference.
func TestEveryKeyIsDescribed(t *testing.T) {
	doc := comments(t)
	n := 0
	for typ := range defaults() {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Tag.Get("yaml") == "" {
				continue
			}
			n++
			if text := doc[typ.Name()+"."+f.Name]; len(text) < 10 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s.%s: comment %q", typ.Name(), f.Name, text)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d keys seen", n)
	}
}

func TestSchemaIsCurrent(t *testing.T) {
	got := generateSchema(t)
	if *Update {
		if err := os.WriteFile("schema.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, schema) {
		t.Error("schema.json is stale; run go test -update")
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	doc, values := comments(t), defaults()
	r := &jsonschema.Reflector{
		Anonymous: true, FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true,
		Mapper:        scalarSchema,
		LookupComment: func(t reflect.Type, field string) string { return doc[t.Name()+"."+field] },
	}
	s := r.Reflect(&Config{})
	s.Title = "Breakwater configuration"
	for typ, v := range values {
		def := s.Definitions[typ.Name()]
		if def == nil {
			t.Fatalf("no definition of %s", typ.Name())
		}
		for i := range typ.NumField() {
			key := typ.Field(i).Tag.Get("yaml")
			if key == "" {
				continue
			}
			if p, ok := def.Properties.Get(key); ok {
				p.Default = schemaDefault(v.Field(i))
			}
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func schemaDefault(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Int, reflect.Bool, reflect.Float64:
		if v.Type() != reflect.TypeFor[Percent]() {
			return v.Interface()
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String && v.Len() > 0 {
			return v.Interface()
		}
		return nil
	case reflect.Pointer, reflect.Map:
		return nil
	}
	if s, ok := inline(v); ok && s != "" {
		return strings.Trim(s, `"`)
	}
	return nil
}

// scalarSchema describes the types that stand on one line of the file.
func scalarSchema(t reflect.Type) *jsonschema.Schema {
	if e, ok := reflect.Zero(t).Interface().(enum); ok {
		s := &jsonschema.Schema{Type: "string"}
		for _, v := range e.Values() {
			s.Enum = append(s.Enum, v)
		}
		return s
	}
	text := func(pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, MinLength: ptr(uint64(1))}
	}
	zero := 0
	ref := func() *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MinLength: ptr(uint64(1)), Examples: []any{"env://NAME", "file:///path"}}
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			text(`^([0-9]+d)?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))*$`), {Const: zero},
		}}
	case reflect.TypeFor[Size]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			text(`^[0-9]+ *(B|kB|KB|MB|GB|KiB|MiB|GiB)?$`), {Type: "integer", Minimum: "0"},
		}}
	case reflect.TypeFor[Percent]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			text(`^[0-9]*\.?[0-9]+ *%$`), {Type: "number", Minimum: "0", Maximum: "1"},
		}}
	case reflect.TypeFor[HedgeAfter]():
		return text(`^(off|p[1-9][0-9]?|([0-9]+d)?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))*)$`)
	case reflect.TypeFor[secret.Ref]():
		return ref()
	case reflect.TypeFor[APIKeys]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			ref(), {Type: "array", Items: ref(), MinItems: ptr(uint64(1))},
		}}
	}
	return nil
}

func ptr[T any](v T) *T { return &v }

const docsFile = "../../docs/configuration.md"

func TestReferenceIsCurrent(t *testing.T) {
	const begin, end = "<!-- reference: generated from internal/config by go test -update -->\n", "<!-- end of the reference -->\n"
	old, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(old), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no marks for the reference", docsFile)
	}
	want := head + begin + reference(t) + end + tail
	if *Update {
		if err := os.WriteFile(docsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(old) {
		t.Errorf("%s is stale; run go test -update", docsFile)
	}
}

// reference writes a table for each struct of the file, in the order of the
// file.
func reference(t *testing.T) string {
	t.Helper()
	doc, values := comments(t), defaults()
	var sb strings.Builder
	var section func(path string, typ reflect.Type)
	section = func(path string, typ reflect.Type) {
		title := "`" + path + "`"
		if path == "" {
			title = "Top level"
		}
		fmt.Fprintf(&sb, "\n### %s\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", title)
		type sub struct {
			path string
			typ  reflect.Type
		}
		var below []sub
		v := values[typ]
		for i := range typ.NumField() {
			f := typ.Field(i)
			key := f.Tag.Get("yaml")
			if key == "" {
				continue
			}
			p := strings.TrimPrefix(path+"."+key, ".")
			kind, inner := describe(f.Type)
			if inner != nil {
				p += map[string]string{"mapping of names": ".NAME", "list": "[]"}[kind]
				below = append(below, sub{p, inner})
				kind = fmt.Sprintf("%s, [see below](#%s)", kind, anchor(p))
			}
			if strings.Contains(f.Tag.Get("jsonschema"), "required") {
				kind += ", required"
			}
			def := ""
			if s, ok := inline(v.Field(i)); ok && s != "" {
				def = "`" + s + "`"
			}
			fmt.Fprintf(&sb, "| `%s` | %s | %s | %s%s |\n", key, kind, def, strings.ReplaceAll(doc[typ.Name()+"."+f.Name], "|", `\|`), inactiveNote(p, f.Type))
		}
		for _, s := range below {
			section(s.path, s.typ)
		}
	}
	section("", reflect.TypeFor[Config]())
	return sb.String() + "\n"
}

// inactiveNote marks keys that this build does not act on.
func inactiveNote(path string, typ reflect.Type) string {
	_, word := reflect.Zero(typ).Interface().(enum)
	path = strings.NewReplacer(".NAME", ".*", "[]", ".*").Replace(path)
	for _, r := range inactive {
		switch {
		case r.path == path && word:
			return " *Only the default is active in this version.*"
		case r.path == path:
			return " *Not active in this version.*"
		}
	}
	return ""
}

func anchor(path string) string {
	return strings.NewReplacer(".", "", "[", "", "]", "").Replace(strings.ToLower(path))
}

// describe names a type for readers, and returns the struct inside, if any.
func describe(t reflect.Type) (string, reflect.Type) {
	if e, ok := reflect.Zero(t).Interface().(enum); ok {
		return "`" + strings.Join(e.Values(), "`, `") + "`", nil
	}
	switch t {
	case reflect.TypeFor[Duration](), reflect.TypeFor[*Duration]():
		return "duration", nil
	case reflect.TypeFor[Size]():
		return "size", nil
	case reflect.TypeFor[Percent]():
		return "share", nil
	case reflect.TypeFor[HedgeAfter]():
		return "`off`, `p95`, duration", nil
	case reflect.TypeFor[secret.Ref]():
		return "reference", nil
	case reflect.TypeFor[APIKeys]():
		return "reference, list of them, `none`", nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describe(t.Elem())
	case reflect.Struct:
		return "mapping", t
	case reflect.Map:
		return "mapping of texts", nil
	case reflect.Slice:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[orderedMap]()) {
			return "mapping of names", t.Elem().Field(1).Type
		}
		if t.Elem().Kind() == reflect.Struct {
			return "list", t.Elem()
		}
		kind, _ := describe(t.Elem())
		return "list of " + kind, nil
	}
	return map[reflect.Kind]string{reflect.String: "text", reflect.Bool: "`true`, `false`", reflect.Int: "whole number", reflect.Float64: "number"}[t.Kind()], nil
}

// The table must know every path that it names, and each must be able to warn.
func TestInactivePathsExist(t *testing.T) {
	for _, path := range InactivePaths() {
		typ := reflect.TypeFor[Config]()
		for _, key := range strings.Split(path, ".") {
			if key == "*" {
				_, typ = describe(typ)
				continue
			}
			f := fieldByName(reflect.Zero(typ), key)
			if !f.IsValid() {
				t.Errorf("%s: no such key", path)
				break
			}
			typ = f.Type()
		}
	}
	// A default configuration with a model and a key asks for nothing special.
	c := Default()
	c.Models.Set("m", DefaultModel())
	c.Providers.Set("p", Provider{})
	var key Key
	key.setDefaults()
	c.Keys = append(c.Keys, key)
	for _, r := range inactive {
		if r.set == nil {
			continue
		}
		if got := r.set(c); len(got) > 0 {
			t.Errorf("%s warns of a default: %v", r.path, got)
		}
	}
}
