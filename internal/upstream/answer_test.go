package upstream_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/testkit"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/upstream/anthropic"
	"github.com/breakwater-llm/breakwater/llm"
)

// TestFramings: whatever was asked, whole or stream, and whatever the provider
// sends, the client gets what it asked for, in its own protocol.
func TestFramings(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for _, k := range kinds {
			for _, sent := range []bool{false, true} {
				body, contentType := k.whole, "application/json"
				if sent {
					body, contentType = k.stream, "text/event-stream"
				}
				up := testkit.NewUpstream(t, answers(200, contentType, body))
				e := newEndpoint(t, up.URL(), make, setup{kind: k.kind})
				for _, client := range []llm.Protocol{llm.OpenAIChat, llm.AnthropicMessages} {
					for _, asked := range []bool{false, true} {
						name := fmt.Sprintf("%s sends stream=%v, %s asks stream=%v", k.name, sent, client, asked)
						r := do(t.Context(), e, newCall(t, client, asked))
						if r.err != nil || !r.end {
							t.Errorf("%s: %v, end %v", name, r.err, r.end)
							continue
						}
						if problem := wellFormed(client, asked, r.data); problem != "" {
							t.Errorf("%s: %s: %s", name, problem, r.data)
						}
						if client == k.protocol && asked == sent && r.data != body {
							t.Errorf("%s: not byte for byte: %s", name, r.data)
						}
					}
				}
			}
		}
	})
}

// TestContentTypes: what a body is decides, where its label is odd.
func TestContentTypes(t *testing.T) {
	for _, ct := range []string{
		"text/event-stream", "text/event-stream; charset=utf-8", "Text/Event-Stream;charset=UTF-8", "text/event-stream;;", "text/plain", "application/octet-stream", "nonsense", "",
	} {
		for _, lead := range []string{"", ": hello\n\n", "\xef\xbb\xbf", "id: 1\n", "retry: 10\n\n"} {
			if lead == "\xef\xbb\xbf" && !strings.Contains(strings.ToLower(ct), "text/event-stream") {
				continue // a mark in front of an unlabelled stream is not looked behind
			}
			up := testkit.NewUpstream(t, answers(200, ct, lead+streamOpenAI))
			r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{}), newCall(t, llm.OpenAIChat, true))
			if r.err != nil || wellFormed(llm.OpenAIChat, true, r.data) != "" {
				t.Errorf("%q, %q: %v %s", ct, lead, r.err, r.data)
			}
		}
	}
	for _, ct := range []string{"application/json", "application/json; charset=utf-8", "application/json;", "Application/JSON", "text/plain", "text/html", "application/problem+json", ""} {
		up := testkit.NewUpstream(t, answers(200, ct, wholeOpenAI))
		r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{}), newCall(t, llm.OpenAIChat, false))
		if r.err != nil || r.data != wholeOpenAI {
			t.Errorf("%q: %v %s", ct, r.err, r.data)
		}
	}
}

// TestNotAnAnswer: a 200 that holds no answer is an error of the provider.
func TestNotAnAnswer(t *testing.T) {
	for _, body := range []string{"", "<html>Sorry</html>", "{", "null", "[]", `{"id":"x"}`, `{"choices":[]}`, `"text"`, "data:", ": ping\n\n"} {
		for _, ct := range []string{"application/json", "text/event-stream", "text/html", ""} {
			for _, stream := range []bool{false, true} {
				up := testkit.NewUpstream(t, answers(200, ct, body))
				r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{}), newCall(t, llm.OpenAIChat, stream))
				if r.err == nil || r.err.Kind != llm.KindBadResponse && r.err.Kind != llm.KindIncompleteStream {
					t.Errorf("%q as %q, stream=%v: %v %q", body, ct, stream, r.err, r.data)
					continue
				}
				if r.err.Provider != "prov" || r.err.ProviderStatus != 200 || r.send.Status != 200 || r.end {
					t.Errorf("%q: %+v", body, r.err)
				}
			}
		}
	}
}

