package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// K1: whatever goes wrong, no key is seen anywhere.
func TestK1NoSecretOut(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"openai", "anthropic", "openai over TLS"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			kind, secure := strings.CutSuffix(where, " over TLS")
			fromEnv, fromFile, gateway, wrong := newCanary("sk-"), newCanary("sk-"), newCanary("bw-"), newCanary("bw-")
			file := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(file, []byte(fromFile.text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			deeds := misdeeds(kind)
			newUpstream := testkit.NewUpstream
			if secure {
				newUpstream = testkit.NewTLSUpstream
			}
			up := newUpstream(t, func(x *testkit.Exchange) {
				key := strings.TrimPrefix(x.Header.Get("Authorization")+x.Header.Get("X-Api-Key"), "Bearer ")
				for _, c := range []canary{fromEnv, fromFile} {
					if c.text == key {
						name, _, _ := strings.Cut(modelOf(x), "@")
						deeds[name](x, c)
						return
					}
				}
				t.Errorf("the upstream got another key")
			})
			conf := "telemetry: {log: {level: debug}}\nkeys: [{id: web, secret: env://GATEWAY}]\nproviders:\n"
			models := "models:\n"
			var names []string
			for name := range deeds { // one provider for each call, so that none rests
				for _, s := range surfaces {
					for _, streamed := range []bool{false, true} {
						id := fmt.Sprintf("%s@%s@%v", name, s.name, streamed)
						names = append(names, id)
						p := strings.ReplaceAll(id, "@", "-")
						conf += fmt.Sprintf("  %s: {type: %s, base_url: %s, api_key: [env://PROVIDER, %q]}\n", p, kind, base(kind, up), "file://"+file)
						models += fmt.Sprintf("  %s: {targets: [{provider: %s, model: %q}], retry: {attempts: 2, backoff: 1ms, max_backoff: 1ms, budget: 100%%}, timeout: {first_token: 300ms, idle: 300ms}}\n", id, p, id)
					}
				}
			}
			environ := []string{"PROVIDER=" + fromEnv.text, "GATEWAY=" + gateway.text, testkit.TrustTLS(t)}
			g := testkit.Start(t, conf+models, environ...)
			seen := map[string]string{}
			var mu sync.Mutex
			slots := make(chan struct{}, 8)
			var wg sync.WaitGroup
			for _, id := range names {
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					s := chat
					if strings.Contains(id, "@messages@") {
						s = messages
					}
					r, err := g.Do(t.Context(), http.MethodPost, s.path, s.request(id, strings.HasSuffix(id, "true")), "Authorization: Bearer "+gateway.text)
					if err != nil {
						t.Errorf("%s: %v", id, err)
						return
					}
					mu.Lock()
					seen[id] = dump(r)
					mu.Unlock()
				})
			}
			wg.Wait()
			for _, h := range []string{"Authorization: Bearer ", "x-api-key: ", "x-goog-api-key: ", "Authorization: Basic ", "Cookie: key="} {
				for _, s := range surfaces {
					seen[h+s.name] = dump(g.Post(t, s.path+"?key="+wrong.text, s.request("x", false), h+wrong.text))
				}
			}
			for _, path := range []string{"/health", "/health/ready", "/v1/models", "/v1/models/" + names[0], "/metrics", "/"} {
				if r, err := g.Do(t.Context(), http.MethodGet, path, "", "x-api-key: "+gateway.text); err == nil {
					seen[path] = dump(r)
				}
			}
			g.WaitCalls(t, len(names)+10)
			config := filepath.Join(g.Dir, "breakwater.yaml")
			for _, args := range [][]string{{"config", "print"}, {"config", "check"}, {"config", "check", "--json"}, {"health", "--json"}, {"ask", "--model", names[0], "hi"}} {
				_, out, errs := testkit.Run(t, g.Dir, environ, append(args, "--config", config)...)
				seen[strings.Join(args, " ")] = out + errs
			}
			for where, text := range traces(t, g) {
				seen[where] = text
			}
			for where, text := range seen {
				for _, c := range []canary{fromEnv, fromFile, gateway, wrong} {
					c.absent(t, where, text)
				}
			}
			jsonLog(t, g)
			if withKey(up, fromEnv.text) == 0 || withKey(up, fromFile.text) == 0 {
				t.Error("one of the keys was never used")
			}
			for _, x := range up.Requests() {
				for _, c := range []canary{fromEnv, fromFile, gateway, wrong} {
					c.absent(t, "the URL", x.Path)
					c.absent(t, "the upstream's body", string(x.Body))
				}
			}
		})
	}
}

