package breakwatertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type result struct {
	status int
	text   string
	body   string
	err    error
}

// chat asks by OpenAI's protocol, and reads text and error.
func chat(ctx context.Context, base string, stream bool, fields string) result {
	body := fmt.Sprintf(`{"model":"m","stream":%t,"messages":[{"role":"user","content":"hello"}]%s}`, stream, fields)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	return do(http.DefaultTransport, r)
}

// message asks by Anthropic's protocol.
func message(ctx context.Context, base string, stream bool) result {
	body := fmt.Sprintf(`{"model":"m","max_tokens":100,"stream":%t,"messages":[{"role":"user","content":"hello"}]}`, stream)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/messages", strings.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	r.Header.Set("anthropic-version", "2023-06-01")
	r.Header.Set("x-api-key", "test")
	return do(http.DefaultTransport, r)
}

func do(rt http.RoundTripper, r *http.Request) result {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	out := result{status: resp.StatusCode, body: string(b), err: err}
	out.text = gjson.GetBytes(b, "choices.0.message.content").Str + gjson.GetBytes(b, "content.0.text").Str
	for line := range strings.Lines(out.body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			out.text += gjson.Get(data, "choices.0.delta.content").Str + gjson.Get(data, "delta.text").Str
		}
	}
	return out
}

func TestRepliesAndSteps(t *testing.T) {
	tests := []struct {
		name string
		opts []Option
		want []string // "STATUS text" of each call
	}{
		{"default", nil, []string{"200 This is Breakwater's simulated provider. You said: hello"}},
		{"reply", []Option{Reply("hi")}, []string{"200 hi", "200 hi"}},
		{"empty reply", []Option{Reply("")}, []string{"200 "}},
		{"replies", []Option{Replies("a", "b", "c")}, []string{"200 a", "200 b", "200 c", "200 c"}},
		{"json", []Option{ReplyJSON(map[string]int{"n": 1})}, []string{`200 {"n":1}`}},
		{"then", []Option{RateLimit(time.Second), Then(Reply("ok"))}, []string{"429 ", "200 ok", "200 ok"}},
		{"many thens", []Option{ServerError(), Then(Overloaded()), Then(Unauthorized()), Then(Replies("a", "b"))}, []string{"500 ", "503 ", "401 ", "200 a", "200 b", "200 b"}},
		{"fail first", []Option{FailFirst(2, ServerError()), Reply("ok")}, []string{"500 ", "500 ", "200 ok", "200 ok"}},
		{"fail first twice", []Option{Replies("a", "b"), FailFirst(1, OutOfQuota()), FailFirst(1, Empty())}, []string{"429 ", "200 ", "200 a", "200 b"}},
		{"fault always", []Option{Fault("overloaded", 1)}, []string{"503 ", "503 "}},
		{"fault never", []Option{Reply("x"), Fault("overloaded", 0)}, []string{"200 x", "200 x"}},
		{"fault in a step", []Option{Reply("x"), Then(Reply("y"), Fault("auth", 1))}, []string{"200 x", "401 ", "401 "}},
		{"fault by text", []Option{FaultSpec("server_error,status=502")}, []string{"502 "}},
		{"script", []Option{Script("rules: [{match: {call: 1}, reply: {text: one}}, {reply: {text: rest}}]")}, []string{"200 one", "200 rest"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := NewProvider(t, tt.opts...)
			for i, want := range tt.want {
				got := chat(t.Context(), srv.OpenAIBaseURL(), false, "")
				if s := fmt.Sprint(got.status, " ", got.text); s != want || got.err != nil {
					t.Errorf("call %d: %q %v, want %q", i+1, s, got.err, want)
				}
			}
			srv.AssertCalls(len(tt.want))
		})
	}
}

