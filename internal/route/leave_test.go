package route

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

// TestClientLeaves: wherever a call stands, its end is at once, and nothing is sent any more.
func TestClientLeaves(t *testing.T) {
	blip := failure(llm.KindServerError, 500, notTold)
	for _, tc := range []struct {
		name   string
		p1     func(*exchange) reply
		two    bool
		stream bool
		at     time.Duration
		sent   int // to p1
	}{
		{"while the first is asked", hangs, true, false, sec, 1},
		{"during a stream's preamble", script(meta(0, "<start>"), timed{hang: true}), true, true, sec, 1},
		{"during backoff", fails(blip), true, false, 100 * time.Millisecond, 1},
		{"during the wait for a rested key", fails(failure(llm.KindRateLimit, 429, 5*sec)), false, false, 4 * sec, 1},
		{"during a stream", script(content(0, "a"), timed{hang: true}), true, true, sec, 1},
		{"before anything", fails(blip), true, false, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p1, p2 := &fake{name: "p1", script: tc.p1}, &fake{name: "p2", script: says("two")}
				fakes := []*fake{p1}
				if tc.two {
					fakes = append(fakes, p2)
				}
				w := newWorld(1, fakes...)
				ctx := newParent()
				if tc.at == 0 {
					ctx.leave()
				} else {
					time.AfterFunc(tc.at, ctx.leave)
				}
				out := w.do(ctx, newCall(tc.stream))
				if out.took != tc.at || out.err == nil || out.err.Kind != llm.KindClientClosed {
					t.Errorf("%v after %v", out.err, out.took)
				}
				time.Sleep(time.Hour)
				if p1.count() != tc.sent || p2.count() != 0 {
					t.Errorf("%d and %d calls, want %d and 0", p1.count(), p2.count(), tc.sent)
				}
				if len(out.rec.Attempts) != tc.sent {
					t.Errorf("%d rows", len(out.rec.Attempts))
				}
			})
		})
	}
}

// TestClientLeavesDuringFallback: the second is asked, and hangs.
func TestClientLeavesDuringFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p1 := &fake{name: "p1", script: fails(failure(llm.KindOverloaded, 529, notTold))}
		p2, p3 := &fake{name: "p2", script: hangs}, &fake{name: "p3", script: says("three")}
		ctx := newParent()
		time.AfterFunc(sec, ctx.leave)
		out := newWorld(1, p1, p2, p3).do(ctx, newCall(false))
		if out.took != sec || out.err.Kind != llm.KindClientClosed || p3.count() != 0 || p2.calls[0].ctx.Err() == nil {
			t.Errorf("%v after %v, %d calls", out.err, out.took, p3.count())
		}
		if got := out.rec.Attempts[1].Kind; got != llm.KindClientClosed {
			t.Errorf("the second attempt ended as %s", got)
		}
	})
}

// TestShutdown: the cause that contexts are cancelled with is the call's error.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(sec, func() { cancel(llm.Errorf(llm.KindShutdown, "stopping")) })
		out := newWorld(1, &fake{name: "p1", script: hangs}).do(ctx, newCall(true))
		if out.err == nil || out.err.Kind != llm.KindShutdown {
			t.Error(out.err)
		}
	})
}

// TestCloseEndsTheAttempt: a stream that is closed half way.
func TestCloseEndsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "p1", script: script(content(0, "a"), content(0, "b"), timed{hang: true})}
		w := newWorld(1, f)
		c, ctx := newCall(true), newParent()
		ans, err := w.r.Handle(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ans.Next(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := ans.Close(); err != nil {
				t.Error(err)
			}
		}
		if f.calls[0].closed == 0 || f.calls[0].ctx.Err() == nil || ctx.attached() != 0 {
			t.Errorf("closed %d times, context %v, %d children", f.calls[0].closed, f.calls[0].ctx.Err(), ctx.attached())
		}
		if a := c.Record.Attempts; len(a) != 1 || a[0].Kind != llm.KindClientClosed {
			t.Errorf("%+v", a)
		}
		if _, err := ans.Next(); err == nil {
			t.Error("a closed answer goes on")
		}
	})
}

