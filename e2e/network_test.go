package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// listener counts the connections that come to an address nobody may call.
func listener(t *testing.T) (address string, came func() int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			c.Close()
		}
	}()
	return ln.Addr().String(), n.Load
}

// destinations are the members under which other gateways and SDKs take an address.
var destinations = []string{
	"api_base", "base_url", "baseUrl", "baseURL", "api_url", "url", "endpoint", "host", "custom_host", "customHost", "azure_endpoint", "proxy", "http_proxy", "api_host", "target_url", "openai_api_base",
	"anthropic_api_url", "vertex_location", "aws_bedrock_runtime_endpoint", "sagemaker_base_url", "callback_url", "webhook_url", "success_callback", "organization_url", "provider_url", "forward_to",
}

// N1: where calls go is the configuration's business alone.
func TestN1DestinationIsOurs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		canary, came := listener(t)
		p := testkit.NewUpstream(t, answers(kind, "fine"))
		g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 1}"))
		hosts := []string{"http://" + canary, "http://" + canary + "/v1", canary, "http://user:pass@" + canary}
		own := 0
		ask := func(what, body string, headers ...string) {
			t.Helper()
			n := p.Count()
			r := g.Post(t, s.path, body, headers...)
			switch { // served by the configured provider, or refused
			case r.Status == 200 && p.Count() == n+1:
				own++
			case r.Status >= 400 && r.Status < 500 && p.Count() <= n+1:
			default:
				t.Errorf("%s: %d, %d calls to the provider: %s", what, r.Status, p.Count()-n, r.Body)
			}
		}
		for _, name := range destinations {
			for i, host := range hosts {
				member := fmt.Sprintf("%q:%q", name, host)
				ask(name, s.request("m", i%2 == 0, member))
				if i == 0 {
					for _, inside := range []string{`"metadata":{%s}`, `"extra_body":{%s}`, `"litellm_params":{%s}`, `"provider":{%s}`, `"options":{"a":[{"b":{%s}}]}`, `"model_config":{"client":{%s}}`} {
						ask(name+" inside", s.request("m", false, fmt.Sprintf(inside, member)))
					}
					ask(name+" in a message", strings.Replace(s.request("m", false), `"content":"hi"`, `"content":"hi",`+member, 1))
				}
			}
		}
		for _, h := range []string{
			"X-Api-Base", "Api-Base", "Base-Url", "X-Base-Url", "X-Custom-Host", "X-Portkey-Custom-Host", "Helicone-Target-Url", "Helicone-OpenAI-Api-Base", "X-Target-Url", "X-Upstream", "X-Forwarded-Host",
			"X-Original-Host", "X-Host", "X-Forwarded-Server", "Proxy", "Http-Proxy", "X-Breakwater-Base-Url", "X-Breakwater-Provider", "Location", "Destination", "X-Rewrite-Url",
		} {
			for _, host := range hosts {
				ask("header "+h, s.request("m", false), h+": "+host)
			}
		}
		ask("header Forwarded", s.request("m", false), "Forwarded: host="+canary+";proto=http")
		for _, model := range []string{hosts[0] + "/m", "p1/" + hosts[0], "openai/http://" + canary, "p1@" + canary, "http://" + canary + "#p1/m1", "p1/../../" + canary, "//" + canary + "/m"} {
			ask("model "+model, s.request(model, false))
		}
		for _, target := range []string{s.path + "?api_base=http://" + canary, s.path + "?base_url=" + canary, "http://" + canary + s.path} {
			body := s.request("m", false)
			r := g.Raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", target, canary, len(body), body))
			if r.Status != 200 && r.Status != 400 {
				t.Errorf("%s: %d %s", target, r.Status, r.Body)
			}
		}
		// A redirect is an answer like any other bad one: it is not followed.
		for _, status := range []int{301, 302, 303, 307, 308} {
			p.Script(func(x *testkit.Exchange) { x.Respond(status, "", "Location: http://"+canary+"/v1/chat/completions") })
			r := g.Post(t, s.path, s.request("m", status%2 == 0))
			if _, code, _ := s.errorOf(t, r.Body); r.Status != 502 || code != "all_providers_failed" || strings.Contains(dump(r), canary) {
				t.Errorf("redirect %d: %d %s", status, r.Status, r.Body)
			}
		}
		if own < len(destinations) {
			t.Errorf("only %d calls were answered", own)
		}
		if n := came(); n != 0 {
			t.Errorf("%d connections came to the canary", n)
		}
	})
}

