package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const longText = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"

// outcome is what a fault must look like from outside.
type outcome func(t *testing.T, a api, stream bool, got answer, err error)

func status(openai, anthropic int, check func(t *testing.T, a api, got answer)) outcome {
	return func(t *testing.T, a api, _ bool, got answer, err error) {
		t.Helper()
		want := openai
		if a.name == "anthropic" {
			want = anthropic
		}
		if err != nil || got.status != want {
			t.Fatalf("got %d %v, want %d", got.status, err, want)
		}
		if !gjson.Get(got.body, "error.message").Exists() || gjson.Get(got.body, "type").Exists() != (a.name == "anthropic") {
			t.Errorf("error body is not of the dialect: %s", got.body)
		}
		if check != nil {
			check(t, a, got)
		}
	}
}

// wantText: the answer's text is a proper prefix of the script's.
func partOf(t *testing.T, a api, got answer) string {
	t.Helper()
	text := ""
	for block := range strings.SplitSeq(got.body, "\n\n") {
		_, data, _ := strings.Cut(block, "data: ")
		text += gjson.Get(data, "choices.0.delta.content").Str + gjson.Get(data, "delta.text").Str
	}
	if !strings.HasPrefix(longText, text) || len(text) >= len(longText) {
		t.Errorf("%s: text %q is not a part of the answer", a.name, text)
	}
	if strings.Contains(got.body, "[DONE]") || strings.Contains(got.body, "message_stop") || strings.Contains(got.body, `"finish_reason":"`) {
		t.Errorf("%s: the stream has an end mark: %s", a.name, got.body)
	}
	return text
}

