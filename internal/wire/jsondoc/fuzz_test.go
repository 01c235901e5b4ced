package jsondoc

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// oracle reads an object as jsontext does, which is strict by default.
func oracle(src []byte) (members []Member, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(bytes.Clone(src)))
	open, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if open.Kind() != '{' {
		return nil, errors.New("no object")
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		m := Member{Name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		m.Value = bytes.Clone(value)
		if end := int(dec.InputOffset()); !bytes.Equal(src[end-len(value):end], value) {
			panic("the oracle's offset is not that of its value")
		}
		members = append(members, m)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errors.New("trailing data")
	}
	return members, nil
}

var seeds = []string{
	`{}`, ` { } `, `[]`, `null`, ``, `{`, "\xef\xbb\xbf{}",
	`{"a":1,"b":[true,false,null,-0.5e+10],"c":{"d":"e"}}`,
	`{"a":1,"\u0061":2}`, `{"a":"\ud83d\ude00","b":"\ud83d"}`,
	`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi\n"}]}],"stop":["a"]}`,
	"{\"a\":\"\xff\"}", "{\"a\":\"\n\"}", `{"a":01}`, `{"a":1}{}`, `{"a":1,}`,
	`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"k":0,"l":0,"m":0,"n":0,"o":0,"p":0,"q":0,"r":0,"s":0,"t":0,"u":0,"v":0,"w":0,"x":0,"y":0,"a":1}`,
	"{\"日本\":\"é\u2028\",\"\\u65e5本\":1}",
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		before := bytes.Clone(src)
		want, wantErr := oracle(src)
		doc, err := Parse(src, nil)
		var se *SyntaxError
		switch {
		case err == nil && wantErr != nil:
			t.Fatalf("taken; the oracle refuses: %v", wantErr)
		case err != nil && !errors.As(err, &se):
			t.Fatalf("error is a %T", err)
		case err != nil && (se.Offset < 0 || se.Offset > len(src) || se.Path != ""):
			t.Fatalf("%+v", se)
		case err != nil && wantErr == nil && se.Reason != reasonDeep && se.Reason != reasonMembers:
			t.Fatalf("refused: %v; the oracle takes it", err)
		}
		if !bytes.Equal(src, before) {
			t.Fatal("Parse changed the source")
		}
		if err != nil {
			return
		}
		got := doc.Members()
		if len(got) != len(want) {
			t.Fatalf("%d members, want %d", len(got), len(want))
		}
		for i, m := range doc.members {
			if m.Name != want[i].Name || !bytes.Equal(m.Value, want[i].Value) || !bytes.Equal(src[m.start:m.end()], m.Value) {
				t.Fatalf("member %d is %q: %s at %d, want %q: %s", i, m.Name, m.Value, m.start, want[i].Name, want[i].Value)
			}
			if m.Value[0] == '"' {
				text, ok := doc.String(m.Name)
				unquoted, err := jsontext.AppendUnquote(nil, m.Value)
				if !ok || err != nil || text != string(unquoted) {
					t.Fatalf("String(%q) = %q, %v, want %q", m.Name, text, ok, unquoted)
				}
			}
		}
	})
}

// FuzzShape: with a shape, what is refused beyond what any document is refused for is
// exactly what has a name that strings.EqualFold calls a known one, but is none.
func FuzzShape(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"Model":1}`))
	f.Add([]byte(`{"messages":[{"content":[{"\u0054ype":1}]}]}`))
	f.Add([]byte(`{"ſtream":1}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		plain, err := Parse(src, nil)
		_, shaped := Parse(src, chatShape())
		if err != nil {
			if shaped == nil {
				t.Fatalf("a shape lets pass: %v", err)
			}
			return
		}
		if want := hasTwin(t, plain.Bytes(), chatShape()); want != (shaped != nil) {
			t.Fatalf("odd-case twin: %v; error: %v", want, shaped)
		}
	})
}

