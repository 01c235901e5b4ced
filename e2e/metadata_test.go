package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// places are where a conversation's words stand, each with a canary of its own.
type places map[string]canary

func newPlaces() places {
	p := places{}
	for _, name := range []string{"system", "user", "assistant", "tool arguments", "tool result", "file name", "file", "tool description", "stop", "answer", "answer's arguments"} {
		p[name] = newCanary("prompt")
	}
	return p
}

// conversation is a request with a canary in every place.
func (p places) conversation(s surface, model string, stream bool) string {
	q := func(name string) string { return quote(p[name].text) }
	pdf := base64.StdEncoding.EncodeToString([]byte("%PDF-1.4 " + p["file"].text))
	body := fmt.Sprintf(`{"model":%q,"max_tokens":100,"stream":%v,`, model, stream)
	if s == chat {
		return body + `"stop":[` + q("stop") + `],"messages":[{"role":"system","content":` + q("system") + `},` +
			`{"role":"user","content":[{"type":"text","text":` + q("user") + `},{"type":"file","file":{"filename":` + quote(p["file name"].text+".pdf") + `,"file_data":"data:application/pdf;base64,` + pdf + `"}}]},` +
			`{"role":"assistant","content":` + q("assistant") + `,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":` + quote(`{"q":`+q("tool arguments")+`}`) + `}}]},` +
			`{"role":"tool","tool_call_id":"call_1","content":` + q("tool result") + `}],` +
			`"tools":[{"type":"function","function":{"name":"f","description":` + q("tool description") + `,"parameters":{"type":"object","properties":{"q":{"type":"string","description":` + q("tool description") + `}}}}}]}`
	}
	return body + `"stop_sequences":[` + q("stop") + `],"system":` + q("system") + `,"messages":[` +
		`{"role":"user","content":[{"type":"text","text":` + q("user") + `},{"type":"document","title":` + quote(p["file name"].text+".pdf") + `,"source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"}}]},` +
		`{"role":"assistant","content":[{"type":"text","text":` + q("assistant") + `},{"type":"tool_use","id":"toolu_1","name":"f","input":{"q":` + q("tool arguments") + `}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":` + q("tool result") + `}]}],` +
		`"tools":[{"name":"f","description":` + q("tool description") + `,"input_schema":{"type":"object","properties":{"q":{"type":"string","description":` + q("tool description") + `}}}}]}`
}

// reply is an answer of the kind with text and a tool call.
func (p places) reply(kind string) string {
	text, args := quote(p["answer"].text), quote(p["answer's arguments"].text)
	if kind == "openai" {
		return `{"id":"c","object":"chat.completion","created":1,"model":"m1","choices":[{"index":0,"message":{"role":"assistant","content":` + text + `,"tool_calls":[{"id":"call_2","type":"function","function":{"name":"f","arguments":` + quote(`{"q":`+args+`}`) + `}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}`
	}
	return `{"id":"m","type":"message","role":"assistant","model":"m1","content":[{"type":"text","text":` + text + `},{"type":"tool_use","id":"toolu_2","name":"f","input":{"q":` + args + `}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":5}}`
}