func TestStreamsAndBothProtocols(t *testing.T) {
	srv := NewProvider(t, Reply("one two three"), Thinking("hm"), Usage(10, 5), CachedUsage(4), Finish("length"), Chunks("char"), CutBytes(3))
	for _, stream := range []bool{false, true} {
		if got := chat(t.Context(), srv.OpenAIBaseURL(), stream, ""); got.text != "one two three" || !strings.Contains(got.body, "length") {
			t.Errorf("openai: %+v", got)
		}
		got := message(t.Context(), srv.AnthropicBaseURL(), stream)
		if !strings.Contains(got.body, "max_tokens") || !strings.Contains(got.body, `"cache_read_input_tokens":4`) || stream && got.text != "one two three" {
			t.Errorf("anthropic: %+v", got)
		}
	}
	if in, out := srv.Billed(); in != 40 || out != 20 {
		t.Errorf("billed %d and %d", in, out)
	}
}

func TestTools(t *testing.T) {
	srv := NewProvider(t, ReplyTool("f", `{"a": 1}`), ReplyTool("g", `{broken`))
	calls := gjson.Get(chat(t.Context(), srv.OpenAIBaseURL(), false, "").body, "choices.0.message.tool_calls")
	if calls.Get("0.function.name").Str != "f" || calls.Get("0.function.arguments").Str != `{"a": 1}` || calls.Get("1.function.arguments").Str != `{broken` {
		t.Errorf("%s", calls.Raw)
	}
}

func TestBrokenAnswers(t *testing.T) {
	const text = "one two three four five six seven"
	tests := []struct {
		name   string
		opt    Option
		stream bool
		check  func(r result) bool
	}{
		{"cut", CutStream(2), true, func(r result) bool {
			return r.err == nil && strings.HasPrefix(text, r.text) && r.text != "" && !strings.Contains(r.body, "[DONE]")
		}},
		{"cut at once", CutStream(0), true, func(r result) bool { return r.err == nil && r.text == "" && r.status == 200 }},
		{"drop", DropStream(2), true, func(r result) bool { return errors.Is(r.err, io.ErrUnexpectedEOF) && r.text != "" }},
		{"error in stream", MidStreamError(2), true, func(r result) bool { return strings.Contains(r.body, `"error"`) && r.text != "" && r.status == 200 }},
		{"error first", MidStreamError(0), true, func(r result) bool { return strings.HasPrefix(r.body, `data: {"error"`) }},
		{"reset", Reset(), false, func(r result) bool { return errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.EOF) }},
		{"garbage", Garbage(), false, func(r result) bool { return r.status == 200 && r.body != "" && !json.Valid([]byte(r.body)) }},
		{"empty", Empty(), true, func(r result) bool { return r.status == 200 && r.body == "" && r.err == nil }},
	}
	for _, tt := range tests {
		srv := NewProvider(t, Reply(text), tt.opt)
		if r := chat(t.Context(), srv.OpenAIBaseURL(), tt.stream, ""); !tt.check(r) {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

func TestHangingCallsEnd(t *testing.T) {
	srv := NewProvider(t, Hang(), Then(Reply("one two three four"), Stall(2)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan result, 1)
	go func() { ended <- chat(ctx, srv.OpenAIBaseURL(), false, "") }()
	for srv.Calls() == 0 {
		time.Sleep(time.Millisecond) // another goroutine's request is on its way
	}
	cancel()
	if r := <-ended; !errors.Is(r.err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	go func() { ended <- chat(t.Context(), srv.OpenAIBaseURL(), true, "") }()
	for srv.Calls() < 2 || srv.Requests()[1].Status == 0 {
		time.Sleep(time.Millisecond)
	}
	srv.Close() // what hangs then ends
	if r := <-ended; r.err == nil || strings.Contains(r.body, "[DONE]") {
		t.Errorf("%+v", r)
	}
}

func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := NewTransport(t, Reply("a b c d"), Latency(time.Second), TTFT(2*time.Second), TokensPerSecond(1), Chunks("whole"), Then(Reply("x"), Latency(time.Hour)))
		for _, want := range []time.Duration{3 * time.Second, time.Hour} { // 2 tokens: the first after 2 s, then 1 s
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://any/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{}]}`))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if got := do(rt, r); got.status != 200 || time.Since(start) != want {
				t.Errorf("%+v after %v, want %v", got, time.Since(start), want)
			}
		}
	})
}

