package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chatShape is as the shapes of the protocols are: nested, with arrays, and free places.
func chatShape() *Shape {
	part := &Shape{Members: map[string]*Shape{"type": nil, "text": nil}}
	message := &Shape{Members: map[string]*Shape{
		"role":    nil,
		"content": {Members: part.Members, Elem: part}, // an object or an array
	}}
	function := &Shape{Members: map[string]*Shape{"name": nil, "parameters": nil}}
	tool := &Shape{Members: map[string]*Shape{"type": nil, "function": function}}
	return &Shape{Members: map[string]*Shape{
		"model":             nil,
		"stream":            nil,
		"stop":              nil,
		"user":              nil,
		"systemInstruction": nil,
		"messages":          {Elem: message},
		"tools":             {Elem: tool},
		"metadata":          nil,
		"temperature":       nil,
		"max_tokens":        nil,
		"stream_options":    {Members: map[string]*Shape{"include_usage": nil}},
	}}
}

func TestParseAccepts(t *testing.T) {
	for _, src := range []string{
		`{}`,
		" \t\r\n{ \t\r\n} \t\r\n",
		`{"a":1}`,
		`{"":0}`,
		`{"a":[],"b":{},"c":[[],{}],"d":[{"a":1},{"a":2}]}`,
		`{"a":0,"b":-0,"c":1.5,"d":-10.25e+3,"e":0e-0,"f":1E5,"g":9007199254740993,"h":1e400}`,
		`{"a":true,"b":false,"c":null}`,
		`{"a":"\"\\\/\b\f\n\r\t\u0000\uABcd\ud83d\uDE00"}`,
		"{\"a\":\"日本語 \U0001F600 \u007f \u2028\"}",
		`{"日本":1,"日本語":2}`,
		`{"a":{"a":{"a":{}}}}`,
		`{"metadata":{"Model":1,"MODEL":2,"model":3}}`,
		`{"tools":[{"function":{"parameters":{"Name":1,"name":2}}}]}`,
		`{"unknown":{"Role":1},"messages":{"Role":"an object here has no names of the protocol"}}`,
		`{"modell":1,"mode":2,"mod\u0065l":3}`,
		`{"m\u006fdel":"x"}`,
	} {
		if _, err := Parse([]byte(src), chatShape()); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		src    string
		offset int
		path   string
		reason string
	}{
		{``, 0, "", "empty"},
		{" \n", 2, "", "empty"},
		{"\xef\xbb\xbf{}", 0, "", "byte order mark"},
		{`[]`, 0, "", "must be an object"},
		{`"a"`, 0, "", "must be an object"},
		{`null`, 0, "", "must be an object"},
		{`{`, 1, "", reasonEnd},
		{`{"a"`, 4, "", reasonEnd},
		{`{"a":`, 5, "", reasonEnd},
		{`{"a":1`, 6, "", reasonEnd},
		{`{"a":1,`, 7, "", reasonEnd},
		{`{"a":1,}`, 7, "", reasonUnexpected},
		{`{,}`, 1, "", reasonUnexpected},
		{`{"a" 1}`, 5, "", reasonUnexpected},
		{`{"a":1 "b":2}`, 7, "", reasonUnexpected},
		{`{a:1}`, 1, "", reasonUnexpected},
		{`{'a':1}`, 1, "", reasonUnexpected},
		{`{"a":[1,]}`, 8, "", reasonUnexpected},
		{`{"a":[1 2]}`, 8, "", reasonUnexpected},
		{`{"a":[`, 6, "", reasonEnd},
		{`{"a":[}`, 6, "", reasonUnexpected},
		{`{"a":[1}`, 7, "", reasonUnexpected},
		{`{} {}`, 3, "", "data after the object"},
		{`{}x`, 2, "", "data after the object"},
		{"{}\x00", 2, "", "data after the object"},
		{"{\"a\"\v:1}", 4, "", reasonUnexpected},
		{`{"a":1/*c*/}`, 6, "", reasonUnexpected},

		{`{"a":NaN}`, 5, "", reasonUnexpected},
		{`{"a":Infinity}`, 5, "", reasonUnexpected},
		{`{"a":tru}`, 8, "", reasonUnexpected},
		{`{"a":nul`, 8, "", reasonEnd},
		{`{"a":True}`, 5, "", reasonUnexpected},
		{`{"a":truee}`, 9, "", reasonUnexpected},

		{`{"a":01}`, 6, "", "leading zero in a number"},
		{`{"a":-01}`, 7, "", "leading zero in a number"},
		{`{"a":-}`, 6, "", reasonUnexpected},
		{`{"a":+1}`, 5, "", reasonUnexpected},
		{`{"a":.5}`, 5, "", reasonUnexpected},
		{`{"a":1.}`, 7, "", reasonUnexpected},
		{`{"a":1.e5}`, 7, "", reasonUnexpected},
		{`{"a":1e}`, 7, "", reasonUnexpected},
		{`{"a":1e+}`, 8, "", reasonUnexpected},
		{`{"a":0x1}`, 6, "", reasonUnexpected},
		{`{"a":1_0}`, 6, "", reasonUnexpected},
		{`{"a":1e`, 7, "", reasonEnd},

		{`{"a":"`, 6, "", reasonEnd},
		{`{"a":"abc`, 9, "", reasonEnd},
		{`{"a":"\`, 7, "", reasonEnd},
		{`{"a":"\x"}`, 6, "", "bad escape"},
		{`{"a":"\'"}`, 6, "", "bad escape"},
		{`{"a":"\u12"}`, 6, "", "bad escape"},
		{`{"a":"\u12G4"}`, 6, "", "bad escape"},
		{`{"a":"\U0041"}`, 6, "", "bad escape"},
		{`{"a":"\ud800"}`, 6, "", "lone surrogate"},
		{`{"a":"\ud800x"}`, 6, "", "lone surrogate"},
		{`{"a":"\ud800\n"}`, 6, "", "lone surrogate"},
		{`{"a":"\ud800\ud800"}`, 6, "", "lone surrogate"},
		{`{"a":"\udc00\ud800"}`, 6, "", "lone surrogate"},
		{`{"a":"\ud83d\u00"}`, 6, "", "lone surrogate"},
		{"{\"a\":\"x\ny\"}", 7, "", "control character in a string"},
		{"{\"a\":\"0123456789\x1f\"}", 16, "", "control character in a string"},
		{"{\"a\x00\":1}", 3, "", "control character in a string"},
		{"{\"a\":\"xy\xff\"}", 8, "", "invalid UTF-8"},
		{"{\"a\":\"\xc0\x80\"}", 6, "", "invalid UTF-8"},            // overlong
		{"{\"a\":\"é\xed\xa0\x80\"}", 8, "", "invalid UTF-8"},       // surrogate
		{"{\"a\":\"\xf4\x90\x80\x80\"}", 6, "", "invalid UTF-8"},    // above U+10FFFF
		{"{\"a\":\"0123456789\xe6\x97\"}", 16, "", "invalid UTF-8"}, // cut off
		{"{\"a\xff\":1}", 3, "", "invalid UTF-8"},                   // in a name
		{"{\"a\":\"\xe6\\u0041\x97\"}", 6, "", "invalid UTF-8"},     // bytes of one rune apart

		{`{"a":1,"a":2}`, 7, "", reasonDuplicate},
		{`{"a":1,"\u0061":2}`, 7, "", reasonDuplicate},
		{`{"\u0061":1,"a":2}`, 12, "", reasonDuplicate},
		{`{"\u0061":1,"b":{"\u0062":1},"\u0061":2}`, 29, "", reasonDuplicate},
		{`{"😀":1,"\ud83d\ude00":2}`, 10, "", reasonDuplicate},
		{`{"a/b":1,"a\/b":2}`, 9, "", reasonDuplicate},
		{`{"model":1,"model":2}`, 11, "model", reasonDuplicate},
		{`{"model":1,"mode\u006c":2}`, 11, "model", reasonDuplicate},
		{`{"messages":[{"role":"user"},{"role":1,"content":"","role":2}]}`, 52, "messages[1].role", reasonDuplicate},
		{`{"tools":[{"function":{"parameters":{"x":[{"y":1,"y":2}]}}}]}`, 49, "tools[0].function.parameters", reasonDuplicate},
		{`{"metadata":{"secret":{"model":1,"model":1}}}`, 33, "metadata", reasonDuplicate},
		{`{"mine":{"model":[1,2,],"model":1}}`, 22, "", reasonUnexpected},
		{`{"stop":["a",b]}`, 13, "stop", reasonUnexpected},
		{`{"messages":[{},{"content":[{"type":"text","text":"\q"}]}]}`, 51, "messages[1].content[0].text", "bad escape"},
		{`{"messages":[{},{"content":[{"type":"text"}`, 43, "messages[1].content", reasonEnd},
		{`{"messages":[{},7`, 17, "messages", reasonEnd},
		{`{"messages":[{},`, 16, "messages[1]", reasonEnd},

		{`{"Model":1}`, 1, "model", `name differs only by case from "model"`},
		{`{"model":1,"MODEL":1}`, 11, "model", `name differs only by case from "model"`},
		{`{"\u004dodel":1}`, 1, "model", `name differs only by case from "model"`},
		{`{"systeminstruction":1}`, 1, "systemInstruction", `name differs only by case from "systemInstruction"`},
		{`{"ſtop":1}`, 1, "stop", `name differs only by case from "stop"`},
		{`{"\u017ftream":1}`, 1, "stream", `name differs only by case from "stream"`},
		{`{"messages":[{"Role":1}]}`, 14, "messages[0].role", `name differs only by case from "role"`},
		{`{"messages":[{"content":{"TEXT":1}}]}`, 25, "messages[0].content.text", `name differs only by case from "text"`},
		{`{"messages":[{"content":[{"TEXT":1}]}]}`, 26, "messages[0].content[0].text", `name differs only by case from "text"`},
	}
	for _, tt := range tests {
		_, err := Parse([]byte(tt.src), chatShape())
		want := SyntaxError{tt.offset, tt.path, tt.reason}
		var got *SyntaxError
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want %v", tt.src, err, &want)
		} else if *got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.src, *got, want)
		}
	}
	kelvin := &Shape{Members: map[string]*Shape{"top_k": nil}}
	if _, err := Parse([]byte(`{"top_`+"\u212a"+`":1}`), kelvin); err == nil {
		t.Error("the Kelvin sign passed for a k")
	}
}

// Every cut of a document is refused at its very end, or is no document at all.
func TestParseTruncated(t *testing.T) {
	src := `{"a":[1.5e+3,true,{"b":"x\n\ud83d\ude00é"}],"c":null}`
	for n := range len(src) {
		_, err := Parse([]byte(src[:n]), nil)
		var e *SyntaxError
		if !errors.As(err, &e) || e.Path != "" {
			t.Fatalf("%q: %v", src[:n], err)
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, err := Parse([]byte(`{"messages":[{"role":"user","canary":"canary","canary":0}]}`), chatShape())
	want := "invalid JSON in messages[0] at byte 46: duplicate name"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = Parse([]byte(`{"x":}`), nil)
	want = "invalid JSON at byte 5: unexpected character"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// keys makes an object of n different names.
func keys(n int) []byte {
	b := []byte{'{'}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"k%d":0`, i)
	}
	return append(b, '}')
}

func TestLimits(t *testing.T) {
	nested := func(n int) string { // n containers, the document included
		return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}"
	}
	objects := func(n int) string {
		return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
	}
	tests := []struct {
		name, src, reason string
	}{
		{"deepest arrays", nested(MaxDepth), ""},
		{"arrays too deep", nested(MaxDepth + 1), reasonDeep},
		{"deepest objects", objects(MaxDepth), ""},
		{"objects too deep", objects(MaxDepth + 1), reasonDeep},
		{"100,000 arrays", nested(100_000), reasonDeep},
		{"100,000 arrays, not closed", `{"a":` + strings.Repeat("[", 100_000), reasonDeep},
		{"100,000 arrays at the top", strings.Repeat("[", 100_000), "must be an object"},
		{"most members", string(keys(MaxMembers)), ""},
		{"members too many", string(keys(MaxMembers + 1)), reasonMembers},
		{"a million keys", string(keys(1_000_000)), reasonMembers},
	}
	for _, tt := range tests {
		src, took := []byte(tt.src), time.Hour
		var err error
		for range 5 { // the best of five: other work on the machine is not meant
			start := time.Now()
			_, err = Parse(src, chatShape())
			took = min(took, time.Since(start))
		}
		var e *SyntaxError
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.reason != "" && (!errors.As(err, &e) || e.Reason != tt.reason):
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.reason)
		}
		if took > 50*time.Millisecond && !raceEnabled {
			t.Errorf("%s: took %v", tt.name, took)
		}
	}
}

// Duplicates are found on both sides of the limit from which hashes are used.
func TestDuplicatesAtAnyCount(t *testing.T) {
	for n := 1; n < 4*smallObject; n++ {
		for dup := range n {
			src := keys(n)
			src = fmt.Appendf(src[:len(src)-1], `,"k%d":1}`, dup)
			_, err := Parse(src, nil)
			var e *SyntaxError
			if !errors.As(err, &e) || e.Reason != reasonDuplicate {
				t.Fatalf("%d names, k%d twice: %v", n, dup, err)
			}
		}
		// The same names in objects beside and inside one another are none.
		o := string(keys(n))
		if _, err := Parse([]byte(`{"a":[`+o+`,{"k0":`+o+`}],"b":`+o+`}`), nil); err != nil {
			t.Fatalf("%d names: %v", n, err)
		}
	}
}

func TestGetters(t *testing.T) {
	src := []byte(`{ "s" : "a\"\u00e9\ud83d\ude00" , "plain":"x","t":true,"f":false,"n":null,"i":42,"o":{"s":1},"a":[1] ,"e\u0073c":"" }`)
	doc, err := Parse(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if &doc.Bytes()[0] != &src[0] || len(doc.Bytes()) != len(src) {
		t.Error("Bytes is not the source")
	}
	var got []string
	for _, m := range doc.Members() {
		got = append(got, m.Name+"="+string(m.Value))
	}
	want := []string{
		`s="a\"\u00e9\ud83d\ude00"`, `plain="x"`, `t=true`, `f=false`, `n=null`, `i=42`, `o={"s":1}`, `a=[1]`, `esc=""`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Members:\n got %v\nwant %v", got, want)
	}
	if raw, ok := doc.Get("o"); !ok || string(raw) != `{"s":1}` {
		t.Errorf("Get(o) = %s, %v", raw, ok)
	} else if _ = append(raw, 'X'); !json.Valid(src) {
		t.Error("appending to a value wrote into the document")
	}
	if _, ok := doc.Get("absent"); ok {
		t.Error("Get(absent) is there")
	}
	for name, want := range map[string]string{"s": "a\"é😀", "plain": "x", "esc": ""} {
		if s, ok := doc.String(name); !ok || s != want {
			t.Errorf("String(%s) = %q, %v", name, s, ok)
		}
	}
	for _, name := range []string{"absent", "n", "i", "o", "t"} {
		if s, ok := doc.String(name); ok || s != "" {
			t.Errorf("String(%s) = %q, %v", name, s, ok)
		}
	}
	for name, want := range map[string][2]bool{"t": {true, true}, "f": {false, true}, "n": {}, "s": {}, "absent": {}} {
		if b, ok := doc.Bool(name); b != want[0] || ok != want[1] {
			t.Errorf("Bool(%s) = %v, %v", name, b, ok)
		}
	}
}

func TestInt(t *testing.T) {
	maxInt := strconv.Itoa(int(^uint(0) >> 1))
	tests := []struct {
		raw  string
		want int
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"42", 42, true}, {"-7", -7, true},
		{"2.0", 2, true}, {"2.50e1", 25, true}, {"-20e-1", -2, true}, {"1E3", 1000, true}, {"0.001e+3", 1, true},
		{"0e999999999999999999999", 0, true}, {"0.000", 0, true},
		{"1e18", 1e18, true}, {"9007199254740993", 9007199254740993, true}, {"9007199254740993.0", 9007199254740993, true},
		{maxInt, int(^uint(0) >> 1), true}, {maxInt + ".0", int(^uint(0) >> 1), true},
		{"9223372036854775808", 0, false}, {"1e19", 0, false}, {"1e999999999999999999999", 0, false}, {"1e99999999", 0, false},
		{"-1e-999999999999999999999", 0, false}, {"10e-1", 1, true}, {"1000000000000000000000000e-24", 1, true}, {"10e-2", 0, false},
		{"0.0000000000000000000000000000001e31", 1, true}, {"-9223372036854775808.0", -1 << 63, true},
		{"1.5", 0, false}, {"1e-1", 0, false}, {"1.0000000000000000000000001", 0, false},
		{`"1"`, 0, false}, {"true", 0, false}, {"null", 0, false}, {"[1]", 0, false},
	}
	for _, tt := range tests {
		doc, err := Parse([]byte(`{"n":`+tt.raw+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := doc.Int("n"); n != tt.want || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.raw, n, ok, tt.want, tt.ok)
		}
	}
}

func TestShapeRefersToItself(t *testing.T) {
	node := &Shape{Members: map[string]*Shape{"name": nil}}
	node.Members["child"] = node
	_, err := Parse([]byte(`{"child":{"child":{"name":"x","Name":"y"}}}`), node)
	var e *SyntaxError
	if !errors.As(err, &e) || e.Path != "child.child.name" {
		t.Errorf("got %v", err)
	}
}

func TestQuote(t *testing.T) {
	tests := []struct{ s, want string }{
		{"", `""`},
		{"plain <&> text", `"plain <&> text"`},
		{"\"\\/\b\f\n\r\t\x00\x1f\x7f", `"\"\\/\b\f\n\r\t\u0000\u001f` + "\x7f\""},
		{"é日😀\u2028", "\"é日😀\u2028\""},
		{"a\xffb\xe6\x97c\xed\xa0\x80", "\"a\ufffdb\ufffd\ufffdc\ufffd\ufffd\ufffd\""},
		{"\ufffd", "\"\ufffd\""},
	}
	for _, tt := range tests {
		if got := Quote([]byte("x"), tt.s); string(got) != "x"+tt.want {
			t.Errorf("%q: got %s, want x%s", tt.s, got, tt.want)
		}
	}
}

func TestUnquote(t *testing.T) {
	for _, raw := range []string{``, `"`, `a`, `""x`, `"\ud800"`, "\"\xff\"", `"a`, ` "a"`, `"a" `, `1`, `null`, "\"\n\""} {
		if s, ok := Unquote([]byte(raw)); ok || s != "" {
			t.Errorf("%s: got %q", raw, s)
		}
	}
	if s, ok := Unquote([]byte(`"\"\\\/\b\f\n\r\t\u0041\u00E9\uD83D\uDE00é"`)); !ok || s != "\"\\/\b\f\n\r\tAé😀é" {
		t.Errorf("got %q, %v", s, ok)
	}
}

// A string is scanned in words and then in bytes: what ends it is found at every place of them.
func TestStringEveryAlignment(t *testing.T) {
	for n := range 40 {
		for _, c := range []struct {
			in   string
			good bool
		}{{"é", true}, {`\n`, true}, {`\u00e9`, true}, {" ", true}, {"\x7f", true}, {"\x1f", false}, {"\x00", false}, {"\x80", false}, {"\xff", false}, {`\`, false}} {
			for at := range n + 1 {
				body := strings.Repeat("x", at) + c.in + strings.Repeat("!", n-at)
				doc, err := Parse([]byte(`{"a":"`+body+`"}`), nil)
				if good := err == nil; good != c.good {
					t.Fatalf("%q: %v", body, err)
				}
				if err != nil {
					continue
				}
				var want string
				if err := json.Unmarshal([]byte(`"`+body+`"`), &want); err != nil {
					t.Fatal(err)
				}
				if got, _ := doc.String("a"); got != want {
					t.Fatalf("%q: got %q", body, got)
				}
			}
		}
	}
}

// chatBody is a chat request of about size bytes with one long string.
func chatBody(size int) []byte {
	head := `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"`
	tail := `"}],"temperature":0.7,"max_tokens":256,"stream":true,"stream_options":{"include_usage":true},"user":"u-1"}`
	text := "The quick brown fox jumps over the lazy dog. "
	var b bytes.Buffer
	b.WriteString(head)
	for b.Len() < size-len(tail) {
		b.WriteString(text)
	}
	b.WriteString(tail)
	return b.Bytes()
}
