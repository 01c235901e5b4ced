package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// api is one of the two protocols as a client sees it.
type api struct {
	name, path string
	extra      string // further fields every request needs
}

var (
	openaiAPI    = api{"openai", "/v1/chat/completions", ""}
	anthropicAPI = api{"anthropic", "/v1/messages", `,"max_tokens":1000`}
	bothAPIs     = []api{openaiAPI, anthropicAPI}
)

// body is a request: fields are more JSON members, beginning with a comma.
func (a api) body(stream bool, user, fields string) string {
	return fmt.Sprintf(`{"model":"m","stream":%t,"messages":[{"role":"user","content":%q}]%s%s}`, stream, user, a.extra, fields)
}

func (a api) request(t testing.TB, ctx context.Context, base, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+a.path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if a.name == "anthropic" {
		r.Header.Set("Anthropic-Version", "2023-06-01")
	}
	return r
}

func mustNew(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustScript(t testing.TB, yaml string) *Script {
	t.Helper()
	s, err := ParseScript("test.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen serves s on a real socket.
func listen(t testing.TB, s *Server) (*httptest.Server, *http.Client) {
	t.Helper()
	ts := httptest.NewUnstartedServer(s)
	s.Attach(ts.Config)
	ts.Start()
	client := ts.Client()
	t.Cleanup(func() {
		_ = s.Close()
		ts.CloseClientConnections()
		ts.Close()
	})
	return ts, client
}

// answer is what a client got.
type answer struct {
	status  int
	header  http.Header
	body    string
	readErr error
}

func send(t testing.TB, c *http.Client, r *http.Request) (answer, error) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b), err}, nil
}

func mustSend(t testing.TB, c *http.Client, r *http.Request) answer {
	t.Helper()
	a, err := send(t, c, r)
	if err != nil {
		t.Fatal(err)
	}
	if a.readErr != nil {
		t.Fatal(a.readErr)
	}
	return a
}

func ask1(t testing.TB, s *Server, a api, body string) answer {
	t.Helper()
	return mustSend(t, &http.Client{Transport: s.RoundTripper()}, a.request(t, t.Context(), "http://sim", body))
}

// event is one event of a stream.
type event struct{ name, data string }

// parseStream reads a stream strictly as providers write it.
func parseStream(t testing.TB, body string) []event {
	t.Helper()
	var out []event
	blocks := strings.Split(body, "\n\n")
	if last := blocks[len(blocks)-1]; last != "" {
		t.Fatalf("stream does not end with a blank line: %q", last)
	}
	for _, block := range blocks[:len(blocks)-1] {
		var e event
		for line := range strings.SplitSeq(block, "\n") {
			switch {
			case strings.HasPrefix(line, "event: "):
				e.name = line[len("event: "):]
			case strings.HasPrefix(line, "data: "):
				e.data += line[len("data: "):]
			case strings.HasPrefix(line, ":"):
			default:
				t.Fatalf("odd line in stream: %q", line)
			}
		}
		if e.data != "[DONE]" && !gjson.Valid(e.data) {
			t.Fatalf("event is not JSON: %q", e.data)
		}
		out = append(out, e)
	}
	return out
}

// collected is an answer put together from a stream or taken from a whole body.
type collected struct {
	text, thinking, finish string
	calls                  []ToolCall
	usage                  Usage
}

// collectStream checks the grammar of a stream and joins it.
func (a api) collectStream(t testing.TB, body string) collected {
	t.Helper()
	if a.name == "openai" {
		return collectOpenAI(t, parseStream(t, body))
	}
	return collectAnthropic(t, parseStream(t, body))
}

func collectOpenAI(t testing.TB, events []event) (out collected) {
	t.Helper()
	if n := len(events); n == 0 || events[n-1].data != "[DONE]" {
		t.Fatal("no [DONE] at the end")
	}
	id, finished := "", false
	for i, e := range events[:len(events)-1] {
		d := gjson.Parse(e.data)
		if e.name != "" || d.Get("object").Str != "chat.completion.chunk" || !d.Get("choices").IsArray() {
			t.Fatalf("odd chunk %q", e.data)
		}
		if id == "" {
			id = d.Get("id").Str
		}
		if d.Get("id").Str != id || !strings.HasPrefix(id, "chatcmpl-") {
			t.Fatalf("id %q after %q", d.Get("id").Str, id)
		}
		choice := d.Get("choices.0")
		if i == 0 && choice.Get("delta.role").Str != "assistant" {
			t.Fatalf("first chunk has no role: %q", e.data)
		}
		if !choice.Exists() {
			if !finished || !d.Get("usage").IsObject() {
				t.Fatalf("chunk without choices is no usage chunk after the finish: %q", e.data)
			}
			out.usage = openaiUsage(d.Get("usage"))
			continue
		}
		if finished {
			t.Fatalf("content after the finish reason: %q", e.data)
		}
		delta := choice.Get("delta")
		out.text += delta.Get("content").Str
		out.thinking += delta.Get("reasoning_content").Str
		if call := delta.Get("tool_calls.0"); call.Exists() {
			k := int(call.Get("index").Int())
			if k == len(out.calls) {
				if !strings.HasPrefix(call.Get("id").Str, "call_") {
					t.Fatalf("first delta of a call without id: %q", e.data)
				}
				out.calls = append(out.calls, ToolCall{Name: call.Get("function.name").Str})
			}
			out.calls[k].Arguments += call.Get("function.arguments").Str
		}
		if f := choice.Get("finish_reason"); f.Type == gjson.String {
			out.finish, finished = f.Str, true
		}
	}
	if !finished {
		t.Fatal("no finish reason")
	}
	return out
}

