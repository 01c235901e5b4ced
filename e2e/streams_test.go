package e2e

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// S1: a stream that is cut is never sold as a whole one.
func TestS1CutStream(t *testing.T) {
	each(t, func(t *testing.T, s surface, kind string) {
		head, content, _ := frames(kind, "one ", "two ", "three")
		cuts := map[string]func(x *testkit.Exchange){
			"chunked end": func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(strings.Join(append(head, content...), ""))
				x.EndChunks()
			},
			"connection end": func(x *testkit.Exchange) {
				x.Head(200, "Content-Type: text/event-stream", "Connection: close")
				x.Write(strings.Join(append(head, content...), ""))
				x.FIN()
			},
			"reset": func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(strings.Join(append(head, content...), ""))
				time.Sleep(2 * time.Millisecond) // let the bytes leave before the reset discards them
				x.RST()
			},
		}
		p1 := testkit.NewUpstream(t, nil)
		p2 := testkit.NewUpstream(t, answers(kind, "other"))
		g := testkit.Start(t, pair(kind, p1, p2))
		calls := 0
		for name, cut := range cuts {
			p1.Script(cut)
			for range 100 {
				r := g.Post(t, s.path, s.request("m", true))
				calls++
				if r.Status != 200 { // a reset may overtake the content: then the call was answered elsewhere or failed whole
					continue
				}
				a := s.read(t, r.Body)
				if strings.Contains(a.text, "other") && a.text != "other" {
					t.Fatalf("%s: glued: %q", name, a.text)
				}
				if a.text == "other" {
					continue
				}
				if a.complete || !a.failed || a.after || a.finish != "" {
					t.Fatalf("%s: looks successful: %+v\n%s", name, a, r.Body)
				}
			}
		}
		for _, l := range g.WaitCalls(t, calls) {
			if l["provider"] == "p1" && (l["status"] != "error" || l["error_type"] != "incomplete_stream") {
				t.Errorf("a cut stream is logged as %v %v", l["status"], l["error_type"])
			}
		}
	})
}

// S2: an error inside a 200, before any content, is that error.
func TestS2ErrorInside200(t *testing.T) {
	each(t, func(t *testing.T, s surface, kind string) {
		typ := map[string]string{"openai": "server_is_overloaded", "anthropic": "overloaded_error"}[kind]
		head, content, _ := frames(kind, "some")
		p1 := testkit.NewUpstream(t, nil)
		p2 := testkit.NewUpstream(t, answers(kind, "fine"))
		g := testkit.Start(t, pair(kind, p1, p2))
		alone := testkit.Start(t, pair(kind, p1, nil, "retry: {attempts: 1}"))
		for i, before := range [][]string{nil, head} {
			p1.Script(func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(strings.Join(before, "") + failureEvent(kind, typ, "Overloaded"))
				x.EndChunks()
			})
			for range 25 {
				r := g.Post(t, s.path, s.request("m", true))
				if a := s.read(t, r.Body); r.Status != 200 || a.text != "fine" || !a.complete || a.failed {
					t.Fatalf("before %d: %d %+v", i, r.Status, a)
				}
				r = alone.Post(t, s.path, s.request("m", true))
				if r.Status < 500 {
					t.Fatalf("alone: status %d: %s", r.Status, r.Body)
				}
				if _, code, _ := s.errorOf(t, r.Body); code != "all_providers_failed" {
					t.Fatalf("alone: code %q", code)
				}
			}
		}
		p1.Script(func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(strings.Join(append(head, content...), "") + failureEvent(kind, typ, "Overloaded"))
			x.EndChunks()
		})
		n := p2.Count()
		for range 25 {
			r := g.Post(t, s.path, s.request("m", true))
			if a := s.read(t, r.Body); a.text != "some" || a.complete || !a.failed || a.after {
				t.Fatalf("after content: %+v", a)
			}
		}
		if p2.Count() != n { // S3
			t.Errorf("after content the call went on to another provider %d times", p2.Count()-n)
		}
	})
}