func TestFaultsOverASocket(t *testing.T) {
	reset := func(t *testing.T, _ api, _ bool, _ answer, err error) {
		t.Helper()
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want a reset connection", err)
		}
	}
	hang := func(t *testing.T, _ api, _ bool, _ answer, err error) {
		t.Helper()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the client's own timeout", err)
		}
	}
	tests := []struct {
		fault string
		want  outcome
	}{
		{"rate_limit", status(429, 429, func(t *testing.T, a api, got answer) {
			if got.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
		})},
		{"rate_limit,retry_after=1500ms", status(429, 429, func(t *testing.T, a api, got answer) {
			if got.header.Get("Retry-After") != "2" || a.name == "openai" && got.header.Get("Retry-After-Ms") != "1500" {
				t.Errorf("headers %v", got.header)
			}
		})},
		{"rate_limit,retry_after=0s", status(429, 429, func(t *testing.T, _ api, got answer) {
			if _, ok := got.header["Retry-After"]; ok {
				t.Error("Retry-After is there")
			}
		})},
		{"rate_limit,variant=too_large", status(429, 429, func(t *testing.T, _ api, got answer) {
			if got.header.Get("X-Should-Retry") != "false" || got.header.Get("Retry-After") != "" {
				t.Errorf("headers %v", got.header)
			}
		})},
		{"overloaded", status(503, 529, func(t *testing.T, a api, got answer) {
			if a.name == "anthropic" && gjson.Get(got.body, "error.type").Str != "overloaded_error" {
				t.Error(got.body)
			}
		})},
		{"server_error", status(500, 500, nil)},
		{"server_error,status=502", status(502, 502, nil)},
		{"auth", status(401, 401, nil)},
		{"quota", status(429, 400, func(t *testing.T, a api, got answer) {
			if a.name == "openai" && gjson.Get(got.body, "error.code").Str != "insufficient_quota" || a.name == "anthropic" && !strings.Contains(got.body, "credit balance is too low") {
				t.Error(got.body)
			}
		})},
		{"server_error,variant=html,status=503", func(t *testing.T, _ api, _ bool, got answer, err error) {
			if err != nil || got.status != 503 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") || !strings.Contains(got.body, "<html>") {
				t.Errorf("%v %+v", err, got)
			}
		}},
		{"timeout", hang},
		{"reset", reset},
		{"timeout,variant=pings", func(t *testing.T, a api, stream bool, got answer, err error) {
			if err != nil || got.status != 200 || !errors.Is(got.readErr, context.DeadlineExceeded) {
				t.Fatalf("%v %+v", err, got)
			}
			content := strings.NewReplacer(": keep-alive", "", "event: ping", "", `data: {"type": "ping"}`, "", "\n", "").Replace(got.body)
			if got.body == "" || content != "" {
				t.Errorf("not only heartbeats: %q", got.body)
			}
		}},
		{"timeout,after_tokens=3", func(t *testing.T, a api, stream bool, got answer, err error) {
			if !stream {
				hang(t, a, stream, got, err)
				return
			}
			if err != nil || !errors.Is(got.readErr, context.DeadlineExceeded) || partOf(t, a, got) == "" {
				t.Errorf("%v %+v", err, got)
			}
		}},
		{"reset,after_tokens=3", func(t *testing.T, a api, stream bool, got answer, err error) {
			if !stream {
				reset(t, a, stream, got, err)
				return
			}
			if err != nil || !errors.Is(got.readErr, syscall.ECONNRESET) && !errors.Is(got.readErr, io.ErrUnexpectedEOF) {
				t.Errorf("%v %+v", err, got)
			}
			partOf(t, a, got)
		}},
		{"truncate", cutOff(nil)},
		{"truncate,variant=eof", cutOff(nil)},
		{"truncate,variant=close", cutOff(io.ErrUnexpectedEOF)},
		{"truncate,variant=reset", cutOff(syscall.ECONNRESET)},
		{"truncate,after_tokens=0", func(t *testing.T, a api, stream bool, got answer, err error) {
			if stream && (err != nil || got.readErr != nil || partOf(t, a, got) != "") {
				t.Errorf("%v %+v", err, got)
			}
		}},
		{"garbage", func(t *testing.T, a api, stream bool, got answer, err error) {
			if err != nil || got.status != 200 || got.readErr != nil {
				t.Fatalf("%v %+v", err, got)
			}
			bad := 0
			for block := range strings.SplitSeq(strings.TrimSuffix(got.body, "\n\n"), "\n\n") {
				data := block
				if stream {
					_, data, _ = strings.Cut(block, "data: ")
				}
				if data != "[DONE]" && !gjson.Valid(data) {
					bad++
				}
			}
			if bad != 1 {
				t.Errorf("%d damaged pieces, want 1: %s", bad, got.body)
			}
		}},
		{"garbage,variant=html", func(t *testing.T, _ api, _ bool, got answer, err error) {
			if err != nil || got.status != 200 || !strings.Contains(got.body, "<html>") {
				t.Errorf("%v %+v", err, got)
			}
		}},
		{"empty", func(t *testing.T, _ api, _ bool, got answer, err error) {
			if err != nil || got.status != 200 || got.body != "" || got.readErr != nil {
				t.Errorf("%v %+v", err, got)
			}
		}},
		{"empty,variant=choices", func(t *testing.T, a api, stream bool, got answer, err error) {
			if err != nil || got.status != 200 || got.readErr != nil || strings.Contains(got.body, "alpha") {
				t.Fatalf("%v %+v", err, got)
			}
			if !stream && (!gjson.Valid(got.body) || gjson.Get(got.body, "choices").Exists() || gjson.Get(got.body, "content").Exists()) {
				t.Errorf("whole: %s", got.body)
			}
			if stream && (strings.Contains(got.body, `"delta":{"content"`) || strings.Contains(got.body, "content_block")) {
				t.Errorf("stream: %s", got.body)
			}
		}},
		{"mid_stream_error", midStreamOutcome(true)},
		{"mid_stream_error,after_tokens=0", midStreamOutcome(false)},
		{"bad_usage", func(t *testing.T, a api, stream bool, got answer, err error) {
			if err != nil || got.status != 200 {
				t.Fatalf("%v %+v", err, got)
			}
			if !stream && a.collectWhole(t, got.body).usage.Output < 1e12 {
				t.Errorf("usage is not absurd: %s", got.body)
			}
		}},
		{"bad_usage,variant=missing", func(t *testing.T, a api, stream bool, got answer, err error) {
			if err != nil || got.status != 200 || strings.Contains(got.body, `"usage"`) {
				t.Errorf("%v %+v", err, got)
			}
		}},
	}
	for _, tt := range tests {
		f, err := ParseFault(tt.fault)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range bothAPIs {
			for _, stream := range []bool{false, true} {
				name := tt.fault + "/" + a.name
				if stream {
					name += "/stream"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := mustNew(t, Options{Script: mustScript(t, `rules: [{reply: {text: "`+longText+`"}}]`), Faults: []FaultSpec{f}})
					ts, client := listen(t, s)
					ctx := t.Context()
					if f.Kind == FaultTimeout { // the client gives up
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, 500*time.Millisecond)
						defer cancel()
					}
					got, err := send(t, client, a.request(t, ctx, ts.URL, a.body(stream, "hi", "")))
					tt.want(t, a, stream, got, err)
					if r := s.Requests(); len(r) != 1 || r[0].Fault != f.Kind || r[0].ConnID == 0 {
						t.Errorf("recorded %+v", r)
					}
				})
			}
		}
	}
}