func openaiUsage(u gjson.Result) Usage {
	out := Usage{
		Input: int(u.Get("prompt_tokens").Int()), Output: int(u.Get("completion_tokens").Int()),
		Cached: int(u.Get("prompt_tokens_details.cached_tokens").Int()), Reasoning: int(u.Get("completion_tokens_details.reasoning_tokens").Int()),
		CacheWrite: int(u.Get("prompt_tokens_details.cache_write_tokens").Int()),
	}
	return out
}

func anthropicUsage(u gjson.Result) Usage {
	out := Usage{
		Cached: int(u.Get("cache_read_input_tokens").Int()), CacheWrite: int(u.Get("cache_creation_input_tokens").Int()),
		Output: int(u.Get("output_tokens").Int()), Reasoning: int(u.Get("output_tokens_details.thinking_tokens").Int()),
	}
	out.Input = int(u.Get("input_tokens").Int()) + out.Cached + out.CacheWrite
	return out
}

// collectAnthropic checks: message_start, (content_block_start, deltas,
// content_block_stop)*, message_delta, message_stop, pings anywhere between.
func collectAnthropic(t testing.TB, events []event) (out collected) {
	t.Helper()
	state, open, blocks := "start", "", -1
	for _, e := range events {
		d := gjson.Parse(e.data)
		if d.Get("type").Str != e.name {
			t.Fatalf("event %q has type %q", e.name, d.Get("type").Str)
		}
		if e.name == "ping" && state != "start" {
			continue
		}
		switch {
		case state == "start" && e.name == "message_start":
			m := d.Get("message")
			if m.Get("content").Raw != "[]" || m.Get("role").Str != "assistant" || !strings.HasPrefix(m.Get("id").Str, "msg_") {
				t.Fatalf("odd message_start %q", e.data)
			}
			state = "between"
		case state == "between" && e.name == "content_block_start":
			blocks++
			state, open = "block", d.Get("content_block.type").Str
			if open == "tool_use" {
				if d.Get("content_block.input").Raw != "{}" || !strings.HasPrefix(d.Get("content_block.id").Str, "toolu_") {
					t.Fatalf("odd tool_use %q", e.data)
				}
				out.calls = append(out.calls, ToolCall{Name: d.Get("content_block.name").Str})
			}
		case state == "block" && e.name == "content_block_delta":
			delta := d.Get("delta")
			want := map[string]string{"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking", "input_json_delta": "tool_use"}[delta.Get("type").Str]
			if want != open {
				t.Fatalf("%s in a %s block", delta.Get("type").Str, open)
			}
			out.text += delta.Get("text").Str
			out.thinking += delta.Get("thinking").Str
			if open == "tool_use" {
				out.calls[len(out.calls)-1].Arguments += delta.Get("partial_json").Str
			}
		case state == "block" && e.name == "content_block_stop":
			state = "between"
		case state == "between" && e.name == "message_delta":
			state, out.finish, out.usage = "delta", d.Get("delta.stop_reason").Str, anthropicUsage(d.Get("usage"))
		case state == "delta" && e.name == "message_stop":
			state = "stop"
		default:
			t.Fatalf("event %q in state %q", e.name, state)
		}
		if state == "block" || e.name == "content_block_stop" {
			if int(d.Get("index").Int()) != blocks {
				t.Fatalf("index in %q, want %d", e.data, blocks)
			}
		}
	}
	if state != "stop" {
		t.Fatalf("stream ends in state %q", state)
	}
	return out
}

func (a api) collectWhole(t testing.TB, body string) (out collected) {
	t.Helper()
	if !gjson.Valid(body) {
		t.Fatalf("answer is not JSON: %q", body)
	}
	d := gjson.Parse(body)
	if a.name == "openai" {
		m := d.Get("choices.0.message")
		out = collected{text: m.Get("content").Str, thinking: m.Get("reasoning_content").Str, finish: d.Get("choices.0.finish_reason").Str, usage: openaiUsage(d.Get("usage"))}
		m.Get("tool_calls").ForEach(func(_, c gjson.Result) bool {
			out.calls = append(out.calls, ToolCall{c.Get("function.name").Str, c.Get("function.arguments").Str})
			return true
		})
		return out
	}
	out.finish, out.usage = d.Get("stop_reason").Str, anthropicUsage(d.Get("usage"))
	d.Get("content").ForEach(func(_, b gjson.Result) bool {
		out.text += b.Get("text").Str
		out.thinking += b.Get("thinking").Str
		if b.Get("type").Str == "tool_use" {
			out.calls = append(out.calls, ToolCall{b.Get("name").Str, b.Get("input").Raw})
		}
		return true
	})
	return out
}

// sharedDir is a folder beside the repository, or skips the test.
func sharedDir(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(filepath.Dir(dir), "shared", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatalf("%s is missing", path)
		}
		t.Skipf("no recorded traffic beside the repository (%s)", filepath.Join("..", "shared", name))
	}
	return path
}

// trickle is a request body that can be closed while it is read.
type trickle struct {
	*io.PipeReader
}

func newTrickle(first string) (trickle, *io.PipeWriter) {
	r, w := io.Pipe()
	go func() { _, _ = io.Copy(w, bytes.NewReader([]byte(first))) }()
	return trickle{r}, w
}
