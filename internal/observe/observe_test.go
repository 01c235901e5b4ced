package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// step is what an answer does next.
type step struct {
	ev    *pipeline.Event
	err   error
	panic any
}

type scripted struct {
	steps  []step
	closed int
	// onClose is run by the first Close, as the end of an attempt is.
	onClose func()
	panics  bool
}

func (s *scripted) Next() (*pipeline.Event, error) {
	if len(s.steps) == 0 {
		return nil, io.EOF
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	if st.panic != nil {
		panic(st.panic)
	}
	return st.ev, st.err
}

func (s *scripted) Close() error {
	s.closed++
	if s.closed == 1 && s.onClose != nil {
		s.onClose()
	}
	if s.panics {
		panic("close-canary")
	}
	return nil
}

type recorder struct {
	records []pipeline.Record
	err     error
	panics  bool
	ctxErr  error
}

func (r *recorder) Record(ctx context.Context, rec *pipeline.Record) error {
	r.records = append(r.records, *rec)
	r.ctxErr = ctx.Err()
	if r.panics {
		panic("recorder-canary")
	}
	return r.err
}

func data(s string) step {
	return step{ev: &pipeline.Event{Data: []byte(s), Facts: wire.Facts{Content: true}}}
}

func last() step {
	return step{ev: &pipeline.Event{Data: []byte("end"), Facts: wire.Facts{Final: true}}}
}

// call runs one call through the stage: it pulls up to reads events (negative: all), then closes. It
// returns what came, with the errors in between.
func call(ctx context.Context, rec *recorder, log *bytes.Buffer, reads int, handle pipeline.HandlerFunc) (got []string) {
	h := Stage(Options{Recorder: rec, Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})(handle)
	c := &pipeline.Call{ID: "r1", Record: &pipeline.Record{RequestID: "r1", Start: time.Now()}}
	ans, err := h.Handle(ctx, c)
	if err != nil {
		return []string{"error " + string(llm.AsError(err).Kind)}
	}
	for i := 0; i != reads; i++ {
		ev, err := ans.Next()
		if err == io.EOF {
			got = append(got, "EOF")
			break
		}
		if err != nil {
			got = append(got, "error "+string(llm.AsError(err).Kind))
			if _, again := ans.Next(); llm.AsError(again).Kind != llm.AsError(err).Kind {
				got = append(got, "then "+again.Error())
			}
			break
		}
		got = append(got, string(ev.Data))
	}
	ans.Close()
	ans.Close()
	return got
}

// TestEveryEnd: whichever way a call ends, it has one record and one line, that agree.
func TestEveryEnd(t *testing.T) {
	answered := func(steps ...step) pipeline.HandlerFunc {
		return func(context.Context, *pipeline.Call) (pipeline.Answer, error) { return &scripted{steps: steps}, nil }
	}
	failed := func(e error) pipeline.HandlerFunc {
		return func(context.Context, *pipeline.Call) (pipeline.Answer, error) { return nil, e }
	}
	for _, tc := range []struct {
		name   string
		handle pipeline.HandlerFunc
		reads  int
		store  recorder
		got    string
		status pipeline.Status
		kind   llm.Kind
	}{
		{"success", answered(data("a"), data("b"), last()), -1, recorder{}, "a b end EOF", pipeline.StatusSuccess, ""},
		{"the end is enough", answered(data("a"), last()), 2, recorder{}, "a end", pipeline.StatusSuccess, ""},
		{"refused", failed(llm.Errorf(llm.KindRateLimit, "x")), -1, recorder{}, "error rate_limit", pipeline.StatusError, llm.KindRateLimit},
		{"blocked", failed(llm.Errorf(llm.KindGuard, "x")), -1, recorder{}, "error guard", pipeline.StatusBlocked, llm.KindGuard},
		{"left before", failed(llm.Errorf(llm.KindClientClosed, "x")), -1, recorder{}, "error client_closed", pipeline.StatusCancelled, llm.KindClientClosed},
		{"an unknown error", failed(errors.New("raw-canary")), -1, recorder{}, "error internal", pipeline.StatusError, llm.KindInternal},
		{"broken", answered(data("a"), step{err: llm.Errorf(llm.KindIncompleteStream, "x")}), -1, recorder{}, "a error incomplete_stream", pipeline.StatusError, llm.KindIncompleteStream},
		{"closed", answered(data("a"), data("b"), last()), 1, recorder{}, "a", pipeline.StatusCancelled, llm.KindClientClosed},
		{"closed unread", answered(last()), 0, recorder{}, "", pipeline.StatusCancelled, llm.KindClientClosed},
		{"panic before", func(context.Context, *pipeline.Call) (pipeline.Answer, error) { panic("handle-canary") }, -1, recorder{}, "error internal", pipeline.StatusError, llm.KindInternal},
		{"panic within", answered(data("a"), step{panic: "next-canary"}), -1, recorder{}, "a error internal", pipeline.StatusError, llm.KindInternal},
		{"panic at close", func(context.Context, *pipeline.Call) (pipeline.Answer, error) {
			return &scripted{steps: []step{data("a"), last()}, panics: true}, nil
		}, 1, recorder{}, "a", pipeline.StatusCancelled, llm.KindClientClosed},
		{"cannot be kept", answered(data("a"), last()), -1, recorder{err: errors.New("disk-canary")}, "a error storage", pipeline.StatusError, llm.KindStorage},
		{"cannot be kept, refused", failed(llm.Errorf(llm.KindRateLimit, "x")), -1, recorder{err: errors.New("disk-canary")}, "error storage", pipeline.StatusError, llm.KindStorage},
		{"recorder panics", answered(last()), -1, recorder{panics: true}, "error storage", pipeline.StatusError, llm.KindStorage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			rec := tc.store
			if got := strings.Join(call(t.Context(), &rec, &log, tc.reads, tc.handle), " "); got != tc.got {
				t.Errorf("%q, want %q", got, tc.got)
			}
			if len(rec.records) != 1 {
				t.Fatalf("%d records", len(rec.records))
			}
			lines := callLines(t, log.String())
			if len(lines) != 1 {
				t.Fatalf("%d lines: %s", len(lines), log.String())
			}
			if lines[0]["status"] != string(tc.status) || lines[0]["error_type"] != string(tc.kind) {
				t.Errorf("line: %v %v, want %s %s", lines[0]["status"], lines[0]["error_type"], tc.status, tc.kind)
			}
			if r := rec.records[0]; rec.err == nil && !rec.panics && (r.Status != tc.status || r.ErrorKind != tc.kind) {
				t.Errorf("record: %s %s", r.Status, r.ErrorKind)
			}
			if regexp.MustCompile(`(raw|handle|next|close|recorder|disk)-canary`).MatchString(log.String()) {
				t.Errorf("the log tells a panic's or an error's inside: %s", log.String())
			}
		})
	}
}