// S4: deltas of parallel tool calls, interleaved, arrive whole.
func TestS4ParallelToolCalls(t *testing.T) {
	for _, s := range surfaces {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want := []call{{"call_a", "weather", `{"city":"Z\u00fcrich","n":1}`}, {"call_b", "time", `{"tz":"UTC+1"}`}, {"call_c", "none", `{}`}}
			rng := rand.New(rand.NewPCG(4, 4))
			p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(interleaved(rng, want))
				x.EndChunks()
			})
			g := testkit.Start(t, pair("openai", p, nil))
			for range 500 {
				r := g.Post(t, s.path, s.request("m", true))
				a := s.read(t, r.Body)
				if !a.complete || len(a.calls) != len(want) {
					t.Fatalf("%+v\n%s", a, r.Body)
				}
				for i, w := range want {
					if c := a.calls[i]; c == nil || *c != w {
						t.Fatalf("call %d: got %+v, want %+v", i, c, w)
					}
				}
			}
		})
	}
}

// interleaved is a chat stream with the calls' arguments cut into pieces that come in any
// order of calls.
func interleaved(rng *rand.Rand, calls []call) string {
	chunk := func(delta, finish string) string {
		return `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m1","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}` + "\n\n"
	}
	var b strings.Builder
	left := make([]string, len(calls))
	for i, c := range calls {
		left[i] = c.args
		b.WriteString(chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":%q,"type":"function","function":{"name":%q,"arguments":""}}]}`, i, c.id, c.name), "null"))
	}
	for {
		var open []int
		for i := range left {
			if left[i] != "" {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			break
		}
		i := open[rng.IntN(len(open))]
		n := 1 + rng.IntN(len(left[i]))
		b.WriteString(chunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, i, quote(left[i][:n])), "null"))
		left[i] = left[i][n:]
	}
	return b.String() + chunk("{}", `"tool_calls"`) + "data: [DONE]\n\n"
}

// S5: the same bytes, however they are cut, give the same answer.
func TestS5AnyChunking(t *testing.T) {
	each(t, func(t *testing.T, s surface, kind string) {
		head, content, tail := frames(kind, "漢字かな", "🌊🏄‍♀️", "ünïcödé ", strings.Repeat("波", 40))
		all := strings.Join(append(append(head, content...), tail...), "")
		want := "漢字かな🌊🏄‍♀️ünïcödé " + strings.Repeat("波", 40)
		p := testkit.NewUpstream(t, nil)
		g := testkit.Start(t, pair(kind, p, nil))
		check := func(name string) {
			r := g.Post(t, s.path, s.request("m", true))
			if a := s.read(t, r.Body); a.text != want || !a.complete || bytes.ContainsRune(r.Body, '\uFFFD') {
				t.Fatalf("%s: %+v", name, a)
			}
		}
		for cut := 1; cut < len(all); cut += 1 + len(all)/400 {
			p.Script(func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(all[:cut]); x.Chunk(all[cut:]); x.EndChunks() })
			check(fmt.Sprint("cut at ", cut))
		}
		p.Script(func(x *testkit.Exchange) {
			x.StreamHead()
			for i := range len(all) {
				x.Chunk(all[i : i+1])
			}
			x.EndChunks()
		})
		check("byte by byte")
	})
}

