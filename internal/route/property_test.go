package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

// TestAnyWorld runs calls through random worlds (targets, keys, limits, failures,
// clients that leave or read slowly) and checks what must always hold.
func TestAnyWorld(t *testing.T) {
	for seed := range uint64(1500) {
		synctest.Test(t, func(t *testing.T) {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 7))}
			w, fakes := g.world()
			var calls sync.WaitGroup
			plans := make([]plan, 1+g.IntN(4))
			for i := range plans {
				plans[i] = g.plan()
			}
			for _, p := range plans {
				calls.Go(func() {
					time.Sleep(p.start)
					if problem := p.run(w, fakes); problem != "" {
						t.Errorf("seed %d: %s", seed, problem)
					}
				})
			}
			calls.Wait()
			total := 0
			for _, f := range fakes {
				total += f.count()
			}
			time.Sleep(48 * time.Hour)
			for _, f := range fakes {
				total -= f.count()
			}
			if total != 0 {
				t.Errorf("seed %d: %d calls came after all was over", seed, -total)
			}
			for _, p := range w.providers {
				if n := p.Health.State(time.Now()).InFlight; n != 0 {
					t.Errorf("seed %d: %d in flight", seed, n)
				}
			}
		})
	}
}

type generator struct {
	*rand.Rand
	mu sync.Mutex
}

func (g *generator) pick(d ...time.Duration) time.Duration { return d[g.IntN(len(d))] }

func (g *generator) world() (*world, []*fake) {
	var fakes []*fake
	for i := range 1 + g.IntN(4) {
		f := &fake{name: fmt.Sprintf("p%d", i+1)}
		f.script = func(x *exchange) reply {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.reply(f, x)
		}
		fakes = append(fakes, f)
	}
	w := newWorld(1+g.IntN(3), fakes...)
	w.model.Retry = Retry{Attempts: 1 + g.IntN(3), Backoff: g.pick(0, 100*time.Millisecond, sec), MaxBackoff: g.pick(0, sec, 8*sec), Budget: []float64{0, 0.2, 1}[g.IntN(3)]}
	w.model.Timeout = Timeout{FirstToken: g.pick(0, 5*sec, 20*sec), Idle: g.pick(10*sec, 30*sec), Total: g.pick(sec, 7*sec, minute), WholeFirst: g.pick(0, 0, 5*sec)}
	w.r.random = func() float64 { g.mu.Lock(); defer g.mu.Unlock(); return g.Float64() }
	return w, fakes
}

// reply is a random one. Its events say who tells them in which exchange.
func (g *generator) reply(f *fake, x *exchange) reply {
	r := reply{after: g.pick(0, 10*time.Millisecond, sec, 3*sec)}
	switch g.IntN(10) {
	case 0:
		r.hang = true
		return r
	case 1, 2, 3, 4:
		row := table[g.IntN(len(table))]
		r.err = row.error()
		return r
	}
	tag := fmt.Sprintf("<%s.%d>", f.name, x.n)
	if g.IntN(3) == 0 {
		r.events = whole(tag)
		return r
	}
	for range g.IntN(3) {
		r.events = append(r.events, []timed{ping(g.pick(0, sec)), meta(0, tag)}[g.IntN(2)])
	}
	for range 1 + g.IntN(6) {
		r.events = append(r.events, content(g.pick(0, 0, sec, 9*sec, 40*sec), tag))
	}
	switch g.IntN(5) {
	case 0:
		r.events = append(r.events, timed{hang: true})
	case 1:
		r.events = append(r.events, timed{err: failure(llm.KindIncompleteStream, 200, notTold)})
	case 2: // just ends
	default:
		r.events = append(r.events, final(0))
	}
	return r
}

// plan is what a client does.
type plan struct {
	stream  bool
	start   time.Duration
	timeout time.Duration
	leaves  time.Duration // 0: it stays
	closes  int           // after so many events; negative: never
	reads   time.Duration // it takes so long for each event
}