// TestErrorInside: an error in a 200, whole or at a stream's beginning, is that error.
func TestErrorInside(t *testing.T) {
	for _, tc := range []struct {
		kind int
		body string
		want llm.Kind
	}{
		{0, `data: {"error":{"message":"no","type":"server_error","code":"server_error"}}` + "\n\n" + doneMark, llm.KindServerError},
		{0, `data: {"error":{"message":"busy","type":"overloaded_error","code":"server_is_overloaded"}}` + "\n\n", llm.KindOverloaded},
		{1, anthEvent("error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), llm.KindOverloaded},
	} {
		for _, stream := range []bool{true, false} {
			up := testkit.NewUpstream(t, answers(200, "text/event-stream", tc.body))
			k := kinds[tc.kind]
			r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{kind: k.kind}), newCall(t, k.protocol, stream))
			if r.err == nil || r.err.Kind != tc.want || r.data != "" || r.err.Provider != "prov" {
				t.Errorf("%s stream=%v: %v %q", k.name, stream, r.err, r.data)
			}
		}
	}
}

func compressed(t *testing.T, how, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip", "x-gzip", "GZIP", " gzip ":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "deflate, raw":
		w, _ = flate.NewWriter(&b, 9)
	default:
		return text
	}
	_, err := io.WriteString(w, text)
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressed(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for _, how := range []string{"gzip", "x-gzip", "GZIP", " gzip ", "deflate", "deflate, raw", "identity"} {
			header := "Content-Encoding: " + strings.TrimSuffix(how, ", raw")
			for _, tc := range []struct {
				status int
				ct     string
				body   string
				stream bool
			}{
				{200, "application/json", wholeOpenAI, false}, {200, "text/event-stream", streamOpenAI, true},
				{200, "text/plain", streamOpenAI, true},
				{429, "application/json", `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`, false},
			} {
				up := testkit.NewUpstream(t, answers(tc.status, tc.ct, compressed(t, how, tc.body), header))
				r := do(t.Context(), newEndpoint(t, up.URL(), make, setup{}), newCall(t, llm.OpenAIChat, tc.stream))
				if tc.status == 200 && (r.err != nil || r.data != tc.body) {
					t.Errorf("%s, stream=%v: %v %q", how, tc.stream, r.err, r.data)
				}
				if tc.status != 200 && (r.err == nil || r.err.Kind != llm.KindRateLimit || string(r.err.Body) != tc.body) {
					t.Errorf("%s: %v", how, r.err)
				}
			}
		}
	})
}

// TestUnknownCoding: an answer that cannot be read is a bad one; a refusal still says by its status what it is.
func TestUnknownCoding(t *testing.T) {
	for _, how := range []string{"br", "zstd", "gzip, gzip", "gzip, br"} {
		for status, want := range map[int]llm.Kind{200: llm.KindBadResponse, 429: llm.KindRateLimit, 401: llm.KindAuthentication, 503: llm.KindOverloaded, 400: llm.KindInvalidRequest} {
			up := testkit.NewUpstream(t, answers(status, "application/json", "\x8b\x00\x80", "Content-Encoding: "+how, "Retry-After: 7"))
			r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{}), newCall(t, llm.OpenAIChat, false))
			if r.err == nil || r.err.Kind != want || r.err.ProviderStatus != status || r.err.HTTPStatus() == 200 {
				t.Errorf("%s %d: %v", how, status, r.err)
			}
			if status == 429 && r.err.RetryAfter != 7*time.Second {
				t.Errorf("%s: retry after %v", how, r.err.RetryAfter)
			}
		}
	}
	for _, how := range []string{"gzip", "deflate"} {
		for _, body := range []string{"", "x", "not compressed at all", compressed(t, how, wholeOpenAI)[:40]} {
			up := testkit.NewUpstream(t, answers(200, "application/json", body, "Content-Encoding: "+how))
			r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{}), newCall(t, llm.OpenAIChat, false))
			if r.err == nil || r.err.Kind != llm.KindIncompleteStream && r.err.Kind != llm.KindBadResponse {
				t.Errorf("%s %q: %v %s", how, body, r.err, r.data)
			}
		}
	}
}