// K1: a configuration with a mistake is not answered with the secrets in it.
func TestK1BadConfiguration(t *testing.T) {
	t.Parallel()
	c := newCanary("sk-")
	for name, conf := range map[string]string{
		"unclosed bracket": "providers:\n  openai: {type: openai, api_key: [KEY\n",
		"unclosed quote":   "providers:\n  openai:\n    api_key: \"KEY\n",
		"tab":              "providers:\n\topenai: {api_key: KEY}\n",
		"twice":            "providers:\n  openai:\n    api_key: KEY\n    api_key: KEY\n",
		"bare":             "providers:\n  openai: KEY\n",
		"too deep":         "providers:\n  openai: {api_key: {value: KEY}}\n",
		"alias":            "providers:\n  openai: {api_key: *KEY}\n",
		"anchor":           "providers:\n  openai: {api_key: &KEY}\n",
		"tag":              "providers:\n  openai: {api_key: !!int KEY}\n",
		"userinfo":         "providers:\n  openai: {type: openai, base_url: \"https://u:KEY@h/v1\", api_key: none}\n",
		"query":            "providers:\n  openai: {type: openai, base_url: \"https://h/v1?key=KEY\", api_key: none}\n",
		"a list in a list": "providers:\n  openai: {api_key: [[KEY]]}\n",
		"same secret":      "providers:\n  openai: {api_key: none}\nkeys:\n  - {id: a, secret: KEY}\n  - {id: b, secret: KEY}\n",
		"indentation":      "providers:\n  openai:\n    api_key: KEY\n   type: openai\n",
		"colon":            "providers:\n  openai:\n    api_key: KEY: x\n",
		"token":            "providers:\n  openai: {api_key: none}\nadmin: {token: [KEY]}\n",
		"block":            "providers:\n  openai:\n    api_key: |\n      KEY\n    bogus: 1\n",
		"valid":            "providers:\n  openai: {type: openai, base_url: http://127.0.0.1:1/v1, api_key: KEY}\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte(strings.ReplaceAll(conf, "KEY", c.text)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"config", "check", "--json"}, {"config", "print"}, {"serve", "--listen", "127.0.0.1:x"}} {
			code, out, errs := testkit.Run(t, dir, nil, append(args, "--config", "c.yaml")...)
			if code != 2 && args[0] == "serve" {
				t.Errorf("%s: %v: exit code %d: %s", name, args, code, errs)
			}
			c.absent(t, name+", "+strings.Join(args, " "), out+errs)
		}
	}
}