// TestNothingHangsOnTheCaller: whichever way a call ends, no context of it is left with its caller's.
func TestNothingHangsOnTheCaller(t *testing.T) {
	for name, s := range map[string]func(*exchange) reply{
		"whole":  says("x"),
		"stream": script(content(0, "a"), final(0)),
		"cut":    script(content(0, "a"), timed{err: failure(llm.KindConnection, 200, notTold)}),
		"failed": fails(failure(llm.KindConnection, 0, notTold)),
		"ours":   fails(failure(llm.KindInvalidRequest, 400, notTold)),
		"hang":   hangs,
		"silent": script(content(0, "a"), timed{hang: true}),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{name: "p1", script: s}
			w, ctx := newWorld(1, f), newParent()
			for _, stream := range []bool{true, false} {
				w.do(ctx, newCall(stream))
			}
			if ctx.attached() != 0 {
				t.Errorf("%s: %d contexts left", name, ctx.attached())
			}
			for _, x := range f.all() {
				if x.ctx.Err() == nil {
					t.Errorf("%s: an attempt's context lives", name)
				}
			}
			if n := w.providers[0].Health.State(time.Now()).InFlight; n != 0 {
				t.Errorf("%s: %d in flight", name, n)
			}
		})
	}
}

// TestPanicReleases: a panic passes through; its attempt is recorded, and nothing is left behind.
func TestPanicReleases(t *testing.T) {
	w, ctx, c := newWorld(1, &fake{name: "p1", script: func(*exchange) reply { return reply{panics: true} }}), newParent(), newCall(true)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		w.do(ctx, c)
	}()
	if ctx.attached() != 0 {
		t.Errorf("%d contexts left", ctx.attached())
	}
	if a := c.Record.Attempts; len(a) != 1 || a[0].Kind != llm.KindInternal || w.providers[0].Health.State(time.Now()).InFlight != 0 {
		t.Errorf("%+v", a)
	}
}

// TestOperations: targets that do not offer the operation are passed over.
func TestOperations(t *testing.T) {
	none := map[pipeline.Op]bool{pipeline.OpGenerate: true}
	c := newCall(false)
	c.Op = pipeline.OpCountTokens
	p1, p2 := &fake{name: "p1", ops: none, script: says("one")}, &fake{name: "p2", script: says("two")}
	if out := newWorld(1, p1, p2).do(t.Context(), c); out.text != "two" || p1.count() != 0 || !slices.Equal(reasons(out.rec)[1:], []string{"fallback"}) {
		t.Errorf("%q %v %v", out.text, out.err, reasons(out.rec))
	}
	c = newCall(false)
	c.Op = pipeline.OpCountTokens
	out := newWorld(1, p1).do(t.Context(), c)
	if !errors.Is(out.err, ErrNotOffered) || out.err.HTTPStatus() != 400 || p1.count() != 0 {
		t.Errorf("%v", out.err)
	}
	limited := &fake{name: "p2", script: fails(failure(llm.KindRateLimit, 429, minute))}
	c = newCall(false)
	c.Op = pipeline.OpCountTokens
	if out := newWorld(1, p1, limited).do(t.Context(), c); out.err.HTTPStatus() != 429 || out.err.RetryAfter <= 59*sec {
		t.Errorf("%v", out.err)
	}
}

// TestFailedAttemptIsReleased: nothing of a failed attempt runs when the next begins.
func TestFailedAttemptIsReleased(t *testing.T) {
	p1 := &fake{name: "p1", script: script(meta(0, "<start>"), timed{err: failure(llm.KindOverloaded, 529, notTold)})}
	p2 := &fake{name: "p2", script: func(*exchange) reply {
		if x := p1.all()[0]; x.ctx.Err() == nil || x.closed == 0 {
			t.Errorf("context %v, closed %d times", x.ctx.Err(), x.closed)
		}
		return reply{events: whole("two")}
	}}
	if out := newWorld(1, p1, p2).do(t.Context(), newCall(true)); out.text != "two" {
		t.Error(out.err)
	}
}
