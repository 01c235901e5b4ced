package route

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

func script(events ...timed) func(*exchange) reply {
	return func(*exchange) reply { return reply{events: events} }
}

func TestPreambleIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "p1", script: script(meta(sec, "<start>"), ping(sec), meta(0, "<role>"), content(sec, "Hel"), content(0, "lo"), final(0))}
		w := newWorld(1, f)
		c := newCall(true)
		start := time.Now()
		ans, err := w.r.Handle(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "committed", time.Since(start), 3*sec, 0)
		text, err := readAll(ans)
		if want := "<start>: ping\n\n<role>Hello[END]"; text != want || err != nil {
			t.Errorf("%q %v, want %q", text, err, want)
		}
		ans.Close()
		if c.Record.FirstToken != 3*sec || c.Record.Attempts[0].FirstToken != 3*sec {
			t.Errorf("first token after %v, %v", c.Record.FirstToken, c.Record.Attempts[0].FirstToken)
		}
	})
}

// TestNativePreambleIsKept: what events in the common vocabulary hold of a
// stream's buffer is kept too.
func TestNativePreambleIsKept(t *testing.T) {
	raw := []byte(`{"a":1}`)
	ev := pipeline.Event{Data: raw, Deltas: []llm.Event{{Type: llm.EventOther, Raw: raw}}}
	k := keep(&ev)
	copy(raw, `XXXXXXX`)
	if string(k.Data) != `{"a":1}` || string(k.Deltas[0].Raw) != `{"a":1}` {
		t.Errorf("%s %s", k.Data, k.Deltas[0].Raw)
	}
}

func TestPreambleIsBounded(t *testing.T) {
	big := strings.Repeat("x", 300<<10)
	f := &fake{name: "p1", script: script(meta(0, big), meta(0, big), meta(0, big), meta(0, big), content(0, "a"), final(0))}
	w := newWorld(1, f)
	w.model.Retry.Attempts = 1
	out := w.do(t.Context(), newCall(true))
	if out.err == nil || out.err.Kind != llm.KindBadResponse || f.calls[0].closed == 0 {
		t.Errorf("%v, closed %d times", out.err, f.calls[0].closed)
	}
}

// TestFirstTokenIsFedByContentOnly: pings, roles and other metadata do not count.
func TestFirstTokenIsFedByContentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var idle []timed
		for range 40 {
			idle = append(idle, ping(sec), meta(0, "<role>"))
		}
		p1, p2 := &fake{name: "p1", script: script(idle...)}, &fake{name: "p2", script: script(content(0, "two"), final(0))}
		w := newWorld(1, p1, p2)
		out := w.do(t.Context(), newCall(true))
		if out.text != "two[END]" || out.took != testTimeout.FirstToken {
			t.Errorf("%q %v after %v", out.text, out.err, out.took)
		}
		if a := out.rec.Attempts[0]; a.Kind != llm.KindTimeout || a.Latency != testTimeout.FirstToken {
			t.Errorf("%+v", a)
		}
	})
}

func TestIdle(t *testing.T) {
	just := testTimeout.Idle - time.Millisecond
	for _, tc := range []struct {
		name   string
		events []timed
		want   time.Duration // to the failure; 0: none
	}{
		{"silence", []timed{content(sec, "a"), {hang: true}}, 31 * sec},
		{"silence later", []timed{content(sec, "a"), content(just, "b"), {hang: true}}, sec + just + testTimeout.Idle},
		{"pings only", append([]timed{content(sec, "a")}, pings(60)...), 31 * sec},
		{"long is not slow", []timed{content(sec, "a"), content(just, "b"), content(just, "c"), content(just, "d"), final(just)}, 0},
		{"pings between", []timed{content(sec, "a"), ping(just / 2), content(just/2, "b"), ping(just / 2), content(just/2, "c"), final(0)}, 0},
		{"content that came along feeds", []timed{content(sec, "a"), along(ping(20 * sec)), content(0, "b"), {hang: true}}, 51 * sec},
		{"pings that came along do not", []timed{content(sec, "a"), along(ping(20 * sec)), ping(0), {hang: true}}, 31 * sec},
		{"pings do not feed", []timed{content(sec, "a"), ping(just), content(2*time.Millisecond, "b"), final(0)}, 31 * sec},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{name: "p1", script: script(tc.events...)}
				out := newWorld(1, f).do(t.Context(), newCall(true))
				if tc.want == 0 {
					if out.err != nil {
						t.Errorf("cut: %v after %v", out.err, out.took)
					}
					return
				}
				if out.err == nil || out.err.Kind != llm.KindTimeout || out.took != tc.want {
					t.Errorf("%v after %v, want a timeout after %v", out.err, out.took, tc.want)
				}
				if f.calls[0].ctx.Err() == nil || f.count() != 1 {
					t.Errorf("upstream still runs, or was asked again: %d", f.count())
				}
			})
		})
	}
}