// S6: event streams as the standard defines them.
func TestS6Framing(t *testing.T) {
	each(t, func(t *testing.T, s surface, kind string) {
		big := strings.Repeat("x", 4<<20)
		head, content, tail := frames(kind, "a", big, "b")
		all := append(append(head, content...), tail...)
		plain := strings.Join(all, "")
		dressed := ": hello\n\n:\n\nid: 7\nretry: 10\nfoo: bar\n" + plain
		swapped := plain
		if kind == "anthropic" {
			var b strings.Builder
			for _, f := range all {
				lines := strings.SplitN(strings.TrimSuffix(f, "\n\n"), "\n", 2)
				b.WriteString(lines[1] + "\n" + lines[0] + "\n\n") // data before event
			}
			swapped = b.String()
		}
		forms := map[string]string{
			"plain": plain, "crlf": strings.ReplaceAll(plain, "\n", "\r\n"), "dressed": dressed, "swapped": swapped,
			"no space":       strings.ReplaceAll(strings.ReplaceAll(plain, "data: ", "data:"), "event: ", "event:"),
			"two data lines": strings.ReplaceAll(plain, `,"delta"`, ",\ndata: \"delta\""),
			"bom":            "\xef\xbb\xbf" + plain,
			"no blank line":  strings.TrimRight(plain, "\n"),
		}
		p := testkit.NewUpstream(t, nil)
		g := testkit.Start(t, pair(kind, p, nil))
		for name, form := range forms {
			p.Script(func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(form); x.EndChunks() })
			r := g.Post(t, s.path, s.request("m", true))
			if a := s.read(t, r.Body); a.text != "a"+big+"b" || !a.complete || a.failed {
				t.Errorf("%s: %d bytes of text, complete %v, failed %v", name, len(a.text), a.complete, a.failed)
			}
		}
		_, over, _ := frames(kind, strings.Repeat("y", 17<<20))
		p.Script(func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(strings.Join(head, "") + content[0] + over[0])
			x.EndChunks()
		})
		r := g.Post(t, s.path, s.request("m", true))
		if a := s.read(t, r.Body); a.complete || !a.failed {
			t.Errorf("an event over the bound: %+v", a.errType)
		}
	})
}

// S7: compressed answers, asked for or not.
func TestS7Compressed(t *testing.T) {
	gz := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, s)
		w.Close()
		return b.String()
	}
	zl := func(s string) string {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		io.WriteString(w, s)
		w.Close()
		return b.String()
	}
	raw := func(s string) string {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 5)
		io.WriteString(w, s)
		w.Close()
		return b.String()
	}
	encodings := []struct {
		name, header string
		f            func(string) string
	}{{"gzip", "gzip", gz}, {"zlib", "deflate", zl}, {"raw deflate", "deflate", raw}}
	each(t, func(t *testing.T, s surface, kind string) {
		p := testkit.NewUpstream(t, nil)
		g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 1}"))
		head, content, tail := frames(kind, "squeezed")
		stream := strings.Join(append(append(head, content...), tail...), "")
		for _, enc := range encodings {
			for _, accept := range []string{"", "Accept-Encoding: gzip, br", "Accept-Encoding: identity"} {
				p.Script(func(x *testkit.Exchange) {
					if x.JSON(`"stream":true`) {
						x.StreamHead("Content-Encoding: " + enc.header)
						x.Chunk(enc.f(stream))
						x.EndChunks()
						return
					}
					if x.JSON("fail") {
						x.Respond(400, enc.f(failure(kind, "invalid_request_error", "squeezed failure")), "Content-Encoding: "+enc.header)
						return
					}
					x.Respond(200, enc.f(whole(kind, "squeezed")), "Content-Encoding: "+enc.header)
				})
				var headers []string
				if accept != "" {
					headers = append(headers, accept)
				}
				r := g.Post(t, s.path, s.request("m", true), headers...)
				if a := s.read(t, r.Body); a.text != "squeezed" || !a.complete || r.Header.Get("Content-Encoding") != "" {
					t.Errorf("%s, %s, stream: %d %+v", enc.name, accept, r.Status, a)
				}
				r = g.Post(t, s.path, s.request("m", false), headers...)
				if got := s.text(t, r.Body); got != "squeezed" || r.Header.Get("Content-Encoding") != "" {
					t.Errorf("%s, %s, whole: %q", enc.name, accept, got)
				}
				r = g.Post(t, s.path, strings.Replace(s.request("m", false), "hi", "fail", 1), headers...)
				if _, _, m := s.errorOf(t, r.Body); r.Status != 400 || !strings.Contains(m, "squeezed failure") {
					t.Errorf("%s, %s, error: %d %q", enc.name, accept, r.Status, m)
				}
			}
		}
	})
}

