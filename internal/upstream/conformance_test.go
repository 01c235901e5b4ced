package upstream_test

import (
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/sim"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/upstream/anthropic"
	"github.com/breakwater-llm/breakwater/internal/upstream/mock"
	"github.com/breakwater-llm/breakwater/internal/upstream/openai"
	"github.com/breakwater-llm/breakwater/internal/upstream/upstreamtest"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestOpenAI(t *testing.T) {
	upstreamtest.Run(t, upstreamtest.Harness{
		Speaks:    llm.OpenAIChat,
		Play:      upstreamtest.Scripted(llm.OpenAIChat, "/v1", openai.Kind),
		Errors:    upstreamtest.Errors(llm.OpenAIChat),
		KeyHeader: "Authorization", KeyForm: "Bearer KEY",
	})
}

func TestAnthropic(t *testing.T) {
	upstreamtest.Run(t, upstreamtest.Harness{
		Speaks:    llm.AnthropicMessages,
		Play:      upstreamtest.Scripted(llm.AnthropicMessages, "", func(string) upstream.Kind { return anthropic.Kind() }),
		Errors:    upstreamtest.Errors(llm.AnthropicMessages),
		KeyHeader: "X-Api-Key", KeyForm: "KEY",
	})
}

// TestMock: the simulator in this process answers every client in the client's own protocol.
func TestMock(t *testing.T) {
	upstreamtest.Run(t, upstreamtest.Harness{
		Play:   playMock,
		Errors: mockErrors,
		NotApplicable: map[string]string{
			"translation": "it speaks every client's protocol",
			"unsupported": "it speaks every client's protocol, so nothing lacks a counterpart",
			"framing":     "it answers as it is asked",
			"redirect":    "it never redirects",
			"headers":     "nothing goes over a network: the simulator reads none of these headers",
			"key":         "it asks for no key",
		},
	})
}

// mockErrors are the rows that the simulator can play, by the names of its faults.
var mockErrors = []upstreamtest.ErrorRow{
	{Name: "rate_limit", Status: 429, Kind: llm.KindRateLimit, Retry: true, Elsewhere: true, RetryAfter: time.Second},
	{Name: "server_error", Status: 500, Kind: llm.KindServerError, Retry: true, Elsewhere: true},
	{Name: "auth", Status: 401, Kind: llm.KindAuthentication, Elsewhere: true},
	{Name: "overloaded", Status: 503, Kind: llm.KindOverloaded, Retry: true, Elsewhere: true},
}

func playMock(t *testing.T, s upstreamtest.Scene, _ *pipeline.Call) *upstreamtest.Provider {
	t.Helper()
	text := upstreamtest.AnswerText
	input, cached, output := upstreamtest.InputTokens, upstreamtest.Cached, upstreamtest.Output
	rule := sim.Rule{Reply: sim.ReplySpec{Text: &text, Usage: sim.UsageSpec{Input: &input, Cached: &cached, Output: &output}}}
	o := sim.Options{}
	after := 1
	switch s.Play {
	case upstreamtest.Tool:
		rule.Reply.Text = nil
		rule.Reply.ToolCalls = []sim.ToolSpec{{Name: upstreamtest.ToolName, Arguments: sim.RawJSON(upstreamtest.ToolArgs)}}
	case upstreamtest.Refuse:
		fault := sim.FaultSpec{Kind: sim.FaultKind(s.Name)}
		if fault.Kind == sim.FaultOverloaded {
			fault.Status = s.Error.Status // else each protocol has its own
		}
		o.Faults = []sim.FaultSpec{fault}
	case upstreamtest.ErrorEvent:
		o.Faults = []sim.FaultSpec{{Kind: sim.FaultMidStreamError, AfterTokens: &after}}
	case upstreamtest.Cut:
		o.Faults = []sim.FaultSpec{{Kind: sim.FaultTruncate, AfterTokens: &after}}
	case upstreamtest.Garbage:
		o.Faults = []sim.FaultSpec{{Kind: sim.FaultGarbage}}
	case upstreamtest.Stall:
		o.Faults = []sim.FaultSpec{{Kind: sim.FaultTimeout, AfterTokens: &after}}
	}
	o.Script = &sim.Script{Rules: []sim.Rule{rule}}
	server, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	up, err := mock.New("tested", server)
	if err != nil {
		t.Fatal(err)
	}
	return &upstreamtest.Provider{
		Upstream: up,
		Requests: func() (out []upstreamtest.Request) {
			for _, r := range server.Requests() {
				out = append(out, upstreamtest.Request{Path: r.Path, Header: r.Header, Body: r.Body})
			}
			return out
		},
		Left: func(d time.Duration) bool {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if list := server.Requests(); list[len(list)-1].Closed {
					return true
				}
			}
			return false
		},
	}
}