// cutOff: the answer stops part way; reading it ends with readErr (nil: a clean end).
func cutOff(readErr error) outcome {
	return func(t *testing.T, a api, stream bool, got answer, err error) {
		t.Helper()
		if err != nil || got.status != 200 {
			t.Fatalf("%v %+v", err, got)
		}
		if readErr == nil && got.readErr != nil || readErr != nil && !errors.Is(got.readErr, readErr) && !errors.Is(got.readErr, io.ErrUnexpectedEOF) {
			t.Errorf("reading ends with %v, want %v", got.readErr, readErr)
		}
		if stream {
			if text := partOf(t, a, got); readErr == nil && text == "" {
				t.Error("no content before the cut")
			}
		} else if gjson.Valid(got.body) {
			t.Errorf("whole JSON: %s", got.body)
		}
	}
}

func midStreamOutcome(content bool) outcome {
	return func(t *testing.T, a api, stream bool, got answer, err error) {
		t.Helper()
		if err != nil || got.status != 200 || got.readErr != nil {
			t.Fatalf("%v %+v", err, got)
		}
		if !stream {
			if !gjson.Get(got.body, "error.message").Exists() {
				t.Errorf("no error body: %s", got.body)
			}
			return
		}
		events := parseStream(t, got.body)
		last := events[len(events)-1]
		if !gjson.Get(last.data, "error.message").Exists() || a.name == "anthropic" && (last.name != "error" || gjson.Get(last.data, "type").Str != "error") {
			t.Errorf("last event is no error: %+v", last)
		}
		if text := partOf(t, a, got); (text != "") != content || !content && len(events) != 1 {
			t.Errorf("text %q in %d events", text, len(events))
		}
	}
}

// A fault hits models and token counting too.
func TestFaultsHitEveryEndpoint(t *testing.T) {
	s := mustNew(t, Options{Faults: []FaultSpec{{Kind: FaultOverloaded}}})
	client := &http.Client{Transport: s.RoundTripper()}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sim/v1/models", nil)
	if got := mustSend(t, client, r); got.status != 503 {
		t.Errorf("models: %d", got.status)
	}
	count := api{"anthropic", "/v1/messages/count_tokens", ""}
	if got := ask1(t, s, count, count.body(false, "hi", "")); got.status != 529 {
		t.Errorf("count_tokens: %d", got.status)
	}
}

// faultsOf runs n requests one after the other and tells which faults hit them,
// and the ids of the answers.
func faultsOf(t *testing.T, o Options, n int) (kinds []FaultKind, ids []string) {
	t.Helper()
	s := mustNew(t, o)
	for range n {
		got := ask1(t, s, openaiAPI, openaiAPI.body(false, "x", ""))
		ids = append(ids, gjson.Get(got.body, "id").Str)
	}
	for _, r := range s.Requests() {
		kinds = append(kinds, r.Fault)
	}
	return kinds, ids
}

func TestSeedsRepeat(t *testing.T) {
	o := Options{Seed: 7, Faults: []FaultSpec{{Kind: FaultRateLimit, Rate: new(0.2)}, {Kind: FaultServerError, Rate: new(0.3)}}}
	const n = 2000
	kinds, ids := faultsOf(t, o, n)
	again, idsAgain := faultsOf(t, o, n)
	count := map[FaultKind]int{}
	for i := range kinds {
		if kinds[i] != again[i] || ids[i] != idsAgain[i] {
			t.Fatalf("request %d: %s %s, then %s %s", i, kinds[i], ids[i], again[i], idsAgain[i])
		}
		count[kinds[i]]++
	}
	// Five standard deviations: 0.2*2000 = 400 +- 90, 0.3*2000 = 600 +- 103.
	if c := count[FaultRateLimit]; c < 310 || c > 490 {
		t.Errorf("%d rate limits in %d, want about 400", c, n)
	}
	if c := count[FaultServerError]; c < 497 || c > 703 {
		t.Errorf("%d server errors in %d, want about 600", c, n)
	}
	o.Seed = 8
	if other, _ := faultsOf(t, o, 200); equal(other, kinds[:200]) {
		t.Error("another seed gives the same faults")
	}
}