// S8 and S9: a stream with pauses under the limit goes on; one that stalls ends at it, whatever
// heartbeats come.
func TestS8LongIsNotSlow(t *testing.T) {
	each(t, func(t *testing.T, s surface, kind string) {
		head, content, tail := frames(kind, "1", "2", "3", "4", "5", "6")
		ping := ": keep-alive\n\n"
		if kind == "anthropic" {
			ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n"
		}
		p := testkit.NewUpstream(t, nil)
		g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 1}", "timeout: {first_token: 1s, idle: 1s, total: 2s}"))

		p.Script(func(x *testkit.Exchange) { // 6 pauses, together longer than total
			x.StreamHead()
			x.Chunk(strings.Join(head, ""))
			for _, c := range content {
				time.Sleep(700 * time.Millisecond)
				x.Chunk(c)
			}
			x.Chunk(strings.Join(tail, ""))
			x.EndChunks()
		})
		r := g.Post(t, s.path, s.request("m", true))
		if a := s.read(t, r.Body); a.text != "123456" || !a.complete {
			t.Errorf("a healthy long stream was cut: %+v", a)
		}
		for name, beats := range map[string]bool{"silence": false, "heartbeats": true} {
			p.Script(func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(strings.Join(head, "") + content[0])
				for range 100 {
					if x.Hang(50 * time.Millisecond) {
						return
					}
					if beats {
						x.Chunk(ping)
					}
				}
			})
			r = g.Post(t, s.path, s.request("m", true))
			if a := s.read(t, r.Body); a.complete || !a.failed || r.Took < 950*time.Millisecond || r.Took > 2*time.Second {
				t.Errorf("%s after content: %v %+v", name, r.Took, a)
			}
			x := p.Requests()[p.Count()-1]
			if !x.Hang(time.Second) {
				t.Errorf("%s: the upstream connection stayed open", name)
			}
			p.Script(func(x *testkit.Exchange) {
				x.StreamHead()
				x.Chunk(strings.Join(head, ""))
				for range 100 {
					if x.Hang(50 * time.Millisecond) {
						return
					}
					if beats {
						x.Chunk(ping)
					}
				}
			})
			r = g.Post(t, s.path, s.request("m", true))
			if r.Status != 504 || r.Took < 900*time.Millisecond || r.Took > 2*time.Second {
				t.Errorf("%s before content: status %d after %v", name, r.Status, r.Took)
			}
			s.errorOf(t, r.Body)
		}
	})
}

// S10: in one dialect nothing is dropped or changed; the usage chunk goes to who asked for it.
func TestS10NothingDropped(t *testing.T) {
	stream := `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m1","choices":[],"prompt_filter_results":[{"a":1.0}]}` + "\n\n" +
		`data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"hm"},"logprobs":null,"finish_reason":null}],"obfuscation":"aZ"}` + "\n\n" +
		`data: {"id":"x","choices":[{"index":1,"delta":{"content":"b"},"logprobs":{"content":[{"token":"b","logprob":-0.10,"bytes":[98],"top_logprobs":[]}]}}],"zzz":12345678901234567890}` + "\n\n" +
		`data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]},"finish_reason":"stop"},{"index":1,"delta":{},"finish_reason":"length"}]}` + "\n\n"
	usage := `data: {"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"x":1.50}}` + "\n\n"
	p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
		if !x.JSON(`"include_usage":true`) {
			t.Error("the provider was not asked for usage")
		}
		x.StreamHead()
		x.Chunk(stream + usage + "data: [DONE]\n\n")
		x.EndChunks()
	})
	g := testkit.Start(t, pair("openai", p, nil))
	r := g.Post(t, chat.path, chat.request("m", true))
	if want := stream + "data: [DONE]\n\n"; string(r.Body) != want {
		t.Errorf("got\n%s\nwant\n%s", r.Body, want)
	}
	r = g.Post(t, chat.path, chat.request("m", true, `"stream_options":{"include_usage":true}`))
	if want := stream + usage + "data: [DONE]\n\n"; string(r.Body) != want {
		t.Errorf("got\n%s\nwant\n%s", r.Body, want)
	}
	for _, l := range g.WaitCalls(t, 2) {
		if l["input_tokens"] != 3.0 || l["output_tokens"] != 2.0 || l["usage_source"] != "reported" {
			t.Errorf("usage %v/%v %v", l["input_tokens"], l["output_tokens"], l["usage_source"])
		}
	}
}

