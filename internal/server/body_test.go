package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
)

func TestBodies(t *testing.T) {
	h := &handler{do: answer(okBody)}
	srv := start(t, newServer(h, func(o *Options) { o.MaxBody = 1000; o.ReadTimeout = 300 * time.Millisecond }))
	addr := strings.TrimPrefix(srv.URL, "http://")
	pad := func(n int) string { b := chat(false); return b[:len(b)-1] + strings.Repeat(" ", n-len(b)) + "}" }
	post := func(headers, body string) string {
		return "POST " + chatPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + testKey + "\r\n" + headers + "\r\n" + body
	}
	chunked := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(s), s) }
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	for _, tc := range []struct {
		name, request string
		status        int
		code          string
		closed        bool
	}{
		{"at the bound", post(length(1000), pad(1000)), 200, "", false},
		{"declared over it", post(length(1001), pad(1001)), 413, "request_too_large", true},
		{"declared huge, nothing sent", post(length(1<<40), ""), 413, "request_too_large", true},
		{"expects 100, over the bound", post(length(1<<20)+"Expect: 100-continue\r\n", ""), 413, "request_too_large", true},
		{"chunked at the bound", post("Transfer-Encoding: chunked\r\n", chunked(pad(1000))), 200, "", false},
		{"chunked over it", post("Transfer-Encoding: chunked\r\n", chunked(pad(1001))), 413, "request_too_large", true},
		{"chunked, no end", post("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s", 5000, pad(4000))), 413, "request_too_large", true},
		{"empty", post(length(0), ""), 400, "invalid_request", false},
		{"no length", post("", ""), 400, "invalid_request", false},
		{"not JSON", post(length(3), "abc"), 400, "invalid_request", false},
		{"cut JSON", post(length(5), `{"a":`), 400, "invalid_request", false},
		{"not an object", post(length(2), `[]`), 400, "invalid_request", false},
		{"duplicate name", post(length(len(`{"model":"a","model":"b"}`)), `{"model":"a","model":"b"}`), 400, "invalid_request", false},
		{"gzip", post(length(2)+"Content-Encoding: gzip\r\n", "{}"), 400, "invalid_request", false},
		{"br", post(length(2)+"Content-Encoding: br\r\n", "{}"), 400, "invalid_request", false},
		{"identity", post(length(1000)+"Content-Encoding: identity\r\n", pad(1000)), 200, "", false},
		{"stalls", post(length(900), pad(1000)[:500]), 408, "", true},
		{"stalls before the body", post(length(900), ""), 408, "", true},
		{"chunked, stalls", post("Transfer-Encoding: chunked\r\n", "5\r\n{"), 408, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begun := time.Now()
			status, header, body := raw(t, addr, tc.request)
			if status != tc.status || tc.code != "" && !strings.Contains(body, `"code":"`+tc.code+`"`) {
				t.Errorf("%d %s", status, body)
			}
			if status != 200 && dialectOf(body) != "openai" {
				t.Error(body)
			}
			if closed := header.Get("Connection") == "close"; closed != tc.closed {
				t.Errorf("Connection: %s", header.Get("Connection"))
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("after %v", took)
			}
			if status == 200 && h.last().Doc == nil {
				t.Error("no body")
			}
		})
	}
}

// TestStalledBodyOfARefusedCall: who has no key cannot hold a connection by not sending its body.
func TestStalledBodyOfARefusedCall(t *testing.T) {
	srv := start(t, newServer(&handler{}, func(o *Options) { o.ReadTimeout = 300 * time.Millisecond }))
	addr := strings.TrimPrefix(srv.URL, "http://")
	for _, path := range []string{chatPath, "/nope", "/v1/models"} {
		begun := time.Now()
		status, _, _ := raw(t, addr, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
		if took := time.Since(begun); took > 2*time.Second || status < 400 {
			t.Errorf("%s: %d after %v", path, status, took)
		}
	}
}

// TestReadDeadlineIsLifted: the limit on reading a body does not end the answer, nor the connection's next call.
func TestReadDeadlineIsLifted(t *testing.T) {
	h := &handler{do: func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		select {
		case <-time.After(400 * time.Millisecond):
		case <-ctx.Done():
			return nil, pipeline.Cause(ctx)
		}
		return answer(okBody)(ctx, c)
	}}
	srv := start(t, newServer(h, func(o *Options) { o.ReadTimeout = 150 * time.Millisecond }))
	for range 2 {
		if r := send(t, srv.URL, "POST", chatPath, chat(false)); r.status != 200 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}
