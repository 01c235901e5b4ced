package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"
)

// MaxCassette bounds one cassette file, in bytes.
const MaxCassette = 64 << 20

// cassette is one recorded interaction.
type cassette struct {
	file   string
	kind   string // the API, told by the end of the path: "chat/completions"
	model  string
	stream bool
	body   [32]byte // hash of the canonical request body
	hasReq bool

	status int
	header http.Header
	answer []byte
}

// cassetteFile is the file's format.
type cassetteFile struct {
	API     string `json:"api"`
	Model   string `json:"model"`
	Stream  bool   `json:"stream"`
	Request struct {
		Path         string          `json:"path"`
		Body         json.RawMessage `json:"body"`
		BodyEncoding string          `json:"body_encoding"`
	} `json:"request"`
	Response struct {
		Status       int               `json:"status"`
		Headers      map[string]string `json:"headers"`
		Body         string            `json:"body"`
		BodyEncoding string            `json:"body_encoding"`
	} `json:"response"`
}

// loadCassette reads a cassette file.
func loadCassette(path string) (*cassette, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxCassette {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, MaxCassette)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseCassette(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.file = path
	return c, nil
}

func parseCassette(b []byte) (*cassette, error) {
	var f cassetteFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("not a cassette: %w", err)
	}
	if f.Response.Status < 200 || f.Response.Status > 599 {
		return nil, fmt.Errorf("not a cassette: response.status is %d", f.Response.Status)
	}
	c := &cassette{model: f.Model, stream: f.Stream, status: f.Response.Status, answer: []byte(f.Response.Body), header: http.Header{}}
	if f.Response.BodyEncoding == "base64" {
		raw, err := base64.StdEncoding.DecodeString(f.Response.Body)
		if err != nil {
			return nil, fmt.Errorf("response.body is not base64: %w", err)
		}
		c.answer = raw
	}
	for k, v := range f.Response.Headers {
		switch k = http.CanonicalHeaderKey(k); k {
		case "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Trailer", "Upgrade":
		default:
			c.header.Set(k, v)
		}
	}
	c.kind = pathKind(f.Request.Path)
	if f.Request.BodyEncoding == "" && len(f.Request.Body) > 0 && !bytes.Equal(f.Request.Body, []byte("null")) {
		c.body, c.hasReq = canonicalHash(f.Request.Body), true
		if m := gjson.GetBytes(f.Request.Body, "model"); m.Type == gjson.String {
			c.model = m.Str
		}
	}
	return c, nil
}

// canonicalHash is equal for bodies that are the same JSON value.
func canonicalHash(body []byte) [32]byte {
	v := jsontext.Value(bytes.Clone(body))
	if err := v.Canonicalize(); err != nil {
		v = body
	}
	return sha256.Sum256(v)
}

// pathKinds are the ends of paths by which APIs are told apart, the longer of two
// with one end first.
var pathKinds = []string{
	"chat/completions", "messages/count_tokens", "messages/batches", "messages", "responses/input_tokens",
	"responses/compact", "responses", "embeddings", "completions", "models",
}

// pathKind tells which API a path is of, wherever that API is mounted.
func pathKind(path string) string {
	path, _, _ = strings.Cut(path, "?")
	path = strings.Trim(path, "/")
	for _, k := range pathKinds {
		if path == k || strings.HasSuffix(path, "/"+k) {
			return k
		}
	}
	for _, version := range []string{"v1/", "v1beta/"} {
		path = strings.TrimPrefix(path, version)
	}
	return path
}

// replay answers from cassettes.
type replay struct {
	mu     sync.Mutex
	exact  map[replayKey][]*cassette
	alike  map[replayKey][]*cassette // by kind, model and stream
	next   map[replayKey]int
	loaded int
}

// replayKey finds cassettes: by kind and body, or by kind, model and stream.
type replayKey struct {
	kind, model string
	stream      bool
	body        [32]byte
}

