package openai

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testenv"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

// cassette is one recorded interaction.
type cassette struct {
	File     string
	Provider string `json:"provider"`
	Stream   bool   `json:"stream"`
	Request  struct {
		Body json.RawMessage `json:"body"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	} `json:"response"`
}

// cassettes are all recordings of Chat Completions, of every provider.
func cassettes(t testing.TB) []cassette {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "cassettes"), "*", "chat.completions", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings of Chat Completions: %v", err)
	}
	out := make([]cassette, 0, len(files))
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := cassette{File: filepath.Base(filepath.Dir(filepath.Dir(f))) + "/" + filepath.Base(f)}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out = append(out, c)
	}
	return out
}

// pieces gives r's bytes out in pieces of random length.
type pieces struct {
	s   string
	rnd *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.s == "" {
		return 0, io.EOF
	}
	n := min(len(b), len(p.s), 1+p.rnd.IntN(40))
	copy(b, p.s[:n])
	p.s = p.s[n:]
	return n, nil
}

// readStream decodes a whole stream, cut at random places.
func readStream(body string, seed uint64) ([]llm.Event, []wire.Facts, error) {
	r := sse.NewReader(&pieces{body, rand.New(rand.NewPCG(seed, 1))}, 0)
	dec := New().NewDecoder()
	var evs []llm.Event
	var facts []wire.Facts
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return evs, facts, err
		}
		if ev.Data == nil {
			continue
		}
		facts = append(facts, New().InspectEvent([]byte(ev.Name), ev.Data))
		if evs, err = dec.Decode(evs, []byte(ev.Name), ev.Data); err != nil {
			return evs, facts, err
		}
	}
	evs, err := dec.End(evs)
	return evs, facts, err
}

func collect(evs []llm.Event) *llm.Response {
	var c llm.Collector
	for _, ev := range evs {
		c.Add(ev)
	}
	return c.Response()
}

func parse(t testing.TB, body string) *jsondoc.Doc {
	t.Helper()
	doc, err := jsondoc.Parse([]byte(body), New().Shape())
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return doc
}

func decodeRequest(t testing.TB, body string) *llm.Request {
	t.Helper()
	r, err := New().DecodeRequest(parse(t, body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return r
}

func encodeRequest(t testing.TB, r *llm.Request, model string) (body string, unsupported []string) {
	t.Helper()
	b, unsupported, err := New().EncodeRequest(r, model)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), unsupported
}

// sameJSON compares two JSON texts by value.
func sameJSON(t testing.TB, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	gb, _ := json.Marshal(g)
	wb, _ := json.Marshal(w)
	if string(gb) != string(wb) {
		t.Errorf("got  %s\nwant %s", gb, wb)
	}
}

func mustContain(t testing.TB, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("%q is not in %s", p, s)
		}
	}
}