func callLines(t *testing.T, log string) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Errorf("not JSON: %s", line)
		}
		if m["msg"] == "llm_call" {
			out = append(out, m)
		}
	}
	return out
}

// TestCause: a call whose context was cancelled for a reason ended for that reason; its record
// is written all the same.
func TestCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(llm.Errorf(llm.KindShutdown, "stopping"))
	rec, log := &recorder{}, &bytes.Buffer{}
	call(ctx, rec, log, 1, func(context.Context, *pipeline.Call) (pipeline.Answer, error) {
		return &scripted{steps: []step{data("a"), last()}}, nil
	})
	if len(rec.records) != 1 || rec.records[0].ErrorKind != llm.KindShutdown || rec.records[0].Status != pipeline.StatusError || rec.ctxErr != nil {
		t.Errorf("%+v, the recorder's context: %v", rec.records, rec.ctxErr)
	}
}

// TestPanicClosesFirst: what an answer held, such as an attempt's row, is in the record.
func TestPanicClosesFirst(t *testing.T) {
	rec, log := &recorder{}, &bytes.Buffer{}
	call(t.Context(), rec, log, -1, func(_ context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		return &scripted{steps: []step{{panic: 1}}, onClose: func() { c.Record.Attempts = append(c.Record.Attempts, llm.Attempt{Provider: "p"}) }}, nil
	})
	if len(rec.records) != 1 || len(rec.records[0].Attempts) != 1 {
		t.Errorf("%+v", rec.records)
	}
}

