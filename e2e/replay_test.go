package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater"
	"github.com/breakwater-llm/breakwater/internal/testenv"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
)

// cassette is one recorded call, in the format of the recordings' own README.
type cassette struct {
	file     string
	Provider string
	API      string
	Model    string
	Stream   bool
	Features []string
	Request  struct {
		Body     json.RawMessage
		Encoding string `json:"body_encoding"`
		Headers  map[string]string
	}
	Response struct {
		Status   int
		Headers  map[string]string
		Body     string
		Encoding string `json:"body_encoding"`
	}
}

func (c *cassette) has(feature string) bool { return slices.Contains(c.Features, feature) }

// kind is the protocol that was recorded.
func (c *cassette) kind() string {
	if c.API == "chat.completions" {
		return "openai"
	}
	return "anthropic"
}

func (c *cassette) surface() surface {
	switch c.API {
	case "chat.completions":
		return chat
	case "count_tokens":
		return surface{"count_tokens", "/v1/messages/count_tokens"}
	}
	return messages
}

// cassettes loads every recording of the APIs that the gateway speaks.
func cassettes(t *testing.T) []*cassette {
	root := testenv.Shared(t, "cassettes")
	var all []*cassette
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c := &cassette{}
		if err := json.Unmarshal(b, c); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		switch c.API {
		case "chat.completions", "messages", "count_tokens":
		default:
			return nil
		}
		if c.Response.Encoding == "base64" {
			raw, err := base64.StdEncoding.DecodeString(c.Response.Body)
			if err != nil {
				return err
			}
			c.Response.Body = string(raw)
		}
		c.file, _ = filepath.Rel(root, path)
		all = append(all, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 700 {
		t.Fatalf("only %d recordings found", len(all))
	}
	return all
}

// body is the recorded request as the client sends it: with a model name that only the gateway
// knows. A recording without a request gets a small one.
func (c *cassette) body(s surface) []byte {
	raw := []byte(c.Request.Body)
	if c.Request.Encoding == "text" {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			raw = []byte(text)
		}
	}
	if len(raw) == 0 || raw[0] != '{' {
		return []byte(s.request("up/recorded", c.Stream))
	}
	if member := modelMember(raw); member != nil {
		return bytes.Replace(raw, member, []byte(`"model":"up/recorded"`), 1)
	}
	return append([]byte(`{"model":"up/recorded",`), raw[1:]...) // Azure: the model was in the path
}