// K2: whatever is sent for a key but the key itself is refused, in one way.
func TestK2OddCredentials(t *testing.T) {
	t.Parallel()
	const key = "bw-Key-0123456789-abcdefghij"
	p := testkit.NewUpstream(t, answers("openai", "fine"))
	g := testkit.Start(t, "keys: [{id: web, secret: env://WEB_KEY}, {id: other, secret: env://OTHER_KEY}]\n"+pair("openai", p, nil),
		"WEB_KEY="+key, "OTHER_KEY=bw-Other-0123456789-abcdefgh")
	odd := map[string][]string{
		"none": nil, "empty": {"Authorization: "}, "scheme only": {"Authorization: Bearer"}, "scheme and a blank": {"Authorization: Bearer "},
		"blanks": {"Authorization: Bearer     "}, "no scheme": {"Authorization: " + key}, "basic": {"Authorization: Basic " + key}, "token": {"Authorization: Token " + key},
		"empty x-api-key": {"x-api-key: "}, "blank x-api-key": {"x-api-key:   "}, "scheme in x-api-key": {"x-api-key: Bearer " + key},
		"two that differ": {"Authorization: Bearer " + key, "Authorization: Bearer wrong"}, "two, the other way": {"Authorization: Bearer wrong", "Authorization: Bearer " + key},
		"both headers": {"Authorization: Bearer " + key, "x-api-key: wrong"}, "another's beside": {"x-api-key: " + key, "x-goog-api-key: bw-Other-0123456789-abcdefgh"},
		"a wrong scheme beside": {"x-api-key: " + key, "Authorization: Basic abc"}, "a list": {"Authorization: Bearer " + key + ", Bearer wrong"},
		"64 KiB": {"Authorization: Bearer " + strings.Repeat("k", 64<<10)}, "the key and more": {"Authorization: Bearer " + key + "x"},
		"a part of it": {"Authorization: Bearer " + key[:len(key)-1]}, "other case": {"Authorization: Bearer " + strings.ToLower(key)},
		"quotes": {`Authorization: Bearer "` + key + `"`}, "SQL": {"Authorization: Bearer ' OR '1'='1' --"}, "JSON": {`Authorization: Bearer {"$ne":null}`},
		"wildcard": {"Authorization: Bearer *"}, "non-ASCII": {"Authorization: Bearer \xc3\xa9\xff\xe2\x80\x8b"}, "full width": {"Authorization: Bearer ｂｗ"},
		"tab between": {"Authorization: Bearer\t" + key}, "id": {"Authorization: Bearer web"}, "template": {"Authorization: Bearer ${WEB_KEY}"},
		"reference": {"Authorization: Bearer env://WEB_KEY"}, "cookie": {"Cookie: api_key=" + key}, "proxy": {"Proxy-Authorization: Bearer " + key},
	}
	requestID := regexp.MustCompile(`req_[0-9a-z]+`)
	for _, s := range surfaces {
		body := s.request("m", false)
		post := func(path string, headers []string) *testkit.Reply {
			return g.Raw(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: "+fmt.Sprint(len(body))+"\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n"+body)
		}
		want := ""
		for name, headers := range odd {
			r := post(s.path, headers)
			typ, code, _ := s.errorOf(t, r.Body)
			if r.Status != 401 || code != "invalid_api_key" || typ != "authentication_error" {
				t.Errorf("%s, %s: %d %s %s", s.name, name, r.Status, typ, code)
			}
			if got := requestID.ReplaceAllString(string(r.Body), ""); want == "" {
				want = got
			} else if got != want {
				t.Errorf("%s, %s: answered differently:\n%s\n%s", s.name, name, got, want)
			}
		}
		for _, path := range []string{"?key=", "?api_key=", "?api-key=", "?access_token="} {
			if r := post(s.path+path+key, nil); r.Status != 401 {
				t.Errorf("%s: a key in the URL: %d", s.name, r.Status)
			}
		}
		// No header may hold such bytes: HTTP itself refuses them, before any dialect is known.
		for name, v := range map[string]string{"NUL": "\x00", "NUL behind the key": key + "\x00", "control": "\x01", "DEL": key + "\x7f"} {
			if r := post(s.path, []string{"Authorization: Bearer " + v}); r.Status != 400 && r.Status != 401 {
				t.Errorf("%s, %s: %d", s.name, name, r.Status)
			}
		}
		if p.Count() != 0 {
			t.Fatalf("%s: %d calls without a key", s.name, p.Count())
		}
		for _, h := range []string{"Authorization: Bearer " + key, "authorization: bearer " + key, "Authorization: Bearer   " + key + "  ", "X-Api-Key: " + key, "x-goog-api-key: " + key} {
			if r := post(s.path, []string{h}); r.Status != 200 {
				t.Errorf("%s, %s: %d %s", s.name, h, r.Status, r.Body)
			}
		}
		p.Close()
		p = testkit.NewUpstream(t, answers("openai", "fine"))
		g = testkit.Start(t, "keys: [{id: web, secret: env://WEB_KEY}, {id: other, secret: env://OTHER_KEY}]\n"+pair("openai", p, nil),
			"WEB_KEY="+key, "OTHER_KEY=bw-Other-0123456789-abcdefgh")
	}
}

// K2: a key that is configured and empty lets nobody in: the gateway does not start.
func TestK2EmptyKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"unset": "env://NOT_SET", "empty": "env://EMPTY", "blank": "env://BLANK", "literal": `""`, "file": "file://" + empty, "no file": "file:///does/not/exist"} {
		for what, conf := range map[string]string{
			"gateway key":  fmt.Sprintf("providers: {sim: {type: mock}}\nkeys: [{id: web, secret: %s}]\n", secret),
			"provider key": fmt.Sprintf("providers: {p: {type: openai, base_url: http://127.0.0.1:1/v1, api_key: %s}}\n", secret),
		} {
			if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte(conf), 0o600); err != nil {
				t.Fatal(err)
			}
			code, _, errs := testkit.Run(t, dir, []string{"EMPTY=", "BLANK=   "}, "serve", "--listen", "127.0.0.1:0", "--config", "c.yaml")
			if code != 2 || strings.TrimSpace(errs) == "" {
				t.Errorf("%s, %s: exit code %d: %s", what, name, code, errs)
			}
		}
	}
}