// echoes are what a provider may do with a request: mostly, throw it back.
func (p places) echoes(kind string) map[string]func(x *testkit.Exchange) {
	fail := func(status int, headers ...string) func(x *testkit.Exchange) {
		return func(x *testkit.Exchange) {
			body := failure(kind, "invalid_request_error", "Invalid value: '"+string(x.Body)+"'.")
			if kind == "openai" {
				body = strings.Replace(body, `"param":null`, `"param":`+quote("messages.0: "+p["user"].text), 1)
			}
			x.Respond(status, body, append(headers, "X-Request-Id: "+p["user"].text)...)
		}
	}
	body := func(x *testkit.Exchange) string { return strings.ReplaceAll(string(x.Body), "\n", " ") }
	text := p["answer"].text
	out := map[string]func(x *testkit.Exchange){
		"good": func(x *testkit.Exchange) {
			if x.JSON(`"stream":true`) {
				answers(kind, text[:20], text[20:])(x)
				return
			}
			x.Respond(200, p.reply(kind))
		},
		"text":     func(x *testkit.Exchange) { x.Respond(500, body(x), "Content-Type: text/plain") },
		"text-400": func(x *testkit.Exchange) { x.Respond(400, body(x), "Content-Type: text/plain") },
		"html": func(x *testkit.Exchange) {
			x.Respond(502, "<title>"+p["user"].text+"</title>", "Content-Type: text/html")
		},
		"inside":    func(x *testkit.Exchange) { x.Respond(200, failure(kind, "server_error", body(x))) },
		"garbage":   func(x *testkit.Exchange) { x.Respond(200, body(x)+"{") },
		"no-answer": func(x *testkit.Exchange) { x.Respond(200, string(x.Body)) },
		"type":      func(x *testkit.Exchange) { x.Respond(200, text, "Content-Type: text/plain") },
		"encoding":  func(x *testkit.Exchange) { x.Respond(200, text, "Content-Encoding: "+text) },
		"redirect":  func(x *testkit.Exchange) { x.Respond(302, "", "Location: https://x/?q="+p["user"].text) },
		"status":    func(x *testkit.Exchange) { x.Write("HTTP/1.1 2" + p["user"].text + "\r\n\r\n"); x.FIN() },
		"header":    func(x *testkit.Exchange) { x.Write("HTTP/1.1 200 OK\r\n" + p["user"].text + "\r\n\r\n"); x.FIN() },
		"hang":      func(x *testkit.Exchange) { x.Hang(2 * time.Second); x.FIN() },
		"reset":     func(x *testkit.Exchange) { x.RST() },
		"unasked":   func(x *testkit.Exchange) { answers(kind, text)(x); x.Write(string(x.Body)) },
		"cut":       func(x *testkit.Exchange) { stream(x, saying(kind, text)) },
		"cut-off":   func(x *testkit.Exchange) { x.StreamHead(); x.Chunk(saying(kind, text)); x.FIN() },
		"mid":       func(x *testkit.Exchange) { stream(x, saying(kind, text)+failureEvent(kind, "server_error", body(x))) },
		"mid-json":  func(x *testkit.Exchange) { stream(x, saying(kind, text)+"data: {"+text+"\n\n") },
		"mid-other": func(x *testkit.Exchange) {
			stream(x, saying(kind, text)+"event: "+text+"\ndata: {\"type\":\""+text+"\"}\n\n")
		},
		"first": func(x *testkit.Exchange) { stream(x, failureEvent(kind, "server_error", body(x))) },
		"stall": func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(saying(kind, text))
			x.Hang(2 * time.Second)
			x.FIN()
		},
		"chunk": func(x *testkit.Exchange) {
			x.StreamHead()
			x.Chunk(saying(kind, text))
			x.Write(text + "\r\n")
			x.FIN()
		},
	}
	for _, status := range []int{400, 404, 413, 422, 429, 500, 503, 529} {
		out[fmt.Sprint(status)] = fail(status)
	}
	return out
}

// saying is a stream of the kind up to the text.
func saying(kind, text string) string {
	head, content, _ := frames(kind, text)
	return strings.Join(append(head, content...), "")
}

// D3: of what is said nothing is kept, whatever happens to the call.
func TestD3MetadataOnly(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"openai", "anthropic", "openai over TLS"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			kind, secure := strings.CutSuffix(where, " over TLS")
			p := newPlaces()
			deeds := p.echoes(kind)
			newUpstream := testkit.NewUpstream
			if secure {
				newUpstream = testkit.NewTLSUpstream
			}
			up := newUpstream(t, func(x *testkit.Exchange) { deeds[modelOf(x)](x) })
			conf, models := "telemetry: {log: {level: debug}}\nproviders:\n", "models:\n"
			for name := range deeds {
				conf += fmt.Sprintf("  p-%s: {type: %s, base_url: %s, api_key: none}\n", name, kind, base(kind, up))
				models += fmt.Sprintf("  %s: {targets: [{provider: p-%s, model: %q}], retry: {attempts: 2, backoff: 1ms, max_backoff: 1ms, budget: 100%%}, timeout: {first_token: 300ms, idle: 300ms}, breaker: {failures: 0}}\n", quote(name), name, name)
			}
			g := testkit.Start(t, conf+models, testkit.TrustTLS(t))
			calls := 0
			var ids []string
			for name := range deeds {
				for _, s := range surfaces {
					for _, streamed := range []bool{false, true} {
						ids = append(ids, fmt.Sprintf("%s %s %v", name, s.name, streamed))
					}
				}
			}
			many(ids, func(id string) {
				var name, on string
				var streamed bool
				_, _ = fmt.Sscan(id, &name, &on, &streamed)
				s := map[string]surface{"chat": chat, "messages": messages}[on]
				if _, err := g.Do(t.Context(), http.MethodPost, s.path, p.conversation(s, name, streamed)); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			})
			calls += len(ids)
			calls += p.refused(t, g)
			calls += p.left(t, g, up)
			for _, path := range []string{"/health", "/health/ready", "/v1/models", "/metrics", "/"} {
				if r, err := g.Do(t.Context(), http.MethodGet, path, ""); err == nil {
					p.absent(t, path, dump(r))
				}
			}
			// Another client sees nothing of it either.
			up.Script(func(x *testkit.Exchange) { x.Respond(500, trouble(kind, 500)) })
			for _, s := range surfaces {
				for _, id := range []string{"good", "500", "mid"} {
					r := g.Post(t, s.path, s.request(id, false))
					calls++
					p.absent(t, "another client", dump(r))
				}
			}
			g.WaitCalls(t, calls)
			for name, text := range traces(t, g) {
				p.absent(t, name, text)
			}
			p.arrived(t, up)
		})
	}
}

