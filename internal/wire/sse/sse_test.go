package sse

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// event is an Event that may be kept.
type event struct {
	Name  string
	Data  string
	None  bool // Data is nil
	Raw   string
	Clean bool
}

func keep(ev Event) event {
	return event{string(ev.Name), string(ev.Data), ev.Data == nil, string(ev.Raw), ev.Clean}
}

// all reads r to its end.
func all(r *Reader) (events []event, err error) {
	for {
		ev, err := r.Next()
		if err != nil {
			if _, again := r.Next(); again != err {
				return nil, fmt.Errorf("error %v, and then %v", err, again)
			}
			return events, err
		}
		events = append(events, keep(ev))
	}
}

const bom = "\xef\xbb\xbf"

var streams = []struct {
	name, in string
	want     []event
}{
	{"nothing", "", nil},
	{"blank lines", "\n\r\n\r\n\n\n", nil},
	{"one", "data: x\n\n", []event{{"", "x", false, "data: x\n\n", true}}},
	{"no space", "data:x\n\n", []event{{"", "x", false, "data:x\n\n", true}}},
	{"two spaces", "data:  x \n\n", []event{{"", " x ", false, "data:  x \n\n", true}}},
	{"named", "event: e\ndata: x\n\n", []event{{"e", "x", false, "event: e\ndata: x\n\n", true}}},
	{"name behind", "data: x\nevent:e\n\n", []event{{"e", "x", false, "data: x\nevent:e\n\n", true}}},
	{"last name counts", "event: a\ndata: x\nevent: b\n\n", []event{{"b", "x", false, "event: a\ndata: x\nevent: b\n\n", true}}},
	{"name does not stay", "event: a\n\ndata: x\n\n", []event{{"a", "", true, "event: a\n\n", false}, {"", "x", false, "data: x\n\n", true}}},
	{"empty data", "data:\n\ndata: \n\n", []event{{"", "", false, "data:\n\n", true}, {"", "", false, "data: \n\n", true}}},
	{"no colon", "data\n\nevent\ndata: x\n\n", []event{{"", "", false, "data\n\n", false}, {"", "x", false, "event\ndata: x\n\n", false}}},
	{"two lines", "data: x\ndata: y\n\n", []event{{"", "x\ny", false, "data: x\ndata: y\n\n", false}}},
	{"empty lines", "data:\ndata\ndata: \n\n", []event{{"", "\n\n", false, "data:\ndata\ndata: \n\n", false}}},
	{"comment", ": ping\n\n", []event{{"", "", true, ": ping\n\n", true}}},
	{"empty comment", ":\n:\n\n", []event{{"", "", true, ":\n:\n\n", true}}},
	{"comment inside", ": c\ndata: x\n:c\n\n", []event{{"", "x", false, ": c\ndata: x\n:c\n\n", true}}},
	{"comment is no data", ":data: x\n\n", []event{{"", "", true, ":data: x\n\n", true}}},
	{"comment and name", ":c\nevent: e\n\n", []event{{"e", "", true, ":c\nevent: e\n\n", false}}},
	{"other fields", "id: 1\nretry: 5\ndata: x\nfoo: bar\n\n", []event{{"", "x", false, "id: 1\nretry: 5\ndata: x\nfoo: bar\n\n", false}}},
	{"only other fields", "id: 1\n\n", []event{{"", "", true, "id: 1\n\n", false}}},
	{"names are exact", "Data: x\n data: y\ndata : z\ndatas: w\nevents: e\n\n", []event{{"", "", true, "Data: x\n data: y\ndata : z\ndatas: w\nevents: e\n\n", false}}},
	{"colons in the value", "data: {\"a\":1}: \n\n", []event{{"", "{\"a\":1}: ", false, "data: {\"a\":1}: \n\n", true}}},
	{"CRLF", "event: e\r\ndata: x\r\n\r\ndata: y\r\n\r\n", []event{{"e", "x", false, "event: e\r\ndata: x\r\n\r\n", false}, {"", "y", false, "data: y\r\n\r\n", false}}},
	{"CR", "data: x\r\rdata: y\r\r", []event{{"", "x", false, "data: x\r\r", false}, {"", "y", false, "data: y\r\r", false}}},
	{"mixed", "data: x\r\ndata: y\rdata: z\n\r\ndata: w\n\n", []event{{"", "x\ny\nz", false, "data: x\r\ndata: y\rdata: z\n\r\n", false}, {"", "w", false, "data: w\n\n", true}}},
	{"LF CR", "data: x\n\rdata: y\n\n", []event{{"", "x", false, "data: x\n\r", false}, {"", "y", false, "data: y\n\n", true}}},
	{"more blank lines", "\n\ndata: x\n\n\n\n\ndata: y\n\n", []event{{"", "x", false, "data: x\n\n", true}, {"", "y", false, "data: y\n\n", true}}},
	{"more blank lines, other ends", "\r\n\rdata: x\n\n\r\r\ndata: y\n\n", []event{{"", "x", false, "data: x\n\n", true}, {"", "y", false, "data: y\n\n", true}}},
	{"mark", bom + "data: x\n\ndata: y\n\n", []event{{"", "x", false, bom + "data: x\n\n", false}, {"", "y", false, "data: y\n\n", true}}},
	{"mark alone", bom + "\n\ndata: y\n\n", []event{{"", "y", false, "data: y\n\n", true}}},
	{"mark at the end", bom, nil},
	{"mark not at the start", "data: x\n\n" + bom + "data: y\n\n", []event{{"", "x", false, "data: x\n\n", true}, {"", "", true, bom + "data: y\n\n", false}}},
	{"mark behind a blank line", "\n" + bom + "data: y\n\n", []event{{"", "", true, bom + "data: y\n\n", false}}},
	{"two marks", bom + bom + "data: y\n\n", []event{{"", "", true, bom + bom + "data: y\n\n", false}}},
	{"not closed", "data: x\n\ndata: y\n", []event{{"", "x", false, "data: x\n\n", true}, {"", "y", false, "data: y\n", false}}},
	{"line not ended", "event: e\ndata: y", []event{{"e", "y", false, "event: e\ndata: y", false}}},
	{"not closed, ended by CR", "data: y\r", []event{{"", "y", false, "data: y\r", false}}},
	{"not closed, no data", "data: x\n\nevent: e\n: c\n", []event{{"", "x", false, "data: x\n\n", true}}},
	{"cut field name", "data: x\n\ndat", []event{{"", "x", false, "data: x\n\n", true}}},
	{"not closed, mark", bom + "data: x", []event{{"", "x", false, bom + "data: x", false}}},
	{"any bytes", "data: \x00\xff\xfe日本\n\n", []event{{"", "\x00\xff\xfe日本", false, "data: \x00\xff\xfe日本\n\n", true}}},
}

