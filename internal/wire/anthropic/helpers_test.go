package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/breakwater-llm/breakwater/internal/testenv"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

// cassette is a recorded call (shared/cassettes/README.md).
type cassette struct {
	name    string
	Stream  bool `json:"stream"`
	Request struct {
		Body json.RawMessage `json:"body"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	} `json:"response"`
}

func cassettes(t testing.TB, api string) []cassette {
	t.Helper()
	dir := testenv.Shared(t, "cassettes", "anthropic", api)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s", dir)
	}
	var all []cassette
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := cassette{name: strings.TrimSuffix(filepath.Base(f), ".json")}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all = append(all, c)
	}
	return all
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func parse(t testing.TB, body string) *jsondoc.Doc {
	t.Helper()
	doc, err := jsondoc.Parse([]byte(body), New().Shape())
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return doc
}

func decodeRequest(t testing.TB, body string) *llm.Request {
	t.Helper()
	r, err := New().DecodeRequest(parse(t, body))
	if err != nil {
		t.Fatalf("DecodeRequest: %v", err)
	}
	return r
}

// decodeStream runs a stream through the decoder.
func decodeStream(src io.Reader) ([]llm.Event, error) {
	d := New().NewDecoder()
	r := sse.NewReader(src, 0)
	var evs []llm.Event
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			return d.End(evs)
		}
		if err != nil {
			return evs, err
		}
		if evs, err = d.Decode(evs, ev.Name, ev.Data); err != nil {
			return evs, err
		}
	}
}

func collect(evs []llm.Event) *llm.Response {
	var c llm.Collector
	for _, ev := range evs {
		c.Add(ev)
	}
	return c.Response()
}

// normal is v as plain JSON values, for comparisons without regard to white
// space and order of members.
func normal(t testing.TB, raw []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v: %.200s", err, raw)
	}
	return v
}

func show(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func ptr[T any](v T) *T { return &v }

// normalMap is an object that the standard library reads without mending it.
func normalMap(raw []byte) (map[string]any, bool) {
	var m map[string]any
	if !utf8.Valid(raw) || json.Unmarshal(raw, &m) != nil || bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)) {
		return nil, false
	}
	return m, true
}