func (p places) absent(t *testing.T, where, text string) {
	t.Helper()
	for name, c := range p {
		c.absent(t, where+": "+name, text)
	}
}

// arrived checks that the canaries were on their way at all.
func (p places) arrived(t *testing.T, up *testkit.Upstream) {
	t.Helper()
	for name, c := range p {
		found := strings.HasPrefix(name, "answer") || name == "file" // those go the other way, or in base64
		for _, x := range up.Requests() {
			found = found || strings.Contains(string(x.Body), c.text)
		}
		if !found {
			t.Errorf("the provider never saw the canary in %s", name)
		}
	}
}

// refused sends requests that the gateway itself refuses, with a canary where the mistake is. Names of
// members and types of parts are not among them: a message that names the field has them in it.
func (p places) refused(t *testing.T, g *testkit.Gateway) (calls int) {
	t.Helper()
	c := p["user"].text
	for _, s := range surfaces {
		plain := s.request("good", false)
		at := func(old, text string) string { return strings.Replace(plain, old, text, 1) }
		bodies := []string{
			c, `"` + c + `"`, plain[:len(plain)-3] + c, at(`"hi"`, `"`+c), at(`"hi"`, `"`+c+`","content":"`+c+`"`), at(`"hi"`, `"`+c+`\ud800"`), at(`"hi"`, "\""+c+"\n\""), at(`"hi"`, "\""+c+"\xff\""),
			at(`"user"`, quote(c)), at(`"hi"`, `[{"type":"text","text":{"a":`+quote(c)+`}}]`), at(`"hi"`, `{"a":`+quote(c)+`}`), at(`"hi"`, `[{"type":"image_url","image_url":{"url":"data:`+c+`"}}]`),
			at(`"hi"`, `[{"type":"image","source":{"type":"base64","media_type":`+quote(c)+`,"data":`+quote(c)+`}}]`), at(`"hi"`, `[{"type":"image_url","image_url":{"url":`+quote(c)+`}}]`), at(`"hi"`, `[{"type":"input_audio","input_audio":{"format":`+quote(c)+`,"data":`+quote(c)+`}}]`),
			at(`"hi"`, `[{"type":"tool_result","tool_use_id":`+quote(c)+`,"content":`+quote(c)+`}]`), at(`[{"role":"user"`, `[{"role":"tool","tool_call_id":`+quote(c)+`,"content":`+quote(c)+`},{"role":"user"`), at(`[{"role":"user","content":"hi"}]`, quote(c)),
			at(`[{"role":"user"`, `[{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":`+quote(c+"{")+`}}]},{"role":"tool","tool_call_id":"1","content":"x"},{"role":"user"`),
			s.request("good", false, `"stream":`+quote(c)), s.request("good", false, `"stop":{"a":`+quote(c)+`}`), s.request("good", false, `"temperature":`+quote(c)), s.request("good", false, `"tool_choice":`+quote(c)),
			s.request("good", false, `"tools":[{"description":`+quote(c)+`}]`), s.request("good", false, `"response_format":{"type":`+quote(c)+`}`), s.request("good", false, `"system":{"a":`+quote(c)+`}`), s.request("good", false, `"unknown":`+quote(c)),
			s.request("good", false, `"n":`+quote(c)), s.request("good", false, `"thinking":{"type":`+quote(c)+`}`), s.request("good", false, `"reasoning_effort":`+quote(c)), s.request("good", false, `"service_tier":`+quote(c)), s.request("good", false, `"logit_bias":`+quote(c)),
			s.request("no-such-model", false, `"metadata":{"a":`+quote(c)+`}`), s.request("", false, `"user":`+quote(c)), strings.Repeat(c+" ", 1000),
		}
		for _, body := range bodies {
			g.Post(t, s.path, body)
			calls++
		}
		// These fail before a call begins to be read, or never become one.
		g.Raw(t, "POST "+s.path+" HTTP/1.1\r\nHost: x\r\n"+c+"\r\n\r\n")
		g.Raw(t, c+" "+s.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		g.Raw(t, "POST "+s.path+"/"+c+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		g.Raw(t, "POST "+s.path+"?q=%zz"+c+";x HTTP/1.1\r\nHost: x%"+c+"\r\nContent-Length: 0\r\n\r\n")
	}
	return calls
}

// left begins calls and leaves them, before an answer and in it.
func (p places) left(t *testing.T, g *testkit.Gateway, up *testkit.Upstream) (calls int) {
	t.Helper()
	for _, s := range surfaces {
		for _, name := range []string{"hang", "stall"} {
			ctx, leave := context.WithCancel(t.Context())
			n := up.Count()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = g.Do(ctx, http.MethodPost, s.path, p.conversation(s, name, true))
			}()
			until(t, "the call", func() bool { return up.Count() > n })
			leave()
			<-done
			calls++
		}
	}
	return calls
}