func equal(a, b []FaultKind) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestPick(t *testing.T) {
	second := Duration(time.Second)
	lists := func(f ...FaultSpec) [][]FaultSpec { return [][]FaultSpec{nil, f} }
	tests := []struct {
		name   string
		u      float64
		now    time.Duration
		faults []FaultSpec
		want   FaultKind
	}{
		{"none", 0.5, 0, nil, ""},
		{"always", 0.99, 0, []FaultSpec{{Kind: FaultReset}}, FaultReset},
		{"rate 0 is never", 0, 0, []FaultSpec{{Kind: FaultReset, Rate: new(0.0)}}, ""},
		{"below the rate", 0.19, 0, []FaultSpec{{Kind: FaultReset, Rate: new(0.2)}}, FaultReset},
		{"at the rate", 0.2, 0, []FaultSpec{{Kind: FaultReset, Rate: new(0.2)}}, ""},
		{"rates add up", 0.25, 0, []FaultSpec{{Kind: FaultReset, Rate: new(0.2)}, {Kind: FaultAuth, Rate: new(0.1)}}, FaultAuth},
		{"before at", 0, 9 * time.Second, []FaultSpec{{Kind: FaultReset, At: 10 * second}}, ""},
		{"from at", 0, 10 * time.Second, []FaultSpec{{Kind: FaultReset, At: 10 * second, For: 5 * second}}, FaultReset},
		{"after for", 0, 15 * time.Second, []FaultSpec{{Kind: FaultReset, At: 10 * second, For: 5 * second}}, ""},
		{"again", 0, 44 * time.Second, []FaultSpec{{Kind: FaultReset, At: 10 * second, For: 5 * second, Every: 30 * second}}, FaultReset},
		{"between", 0, 46 * time.Second, []FaultSpec{{Kind: FaultReset, At: 10 * second, For: 5 * second, Every: 30 * second}}, ""},
		{"scheduled and rated", 0.6, 0, []FaultSpec{{Kind: FaultReset, For: second, Rate: new(0.5)}}, ""},
	}
	for _, tt := range tests {
		got := FaultKind("")
		if f := pick(tt.u, tt.now, lists(tt.faults...)...); f != nil {
			got = f.Kind
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseFault(t *testing.T) {
	f, err := ParseFault("truncate=10%, after_tokens=3 ,variant=close,at=1s,for=2s,every=1m")
	if err != nil || f.Kind != FaultTruncate || *f.Rate != 0.1 || *f.AfterTokens != 3 || f.Variant != "close" ||
		f.At != Duration(time.Second) || f.For != Duration(2*time.Second) || f.Every != Duration(time.Minute) {
		t.Errorf("%+v %v", f, err)
	}
	if f, err = ParseFault("slow,factor=2.5,delay=1s"); err != nil || f.Rate != nil || f.Factor != 2.5 || f.Delay != Duration(time.Second) {
		t.Errorf("%+v %v", f, err)
	}
	wrong := map[string]string{
		"":                                 "use one of rate_limit",
		"nope=0.1":                         "use one of rate_limit",
		"reset=2":                          "share from 0 to 1",
		"reset=-0.1":                       "share from 0 to 1",
		"reset=NaN":                        "share from 0 to 1",
		"reset=x":                          "not a number",
		"reset,nope=1":                     "use rate, at,",
		"reset,at":                         "NAME=VALUE",
		"reset,at=5":                       "with its unit",
		"reset,at=-5s":                     "negative",
		"reset,every=5s":                   "needs for",
		"reset,every=5s,for=6s":            "longer than every",
		"reset=0.1,rate=0.2":               "twice",
		"reset,status=500":                 "does not go with reset",
		"auth,status=500":                  "use one of 401, 403",
		"rate_limit,after_tokens=1":        "which takes: retry_after",
		"truncate,variant=nope":            "which has: clean, close, eof, reset",
		"truncate,after_tokens=-1":         "negative",
		"truncate,after_tokens=1.5":        "whole number",
		"quota,variant=x":                  "which has: nothing",
		"slow,factor=-1":                   "0 to 1e6",
		"rate_limit,retry_after=-1s":       "negative",
		"slow,delay=-1s":                   "negative",
		"server_error,retry_after=soonish": "not a duration",
	}
	for in, want := range wrong {
		if _, err := ParseFault(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", in, err, want)
		}
	}
	for _, k := range FaultKinds() {
		for _, v := range append(FaultVariants(k), "") {
			if _, err := ParseFault(string(k) + "=0.5,variant=" + v); err != nil {
				t.Error(err)
			}
		}
	}
}