// TestCompressedStreamFlows: an event that was flushed comes at once.
func TestCompressedStreamFlows(t *testing.T) {
	read := make(chan bool)
	up := testkit.NewUpstream(t, func(x *testkit.Exchange) {
		x.StreamHead("Content-Encoding: gzip")
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		for _, part := range []string{chunk("Hel"), chunk("lo"), finish + doneMark} {
			_, _ = io.WriteString(w, part)
			_ = w.Flush()
			x.Chunk(b.String())
			b.Reset()
			<-read
		}
		_ = w.Close()
		x.Chunk(b.String())
		x.EndChunks()
	})
	s := upstream.Send{Model: "sent"}
	ans, err := newEndpoint(t, up.URL(), upstream.NewTransport, setup{}).Do(t.Context(), newCall(t, llm.OpenAIChat, true), &s)
	if err != nil {
		t.Fatal(err)
	}
	defer ans.Close()
	for _, want := range []string{chunk("Hel"), chunk("lo"), finish, doneMark} {
		ev, err := ans.Next()
		if err != nil || string(ev.Data) != want {
			t.Fatalf("%v %v, want %q", ev, err, want)
		}
		if want != finish {
			read <- true
		}
	}
}

// TestBounds: answers and events larger than the bounds are refused, and not read on.
func TestBounds(t *testing.T) {
	big := strings.Replace(wholeOpenAI, "Hello", strings.Repeat("Hello", 1000), 1)
	for _, tc := range []struct {
		name     string
		script   func(x *testkit.Exchange)
		stream   bool
		maxEvent int
	}{
		{"declared", answers(200, "application/json", big), false, 0},
		{"chunked", func(x *testkit.Exchange) {
			x.Head(200, "Content-Type: application/json", "Transfer-Encoding: chunked")
			for range 1000 {
				x.Chunk(big)
			}
			x.EndChunks()
		}, false, 0},
		{"gzip bomb", answers(200, "application/json", compressed(t, "gzip", strings.Repeat(" ", 1<<20)), "Content-Encoding: gzip"), false, 0},
		{"event", func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(chunk(strings.Repeat("x", 3000))) }, true, 2000},
		{"collected", func(x *testkit.Exchange) {
			x.StreamHead()
			for range 1000 {
				x.Chunk(chunk("Hello"))
			}
		}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := testkit.NewUpstream(t, tc.script)
			e := newEndpoint(t, up.URL(), upstream.NewTransport, setup{maxAnswer: 4000, maxEvent: tc.maxEvent})
			r := do(t.Context(), e, newCall(t, llm.OpenAIChat, tc.stream))
			if r.err == nil || r.err.Kind != llm.KindBadResponse || !strings.Contains(r.err.Message, "larger") {
				t.Errorf("%v, %d bytes", r.err, len(r.data))
			}
			if tc.name != "gzip bomb" { // a few bytes, read to their end
				soon(t, "the connection is closed", func() bool { return up.Open() == 0 })
			}
		})
	}
}

func TestUsageChunkIsForThoseWhoAsk(t *testing.T) {
	body := chunk("Hello") + finish + usageChunk + doneMark
	up := testkit.NewUpstream(t, answers(200, "text/event-stream", body))
	e := newEndpoint(t, up.URL(), upstream.NewTransport, setup{})
	for _, want := range []bool{true, false} {
		c := newCall(t, llm.OpenAIChat, true)
		c.Door.WantUsage = want
		s := upstream.Send{Model: "sent"}
		ans, err := e.Do(t.Context(), c, &s)
		if err != nil {
			t.Fatal(err)
		}
		var data string
		var usage llm.Usage
		for {
			ev, err := ans.Next()
			if err != nil {
				break
			}
			data += string(ev.Data)
			usage.Merge(ev.Usage)
		}
		ans.Close()
		if strings.Contains(data, "usage") != want || !strings.HasSuffix(data, doneMark) {
			t.Errorf("wanted %v: %s", want, data)
		}
		if usage.Input != 3 || usage.Output != 2 {
			t.Errorf("%+v", usage)
		}
	}
}