// loadReplay reads all cassettes below a directory, in the order of their names.
func loadReplay(dir string) (*replay, error) {
	p := &replay{exact: map[replayKey][]*cassette{}, alike: map[replayKey][]*cassette{}, next: map[replayKey]int{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		c, err := loadCassette(path)
		if err != nil {
			return err
		}
		p.add(c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sim: replay: %w", err)
	}
	if p.loaded == 0 {
		return nil, fmt.Errorf("sim: replay: no cassettes (*.json) in %s", dir)
	}
	return p, nil
}

func (p *replay) add(c *cassette) {
	p.loaded++
	key := replayKey{kind: c.kind, model: c.model, stream: c.stream}
	p.alike[key] = append(p.alike[key], c)
	if c.hasReq {
		key = replayKey{kind: c.kind, body: c.body}
		p.exact[key] = append(p.exact[key], c)
	}
}

// find gives the cassette recorded with this very body, else the next one of the
// same API, model and streaming; several are taken in turn.
func (p *replay) find(key replayKey, body []byte) *cassette {
	p.mu.Lock()
	defer p.mu.Unlock()
	exact := replayKey{kind: key.kind, body: canonicalHash(body)}
	for _, try := range []struct {
		key  replayKey
		list []*cassette
	}{{exact, p.exact[exact]}, {key, p.alike[key]}} {
		if n := len(try.list); n > 0 {
			i := p.next[try.key]
			p.next[try.key] = (i + 1) % n
			return try.list[i]
		}
	}
	return nil
}

// replayed answers from the cassettes; bad is the answer, if not nil, where none
// fits. a is nil for an API that the simulator does not speak.
func (c *call) replayed(a *ask, bad *failure) error {
	key := replayKey{kind: pathKind(c.r.URL.Path)}
	if a != nil {
		key.model, key.stream = a.model, a.stream
	} else {
		doc := gjson.ParseBytes(c.body)
		key.model, key.stream = doc.Get("model").Str, doc.Get("stream").Bool()
		c.stream = key.stream
		c.note(func(r *Request) { r.Model, r.Stream = key.model, key.stream })
		c.prepare(nil)
		if done, err := c.before(); done {
			return err
		}
	}
	found := c.s.replay.find(key, c.body)
	if found == nil && bad != nil {
		return c.fail(bad)
	}
	if found == nil {
		return c.fail(&failure{kind: failUnrecorded, message: fmt.Sprintf(
			"no cassette for %s with model %q and stream %t", key.kind, clip(key.model, 100), key.stream)})
	}
	return c.cassette(found)
}

// cassette sends a recorded answer: status, headers and body as they were, a
// stream event by event.
func (c *call) cassette(t *cassette) error {
	h := t.header.Clone()
	contentType := h.Get("Content-Type")
	usage := recordedUsage(t.answer)
	if t.status == http.StatusOK && strings.HasPrefix(contentType, "text/event-stream") {
		return c.sendStream(splitEvents(t.answer), h, usage)
	}
	return c.sendWholeStatus(t.status, h, t.answer, usage, usage.Output)
}

// splitEvents cuts a recorded event stream after each blank line; each event that
// has data counts as a token, for pacing and for faults.
func splitEvents(b []byte) []frame {
	var out []frame
	for len(b) > 0 {
		end := len(b)
		for _, mark := range []string{"\n\n", "\r\n\r\n"} {
			if i := bytes.Index(b, []byte(mark)); i >= 0 {
				end = min(end, i+len(mark))
			}
		}
		f := frame{data: b[:end]}
		if bytes.Contains(f.data, []byte("data:")) {
			f.tokens = 1
		}
		out = append(out, f)
		b = b[end:]
	}
	return out
}

// recordedUsage is what a recorded answer says that it cost: the last numbers in it.
func recordedUsage(answer []byte) (u Usage) {
	read := func(v gjson.Result) {
		if n := v.Get("prompt_tokens"); n.Exists() {
			u.Input, u.Output = int(n.Int()), int(v.Get("completion_tokens").Int())
			u.Cached = int(v.Get("prompt_tokens_details.cached_tokens").Int())
			u.Reasoning = int(v.Get("completion_tokens_details.reasoning_tokens").Int())
		} else if v.Get("output_tokens").Exists() {
			if n := v.Get("input_tokens"); n.Exists() {
				u.Cached, u.CacheWrite = int(v.Get("cache_read_input_tokens").Int()), int(v.Get("cache_creation_input_tokens").Int())
				u.Input = int(n.Int()) + u.Cached + u.CacheWrite
			}
			u.Output = int(v.Get("output_tokens").Int())
		}
	}
	if gjson.ValidBytes(answer) {
		read(gjson.GetBytes(answer, "usage"))
		return u
	}
	for line := range bytes.Lines(answer) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && bytes.Contains(data, []byte(`usage"`)) && gjson.ValidBytes(data) {
			read(gjson.GetBytes(data, "message.usage"))
			read(gjson.GetBytes(data, "usage"))
		}
	}
	return u
}
