package jsondoc

import (
	"strings"
	"testing"
)

func parse(t testing.TB, src string) *Doc {
	t.Helper()
	doc, err := Parse([]byte(src), nil)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return doc
}

func TestApply(t *testing.T) {
	set := func(name, raw string) Edit { return Set(name, []byte(raw)) }
	tests := []struct {
		name, src string
		edits     []Edit
		want      string
	}{
		{"nothing", `{"a":1}`, nil, `{"a":1}`},
		{"in place", ` { "a" : 1.0 , "b":"\u0041" } `, []Edit{set("a", "[2]")}, ` { "a" : [2] , "b":"\u0041" } `},
		{"two, out of order", `{"a":1,"b":2,"c":3}`, []Edit{set("c", "33"), set("a", "11")}, `{"a":11,"b":2,"c":33}`},
		{"escaped name", `{"\u0061":1}`, []Edit{set("a", "2")}, `{"\u0061":2}`},
		{"the last counts", `{"a":1}`, []Edit{set("a", "2"), set("a", "3")}, `{"a":3}`},
		{"nested twin", `{"b":{"a":1},"a":1}`, []Edit{set("a", "2")}, `{"b":{"a":1},"a":2}`},

		{"into empty", `{}`, []Edit{set("a", "1")}, `{"a":1}`},
		{"into blank", ` { } `, []Edit{set("a", "1")}, ` {"a":1 } `},
		{"two into empty", `{}`, []Edit{set("a", "1"), set("b", "2")}, `{"a":1,"b":2}`},
		{"one twice into empty", `{}`, []Edit{set("a", "1"), set("b", "2"), set("a", "3")}, `{"b":2,"a":3}`},
		{"at the end", "{\n \"a\": 1\n}", []Edit{set("b", "2")}, "{\n \"a\": 1,\"b\":2\n}"},
		{"with quotes", `{"a":1}`, []Edit{set("b\"\n", "2")}, `{"a":1,"b\"\n":2}`},
		{"after an edited last", `{"a":1}`, []Edit{set("b", "2"), set("a", "11")}, `{"a":11,"b":2}`},

		{"delete the only", `{"a":1}`, []Edit{Delete("a")}, `{}`},
		{"delete the only, spaced", `{ "a" : 1 }`, []Edit{Delete("a")}, `{ }`},
		{"delete the first", `{ "a":1, "b":2 , "c":3}`, []Edit{Delete("a")}, `{ "b":2 , "c":3}`},
		{"delete the middle", `{ "a":1, "b":2 , "c":3}`, []Edit{Delete("b")}, `{ "a":1 , "c":3}`},
		{"delete the last", `{ "a":1, "b":2 , "c":3 }`, []Edit{Delete("c")}, `{ "a":1, "b":2 }`},
		{"delete first two", `{"a":1, "b":2 , "c":3}`, []Edit{Delete("b"), Delete("a")}, `{ "c":3}`},
		{"delete last two", `{"a":1, "b":2 , "c":3}`, []Edit{Delete("c"), Delete("b")}, `{"a":1}`},
		{"delete both ends", `{"a":1,"b":2,"c":3}`, []Edit{Delete("c"), Delete("a")}, `{"b":2}`},
		{"delete all", `{"a":1,"b":2,"c":3}`, []Edit{Delete("a"), Delete("b"), Delete("c")}, `{}`},
		{"delete twice", `{"a":1,"b":2}`, []Edit{Delete("a"), Delete("a")}, `{"b":2}`},
		{"delete the absent", `{"a":1}`, []Edit{Delete("b")}, `{"a":1}`},

		{"delete, then set", `{"a":1,"b":2}`, []Edit{Delete("a"), set("a", "3")}, `{"a":3,"b":2}`},
		{"set, then delete", `{"a":1,"b":2}`, []Edit{set("a", "3"), Delete("a")}, `{"b":2}`},
		{"set the absent, then delete", `{"a":1}`, []Edit{set("b", "3"), Delete("b")}, `{"a":1}`},
		{"delete the absent, then set", `{"a":1}`, []Edit{Delete("b"), set("b", "3")}, `{"a":1,"b":3}`},
		{"delete all and add", `{"a":1,"b":2}`, []Edit{Delete("a"), set("c", "3"), Delete("b")}, `{"c":3}`},
		{"delete last and add", `{"a":1,"b":2}`, []Edit{Delete("b"), set("c", "3")}, `{"a":1,"c":3}`},
		{"delete last two, add two", `{"a":1,"b":2,"c":3}`, []Edit{set("d", "4"), Delete("c"), Delete("b"), set("e", "5")}, `{"a":1,"d":4,"e":5}`},
		{"delete first and edit next", `{"a":1,"b":2}`, []Edit{set("b", "22"), Delete("a")}, `{"b":22}`},

		{"replace", `{"a":[1,2,3]}`, []Edit{Replace(8, 9, []byte("two")), Replace(6, 7, nil)}, `{"a":[,two,3]}`},
		{"insert", `{"a":[1]}`, []Edit{Replace(6, 6, []byte("0,"))}, `{"a":[0,1]}`},
		{"replace beside set", `{"a":"x","b":1}`, []Edit{Replace(5, 8, []byte(`"y"`)), set("b", "2"), set("c", "3")}, `{"a":"y","b":2,"c":3}`},
		{"replace nothing by nothing", `{"a":1}`, []Edit{Replace(3, 3, nil), {}}, `{"a":1}`},
	}
	for _, tt := range tests {
		doc := parse(t, tt.src)
		got := doc.Apply(tt.edits...)
		if string(got) != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if string(doc.Bytes()) != tt.src {
			t.Errorf("%s: the document changed", tt.name)
		}
	}
}

func TestApplyOfNothingSharesTheBytes(t *testing.T) {
	doc := parse(t, `{"a":1}`)
	for _, edits := range [][]Edit{nil, {Delete("b")}} {
		if got := doc.Apply(edits...); &got[0] != &doc.Bytes()[0] {
			t.Errorf("%v: copied", edits)
		}
	}
}

func TestApplyPanicsOnBadEdits(t *testing.T) {
	for name, edits := range map[string][]Edit{
		"overlap":      {Replace(1, 4, nil), Replace(3, 5, nil)},
		"inside a set": {Set("a", []byte("2")), Replace(5, 6, []byte("3"))},
		"deleted":      {Delete("a"), Replace(5, 6, []byte("3"))},
		"backwards":    {Replace(4, 3, nil)},
		"negative":     {Replace(-1, 3, nil)},
		"beyond":       {Replace(3, 100, nil)},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			parse(t, `{"a":1}`).Apply(edits...)
		}()
	}
}

func TestApplyAllocatesOnce(t *testing.T) {
	doc := parse(t, `{"model":"a","stream":true,"messages":[]}`)
	model, usage := []byte(`"b"`), []byte(`{"include_usage":true}`)
	edits := []Edit{Set("model", model), Set("stream_options", usage), Set(strings.Repeat("\x00", 9), model), Delete("stream")}
	var out []byte
	if got := testing.AllocsPerRun(100, func() { out = doc.Apply(edits...) }); got != 1 {
		t.Errorf("%v allocations", got)
	}
	parse(t, string(out))
}