// along marks an event that the next came together with.
func along(e timed) timed {
	e.ev.More = true
	return e
}

func pings(n int) (out []timed) {
	for range n {
		out = append(out, ping(sec))
	}
	return out
}

// TestSlowReader: the clock stands while the client is not reading, whatever was
// read last, and goes on when it does.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "p1", script: script(content(0, "a"), content(sec, "b"), ping(10*sec), ping(10*sec), content(9*sec, "c"), ping(10*sec), timed{hang: true})}
		w := newWorld(1, f)
		ans, err := w.r.Handle(t.Context(), newCall(true))
		if err != nil {
			t.Fatal(err)
		}
		defer ans.Close()
		for i := range 6 {
			if _, err := ans.Next(); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			time.Sleep(7 * minute)
		}
		start := time.Now()
		_, err = ans.Next()
		if le := llm.AsError(err); le == nil || le.Kind != llm.KindTimeout {
			t.Fatal(err)
		}
		near(t, "the rest of the silence", time.Since(start), 20*sec, 0)
	})
}

// TestTotalDoesNotCutAFlow: of a stream, the limit on the whole bounds the time to its first content only.
func TestTotalDoesNotCutAFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flow := []timed{content(sec, "a")}
		for range 100 {
			flow = append(flow, content(29*sec, "a"))
		}
		f := &fake{name: "p1", script: script(append(flow, final(0))...)}
		w := newWorld(1, f)
		for _, timeout := range []time.Duration{0, 5 * sec} {
			c := newCall(true)
			c.Timeout = timeout
			out := w.do(t.Context(), c)
			if out.err != nil || out.took < 40*minute || len(out.text) != 101+5 {
				t.Errorf("%v after %v, %d bytes", out.err, out.took, len(out.text))
			}
		}
	})
}

func hangs(*exchange) reply { return reply{hang: true} }