func hasTwin(t *testing.T, raw []byte, shape *Shape) bool {
	if shape == nil {
		return false
	}
	switch raw[0] {
	case '[':
		var elems []jsontext.Value
		dec := jsontext.NewDecoder(bytes.NewReader(raw))
		_, _ = dec.ReadToken()
		for dec.PeekKind() != ']' {
			v, err := dec.ReadValue()
			if err != nil {
				t.Fatal(err)
			}
			elems = append(elems, v.Clone())
		}
		for _, e := range elems {
			if hasTwin(t, e, shape.Elem) {
				return true
			}
		}
	case '{', ' ', '\t', '\r', '\n':
		members, err := oracle(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			child, known := shape.Members[m.Name]
			for name := range shape.Members {
				if !known && strings.EqualFold(name, m.Name) {
					return true
				}
			}
			if hasTwin(t, m.Value, child) {
				return true
			}
		}
	}
	return false
}

func FuzzFold(f *testing.F) {
	f.Add("model", "MODEL")
	f.Add("stream", "ſtream")
	f.Add("k", "\u212a")
	f.Add("ǅ", "ǆ")
	f.Add("ς", "Σ")
	f.Add("İ", "i")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return // no such name passes the scanner
		}
		same := bytes.Equal(fold(nil, []byte(a)), fold(nil, []byte(b)))
		if want := strings.EqualFold(a, b); same != want {
			t.Fatalf("%q and %q fold to the same: %v, want %v", a, b, same, want)
		}
	})
}

func FuzzApply(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), "a", []byte("\x00\x01\x02"), `{"v":[1]}`)
	}
	f.Add([]byte(`{"a":1, "b":2 ,"c":3}`), "b\"", []byte("\x03\x05\x01\x00"), `"x"`)
	f.Fuzz(func(t *testing.T, src []byte, name string, ops []byte, raw string) {
		doc, err := Parse(src, nil)
		if err != nil || !utf8.ValidString(name) || !jsontext.Value(raw).IsValid() || len(ops) > 40 {
			return
		}
		if _, err := Parse([]byte(`{"v":`+raw+`}`), nil); err != nil {
			return // beyond the limits
		}
		// Each byte of ops edits a member of the document, or name, and model is what it should come to.
		members := doc.Members()
		names := []string{name}
		model := map[string]string{}
		for _, m := range members {
			names = append(names, m.Name)
			model[m.Name] = string(m.Value)
		}
		var edits []Edit
		for _, op := range ops {
			target := names[int(op/2)%len(names)]
			if op%2 == 0 {
				edits = append(edits, Set(target, []byte(raw)))
				model[target] = raw
			} else {
				edits = append(edits, Delete(target))
				delete(model, target)
			}
		}
		out := doc.Apply(edits...)
		if !bytes.Equal(src, doc.Bytes()) {
			t.Fatal("Apply changed the document")
		}
		got, err := Parse(out, nil)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if len(got.members) != len(model) {
			t.Fatalf("%s: %d members, want %d", out, len(got.members), len(model))
		}
		for name, want := range model {
			if v, ok := got.Get(name); !ok || string(v) != strings.Trim(want, " \t\r\n") {
				t.Fatalf("%s: %q is %s, want %s", out, name, v, want)
			}
		}
		// Members that stay do so in their order.
		var order []string
		for _, m := range members {
			if _, ok := model[m.Name]; ok {
				order = append(order, m.Name)
			}
		}
		for i, name := range order {
			if got.members[i].Name != name {
				t.Fatalf("%s: member %d is %q, want %q", out, i, got.members[i].Name, name)
			}
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\/\b\f\n\r\t\x00\x1f\x7f<>&é😀\u2028\xff\xe6\x97")
	f.Fuzz(func(t *testing.T, s string) {
		got := Quote(nil, s)
		want, _ := jsontext.AppendQuote(nil, s) // its error tells of invalid UTF-8
		if !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
		if text, ok := Unquote(got); !ok || text != string([]rune(s)) {
			t.Fatalf("%s: unquoted to %q, %v", got, text, ok)
		}
	})
}

// FuzzUnquote: a string is taken if and only if jsontext takes it.
func FuzzUnquote(f *testing.F) {
	f.Add([]byte(`"a\u0041\ud83d\ude00"`))
	f.Add([]byte(`"\ud83d"`))
	f.Add([]byte(`"a" `))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := Unquote(raw)
		want, err := jsontext.AppendUnquote(nil, raw)
		if ok != (err == nil) || ok && got != string(want) {
			t.Fatalf("got %q, %v, want %q, %v", got, ok, want, err)
		}
	})
}
