package config

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Print gives the effective configuration as YAML, defaults included.
// References to secrets stand as they are; secrets written in the file are
// masked, and the mask is refused when read back. Anything else reads back as
// the same configuration.
func Print(c *Config) []byte {
	var p printer
	p.structure(reflect.ValueOf(c).Elem(), 0)
	return p.Bytes()
}

type printer struct{ bytes.Buffer }

func (p *printer) line(depth int, format string, args ...any) {
	p.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *printer) structure(v reflect.Value, depth int) {
	t := v.Type()
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			p.field(key, v.Field(i), depth)
		}
	}
}

// field writes "key: value". What is not set at all is left out.
func (p *printer) field(key string, v reflect.Value, depth int) {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if s, ok := inline(v); ok {
		if s != "" {
			p.line(depth, "%s: %s", yamlString(key), s)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		p.block(key, depth, func() { p.structure(v, depth+1) })
	case reflect.Map:
		m := v.Interface().(map[string]string)
		p.block(key, depth, func() {
			for _, name := range sortedKeys(m) {
				p.line(depth+1, "%s: %s", yamlString(name), yamlString(m[name]))
			}
		})
	case reflect.Slice:
		if _, ok := v.Addr().Interface().(orderedMap); ok {
			p.block(key, depth, func() {
				for i := range v.Len() {
					p.field(v.Index(i).Field(0).String(), v.Index(i).Field(1), depth+1)
				}
			})
			return
		}
		p.block(key, depth, func() {
			for i := range v.Len() {
				p.entry(v.Index(i), depth+1)
			}
		})
	}
}

// block writes a key with what body writes below it, and {} if that is nothing:
// a struct without a set field stands for itself.
func (p *printer) block(key string, depth int, body func()) {
	start := p.Len()
	p.line(depth, "%s:", yamlString(key))
	after := p.Len()
	if body(); p.Len() == after {
		p.Truncate(start)
		p.line(depth, "%s: {}", yamlString(key))
	}
}

// entry writes a struct as an entry of a list: its first line gets the dash.
func (p *printer) entry(v reflect.Value, depth int) {
	var inner printer
	inner.structure(v, depth)
	b := inner.Bytes()
	if len(b) >= 2*depth && depth > 0 {
		b[2*(depth-1)] = '-'
	}
	p.Write(b)
}

// inline returns a value that stands on one line. Empty text means that the
// value is not set and the key is left out.
func inline(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return "", true
	}
	switch x := v.Interface().(type) {
	case APIKeys:
		return x.yaml(), true
	case encoding.TextMarshaler:
		b, _ := x.MarshalText() // none of this package's types fails
		if len(b) == 0 {
			return "", true
		}
		return yamlString(string(b)), true
	}
	switch v.Kind() {
	case reflect.String:
		if v.String() == "" {
			return "", true
		}
		return yamlString(v.String()), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), true
	case reflect.Slice:
		if v.IsNil() {
			return "", true
		}
		if v.Type().Elem().Kind() != reflect.String {
			_, isMap := v.Addr().Interface().(orderedMap)
			return "[]", v.Len() == 0 && !isMap
		}
		items := make([]string, v.Len())
		for i := range items {
			items[i] = yamlString(v.Index(i).String())
		}
		return "[" + strings.Join(items, ", ") + "]", true
	case reflect.Map:
		return "", v.IsNil()
	}
	return "", false
}

func (k APIKeys) yaml() string {
	switch {
	case k.None:
		return "none"
	case len(k.Refs) == 0:
		return ""
	case len(k.Refs) == 1:
		return yamlString(k.Refs[0].String())
	}
	items := make([]string, len(k.Refs))
	for i, r := range k.Refs {
		items[i] = yamlString(r.String())
	}
	return "[" + strings.Join(items, ", ") + "]"
}

var (
	plainText = regexp.MustCompile(`^([a-z][a-z-]*://)?(\./)?[A-Za-z/][A-Za-z0-9_./-]*$`)
	// Values with their units, which no version of YAML takes for a number.
	quantity = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|KiB|MiB|GiB|%))+$`)
	// Words that some version of YAML takes for something else than text.
	notText = []string{"true", "false", "yes", "no", "on", "y", "n", "null"}
)

// yamlString writes a text as YAML, in double quotes where it is not plainly
// text. The escapes are those that JSON and YAML share. The word off stays
// bare: it is text in YAML 1.2, and what people write.
func yamlString(s string) string {
	if (plainText.MatchString(s) || quantity.MatchString(s)) && !slices.Contains(notText, strings.ToLower(s)) {
		return s
	}
	var sb strings.Builder
	sb.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			sb.WriteByte('\\')
			sb.WriteRune(r)
		case r == '\n':
			sb.WriteString(`\n`)
		case r == '\t':
			sb.WriteString(`\t`)
		case r == '\r':
			sb.WriteString(`\r`)
		case r < ' ' || r >= 0x7f && r <= 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&sb, `\u%04x`, r)
		default:
			sb.WriteRune(r)
		}
	}
	sb.WriteByte('"')
	return sb.String()
}