// TestRecordBeforeEnd: when a client has the last event, the record is kept.
func TestRecordBeforeEnd(t *testing.T) {
	rec := &recorder{}
	h := Stage(Options{Recorder: rec})(pipeline.HandlerFunc(func(context.Context, *pipeline.Call) (pipeline.Answer, error) {
		return &scripted{steps: []step{data("a"), last()}}, nil
	}))
	ans, _ := h.Handle(t.Context(), &pipeline.Call{Record: &pipeline.Record{Start: time.Now()}})
	_, _ = ans.Next()
	if len(rec.records) != 0 {
		t.Error("recorded before the end")
	}
	if ev, err := ans.Next(); err != nil || !ev.Final || len(rec.records) != 1 {
		t.Errorf("%v, %d records", err, len(rec.records))
	}
}

// TestTimes: latency, and what of it was not waiting for providers.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, log := &recorder{}, &bytes.Buffer{}
		call(t.Context(), rec, log, -1, func(_ context.Context, c *pipeline.Call) (pipeline.Answer, error) {
			time.Sleep(1500 * time.Millisecond)
			c.Record.Waited, c.Record.FirstToken = 1200*time.Millisecond, 700*time.Millisecond
			return &scripted{steps: []step{last()}}, nil
		})
		l := callLines(t, log.String())[0]
		if l["latency_ms"] != 1500.0 || l["overhead_us"] != 300000.0 || l["ttft_ms"] != 700.0 {
			t.Errorf("%v", l)
		}
	})
}

// TestUsage: all attempts count, and one estimate makes the sum one.
func TestUsage(t *testing.T) {
	reported := llm.Usage{Input: 10, CacheRead: 5, Output: 3, Reasoning: 1, Reported: true}
	estimated := llm.Usage{Input: 4, Output: 2}
	for _, tc := range []struct {
		attempts []llm.Usage
		in, out  float64
		source   string
	}{
		{nil, 0, 0, ""}, {[]llm.Usage{{}}, 0, 0, ""}, {[]llm.Usage{reported}, 15, 3, "reported"}, {[]llm.Usage{{}, reported}, 15, 3, "reported"},
		{[]llm.Usage{estimated}, 4, 2, "estimated"}, {[]llm.Usage{reported, estimated}, 19, 5, "estimated"}, {[]llm.Usage{estimated, reported}, 19, 5, "estimated"},
	} {
		rec, log := &recorder{}, &bytes.Buffer{}
		call(t.Context(), rec, log, -1, func(_ context.Context, c *pipeline.Call) (pipeline.Answer, error) {
			for _, u := range tc.attempts {
				c.Record.Attempts = append(c.Record.Attempts, llm.Attempt{Usage: u})
			}
			return &scripted{steps: []step{last()}}, nil
		})
		l := callLines(t, log.String())[0]
		if l["input_tokens"] != tc.in || l["output_tokens"] != tc.out || l["usage_source"] != tc.source {
			t.Errorf("%+v: %v %v %v", tc.attempts, l["input_tokens"], l["output_tokens"], l["usage_source"])
		}
	}
}

// fields are the log line's, as the public surface names them, with the JSON type of each.
var fields = map[string]string{
	"time": "string", "level": "string", "msg": "string", "request_id": "string", "session_id": "string", "turn": "number", "turn_id": "string",
	"surface": "string", "status": "string", "provider": "string", "model": "string", "requested_model": "string", "key_id": "string", "tags": "object",
	"input_tokens": "number", "output_tokens": "number", "cached_tokens": "number", "reasoning_tokens": "number", "usage_source": "string", "cost_usd": "number",
	"latency_ms": "number", "ttft_ms": "number", "overhead_us": "number", "finish_reason": "string", "stream": "bool", "attempts": "number", "cache": "string",
	"guard": "object", "error_type": "string", "error_message": "string",
}