func (g *generator) plan() plan {
	return plan{
		stream: g.IntN(2) == 0, start: g.pick(0, 0, sec, minute), timeout: g.pick(0, 0, 2*sec, 30*sec),
		leaves: g.pick(0, 0, time.Millisecond, 2*sec, 20*sec), closes: g.IntN(20) - 15, reads: g.pick(0, 0, 2*sec, 50*sec),
	}
}

// run makes the call and tells what is wrong, if anything is.
func (p plan) run(w *world, fakes []*fake) string {
	ctx, c, start := newParent(), newCall(p.stream), time.Now()
	c.Timeout = p.timeout
	if p.leaves > 0 {
		stop := time.AfterFunc(p.leaves, ctx.leave)
		defer stop.Stop()
	}
	ans, err := w.r.Handle(ctx, c)
	answered := time.Now()
	deadline := start.Add(w.model.Timeout.Total)
	if p.timeout > 0 && start.Add(p.timeout).Before(deadline) {
		deadline = start.Add(p.timeout)
	}
	if p.leaves > 0 && start.Add(p.leaves).Before(deadline) {
		deadline = start.Add(p.leaves)
	}
	if answered.After(deadline) {
		return fmt.Sprintf("Handle took until %v after the end of the call", answered.Sub(deadline))
	}
	text, done := "", false
	if err == nil {
		text, done, err = p.read(ans)
		ans.Close()
		ans.Close()
	}
	return checkRecord(w, c, fakes, start, answered, deadline) + checkText(text, done, err) + checkEnd(ctx)
}

func (p plan) read(ans pipeline.Answer) (text string, done bool, err error) {
	for i := 0; i != p.closes; i++ {
		ev, err := ans.Next()
		if err != nil {
			return text, done, err
		}
		text += string(ev.Data)
		done = ev.Final
		time.Sleep(p.reads)
	}
	return text, done, nil
}

// checkRecord: one row for each attempt, none too many, too early or too late.
func checkRecord(w *world, c *pipeline.Call, fakes []*fake, start, answered, deadline time.Time) (problems string) {
	rows, sent := map[string]int{}, 0
	for _, a := range c.Record.Attempts {
		if !a.Skipped {
			rows[a.Provider]++
			sent++
		}
		if a.Start.Before(start) || a.Latency < 0 {
			problems += "a row's times are wrong; "
		}
	}
	attempts := 0
	for i, f := range fakes {
		mine := 0
		for _, x := range f.all() {
			if x.id != c.ID {
				continue
			}
			mine++
			if x.at.After(deadline) || x.at.After(answered) {
				problems += fmt.Sprintf("%s was called %v from the end of the call; ", f.name, x.at.Sub(deadline))
			}
			if x.ctx.Err() == nil {
				problems += f.name + "'s attempt was never ended; "
			}
		}
		if bound := max(w.model.Retry.Attempts, 1) * len(w.providers[i].Keys); mine > bound {
			problems += fmt.Sprintf("%s was called %d times of %d; ", f.name, mine, bound)
		}
		if rows[f.name] != mine {
			problems += fmt.Sprintf("%d rows for %d calls of %s; ", rows[f.name], mine, f.name)
		}
		attempts += mine
	}
	if sent != attempts {
		problems += fmt.Sprintf("%d rows for %d calls; ", sent, attempts)
	}
	return problems
}

// checkText: all of it is from one exchange, and it is whole only if it says so.
func checkText(text string, done bool, err error) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, ": ping\n\n", ""), "[END]", "")
	if i := strings.IndexByte(text, '>'); i >= 0 && strings.ReplaceAll(text, text[:i+1], "") != "" {
		return "two answers in one: " + text
	}
	if done && text == "" {
		return "an empty answer; "
	}
	if le := llm.AsError(err); done && le != nil && le.Kind == llm.KindInternal && le.Err != nil && le.Err.Error() != "EOF" {
		return "an error behind the end: " + le.Error()
	}
	return ""
}

func checkEnd(ctx *parent) string {
	time.Sleep(time.Nanosecond) // until a timer that went off just now is through
	if n := ctx.attached(); n != 0 {
		return fmt.Sprintf("%d contexts hang on the caller's; ", n)
	}
	return ""
}