// spellings are other ways to write a path; same are those that mean the very same path.
func spellings(path string) (other, same []string) {
	add := func(s string) {
		if s != path && !slices.Contains(other, s) {
			other = append(other, s)
		}
	}
	for i, ch := range []byte(path) {
		before, after := path[:i], path[i+1:]
		add(before + fmt.Sprintf("%%%02x", ch) + after)
		add(before + fmt.Sprintf("%%25%02x", ch) + after)
		add(before + string(ch) + path[i:])
		add(before + url.PathEscape(string(rune(ch)-0x20+0xff00)) + after)          // full width
		add(before + fmt.Sprintf("%%%02x%%%02x", 0xc0|ch>>6, 0x80|ch&0x3f) + after) // overlong
		for _, between := range []string{"%00", "%2e", ";"} {
			add(path[:i+1] + between + after)
		}
		if up := strings.ToUpper(string(ch)); up != string(ch) {
			add(before + up + after)
			add(before + up + after + "/")
		}
		if ch != '/' {
			continue
		}
		for _, with := range []string{"//", "///", "/./", "/x/../", "/%2e/", "/%2e%2e/", "/..;/", "/.;/", "/;/", "/;a=b/", `\`, `/\`, "%2F", "%2f", "%5c", "%252f", "%c0%af", "/%20/", "/%00/", "/health/../", "/health/%2e%2e/", "%2f%2f", "/*/", "/.../", "/%09/", "/%0d%0a/", "/%e2%80%8b/", "/%2e./", "/.%2e/", "/%252e%252e/", "//x/../", "/x/..//", "/%2f/", "/x%2f..%2f", "/-/", "/:/", "/!/", "/@/", "/$/"} {
			add(before + with + after)
		}
		for _, with := range []string{";", ";a=b", ";/..", "%3b", ".", "%20", "%00"} {
			if i > 0 {
				add(before + with + "/" + after)
			}
		}
	}
	for _, end := range []string{"/", "//", "/.", "/..", "/./", ";", ";a=b", ";.json", "%20", "%00", "%0a", "%0d%0a", "%09", ".json", ".", "..", "%2e", "%3f", "%23", "%3fx=y", "/%2e", "*", "~", "%", "%zz", "%e2%80%8b", "/x"} {
		add(path + end)
	}
	for _, start := range []string{"/health/..", "/health/live/../..", "/%2e%2e", "/..", "/.", "/health%2f..", "/health;/..", "/v1/..", "/x", "/V1", "/\uff56"} {
		add(start + path)
	}
	add(strings.ToUpper(path))
	add(strings.TrimPrefix(path, "/"))
	return other, []string{path, path + "?", path + "?a=b", path + "?/health", "http://x" + path, "http://evil.example" + path + "?q=1", "http://u:p@x:99999" + path}
}

// K3: the path that is authorised is the path that is served: one spelling, and nothing beside it.
func TestK3OnePath(t *testing.T) {
	t.Parallel()
	const key = "bw-Key-0123456789-abcdefghij"
	p := testkit.NewUpstream(t, answers("anthropic", "fine"))
	g := testkit.Start(t, "keys: [{id: web, secret: env://WEB_KEY}]\n"+pair("anthropic", p, nil), "WEB_KEY="+key)
	send := func(method, target, host, body string, headers ...string) *testkit.Reply {
		return g.Raw(t, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
			method, target, host, len(body), strings.Join(append(headers, ""), "\r\n"), body))
	}
	routes := []struct{ method, path, body string }{
		{"POST", "/v1/chat/completions", chat.request("m", false)}, {"POST", "/v1/messages", messages.request("m", false)},
		{"POST", "/v1/messages/count_tokens", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`}, {"GET", "/v1/models", ""}, {"GET", "/v1/models/m", ""},
	}
	p.Script(func(x *testkit.Exchange) {
		if strings.HasSuffix(x.Path, "count_tokens") {
			x.Respond(200, `{"input_tokens":3}`)
			return
		}
		answers("anthropic", "fine")(x)
	})
	for _, rt := range routes {
		t.Run(strings.Trim(rt.path, "/"), func(t *testing.T) {
			other, same := spellings(rt.path)
			if len(other) < 200 {
				t.Errorf("only %d spellings", len(other))
			}
			many(other, func(target string) {
				if r := send(rt.method, target, "x", rt.body); r.Status != 400 && r.Status != 404 && r.Status != 401 {
					t.Errorf("%q without a key: %d %s", target, r.Status, r.Body)
				}
				if r := send(rt.method, target, "x", rt.body, "x-api-key: "+key); r.Status != 400 && r.Status != 404 {
					t.Errorf("%q with a key: %d %s", target, r.Status, r.Body)
				}
			})
			if n := p.Count(); n != 0 {
				t.Errorf("%d calls went through", n)
			}
			for _, target := range same {
				if r := send(rt.method, target, "x", rt.body); r.Status != 401 && r.Status != 400 {
					t.Errorf("%q without a key: %d", target, r.Status)
				}
			}
			hosts := []string{"localhost", "127.0.0.1", "evil.example", "x:1", "x/health", "x/../health", "x?/health", "", "health", "[::1]", "x@y", "é"}
			for _, host := range hosts {
				if r := send(rt.method, rt.path, host, rt.body); r.Status != 401 && r.Status != 400 {
					t.Errorf("Host %q without a key: %d", host, r.Status)
				}
			}
			for _, h := range []string{"X-Original-URL: /health", "X-Rewrite-URL: /health", "X-Forwarded-Path: /health", "X-Forwarded-Prefix: /health", "X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1", "X-Forwarded-Host: localhost", "Forwarded: for=127.0.0.1", "X-HTTP-Method-Override: GET", "Upgrade: websocket", "X-Forwarded-User: admin"} {
				if r := send(rt.method, rt.path, "x", rt.body, h); r.Status != 401 {
					t.Errorf("%s without a key: %d", h, r.Status)
				}
			}
			for _, method := range []string{"OPTIONS", "HEAD", "PUT", "DELETE", "TRACE", "PATCH", "CONNECT", "get", "post", "PROPFIND", map[string]string{"GET": "POST", "POST": "GET"}[rt.method]} {
				if r := send(method, rt.path, "x", rt.body); r.Status < 400 || r.Status >= 500 {
					t.Errorf("%s without a key: %d", method, r.Status)
				}
			}
			if n := p.Count(); n != 0 {
				t.Errorf("%d calls went through", n)
			}
			for _, target := range same[:5] {
				if r := send(rt.method, target, "x", rt.body, "x-api-key: "+key); r.Status != 200 {
					t.Errorf("%q with a key: %d %s", target, r.Status, r.Body)
				}
			}
			p.Forget()
		})
	}
}