// TestFields: all are always there, whatever is in them, and each line is one line of JSON.
func TestFields(t *testing.T) {
	hostile := []string{"", "plain", "a\nb\r\n{\"msg\":\"llm_call\"}", "\x00\x1b[31m\x7f", "\xff\xfe\x80", `"}{\`, "\u2028\u2029\ufeff", strings.Repeat("\u00fc", 1000), "<script>&"}
	for _, s := range hostile {
		var log bytes.Buffer
		r := &pipeline.Record{
			RequestID: s, Session: s, Turn: 3, Surface: llm.Protocol(s), Status: pipeline.Status(s), Provider: s, Model: s, RequestedModel: s, KeyID: s,
			Tags: map[string]string{s: s, "k": s}, UsageSource: s, Finish: llm.FinishReason(s), Cache: s, ErrorKind: llm.Kind(s), ErrorMessage: s, Stream: true,
			Attempts: []llm.Attempt{{}, {Skipped: true}, {}},
		}
		line(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)), r)
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%q: %d lines", s, n)
		}
		l := callLines(t, log.String())
		if len(l) != 1 {
			t.Fatalf("%q: %s", s, log.String())
		}
		if len(l[0]) != len(fields) {
			t.Errorf("%d fields, want %d", len(l[0]), len(fields))
		}
		for name, want := range fields {
			got := ""
			switch l[0][name].(type) {
			case string:
				got = "string"
			case float64:
				got = "number"
			case bool:
				got = "bool"
			case map[string]any:
				got = "object"
			}
			if got != want {
				t.Errorf("%s is %v, want %s", name, l[0][name], want)
			}
		}
		if want := fmt.Sprintf("%s:3", s); s == "plain" && l[0]["turn_id"] != want || s == "" && l[0]["turn_id"] != "" {
			t.Errorf("turn_id %v", l[0]["turn_id"])
		}
		if l[0]["attempts"] != 2.0 {
			t.Errorf("attempts %v", l[0]["attempts"])
		}
	}
}

// TestLevels: errors are warnings; where lines are off, records are kept all the same.
func TestLevels(t *testing.T) {
	for _, tc := range []struct {
		kind  llm.Kind
		level slog.Level
	}{{"", slog.LevelInfo}, {llm.KindGuard, slog.LevelInfo}, {llm.KindClientClosed, slog.LevelInfo}, {llm.KindTimeout, slog.LevelWarn}} {
		for _, least := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			var log bytes.Buffer
			rec := &recorder{}
			h := Stage(Options{Recorder: rec, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: least}))})(pipeline.HandlerFunc(func(context.Context, *pipeline.Call) (pipeline.Answer, error) {
				if tc.kind == "" {
					return &scripted{steps: []step{last()}}, nil
				}
				return nil, llm.Errorf(tc.kind, "x")
			}))
			ans, err := h.Handle(t.Context(), &pipeline.Call{Record: &pipeline.Record{Start: time.Now()}})
			if err == nil {
				_, _ = ans.Next()
				ans.Close()
			}
			if got := log.Len() > 0; got != (tc.level >= least) || len(rec.records) != 1 {
				t.Errorf("%q at %s: a line %v, %d records", tc.kind, least, got, len(rec.records))
			}
		}
	}
}

// TestProvidersWordsAreNotLogged: they may quote the prompt.
func TestProvidersWordsAreNotLogged(t *testing.T) {
	e := llm.Errorf(llm.KindInvalidRequest, "your text 'prompt-canary' is not allowed")
	e.Quoted, e.ProviderStatus, e.Type, e.Code, e.Param = true, 400, "invalid_request_error", "prompt-canary said so", "messages[0].content"
	e.Body, e.Err = []byte("prompt-canary"), errors.New("prompt-canary")
	rec, log := &recorder{}, &bytes.Buffer{}
	call(t.Context(), rec, log, -1, func(context.Context, *pipeline.Call) (pipeline.Answer, error) { return nil, e })
	if all := log.String() + fmt.Sprintf("%+v", rec.records); strings.Contains(all, "prompt-canary") {
		t.Error(all)
	}
	if msg := callLines(t, log.String())[0]["error_message"]; msg != "the provider answered with status 400, type invalid_request_error, param messages[0].content" {
		t.Errorf("%v", msg)
	}
}

func TestNothingToTell(t *testing.T) {
	h := Stage(Options{})(pipeline.HandlerFunc(func(context.Context, *pipeline.Call) (pipeline.Answer, error) { panic("x") }))
	if _, err := h.Handle(t.Context(), &pipeline.Call{Record: &pipeline.Record{}}); llm.AsError(err).Kind != llm.KindInternal {
		t.Error(err)
	}
}
