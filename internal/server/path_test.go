package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

// spellings are other ways to write a path, each with what makes it one.
func spellings(path string) map[string]bool {
	out := map[string]bool{}
	add := func(s string) {
		if s != path {
			out[s] = true
		}
	}
	segments := strings.Split(path[1:], "/")
	for i := range len(path) {
		c := path[i]
		add(path[:i] + fmt.Sprintf("%%%02x", c) + path[i+1:])
		add(path[:i] + fmt.Sprintf("%%%02X", c) + path[i+1:])
		add(path[:i] + fmt.Sprintf("%%25%02x", c) + path[i+1:])
		add(path[:i] + strings.ToUpper(string(c)) + path[i+1:])
		for j := i + 1; j < len(path); j++ {
			add(path[:i] + fmt.Sprintf("%%%02x", c) + path[i+1:j] + fmt.Sprintf("%%%02X", path[j]) + path[j+1:])
		}
		if c == '/' {
			for _, s := range []string{"//", "///", "/./", "/../", "/x/../", "/%2e/", "/%2e%2e/", "/.%2e/", "/;/", "/;a=b/", "\\", "/\\", "/..;/", "%2f/", "/%2f", "%5c", "/%00/", "/%20/", "/\t/", "%c0%af", "%ef%bc%8f"} {
				add(path[:i] + s + path[i+1:])
			}
		}
	}
	behind := []string{"/", "//", "/.", "/..", "/x/..", "%2f", "%00", ";", ";a=b", ".json", "%20", "%09", "%0d%0a", "%3f", "%23", "/%2e", "+", "*", "%ef%bc%8e"}
	for _, s := range behind {
		add(path + s)
	}
	for i := range segments {
		for _, s := range []string{";v=1", "%00", ".", "%2e"} {
			p := append([]string(nil), segments...)
			p[i] += s
			add("/" + strings.Join(p, "/"))
		}
	}
	for _, pre := range []string{"/.", "/x/..", "/v1/..", "/health/..", "/health/live/../..", "/%2e", "//host", "/v1", "/%2f"} {
		add(pre + path)
		for _, s := range behind {
			add(pre + path + s)
		}
	}
	add(strings.ToUpper(path))
	return out
}

