package sim

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"
)

// valid checks an instance against a schema by an independent validator.
func valid(t *testing.T, schema, instance string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil // not a schema at all
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(instance))
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

func TestMinimalInstance(t *testing.T) {
	tests := []struct{ schema, want string }{
		{`{"type":"object"}`, `{}`},
		{`{}`, `{}`},
		{`{"type":"string"}`, `"text"`},
		{`{"type":"integer","minimum":3}`, `3`},
		{`{"type":"integer","exclusiveMinimum":3}`, `4`},
		{`{"type":"integer","minimum":-9,"maximum":-5}`, `-9`},
		{`{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}`, `0.5`},
		{`{"type":"integer","minimum":4,"multipleOf":5}`, `5`},
		{`{"type":["null","boolean"]}`, `true`},
		{`{"const":{"a":1}}`, `{"a":1}`},
		{`{"enum":["x","y"]}`, `"x"`},
		{`{"type":"array","items":{"type":"null"},"minItems":2}`, `[null,null]`},
		{`{"type":"array","items":{"type":"string"}}`, `[]`},
		{`{"type":"array","prefixItems":[{"const":1}],"items":{"const":2},"minItems":2}`, `[1,2]`},
		{`{"type":"string","minLength":6}`, `"textxx"`},
		{`{"type":"string","maxLength":2}`, `"te"`},
		{`{"type":"string","format":"date"}`, `"2026-01-01"`},
		{`{"type":"string","pattern":"^[A-Z]{2}-\\d{3,}(foo|bar)?$"}`, `"AA-000"`},
		{`{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"},"o":{}},"required":["a","b"]}`, `{"b":"text","a":0}`},
		{`{"type":"object","required":["x"]}`, `{"x":"text"}`},
		{`{"anyOf":[{"type":"null"},{"type":"integer"}]}`, `0`},
		{`{"oneOf":[{"type":"object","properties":{"k":{"const":"v"}},"required":["k"]}]}`, `{"k":"v"}`},
		{`{"allOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":{"const":2}},"required":["b"]}]}`, `{"a":1,"b":2}`},
		{`{"$defs":{"p/q":{"type":"integer"}},"type":"object","properties":{"a":{"$ref":"#/$defs/p~1q"}},"required":["a"]}`, `{"a":0}`},
		{`{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"]}}}`, `{"v":0,"next":null}`},
	}
	for _, tt := range tests {
		got := minimalInstance(tt.schema)
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.schema, got, tt.want)
		}
		if err := valid(t, tt.schema, got); err != nil {
			t.Errorf("%s: %v", tt.schema, err)
		}
	}
	for _, endless := range []string{`{"$ref":"#"}`, `{"allOf":[{"$ref":"#"}]}`, `{"type":"array","minItems":1,"items":{"$ref":"#"}}`, `{"anyOf":[{"$ref":"#"}]}`, `{"$ref":"https://example.com/s"}`, `{"pattern":"(","type":"string"}`} {
		if got := minimalInstance(endless); !gjson.Valid(got) {
			t.Errorf("%s: %q", endless, got)
		}
	}
}

// The schemas of recorded requests: tools' arguments and wanted answers.
func TestMinimalInstanceOfRecordedSchemas(t *testing.T) {
	dir := sharedDir(t, "cassettes")
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		body := gjson.GetBytes(b, "request.body")
		for _, query := range []string{"tools.#.function.parameters", "tools.#.input_schema", "tools.#.parameters"} {
			for _, schema := range body.Get(query).Array() {
				seen[schema.Raw] = true
			}
		}
		for _, query := range []string{"response_format.json_schema.schema", "output_config.format.schema", "output_format.schema", "text.format.schema"} {
			if schema := body.Get(query); schema.IsObject() {
				seen[schema.Raw] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 100 {
		t.Fatalf("only %d schemas found", len(seen))
	}
	for schema := range seen {
		if err := valid(t, schema, minimalInstance(schema)); err != nil {
			t.Errorf("%s\n gives %s\n %v", schema, minimalInstance(schema), err)
		}
	}
	t.Logf("%d schemas", len(seen))
}

func FuzzMinimalInstance(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#/properties/a"}},"required":["a"]}`)
	f.Add(`{"type":"string","pattern":"(a|b)*[^x]{3}\\w+","minLength":1e9}`)
	f.Add(`{"type":"array","minItems":1e12,"items":{"type":"array","minItems":1e12,"items":{"type":"array","minItems":9999}}}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if len(schema) > 4096 || !gjson.Valid(schema) {
			return
		}
		if got := minimalInstance(schema); !json.Valid([]byte(got)) {
			t.Errorf("%s gives %q", schema, got)
		}
	})
}