// S11: each event reaches the client as it comes: not later than 20 ms after it reaches a client that
// asks the provider itself, at the same time on the same machine.
func TestS11NoBuffering(t *testing.T) {
	each(t, func(t *testing.T, s surface, kind string) {
		const n = 150
		pieces := make([]string, n)
		for i := range pieces {
			pieces[i] = fmt.Sprintf("(%d)", i)
		}
		first, content, tail := frames(kind, pieces...)
		p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(strings.Join(first, ""))
			for _, c := range content {
				time.Sleep(3 * time.Millisecond)
				x.Chunk(strings.Replace(c, "(", fmt.Sprintf("(%d ", time.Now().UnixNano()), 1))
			}
			x.Chunk(strings.Join(tail, ""))
			x.EndChunks()
		})
		g := testkit.Start(t, pair(kind, p, nil))
		head := func(h http.Header) {
			for name, want := range map[string]string{"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"} {
				if got := h.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
		}
		// Another process may take the processor away for longer than that: one undisturbed run of five is enough, while
		// buffering would show in all.
		var base, through time.Duration
		for range 5 {
			direct := make(chan time.Duration, 1)
			go func() { direct <- delay(t, p.URL()+s.path, s.request("m", true), n, nil) }()
			through = delay(t, g.URL+s.path, s.request("m", true), n, head)
			if base = <-direct; through <= base+20*time.Millisecond {
				return
			}
		}
		t.Errorf("p99 of the delay is %v, without the gateway %v", through, base)
	})
}

var stamp = regexp.MustCompile(`\((\d+) \d+\)`)

// delay streams an answer whose n pieces carry the time they were sent at, and returns the 99th percentile of how
// much later each was read.
func delay(t *testing.T, url, body string, n int, head func(http.Header)) time.Duration {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	if head != nil {
		head(resp.Header)
	}
	var delays []time.Duration
	var pending []byte
	buf := make([]byte, 64<<10)
	for err == nil {
		var k int
		k, err = resp.Body.Read(buf)
		now := time.Now().UnixNano()
		pending = append(pending, buf[:k]...)
		last := 0
		for _, m := range stamp.FindAllSubmatchIndex(pending, -1) {
			at, _ := strconv.ParseInt(string(pending[m[2]:m[3]]), 10, 64)
			delays = append(delays, time.Duration(now-at))
			last = m[1]
		}
		pending = pending[last:]
	}
	if len(delays) != n {
		t.Errorf("saw %d of %d events", len(delays), n)
		return 0
	}
	slices.Sort(delays)
	return delays[n*99/100]
}

// S1 with several choices: a stream that ends when only some of them are finished is a cut one.
func TestS1OneOfTwoChoices(t *testing.T) {
	chunk := func(index int, delta, finish string) string {
		return fmt.Sprintf(`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m1","choices":[{"index":%d,"delta":%s,"finish_reason":%s}]}`, index, delta, finish) + "\n\n"
	}
	p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
		x.StreamHead()
		x.Chunk(chunk(0, `{"content":"a"}`, "null") + chunk(1, `{"content":"b"}`, "null") + chunk(0, `{}`, `"stop"`))
		if x.JSON(`"n":3`) {
			x.Chunk(chunk(1, `{}`, `"stop"`))
		}
		x.EndChunks()
	})
	g := testkit.Start(t, pair("openai", p, nil))
	r := g.Post(t, chat.path, chat.request("m", true, `"n":2`))
	if a := chat.read(t, r.Body); a.complete || !a.failed {
		t.Errorf("looks successful: %+v", a)
	}
	r = g.Post(t, chat.path, chat.request("m", true, `"n":3`)) // the third never began
	if a := chat.read(t, r.Body); !a.complete || a.failed {
		t.Errorf("a whole answer without its mark: %+v", a)
	}
}