// TestOnePath: a path is served in its one spelling; every other is 400 or 404, and reaches nothing.
func TestOnePath(t *testing.T) {
	h := &handler{do: answer(okBody)}
	identified := 0
	s := newServer(h, func(o *Options) {
		old := o.Identify
		o.Identify = func(h http.Header) (pipeline.Identity, *llm.Error) { identified++; return old(h) }
	})
	srv := start(t, s)
	addr := strings.TrimPrefix(srv.URL, "http://")
	for _, path := range []string{chatPath, msgPath, "/v1/messages/count_tokens", "/v1/models"} {
		n := 0
		for odd := range spellings(path) {
			if strings.ContainsAny(odd, "\t") {
				continue // no request line
			}
			if u, err := url.ParseRequestURI(odd); err == nil && strings.HasPrefix(u.Path, "/v1/models/") && u.RawPath == "" {
				continue // a model's name
			}
			n++
			for _, method := range []string{"POST", "GET"} {
				status, _, body := raw(t, addr, method+" "+odd+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				if status != 400 && status != 404 {
					t.Errorf("%s %s: %d %s", method, odd, status, body)
				}
				if status == 404 && dialectOf(body) == "" {
					t.Errorf("%s %s: %s", method, odd, body)
				}
			}
		}
		if n < 200 {
			t.Errorf("%s: %d spellings", path, n)
		}
	}
	if h.count() != 0 || identified != 0 {
		t.Errorf("%d calls, %d look-ups of a key", h.count(), identified)
	}
}

// TestHostGames: host and absolute form change nothing.
func TestHostGames(t *testing.T) {
	h := &handler{do: answer(okBody)}
	addr := strings.TrimPrefix(start(t, newServer(h, nil)).URL, "http://")
	for _, line := range []string{
		"POST http://evil.test" + chatPath + " HTTP/1.1\r\nHost: evil.test", "POST " + chatPath + " HTTP/1.1\r\nHost: localhost/health",
		"POST " + chatPath + "?key=" + testKey + " HTTP/1.1\r\nHost: x", "POST " + chatPath + "?x=/health HTTP/1.1\r\nHost: x",
		"POST " + chatPath + " HTTP/1.1\r\nHost: x\r\nX-Original-URL: /health\r\nX-Rewrite-URL: /health\r\nX-Forwarded-For: 127.0.0.1",
		"POST " + chatPath + " HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: GET",
	} {
		status, _, body := raw(t, addr, line+"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
		if status != 401 && status != 400 || status == 401 && dialectOf(body) != "openai" {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	for _, line := range []string{"OPTIONS * HTTP/1.1", "CONNECT x:1 HTTP/1.1", "GET http: HTTP/1.1", "GET ? HTTP/1.1"} {
		if status, _, body := raw(t, addr, line+"\r\nHost: x\r\nConnection: close\r\n\r\n"); status == 200 && body != "" {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
}

func TestMethods(t *testing.T) {
	h := &handler{do: answer(okBody)}
	srv := start(t, newServer(h, nil))
	for path, allowed := range map[string]string{
		chatPath: "POST", msgPath: "POST", "/v1/messages/count_tokens": "POST", "/v1/models": "GET, HEAD", "/health": "GET, HEAD", "/health/live": "GET, HEAD", "/health/ready": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			if strings.Contains(allowed, method) {
				continue
			}
			r := send(t, srv.URL, method, path, "")
			want := "openai"
			if strings.HasPrefix(path, msgPath) {
				want = "anthropic"
			}
			if r.status != 405 || r.header.Get("Allow") != allowed || method != "HEAD" && dialectOf(r.body) != want || r.header.Get("X-Request-Id") == "" {
				t.Errorf("%s %s: %d, Allow %q: %s", method, path, r.status, r.header.Get("Allow"), r.body)
			}
		}
	}
	if h.count() != 0 {
		t.Errorf("%d calls", h.count())
	}
	if r := send(t, srv.URL, "GET", "/nope", "", "Anthropic-Version: 2023-06-01", "X-Request-Id: mine"); r.status != 404 || dialectOf(r.body) != "anthropic" || r.header.Get("Request-Id") != "mine" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
}

func TestModels(t *testing.T) {
	srv := start(t, newServer(&handler{}, nil))
	for _, tc := range []struct {
		path, version string
		status        int
		want          []string
	}{
		{"/v1/models", "", 200, []string{`"object":"list"`, `"id":"fast"`, `"object":"model"`, `"owned_by":`, `"created":`}},
		{"/v1/models", "2023-06-01", 200, []string{`"has_more":false`, `"first_id":"fast"`, `"last_id":"openai/gpt"`, `"type":"model"`, `"display_name":"fast"`, `"created_at":"`}},
		{"/v1/models/fast", "", 200, []string{`"id":"fast"`, `"object":"model"`}},
		{"/v1/models/fast", "2023-06-01", 200, []string{`"id":"fast"`, `"type":"model"`}},
		{"/v1/models/openai/gpt", "", 200, []string{`"id":"openai/gpt"`}},
		{"/v1/models/none", "", 404, []string{`"code":"model_not_found"`, `"param":"model"`}},
		{"/v1/models/none", "2023-06-01", 404, []string{`"type":"not_found_error"`}},
		{"/v1/models/%66ast", "", 404, nil},
		{"/v1/models/", "", 404, nil},
		{"/v1/models//fast", "", 404, nil},
		{"/v1/models/../models", "", 404, nil},
	} {
		var headers []string
		if tc.version != "" {
			headers = append(headers, "Anthropic-Version: "+tc.version)
		}
		r := send(t, srv.URL, "GET", tc.path, "", headers...)
		if r.status != tc.status || r.header.Get("X-Request-Id") == "" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %v", tc.path, r.status, r.body, r.header)
		}
		for _, part := range tc.want {
			if !strings.Contains(r.body, part) {
				t.Errorf("%s: %s lacks %s", tc.path, r.body, part)
			}
		}
		r = send(t, srv.URL, "GET", tc.path, "", append(headers, "Authorization: Bearer wrong")...)
		if tc.status == 200 && (r.status != 401 || strings.Contains(r.body, "fast")) {
			t.Errorf("%s without a key: %d %s", tc.path, r.status, r.body)
		}
	}
	if r := send(t, srv.URL, "HEAD", "/v1/models", ""); r.status != 200 || r.body != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
	none := start(t, newServer(&handler{}, func(o *Options) { o.Models = func(pipeline.Identity) []string { return nil } }))
	if r := send(t, none.URL, "GET", "/v1/models", ""); !strings.Contains(r.body, `"data":[]`) {
		t.Error(r.body)
	}
	if r := send(t, none.URL, "GET", "/v1/models", "", "Anthropic-Version: x"); !strings.Contains(r.body, `"data":[]`) || !strings.Contains(r.body, `"first_id":null`) {
		t.Error(r.body)
	}
}

func TestHealthEndpoints(t *testing.T) {
	status := "healthy"
	s := newServer(&handler{}, func(o *Options) {
		o.Health = func() Health { return Health{Status: status, Providers: map[string]ProviderHealth{}} }
	})
	srv := start(t, s)
	check := func(health, ready int) {
		t.Helper()
		for path, want := range map[string]int{"/health": health, "/health/ready": ready, "/health/live": 200} {
			if r := send(t, srv.URL, "GET", path, "", "Authorization: none"); r.status != want || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %s", status, path, r.status, r.body)
			}
		}
	}
	check(200, 200)
	status = "degraded"
	check(200, 200)
	status = "unhealthy"
	check(503, 503)
	status = "healthy"
	s.Drain(nil)
	check(200, 503)
}