// modelMember is the text of the top-level model member.
func modelMember(raw []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	depth := 0
	for {
		tok, err := dec.Token()
		if err != nil {
			return nil
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 1 && tok == "model" {
			start := dec.InputOffset() - int64(len(`"model"`))
			if _, err := dec.Token(); err != nil {
				return nil
			}
			return raw[start:dec.InputOffset()]
		}
	}
}

// replay runs a call of the surface against an upstream that answers as recorded.
type replay struct {
	status   int
	header   http.Header
	body     []byte
	received []byte // by the provider; nil: nothing was sent
}

func run(t *testing.T, c *cassette, s surface, kind string, body []byte) replay {
	t.Helper()
	var out replay
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out.received, _ = io.ReadAll(r.Body)
		for name, v := range c.Response.Headers {
			w.Header().Set(name, v)
		}
		if c.Stream && w.Header().Get("Content-Type") == "" && c.Response.Status == 200 {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		w.WriteHeader(c.Response.Status)
		io.WriteString(w, c.Response.Body)
	}))
	defer up.Close()
	base := up.URL
	if kind == "openai" {
		base += "/v1"
	}
	gw, err := breakwater.New(
		breakwater.WithProvider("up", breakwater.Provider{Type: kind, BaseURL: base, APIKey: "sk-replay-0123456789"}),
		breakwater.WithRetries(1),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer gw.Close()
	front := httptest.NewServer(gw.Handler())
	defer front.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+s.path, bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for _, name := range []string{"anthropic-version", "anthropic-beta"} {
		if v := c.Request.Headers[name]; v != "" {
			req.Header.Set(name, v)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out.status, out.header = resp.StatusCode, resp.Header
	if out.body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return out
}

// tally counts what passed, by provider and by feature.
type tally struct {
	title          string
	passed, total  int
	byProv, byFeat map[string][2]int
	refused        map[string]int
}

func newTally(title string) *tally {
	return &tally{title: title, byProv: map[string][2]int{}, byFeat: map[string][2]int{}, refused: map[string]int{}}
}

func (y *tally) add(c *cassette, ok bool) {
	count := func(m map[string][2]int, k string) {
		v := m[k]
		v[1]++
		if ok {
			v[0]++
		}
		m[k] = v
	}
	y.total++
	if ok {
		y.passed++
	}
	count(y.byProv, c.Provider)
	for _, f := range c.Features {
		count(y.byFeat, f)
	}
}

// print writes the table; lines with the mark are shown by the test command even when all is well.
func (y *tally) print(t *testing.T) {
	row := func(name string, v [2]int) { t.Logf("REPORT   %-44s %4d / %d", name, v[0], v[1]) }
	t.Logf("REPORT %s: %d / %d recordings", y.title, y.passed, y.total)
	for _, m := range []map[string][2]int{y.byProv, y.byFeat} {
		names := make([]string, 0, len(m))
		for k := range m {
			names = append(names, k)
		}
		slices.Sort(names)
		for _, k := range names {
			row(k, m[k])
		}
	}
	for k, n := range y.refused {
		t.Logf("REPORT   refused, naming %-27s %4d", k, n)
	}
}

// TestReplaySameProtocol: what the provider receives and what the client gets are the recorded bytes, but for
// the declared edits: the model's name and the request for usage on the way up; on the way down the usage chunk that only the
// gateway asked for, frames that would trip a client's parser written plainly, and [DONE] where the provider
// leaves it out.
func TestReplaySameProtocol(t *testing.T) {
	y := newTally("same protocol, byte equality")
	for _, c := range cassettes(t) {
		ok := t.Run(c.file, func(t *testing.T) {
			s := c.surface()
			body := c.body(s)
			r := run(t, c, s, c.kind(), body)
			checkSent(t, c, body, r)
			checkReceived(t, c, s, body, r)
		})
		y.add(c, ok)
	}
	y.print(t)
}

func checkSent(t *testing.T, c *cassette, body []byte, r replay) {
	if r.received == nil {
		t.Fatalf("refused at the door: %d %s", r.status, r.body)
	}
	want := bytes.Replace(body, []byte(`"model":"up/recorded"`), []byte(`"model":"recorded"`), 1)
	if bytes.Equal(r.received, want) {
		return
	}
	if !asksUsage(c, body) {
		t.Fatalf("the provider received\n%.2000s\nwant\n%.2000s", r.received, want)
	}
	// The request for usage is the only other edit: take it out again and compare.
	var opts struct {
		Options json.RawMessage `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &opts); err != nil {
		t.Fatal(err)
	}
	added := []byte(`,"stream_options":{"include_usage":true}`)
	if opts.Options == nil && bytes.Equal(bytes.Replace(r.received, added, nil, 1), want) {
		return
	}
	if opts.Options != nil {
		var got struct {
			Options json.RawMessage `json:"stream_options"`
		}
		if json.Unmarshal(r.received, &got) == nil && bytes.Equal(bytes.Replace(r.received, got.Options, opts.Options, 1), want) {
			return
		}
	}
	t.Fatalf("the provider received\n%.2000s\nwant, but for stream_options,\n%.2000s", r.received, want)
}

// asksUsage: the gateway asks for usage in a chat stream whose client did not.
func asksUsage(c *cassette, body []byte) bool {
	var req struct {
		Stream  bool
		Options struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	return c.kind() == "openai" && json.Unmarshal(body, &req) == nil && req.Stream && !req.Options.Usage
}

// callersOwn are the statuses that are passed on.
func callersOwn(status int) bool {
	return status == 400 || status == 404 || status == 413 || status == 422
}

func checkReceived(t *testing.T, c *cassette, s surface, body []byte, r replay) {
	switch {
	case c.Response.Status != 200:
		checkError(t, c, s, r)
	case c.Stream:
		checkStream(t, c, s, body, r)
	case r.status != 200:
		t.Fatalf("status %d: %s\nrecorded %.500s", r.status, r.body, c.Response.Body)
	case string(r.body) != c.Response.Body:
		t.Fatalf("the client got\n%.2000s\nrecorded\n%.2000s", r.body, c.Response.Body)
	}
}

// checkError: the caller's own mistake is told as the provider told it, if that was in the client's
// form; a refusal of the gateway's account is never told as the caller's fault.
func checkError(t *testing.T, c *cassette, s surface, r replay) {
	if string(r.body) != c.Response.Body || s.path != chat.path {
		s.shape().errorOf(t, r.body)
	} else if !strings.Contains(c.Response.Body, `"type"`) || !strings.Contains(c.Response.Body, `"param"`) {
		t.Fatalf("passed on although it lacks members: %s", r.body)
	}
	switch {
	case r.status == c.Response.Status && callersOwn(r.status):
	case r.status == 502 || r.status == 504 || r.status == 413:
	case r.status == 429 && c.Response.Status == 429:
	default:
		t.Fatalf("status %d for the provider's %d: %s", r.status, c.Response.Status, r.body)
	}
	if r.status == 401 || r.status == 403 {
		t.Fatalf("the provider's refusal of the gateway's key is told as the caller's: %s", r.body)
	}
}

// shape is the surface whose errors this one tells.
func (s surface) shape() surface {
	if s.path == chat.path {
		return chat
	}
	return messages
}

type event struct{ name, data string }

func events(t *testing.T, body []byte) (evs []event) {
	t.Helper()
	r := sse.NewReader(bytes.NewReader(body), 0)
	for {
		ev, err := r.Next()
		if err != nil {
			return evs
		}
		if ev.Data != nil {
			evs = append(evs, event{string(ev.Name), string(ev.Data)})
		}
	}
}

func checkStream(t *testing.T, c *cassette, s surface, body []byte, r replay) {
	recorded := events(t, []byte(c.Response.Body))
	if i := slices.IndexFunc(recorded, failed); i >= 0 || !whole_(c, recorded) {
		// The recording itself broke: it must not look whole.
		if r.status == 200 {
			if a := s.read(t, r.body); a.complete || !a.failed {
				t.Fatalf("a broken recording looks whole: %+v", a)
			}
		} else {
			s.errorOf(t, r.body)
		}
		return
	}
	if r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	want := slices.Clone(recorded)
	if i := slices.IndexFunc(want, ended); i >= 0 {
		want = want[:i+1] // some recordings hold several streams in a row
	}
	if asksUsage(c, body) {
		want = slices.DeleteFunc(want, usageOnly)
	}
	if c.kind() == "openai" && want[len(want)-1].data != "[DONE]" {
		want = append(want, event{"", "[DONE]"})
	}
	got := events(t, r.body)
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("event %d:\n%+v\nwant\n%+v", i, got[i], want[i])
			}
		}
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	if len(want) == len(recorded) && plain(c.Response.Body) && string(r.body) != c.Response.Body {
		t.Fatalf("the events agree but the bytes do not:\n%.1000q\nrecorded\n%.1000q", r.body, c.Response.Body)
	}
}

// plain: the stream's bytes can be passed on as they are.
func plain(body string) bool {
	if strings.Contains(body, "\r") || !strings.HasSuffix(body, "\n\n") || strings.HasPrefix(body, "\ufeff") || strings.Contains(body, "\n\n\n") {
		return false
	}
	for _, block := range strings.Split(body, "\n\n") {
		if n := strings.Count("\n"+block, "\ndata:"); n > 1 || n == 0 && strings.Contains("\n"+block, "\nevent:") {
			return false
		}
		for _, line := range strings.Split(block, "\n") {
			if line != "" && !strings.HasPrefix(line, "data:") && !strings.HasPrefix(line, "event:") && !strings.HasPrefix(line, ":") {
				return false
			}
		}
	}
	return true
}

// whole_ says whether the recorded events are a complete answer: an end mark, or for chat a finish reason.
func whole_(c *cassette, evs []event) bool {
	for _, ev := range evs {
		if c.kind() == "anthropic" && strings.Contains(ev.data, `"message_stop"`) {
			return true
		}
		if c.kind() == "openai" {
			if ev.data == "[DONE]" {
				return true
			}
			var ch struct {
				Choices []struct {
					Finish *string `json:"finish_reason"`
				}
			}
			if json.Unmarshal([]byte(ev.data), &ch) == nil {
				for _, k := range ch.Choices {
					if k.Finish != nil && *k.Finish != "" {
						return true
					}
				}
			}
		}
	}
	return false
}

// ended: the event is the protocol's end mark.
func ended(ev event) bool { return ev.data == "[DONE]" || ev.name == "message_stop" }

func failed(ev event) bool {
	var e struct {
		Type  string
		Error json.RawMessage
	}
	return ev.name == "error" || json.Unmarshal([]byte(ev.data), &e) == nil && len(e.Error) > 0 && string(e.Error) != "null"
}

func usageOnly(ev event) bool {
	var c struct {
		Choices *[]json.RawMessage
		Usage   json.RawMessage
	}
	return json.Unmarshal([]byte(ev.data), &c) == nil && c.Choices != nil && len(*c.Choices) == 0 && len(c.Usage) > 0 && string(c.Usage) != "null"
}