// N1: addresses in what the conversation says are passed on as they are, and never fetched.
func TestN1NothingIsFetched(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		canary, came := listener(t)
		link := "http://" + canary + "/picture.png"
		parts := map[surface][]string{
			chat: {
				`{"type":"image_url","image_url":{"url":"` + link + `"}}`, `{"type":"image_url","image_url":{"url":"` + link + `","detail":"low"}}`,
				`{"type":"text","text":"see ` + link + `"}`, `{"type":"file","file":{"file_data":"` + link + `","filename":"a.pdf"}}`,
			},
			messages: {
				`{"type":"image","source":{"type":"url","url":"` + link + `"}}`, `{"type":"document","source":{"type":"url","url":"` + link + `"}}`, `{"type":"text","text":"see ` + link + `"}`,
			},
		}
		members := []string{`"tools":[{"type":"mcp","server_label":"x","server_url":"` + link + `"}]`, `"mcp_servers":[{"type":"url","url":"` + link + `","name":"x"}]`, `"web_search_options":{"u":"` + link + `"}`}
		p := testkit.NewUpstream(t, func(x *testkit.Exchange) { // the answer's addresses are not fetched either
			answers(kind, "see "+link+" and ![x]("+link+")")(x)
		})
		g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 1}"))
		answered := 0
		for _, streamed := range []bool{false, true} {
			for i, part := range parts[s] {
				body := strings.Replace(s.request("m", streamed), `"content":"hi"`, `"content":[`+part+`]`, 1)
				r := g.Post(t, s.path, body)
				switch {
				case r.Status == 200 && bytes.Contains(p.Requests()[p.Count()-1].Body, []byte(link)):
					answered++
				case r.Status == 400: // no counterpart in the provider's dialect
					s.errorOf(t, r.Body)
				default:
					t.Errorf("part %d: %d %s", i, r.Status, r.Body)
				}
			}
			for i, m := range members {
				if r := g.Post(t, s.path, s.request("m", streamed, m)); r.Status != 200 && r.Status != 400 {
					t.Errorf("member %d: %d %s", i, r.Status, r.Body)
				}
			}
		}
		if answered < 4 {
			t.Errorf("only %d calls with an address in them were answered", answered)
		}
		time.Sleep(50 * time.Millisecond) // for whoever would fetch it later
		if n := came(); n != 0 {
			t.Errorf("%d connections came to the canary", n)
		}
	})
}