// TestDeadline: all attempts fit in the call's time.
func TestDeadline(t *testing.T) {
	slow := func(*exchange) reply { return reply{after: 3 * sec, err: failure(llm.KindServerError, 500, notTold)} }
	for _, tc := range []struct {
		name    string
		scripts []func(*exchange) reply
		stream  bool
		header  time.Duration
		total   time.Duration
		parent  time.Duration
		took    time.Duration
		status  int
	}{
		{name: "hang, total", scripts: []func(*exchange) reply{hangs}, total: 5 * sec, took: 5 * sec, status: 504},
		{name: "hang, header", scripts: []func(*exchange) reply{hangs}, header: 4 * sec, total: 5 * sec, took: 4 * sec, status: 504},
		{name: "header does not extend", scripts: []func(*exchange) reply{hangs}, header: 9 * sec, total: 5 * sec, took: 5 * sec, status: 504},
		{name: "hang everywhere", scripts: []func(*exchange) reply{hangs, hangs, hangs}, total: 6 * sec, took: 6 * sec, status: 504},
		{name: "hang everywhere, stream", scripts: []func(*exchange) reply{hangs, hangs, hangs}, stream: true, total: 6 * sec, took: 6 * sec, status: 504},
		{name: "slow failures", scripts: []func(*exchange) reply{slow, slow, slow}, total: 8 * sec, took: 8 * sec, status: 504},
		{name: "caller's context", scripts: []func(*exchange) reply{hangs}, parent: 2 * sec, total: 5 * sec, took: 2 * sec, status: 504},
		{name: "no time for the wait", scripts: []func(*exchange) reply{fails(failure(llm.KindRateLimit, 429, 5*sec))}, total: 3 * sec, took: 0, status: 429},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fakes []*fake
				for i, s := range tc.scripts {
					fakes = append(fakes, &fake{name: "p" + string(rune('1'+i)), script: s})
				}
				w := newWorld(1, fakes...)
				w.model.Timeout.Total = tc.total
				ctx := t.Context()
				if tc.parent > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.parent)
					defer cancel()
				}
				c := newCall(tc.stream)
				c.Timeout = tc.header
				start := time.Now()
				out := w.do(ctx, c)
				if out.err == nil || out.err.HTTPStatus() != tc.status || out.err.PublicCode() != failedAll || out.took != tc.took {
					t.Errorf("%v after %v, want %d after %v", out.err, out.took, tc.status, tc.took)
				}
				for _, f := range fakes {
					for _, x := range f.all() {
						if x.at.Sub(start) >= tc.took && tc.took > 0 {
							t.Errorf("%s was called after %v", f.name, x.at.Sub(start))
						}
					}
				}
			})
		})
	}
}

// TestHangFailsOver: a target that hangs leaves the others their share of the
// time, unless a limit for the first token does so already.
func TestHangFailsOver(t *testing.T) {
	for _, tc := range []struct {
		name   string
		stream bool
		first  time.Duration // limit set for whole answers
		total  time.Duration
		hang   int
		want   time.Duration
		parent time.Duration // the limit of the caller's context; 0: none
	}{
		{"whole, one of two hangs", false, 0, 10 * minute, 1, 5 * minute, 0},
		{"whole, two of three hang", false, 0, 9 * minute, 2, 6 * minute, 0},
		{"whole, with a limit", false, 20 * sec, 10 * minute, 1, 20 * sec, 0},
		{"whole, with a limit longer than the call", false, 20 * sec, 10 * sec, 1, 5 * sec, 0},
		{"stream", true, 0, 10 * minute, 1, 20 * sec, 0},
		{"stream, short call", true, 0, 10 * sec, 1, 5 * sec, 0},
		{"stream, short call, two of three hang", true, 0, 9 * sec, 2, 6 * sec, 0},
		{"whole, the caller's context has a limit", false, 0, 10 * minute, 1, 15 * sec, 30 * sec},
		{"stream, the caller's context has a limit", true, 0, 10 * minute, 1, 4 * sec, 8 * sec},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fakes []*fake
				for i := range tc.hang {
					fakes = append(fakes, &fake{name: "h" + string(rune('1'+i)), script: hangs})
				}
				fakes = append(fakes, &fake{name: "p", script: script(content(sec/2, "two"), final(0))})
				if !tc.stream {
					fakes[tc.hang].script = func(*exchange) reply { return reply{after: sec / 2, events: whole("two[END]")} }
				}
				w := newWorld(1, fakes...)
				w.model.Timeout.Total, w.model.Timeout.WholeFirst = tc.total, tc.first
				ctx := t.Context()
				if tc.parent > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.parent)
					defer cancel()
				}
				out := w.do(ctx, newCall(tc.stream))
				if out.text != "two[END]" || out.took != tc.want+sec/2 {
					t.Errorf("%q %v after %v, want %v", out.text, out.err, out.took, tc.want+sec/2)
				}
				for _, f := range fakes {
					if f.count() != 1 {
						t.Errorf("%s was called %d times", f.name, f.count())
					}
				}
			})
		})
	}
}