func TestWhatItReceived(t *testing.T) {
	srv := NewProvider(t)
	message(t.Context(), srv.URL(), true)
	chat(t.Context(), srv.OpenAIBaseURL(), false, `,"temperature":0.5`)
	first, last := srv.Requests()[0], srv.LastRequest()
	if first.Header.Get("X-Api-Key") != "test" || first.Surface != "anthropic.messages" || !first.Stream || first.Path != "/v1/messages" {
		t.Errorf("%+v", first)
	}
	if last.JSON("temperature") != "0.5" || last.JSON("messages.0.content") != "hello" || last.JSON("nothing") != "" || last.Model != "m" || last.Status != 200 || last.OutputTokens == 0 {
		t.Errorf("%+v", last)
	}
	srv.AssertCalls(2)
	srv.AssertReceived(func(r Request) bool { return r.JSON("max_tokens") == "100" })
	srv.AssertNotReceived(func(r Request) bool { return strings.Contains(string(r.Body), "secret") })
}

// recorder is a TB that notes what a test would fail with.
type recorder struct {
	errors, fatals []string
	cleanups       []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.fatals = append(r.fatals, fmt.Sprintf(f, a...)) }

func TestAssertionsFail(t *testing.T) {
	rec := &recorder{}
	srv := NewProvider(rec, Reply("x"))
	if srv.LastRequest().Method != "" {
		t.Error("a request before any")
	}
	chat(t.Context(), srv.OpenAIBaseURL(), false, "")
	srv.AssertCalls(2)
	srv.AssertReceived(func(r Request) bool { return r.Stream })
	srv.AssertNotReceived(func(r Request) bool { return r.Model == "m" })
	if len(rec.errors) != 3 || !strings.Contains(rec.errors[0], "received 1 requests, want 2") || strings.Contains(strings.Join(rec.errors, ""), "hello") {
		t.Errorf("%q", rec.errors)
	}
	if len(rec.cleanups) != 1 {
		t.Fatalf("%d cleanups", len(rec.cleanups))
	}
	rec.cleanups[0]()
	srv.Close() // twice is fine
	if r := chat(t.Context(), srv.OpenAIBaseURL(), false, ""); r.err == nil {
		t.Errorf("a closed provider answers: %+v", r)
	}
}

func TestBadOptions(t *testing.T) {
	tests := map[string]Option{
		"unknown fault \"nope\"":  Fault("nope", 0.5),
		"share from 0 to 1":       Fault("reset", 2),
		"does not go with reset":  FaultSpec("reset,status=500"),
		"give 1 or more":          FailFirst(0, ServerError()),
		"must be one step":        FailFirst(1, Replies("a", "b")),
		"unknown field \"ruls\"":  Script("ruls: []"),
		"no such file":            ScriptFile("no/such/file.yaml"),
		"ReplyJSON":               ReplyJSON(func() {}),
		"not a way to split text": Chunks("some"),
		"is negative":             Latency(-1),
	}
	for want, opt := range tests {
		rec := &recorder{}
		if srv := NewProvider(rec, opt); srv != nil || len(rec.fatals) != 1 || !strings.Contains(rec.fatals[0], want) {
			t.Errorf("%s: %q", want, rec.fatals)
		}
		rec = &recorder{}
		if rt := NewTransport(rec, opt); rt != nil || len(rec.fatals) != 1 {
			t.Errorf("%s: %q", want, rec.fatals)
		}
	}
	rec := &recorder{}
	if NewProvider(rec, Script("rules: []"), Reply("x")); len(rec.fatals) != 1 || !strings.Contains(rec.fatals[0], "do not go together") {
		t.Errorf("%q", rec.fatals)
	}
	for _, k := range FaultKinds() {
		NewProvider(t, Fault(k, 0.5), Seed(3))
	}
}