func TestNext(t *testing.T) {
	for _, tt := range streams {
		got, err := all(NewReader(strings.NewReader(tt.in), 0))
		if err != io.EOF || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s (%q): %v\n got %+v\nwant %+v", tt.name, tt.in, err, got, tt.want)
		}
	}
}

// cutReader gives its pieces one at a time.
type cutReader struct{ pieces []string }

func (c *cutReader) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; c.pieces[0] == "" {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

// sameEvents compares but for what the cuts may change: whether the LF of a CRLF that closes a block was there in time.
func sameEvents(got, want []event) bool {
	if len(got) != len(want) {
		return false
	}
	for i, g := range got {
		w := want[i]
		if strings.HasSuffix(w.Raw, "\r\n") && w.Raw == g.Raw+"\n" {
			g.Raw = w.Raw
		}
		if g != w {
			return false
		}
	}
	return true
}

func TestAnyChunking(t *testing.T) {
	var long strings.Builder
	for _, tt := range streams[:len(streams)-10] {
		long.WriteString(tt.in)
		long.WriteString("data: 日本語😀\r\n\r\n: c\n\n")
	}
	inputs := []string{long.String()}
	for _, tt := range streams {
		inputs = append(inputs, tt.in)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, in := range inputs {
		want, _ := all(NewReader(strings.NewReader(in), 0))
		check := func(how string, src io.Reader) {
			t.Helper()
			got, err := all(NewReader(src, 0))
			if err != io.EOF || !sameEvents(got, want) {
				t.Errorf("%q, %s: %v\n got %+v\nwant %+v", in, how, err, got, want)
			}
		}
		for at := range len(in) + 1 {
			check(fmt.Sprint("cut at ", at), &cutReader{[]string{in[:at], in[at:]}[btoi(at == 0):]})
		}
		check("bytes", iotest.OneByteReader(strings.NewReader(in)))
		check("halves", iotest.HalfReader(strings.NewReader(in)))
		check("error with the data", iotest.DataErrReader(strings.NewReader(in)))
		check("bytes, error with the last", iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(in))))
		for range 20 {
			var pieces []string
			for rest := in; rest != ""; {
				n := 1 + rng.IntN(min(len(rest), 9))
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			check(fmt.Sprintf("%q", pieces), &cutReader{pieces})
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Every event is returned before anything behind it is asked for, also if its
// last byte is a CR that a LF might follow.
func TestDoesNotReadOn(t *testing.T) {
	for _, end := range []string{"\n\n", "\r\n\r\n", "\r\r", "\n\r", "\r\n\r"} {
		for _, next := range []string{"data: y\n\n", "\ndata: y\n\n"} {
			src := &gate{pieces: []string{"data: x" + end}}
			r := NewReader(src, 0)
			ev, err := r.Next()
			if err != nil || string(ev.Data) != "x" || string(ev.Raw) != "data: x"+end {
				t.Fatalf("%q: %+v, %v", end, keep(ev), err)
			}
			if r.Buffered() {
				t.Errorf("%q: Buffered", end)
			}
			src.pieces = []string{next}
			if ev, err = r.Next(); err != nil || string(ev.Data) != "y" || string(ev.Raw) != "data: y\n\n" {
				t.Errorf("%q, %q: %+v, %v", end, next, keep(ev), err)
			}
		}
	}
}

var errRead = errors.New("read beyond what is there")

// gate fails where a connection would wait.
type gate struct{ pieces []string }

func (g *gate) Read(p []byte) (int, error) {
	if len(g.pieces) == 0 {
		return 0, errRead
	}
	n := copy(p, g.pieces[0])
	g.pieces = g.pieces[1:]
	return n, nil
}

func TestBuffered(t *testing.T) {
	tests := []struct {
		in   string
		want bool // behind the first event
	}{
		{"data: x\n\n", false},
		{"data: x\n\ndata: y", false},
		{"data: x\n\ndata: y\n", false},
		{"data: x\n\ndata: y\n\n", true},
		{"data: x\r\n\r\ndata: y\r\n\r", true},
		{"data: x\r\rdata: y\r\r", true},
		{"data: x\n\n\n\r\n\n", false},
		{"data: x\n\n\n: c\n\n", true},
	}
	for _, tt := range tests {
		r := NewReader(&gate{[]string{tt.in}}, 0)
		if r.Buffered() {
			t.Errorf("%q: Buffered before it was read", tt.in)
		}
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if got := r.Buffered(); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.in, got, tt.want)
		}
		if _, err := r.Next(); (err == nil) != tt.want {
			t.Errorf("%q: Next after Buffered = %v: %v", tt.in, tt.want, err)
		}
	}
}

func TestErrorsAreReturnedAsTheyAre(t *testing.T) {
	broken := errors.New("broken")
	for _, err := range []error{broken, io.ErrUnexpectedEOF} {
		in := io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(err))
		got, gotErr := all(NewReader(in, 0))
		if gotErr != err || len(got) != 1 || got[0].Data != "x" {
			t.Errorf("%v: got %v, %v", err, got, gotErr)
		}
	}
	if _, err := all(NewReader(stuck{}, 0)); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestTooLong(t *testing.T) {
	const bound = 20
	fits := "data: " + strings.Repeat("x", bound-8) + "\n\n"
	tests := []struct {
		name, in string
		events   int
		err      error
	}{
		{"fits", fits + fits, 2, io.EOF},
		{"one more", fits + "data: x" + fits[6:], 1, ErrTooLong},
		{"one more, behind a short one", "data: x\n\n" + "data: x" + fits[6:] + fits, 1, ErrTooLong},
		{"many lines", strings.Repeat("data: x\n", 3) + "\n", 0, ErrTooLong},
		{"never closed", strings.Repeat("x", 100_000), 0, ErrTooLong},
		{"comments", strings.Repeat(":\n", 100_000), 0, ErrTooLong},
		{"blank lines count for nothing", strings.Repeat("\n", 100_000) + fits, 1, io.EOF},
		{"fits with CRLF", strings.Replace(fits[1:], "\n\n", "\r\n\r\n", 1)[:bound-1] + "\r\n", 1, io.EOF},
		{"fits, not closed", strings.TrimSpace(fits) + "xx", 1, io.EOF},
		{"one more, not closed", strings.TrimSpace(fits) + "xxx", 0, ErrTooLong},
	}
	for _, tt := range tests {
		for how, src := range map[string]io.Reader{
			"whole":                    strings.NewReader(tt.in),
			"bytes":                    iotest.OneByteReader(strings.NewReader(tt.in)),
			"whole, error with it":     iotest.DataErrReader(strings.NewReader(tt.in)),
			"bytes, error with a byte": iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(tt.in))),
		} {
			got, err := all(NewReader(src, bound))
			if len(got) != tt.events || err != tt.err {
				t.Errorf("%s, %s: %d events, %v, want %d, %v", tt.name, how, len(got), err, tt.events, tt.err)
			}
		}
	}
}