// TestBreakAfterContent: a failure behind the first content is the answer's end.
func TestBreakAfterContent(t *testing.T) {
	for kind := range map[llm.Kind]bool{llm.KindServerError: true, llm.KindOverloaded: true, llm.KindConnection: true, llm.KindIncompleteStream: true, llm.KindRateLimit: true} {
		synctest.Test(t, func(t *testing.T) {
			broken := failure(kind, 200, notTold)
			p1 := &fake{name: "p1", script: script(content(0, "Hel"), timed{err: broken})}
			p2 := &fake{name: "p2", script: says("two")}
			w := newWorld(1, p1, p2)
			out := w.do(t.Context(), newCall(true))
			if out.text != "Hel" || out.err == nil || out.err.Kind != kind || p1.count() != 1 || p2.count() != 0 {
				t.Errorf("%s: %q %v, %d and %d calls", kind, out.text, out.err, p1.count(), p2.count())
			}
			if len(out.rec.Attempts) != 1 || out.rec.Attempts[0].Kind != kind || p1.calls[0].closed == 0 {
				t.Errorf("%s: %+v", kind, out.rec.Attempts)
			}
		})
	}
}

// TestBreakBeforeContent: the same failure before it is invisible.
func TestBreakBeforeContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p1 := &fake{name: "p1", script: script(meta(0, "<start>"), ping(sec), timed{err: failure(llm.KindOverloaded, 529, notTold)})}
		p2 := &fake{name: "p2", script: script(meta(0, "<other>"), content(0, "two"), final(0))}
		out := newWorld(1, p1, p2).do(t.Context(), newCall(true))
		if out.text != "<other>two[END]" || out.err != nil {
			t.Errorf("%q %v", out.text, out.err)
		}
	})
}

// TestEndWithoutMark: an answer that just ends is a broken one, before content and behind it.
func TestEndWithoutMark(t *testing.T) {
	f := &fake{name: "p1", script: script(content(0, "a"))}
	out := newWorld(1, f).do(t.Context(), newCall(true))
	if out.err == nil || out.err.Kind != llm.KindIncompleteStream || out.text != "a" || len(out.rec.Attempts) != 1 {
		t.Errorf("%q %v", out.text, out.err)
	}
	empty := &fake{name: "p1", script: script(meta(0, "<start>"), final(0))}
	two := &fake{name: "p2", script: says("two")}
	if out := newWorld(1, empty, two).do(t.Context(), newCall(true)); out.text != "two" {
		t.Errorf("an answer without content was given: %q %v", out.text, out.err)
	}
}

// TestUsage: what a provider reports counts; what it does not is estimated.
func TestUsage(t *testing.T) {
	reported := func(in, out int64) timed {
		return timed{ev: pipeline.Event{Data: []byte("u"), Facts: wire.Facts{Usage: llm.Usage{Input: in, Output: out, Reported: true}}}}
	}
	cut := timed{err: failure(llm.KindIncompleteStream, 200, notTold)}
	text := content(0, strings.Repeat("word", 10))
	for _, tc := range []struct {
		name   string
		events []timed
		want   llm.Usage
	}{
		{"reported", []timed{reported(9, 1), text, reported(0, 12), final(0)}, llm.Usage{Input: 9, Output: 12, Reported: true}},
		{"not reported", []timed{text, final(0)}, llm.Usage{Output: 10}},
		{"cut, with a first report", []timed{reported(9, 1), text, text, cut}, llm.Usage{Input: 9, Output: 21}},
		{"cut, behind the last report", []timed{reported(9, 1), text, reported(0, 12), cut}, llm.Usage{Input: 9, Output: 12, Reported: true}},
		{"cut, no report", []timed{text, cut}, llm.Usage{Output: 10}},
	} {
		out := newWorld(1, &fake{name: "p1", script: script(tc.events...)}).do(t.Context(), newCall(true))
		if len(out.rec.Attempts) != 1 || out.rec.Attempts[0].Usage != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, out.rec.Attempts, tc.want)
		}
	}
}
