package sdk_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

// testCase is what every SDK does under this name.
type testCase struct {
	name    string
	surface string // "": both
	only    string // "": every SDK, else the one of this name
	vercel  bool   // Vercel's AI SDK does it too

	// calls are the ends of the case's calls, in order: success, or an error type of the log line.
	calls []string
	// sent checks what the provider was sent: the calls' bodies, in order.
	sent func(t *testing.T, upstream string, bodies []gjson.Result)
}

var cases = []testCase{
	{name: "completion", vercel: true, calls: calls("success"), sent: sentCompletion},
	{name: "usage", calls: calls("success")},
	{name: "streaming", vercel: true, calls: calls("success"), sent: sentStream},
	{name: "usage_stream", calls: calls("success"), sent: sentStream},
	{name: "tools", vercel: true, calls: calls("success"), sent: sentTools},
	{name: "tools_parallel", vercel: true, calls: calls("success"), sent: sentTools},
	{name: "tools_stream", vercel: true, calls: calls("success"), sent: sentTools},
	{name: "tool_result", vercel: true, calls: calls("success", "success"), sent: sentToolResult},
	{name: "structured", vercel: true, calls: calls("success"), sent: sentSchema},
	{name: "structured_stream", vercel: true, calls: calls("success"), sent: sentSchema},
	{name: "structured_by_tool", only: "vercel-anthropic", calls: calls("success"), sent: sentForcedTool},
	{name: "image_base64", vercel: true, calls: calls("success"), sent: sentImage(true)},
	{name: "image_url", vercel: true, calls: calls("success"), sent: sentImage(false)},
	{name: "models"},
	{name: "count_tokens", surface: "anthropic"},

	{name: "bad_request", calls: calls("invalid_request")},
	{name: "unsupported"},
	{name: "authentication", vercel: true, calls: calls("authentication"), sent: sentNothing},
	{name: "permission", vercel: true, calls: calls("permission", "success"), sent: sentOnce},
	{name: "not_found", vercel: true, calls: calls("not_found"), sent: sentNothing},
	{name: "too_large", vercel: true, calls: calls("too_large"), sent: sentNothing},
	{name: "rate_limit", vercel: true, calls: calls("rate_limit"), sent: sentOnce},
	{name: "rate_limit_stream", calls: calls("rate_limit"), sent: sentOnce},
	{name: "server_error", vercel: true, calls: calls("server_error"), sent: sentOnce},
	{name: "overloaded", calls: calls("overloaded"), sent: sentOnce},
	{name: "unreachable", calls: calls("connection"), sent: sentNothing},
	{name: "timeout", vercel: true, calls: calls("timeout"), sent: sentOnce},
	{name: "client_timeout", vercel: true, calls: calls("client_closed"), sent: sentOnce},
	{name: "mid_stream_error", vercel: true, calls: calls("overloaded"), sent: sentOnce},
}

func calls(ends ...string) []string { return ends }

func (c testCase) runs(s sdk) bool {
	if c.only != "" {
		return c.only == s.name
	}
	return (c.surface == "" || c.surface == s.surface) && (c.vercel || !s.vercel)
}

// check looks at the gateway's log and at what the provider was sent.
func (c testCase) check(t *testing.T, w *world, s sdk, upstream string) {
	t.Helper()
	id := s.name + "/" + upstream + "/" + c.name
	if c.calls != nil {
		checkLog(t, w.gateway, s, strings.ReplaceAll(id, "/", "."), c.calls)
	}
	var bodies []gjson.Result
	for _, r := range w.seen[upstream].with("[" + id + "]") {
		checkKeys(t, upstream, r)
		bodies = append(bodies, gjson.ParseBytes(r.body))
	}
	if c.sent != nil {
		c.sent(t, upstream, bodies)
	}
}

// checkLog waits for the log lines of a case's calls and compares how they ended.
func checkLog(t *testing.T, g *testkit.Gateway, s sdk, requestID string, want []string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got = nil
		for _, l := range g.Calls(t) {
			if l["request_id"] != requestID {
				continue
			}
			end := fmt.Sprint(l["status"])
			if end != "success" {
				end = fmt.Sprint(l["error_type"])
			} else if l["usage_source"] != "reported" {
				t.Errorf("usage_source is %v in %v", l["usage_source"], l)
			}
			if surface, _, _ := strings.Cut(fmt.Sprint(l["surface"]), "."); surface != s.surface {
				t.Errorf("surface is %v in %v", l["surface"], l)
			}
			got = append(got, end)
		}
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the gateway logged calls that ended with %v, want %v", got, want)
			return
		}
	}
}

// checkKeys: the provider gets its own key and never a caller's.
func checkKeys(t *testing.T, upstream string, r received) {
	t.Helper()
	got, want := r.header.Get("Authorization"), "Bearer "+providerKey
	if upstream == "anthropic" {
		got, want = r.header.Get("X-Api-Key"), providerKey
	}
	if got != want {
		t.Error("the provider was not sent its own key")
	}
	var head bytes.Buffer
	_ = r.header.Write(&head)
	for _, key := range []string{callerKey, limitedKey} {
		if strings.Contains(head.String(), key) || bytes.Contains(r.body, []byte(key)) {
			t.Error("the provider was sent a caller's key")
		}
	}
}