func TestLongData(t *testing.T) {
	data := strings.Repeat("日本語 and more, ", 4<<20/20)
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		in := "data: x" + end + end + "data: " + data + end + end + "data: y" + end + end
		got, err := all(NewReader(iotest.HalfReader(strings.NewReader(in)), 0))
		if err != io.EOF || len(got) != 3 || got[1].Data != data || got[2].Data != "y" {
			t.Errorf("%s: %d events, %v", name, len(got), err)
		}
	}
}

// The work is linear: an input of line ends of one kind is not searched again and again for the other.
func TestLinear(t *testing.T) {
	big := "data: " + strings.Repeat("x", 4<<20) // makes the buffer long
	for _, end := range []string{"\n", "\r"} {
		in := big + end + end + strings.Repeat("data: x"+end+end, 1<<20)
		r := NewReader(strings.NewReader(in), 0)
		n := 0
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			r.Buffered()
			n++
		}
		if n != 1+1<<20 {
			t.Errorf("%q: %d events", end, n)
		}
	}
}

func TestReset(t *testing.T) {
	r := NewReader(strings.NewReader("data: x\r"), 12)
	if got, err := all(r); err != io.EOF || len(got) != 1 {
		t.Fatal(got, err)
	}
	r.Reset(strings.NewReader("\n" + bom + "data: y\n\n")) // neither a LF to skip nor a mark
	if got, err := all(r); err != io.EOF || len(got) != 1 || !got[0].None {
		t.Errorf("%+v, %v", got, err)
	}
	r.Reset(strings.NewReader(bom + "data: yy\n\n"))
	if got, err := all(r); err != ErrTooLong || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	r.Reset(strings.NewReader(bom + "data"))
	if got, err := all(r); err != io.EOF || len(got) != 1 || got[0].None {
		t.Errorf("%+v, %v", got, err)
	}
}