// many calls f for each, eight at a time.
func many(list []string, f func(string)) {
	var wg sync.WaitGroup
	work := make(chan string)
	for range 8 {
		wg.Go(func() {
			for s := range work {
				f(s)
			}
		})
	}
	for _, s := range list {
		work <- s
	}
	close(work)
	wg.Wait()
}

// K6: of the client's headers the provider sees none but what decides about the body, and the other way round.
func TestK6HeadersByAllowList(t *testing.T) {
	t.Parallel()
	const clientKey, providerKey = "bw-client-0123456789", "sk-upstream-key-one-0123456789" // the latter as pair has it
	sent := []string{
		"Authorization: Bearer " + clientKey, "X-Api-Key: " + clientKey, "X-Goog-Api-Key: " + clientKey, "Api-Key: secret-1", "Cookie: session=secret-1", "Proxy-Authorization: Basic secret-1",
		"X-Breakwater-Session: s-1", "X-Breakwater-Tag: team=web", "X-Breakwater-Cache: no-store", "X-Breakwater-Timeout: 30s", "X-Breakwater-Anything: secret-1",
		"X-Request-Id: client-id-1", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate: a=b", "Baggage: secret=1", "Idempotency-Key: once-1",
		"User-Agent: client/1", "X-Stainless-Lang: python", "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 x", "X-Real-Ip: 10.0.0.1", "Referer: https://internal/x",
		"Origin: https://internal", "Openai-Organization: org-client", "Openai-Project: proj-client", "Accept-Language: de", "X-Custom: secret-1", "Connection: X-Custom", "Te: trailers",
		"Accept: text/html", "Anthropic-Version: 2023-06-01", "Anthropic-Beta: some-beta-2025-01-01", "Openai-Beta: assistants=v2", "Anthropic-Dangerous-Direct-Browser-Access: true", "Range: bytes=0-1", "If-None-Match: x",
	}
	back := []string{
		"Set-Cookie: __cf_bm=secret-2", "Openai-Organization: org-2", "Openai-Processing-Ms: 12", "Openai-Version: 2020-10-01", "Openai-Project: proj-2", "Server: cloudflare", "Via: 1.1 y", "Cf-Ray: ray-2",
		"Cf-Cache-Status: DYNAMIC", "Alt-Svc: h3=\":443\"", "Strict-Transport-Security: max-age=1", "Access-Control-Allow-Origin: *", "X-Powered-By: y", "X-Breakwater-Provider: spoofed", "X-Breakwater-Cache: hit",
		"X-Custom: secret-2", "Anthropic-Organization-Id: org-2", "X-Content-Type-Options: nosniff", "Www-Authenticate: Bearer", "Etag: x", "Last-Modified: x", "Connection: X-Custom", "Content-Disposition: attachment",
		"X-Request-Id: upstream-id-2", "Request-Id: upstream-id-2", "X-Ratelimit-Limit-Requests: 100", "X-Ratelimit-Remaining-Requests: 99", "X-Ratelimit-Limit-Images: 7",
		"Anthropic-Ratelimit-Requests-Limit: 100", "Anthropic-Ratelimit-Requests-Remaining: 99", "Anthropic-Fast-Something: 7", "Trailer: X-End",
	}
	up := map[string]bool{"Accept": true, "Accept-Encoding": true, "Content-Type": true, "Content-Length": true, "User-Agent": true}
	down := map[string]bool{
		"Content-Type": true, "Content-Length": true, "Date": true, "Transfer-Encoding": true, "Cache-Control": true, "X-Accel-Buffering": true, "X-Request-Id": true, "Request-Id": true,
		"X-Breakwater-Provider": true, "X-Breakwater-Model": true, "X-Breakwater-Attempts": true, "X-Breakwater-Cache": true, "X-Breakwater-Session": true, "X-Breakwater-Upstream-Request-Id": true,
		"X-Breakwater-Dropped": true, "X-Should-Retry": true,
		"X-Ratelimit-Limit-Requests": true, "X-Ratelimit-Remaining-Requests": true, "Anthropic-Ratelimit-Requests-Limit": true, "Anthropic-Ratelimit-Requests-Remaining": true,
	}
	each(t, func(t *testing.T, s surface, kind string) {
		native := (s == chat) == (kind == "openai")
		allowed := map[string]bool{}
		for name := range up {
			allowed[name] = true
		}
		credential := "Authorization"
		if kind == "anthropic" {
			credential = "X-Api-Key"
			allowed["Anthropic-Version"] = true
		}
		allowed[credential] = true
		if native {
			allowed["Anthropic-Version"], allowed["Anthropic-Beta"], allowed["Openai-Beta"] = true, true, true
		}
		p := testkit.NewUpstream(t, func(x *testkit.Exchange) {
			switch {
			case x.JSON("fail"):
				x.Respond(400, failure(kind, "invalid_request_error", "no"), back...)
			case x.JSON(`"stream":true`):
				head, content, tail := frames(kind, "fine")
				x.StreamHead(back...)
				x.Chunk(strings.Join(slices.Concat(head, content, tail), ""))
				x.Write("0\r\nX-End: secret-2\r\n\r\n")
			default:
				x.Respond(200, whole(kind, "fine"), back...)
			}
		})
		g := testkit.Start(t, "keys: [{id: web, secret: env://WEB_KEY}]\n"+pair(kind, p, nil), "WEB_KEY="+clientKey)
		for _, body := range []string{s.request("m", false), s.request("m", true), strings.Replace(s.request("m", false), "hi", "fail", 1)} {
			r := g.Post(t, s.path, body, sent...)
			if fails := strings.Contains(body, "fail"); r.Status != map[bool]int{false: 200, true: 400}[fails] {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			x := p.Requests()[p.Count()-1]
			for name, v := range x.Header {
				if !allowed[name] {
					t.Errorf("the provider sees %s: %s", name, v)
				}
			}
			if got := strings.TrimPrefix(x.Header.Get(credential), "Bearer "); got != providerKey || len(x.Header[credential]) != 1 {
				t.Errorf("the provider sees the key %q", x.Header[credential])
			}
			all := fmt.Sprint(x.Header, x.Path, string(x.Body))
			for _, secret := range []string{clientKey, "secret-1", "client-id-1", "once-1", "org-client", "10.0.0.1", "client/1"} {
				if strings.Contains(all, secret) {
					t.Errorf("the provider sees %s", secret)
				}
			}
			for name, v := range r.Header {
				if !down[name] {
					t.Errorf("the client sees %s: %s", name, v)
				}
				if strings.Contains(fmt.Sprint(v), "spoofed") || strings.Contains(fmt.Sprint(v), "secret-2") {
					t.Errorf("the client sees %s: %s", name, v)
				}
			}
			if id := r.Header.Get("X-Request-Id"); id != "client-id-1" {
				t.Errorf("the client's own request id is %q", id)
			}
			if len(r.Header["X-Breakwater-Cache"]) > 1 || r.Header.Get("X-Breakwater-Cache") == "hit" {
				t.Errorf("X-Breakwater-Cache: %q", r.Header["X-Breakwater-Cache"])
			}
		}
	})
}
