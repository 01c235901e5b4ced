package sse

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	gosse "github.com/tmaxmax/go-sse"
)

// FuzzNext compares the events with those that go-sse reads. What differs by intent, and is left out here:
//   - go-sse does not return a last block that no blank line closes. The input is closed.
//   - It returns nothing for a comment, and an event with empty data for a lone event: or
//     id: line, as for an empty data: line. Events with empty data are not compared.
//   - It takes a byte order mark off behind blank lines too. Inputs with a mark that is not the first are not compared.
func FuzzNext(f *testing.F) {
	for _, tt := range streams {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		in = append(bytes.Clone(in), "\n\n"...)
		if bytes.LastIndex(in, []byte(bom)) > 0 || len(in) > 32<<10 {
			return
		}
		type pair struct{ Name, Data string }
		var want, got []pair
		for ev, err := range gosse.Read(bytes.NewReader(in), nil) {
			if err != nil {
				t.Fatalf("the oracle fails: %v", err)
			}
			if ev.Data != "" {
				want = append(want, pair{ev.Type, ev.Data})
			}
		}
		events, err := all(NewReader(bytes.NewReader(in), 0))
		if err != io.EOF {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.Data != "" {
				got = append(got, pair{string(ev.Name), ev.Data})
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q:\n got %q\nwant %q", in, got, want)
		}
	})
}

// FuzzChunks: cuts change nothing; the blocks are the input, but for blank lines; a clean block read alone is the same event.
func FuzzChunks(f *testing.F) {
	for i, tt := range streams {
		f.Add([]byte(tt.in), uint(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint) {
		want, err := all(NewReader(bytes.NewReader(in), 0))
		if err != io.EOF {
			t.Fatal(err)
		}
		got, err := all(NewReader(iotest.OneByteReader(bytes.NewReader(in)), 0))
		if err != io.EOF || !sameEvents(got, want) {
			t.Fatalf("%q in bytes: %v\n got %+v\nwant %+v", in, err, got, want)
		}
		at := int(cut % uint(len(in)+1))
		got, err = all(NewReader(io.MultiReader(bytes.NewReader(in[:at]), bytes.NewReader(in[at:])), 0))
		if err != io.EOF || !sameEvents(got, want) {
			t.Fatalf("%q cut at %d: %v\n got %+v\nwant %+v", in, at, err, got, want)
		}

		rest := string(in)
		if trimmed := strings.TrimPrefix(rest, bom); trimmed == "" || strings.ContainsAny(trimmed[:1], "\r\n") {
			rest = trimmed // a mark on a blank line
		}
		for i, ev := range want {
			rest = strings.TrimLeft(rest, "\r\n")
			behind, found := strings.CutPrefix(rest, ev.Raw)
			if !found {
				t.Fatalf("%q: event %d is %q, at %q", in, i, ev.Raw, rest)
			}
			rest = behind
			if !ev.Clean {
				continue
			}
			alone, err := all(NewReader(strings.NewReader(ev.Raw), 0))
			if err != io.EOF || len(alone) != 1 || alone[0] != ev || strings.ContainsAny(ev.Raw, "\r") || !strings.HasSuffix(ev.Raw, "\n\n") {
				t.Fatalf("clean event %q, alone: %+v, %v", ev.Raw, alone, err)
			}
		}
		// What is left has no data.
		if left, err := all(NewReader(strings.NewReader("\n"+rest), 0)); err != io.EOF || len(left) != 0 {
			t.Fatalf("%q: %+v is left, %v", in, left, err)
		}
	})
}

// FuzzAppend: what is written is read as it was meant, and nothing else is.
func FuzzAppend(f *testing.F) {
	f.Add("e", []byte("x\ny\r\nz\r"), "c\nd")
	f.Add("", []byte(""), "")
	f.Add("e\ndata: evil", []byte("\n\ndata: evil"), "\r\rdata: evil")
	f.Fuzz(func(t *testing.T, name string, data []byte, comment string) {
		stream := AppendComment(nil, comment)
		stream = Append(stream, name, data)
		got, err := all(NewReader(bytes.NewReader(stream), 0))
		if err != io.EOF || len(got) != 2 {
			t.Fatalf("%q: %+v, %v", stream, got, err)
		}
		if c := got[0]; !c.None || c.Name != "" || !c.Clean {
			t.Fatalf("comment %+v", c)
		}
		if i := strings.IndexAny(name, "\r\n"); i >= 0 {
			name = name[:i]
		}
		text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
		ev := got[1]
		if ev.None || ev.Name != name || ev.Data != text || ev.Clean == strings.Contains(text, "\n") {
			t.Fatalf("event %+v, want %q, %q", ev, name, text)
		}
	})
}