// TestCuts: a stream that ends before its end mark is broken, however it ends.
func TestCuts(t *testing.T) {
	onEachTransport(t, func(t *testing.T, make func(string) upstream.Transport) {
		for _, k := range kinds {
			parts := strings.SplitAfter(k.stream, "\n\n")
			parts = parts[:len(parts)-1]
			for n := range len(parts) - 1 {
				sent := strings.Join(parts[:n], "")
				whole := k.name == "openai" && strings.Contains(sent, `"finish_reason":"stop"`)
				for how, script := range map[string]func(x *testkit.Exchange){
					"end":    func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(sent); x.EndChunks() },
					"fin":    func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(sent); x.FIN() },
					"rst":    func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(sent); time.Sleep(20 * time.Millisecond); x.RST() },
					"no end": func(x *testkit.Exchange) { x.Head(200, "Content-Type: text/event-stream"); x.Write(sent); x.FIN() },
					"mid":    func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(sent + parts[n][:len(parts[n])/2]); x.EndChunks() },
					"short": func(x *testkit.Exchange) {
						x.Head(200, "Content-Type: text/event-stream", "Content-Length: 100000")
						x.Write(sent)
						x.FIN()
					},
				} {
					up := testkit.NewUpstream(t, script)
					e := newEndpoint(t, up.URL(), make, setup{kind: k.kind})
					for _, client := range []llm.Protocol{llm.OpenAIChat, llm.AnthropicMessages} {
						for _, stream := range []bool{true, false} {
							if whole && (how == "end" || how == "no end") {
								continue
							}
							r := do(t.Context(), e, newCall(t, client, stream))
							if r.err == nil || r.end || strings.Contains(r.data, "[DONE]") || strings.Contains(r.data, "message_stop") {
								t.Errorf("%s cut by %s after %d parts, %s stream=%v: %v, end %v, %q", k.name, how, n, client, stream, r.err, r.end, r.data)
							}
						}
					}
					up.Close()
				}
			}
		}
	})
}

// TestCountTokens: the provider's count goes on as it is.
func TestCountTokens(t *testing.T) {
	for body, ok := range map[string]bool{`{"input_tokens": 14, "odd":1}`: true, `{"input_tokens":"x"}`: false, `{}`: false, `{"input_tokens":1`: false, ``: false} {
		up := testkit.NewUpstream(t, answers(200, "application/json", body))
		c := newCall(t, llm.AnthropicMessages, false)
		c.Op = pipeline.OpCountTokens
		r := do(t.Context(), newEndpoint(t, up.URL(), upstream.NewTransport, setup{kind: anthropic.Kind()}), c)
		if ok && (r.err != nil || r.data != body || !r.end) || !ok && (r.err == nil || r.err.Kind != llm.KindBadResponse) {
			t.Errorf("%s: %v %s", body, r.err, r.data)
		}
		if path := up.Requests()[0].Path; path != "/v1/messages/count_tokens" {
			t.Error(path)
		}
	}
	up := testkit.NewUpstream(t, answers(200, "application/json", wholeOpenAI))
	c := newCall(t, llm.AnthropicMessages, false)
	c.Op = pipeline.OpCountTokens
	e := newEndpoint(t, up.URL(), upstream.NewTransport, setup{})
	if r := do(t.Context(), e, c); r.err == nil || up.Count() != 0 || e.Offers(pipeline.OpCountTokens) {
		t.Errorf("%v, %d requests", r.err, up.Count())
	}
}