// N2: no value of a client's breaks out of where it is put.
func TestN2NoInjection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s surface, kind string) {
		p := testkit.NewUpstream(t, answers(kind, "fine"))
		g := testkit.Start(t, pair(kind, p, nil, "retry: {attempts: 1}"))
		big := strings.Repeat("A", 1<<20)
		values := map[string]string{
			"CRLF": "a\r\nX-Injected: yes", "LF": "a\nX-Injected: yes", "CR": "a\rX-Injected: yes", "two CRLF": "a\r\n\r\nHTTP/1.1 200 OK\r\nX-Injected: yes\r\n\r\n", "NUL": "a\x00b", "ESC": "a\x1b[31mb", "DEL": "a\x7fb",
			"bell": "a\x07", "non-ASCII": "ä漢字🌊", "not UTF-8": "a\xff\xfe\xc3", "next line": "a\u0085b\u2028c", "bidi": "a\u202eb", "JSON": `","msg":"forged","x":"`, "a log line": "x\"}\n{\"msg\":\"forged\"}", "1 MiB": big, "64 KiB": big[:64<<10],
			"LFs in escapes": `a%0d%0aX-Injected: yes`, "folded": "a\r\n X-Injected: yes", "percent": "%s%n%d", "template": "{{.}}${jndi:ldap://x}", "spaces": "   ", "markup": "<script>alert(1)</script>",
		}
		sent := 0
		check := func(where string, r *testkit.Reply) {
			t.Helper()
			sent++
			if r.Header.Get("X-Injected") != "" || bytes.Contains(r.Body, []byte("\nX-Injected")) || r.Status == 0 && !strings.Contains(where, "1 MiB") {
				t.Errorf("%s: %d %v %.200s", where, r.Status, r.Header, r.Body)
			}
			for name, vs := range r.Header {
				for _, v := range vs {
					if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) || len(v) > 1024 {
						t.Errorf("%s: header %s is %.100q", where, name, v)
					}
				}
			}
		}
		for name, v := range values {
			for _, h := range []string{"X-Breakwater-Session", "X-Breakwater-Tag", "X-Request-Id", "Traceparent", "Anthropic-Version", "Anthropic-Beta", "Openai-Beta", "User-Agent", "X-Breakwater-Timeout", "Idempotency-Key", "Content-Type", "X-Breakwater-Cache"} {
				if len(v) > 64<<10 && !slices.Contains([]string{"X-Breakwater-Session", "X-Breakwater-Tag", "X-Request-Id"}, h) {
					continue
				}
				body, value := s.request("m", false), v
				if h == "X-Breakwater-Tag" {
					value = "k=" + v
				}
				check(h+" "+name, g.Raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s: %s\r\n\r\n%s", s.path, len(body), h, value, body)))
			}
			for _, field := range []string{"model", "provider/model", "chain", "user", "metadata", "role", "part", "tool", "tool choice", "other", "others", "inside"} {
				if len(v) > 64<<10 && !slices.Contains([]string{"model", "user", "part", "other"}, field) {
					continue
				}
				body := s.request("m", sent%2 == 0)
				q := quote(v)
				switch field {
				case "model":
					body = strings.Replace(body, `"model":"m"`, `"model":`+q, 1)
				case "provider/model":
					body = strings.Replace(body, `"model":"m"`, `"model":"p1/`+q[1:], 1)
				case "chain":
					body = strings.Replace(body, `"model":"m"`, `"model":"m,p1/`+q[1:], 1)
				case "user":
					if s == chat {
						body = s.request("m", false, `"user":`+q)
					} else {
						body = s.request("m", false, `"metadata":{"user_id":`+q+`}`)
					}
				case "metadata":
					body = s.request("m", false, `"metadata":{"a":`+q+`}`)
				case "role":
					body = strings.Replace(body, `"role":"user"`, `"role":`+q, 1)
				case "part":
					body = strings.Replace(body, `"content":"hi"`, `"content":[{"type":`+q+`}]`, 1)
				case "tool":
					body = s.request("m", false, `"tools":[{"type":`+q+`,"name":`+q+`}]`)
				case "tool choice":
					body = s.request("m", false, `"tool_choice":{"type":`+q+`,"name":`+q+`}`)
				case "others":
					body = s.request("m", false, q[:len(q)-1]+`1":1`, q[:len(q)-1]+`2":1`)
				case "inside":
					body = strings.Replace(body, `"content":"hi"`, `"content":"hi",`+q+`:1`, 1)
				default:
					body = s.request("m", false, q+`:1`)
				}
				r := g.Post(t, s.path, body)
				check(field+" "+name, r)
				if r.Status >= 400 {
					s.errorOf(t, r.Body)
				}
				if r.Status >= 500 {
					t.Errorf("%s %s: %d %s", field, name, r.Status, r.Body)
				}
				if len(r.Body) > 8<<10 {
					t.Errorf("%s %s: an answer of %d bytes", field, name, len(r.Body))
				}
			}
		}
		for _, x := range p.Requests() {
			for name, vs := range x.Header {
				if name == "X-Injected" {
					t.Errorf("a header was injected towards the provider")
				}
				for _, v := range vs {
					if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) || len(v) > 1024 {
						t.Errorf("the provider sees %s: %.100q", name, v)
					}
				}
			}
			if strings.ContainsAny(x.Path, "\r\n\x00 ") {
				t.Errorf("the provider sees the path %q", x.Path)
			}
			if !json.Valid(x.Body) {
				t.Errorf("the provider gets a body that is not JSON: %.200s", x.Body)
			}
		}
		if r := g.Post(t, s.path, s.request("m", false)); r.Status != 200 {
			t.Errorf("afterwards: %d", r.Status)
		}
		logged := g.Calls(t) // each line is a JSON object
		if len(logged) < sent/2 {
			t.Errorf("%d lines for %d calls", len(logged), sent)
		}
		for _, raw := range strings.Split(g.Stderr(), "\n") {
			if len(raw) > 16<<10 {
				t.Errorf("a log line of %d bytes: %.200s", len(raw), raw)
			}
			var l map[string]any
			if json.Unmarshal([]byte(raw), &l) == nil && l["msg"] == "forged" {
				t.Errorf("a forged log line: %s", raw)
			}
			if strings.ContainsFunc(raw, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0x85 }) {
				t.Errorf("control characters in the log: %.300q", raw)
			}
		}
	})
}

// N2: two requests cannot hide in one.
func TestN2Smuggling(t *testing.T) {
	t.Parallel()
	p := testkit.NewUpstream(t, answers("openai", "fine"))
	g := testkit.Start(t, pair("openai", p, nil))
	body := chat.request("m", false)
	for name, head := range map[string]string{
		"two lengths":              fmt.Sprintf("Content-Length: %d\r\nContent-Length: 5\r\n", len(body)),
		"length and chunked":       fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(body)),
		"odd encoding":             "Transfer-Encoding: xchunked\r\n",
		"negative length":          "Content-Length: -1\r\n",
		"length with a sign":       fmt.Sprintf("Content-Length: +%d\r\n", len(body)),
		"space before the colon":   fmt.Sprintf("Content-Length : %d\r\n", len(body)),
		"no host":                  "",
		"chunked twice":            "Transfer-Encoding: chunked, chunked\r\n",
		"length that is no number": "Content-Length: 0x10\r\n",
	} {
		host := "Host: x\r\n"
		if name == "no host" {
			host, head = "", fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		if r := g.Raw(t, "POST "+chat.path+" HTTP/1.1\r\n"+host+head+"\r\n"+body+"\r\n\r\n"); r.Status < 400 || r.Status >= 500 && r.Status != http.StatusNotImplemented {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	if p.Count() != 0 {
		t.Errorf("%d calls went through", p.Count())
	}
}