// After a long event the reader goes back to a short buffer, and Reset keeps no long one.
func TestLongBuffersAreGivenUp(t *testing.T) {
	long := "data: " + strings.Repeat("x", 1<<20) + "\ndata:\n\n"
	r := NewReader(&cutReader{[]string{long, "data: y\n\n"}}, 0)
	for range 2 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.buf) > keepBuffer {
		t.Errorf("%d bytes of buffer for a short event", len(r.buf))
	}
	r.Reset(strings.NewReader(long))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	r.Reset(nil)
	if len(r.buf)+cap(r.joined) > keepBuffer {
		t.Errorf("%d and %d bytes of buffers kept", len(r.buf), cap(r.joined))
	}
}

func TestNoAllocations(t *testing.T) {
	in := strings.Repeat("event: delta\ndata: {\"text\":\"hello\"}\n\n: ping\n\ndata: x\ndata: y\r\n\r\n", 100)
	src := strings.NewReader(in)
	r := NewReader(src, 0)
	read := func() {
		src.Reset(in)
		r.Reset(src)
		for {
			if _, err := r.Next(); err != nil {
				return
			}
		}
	}
	if got := testing.AllocsPerRun(20, read); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestAppend(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"", "x", "data: x\n\n"},
		{"e", "x", "event: e\ndata: x\n\n"},
		{"", "", "data: \n\n"},
		{"", " x", "data:  x\n\n"},
		{"", "x\ny", "data: x\ndata: y\n\n"},
		{"", "x\n", "data: x\ndata: \n\n"},
		{"", "\n\n", "data: \ndata: \ndata: \n\n"},
		{"", "x\r\ny\rdata: z\r", "data: x\ndata: y\ndata: data: z\ndata: \n\n"},
		{"e\nevil: 1", "x", "event: e\ndata: x\n\n"},
		{"e\revil", "x", "event: e\ndata: x\n\n"},
	}
	for _, tt := range tests {
		if got := Append([]byte("<"), tt.name, []byte(tt.data)); string(got) != "<"+tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.name, tt.data, got, tt.want)
		}
	}
	for text, want := range map[string]string{
		"":             ": \n\n",
		"ping":         ": ping\n\n",
		"a\ndata: b\r": ": a\n: data: b\n: \n\n",
	} {
		if got := AppendComment([]byte("<"), text); string(got) != "<"+want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
