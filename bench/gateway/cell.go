package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// cell is what one subject did under one load in one round.
type cell struct {
	Round    int     `json:"round"`
	Workload string  `json:"workload"`
	Subject  string  `json:"subject"`
	Seconds  float64 `json:"seconds"`
	Calls    float64 `json:"calls"`  // of streams: the share of an unfinished one counts
	Events   int64   `json:"events"` // of streams
	CPU      float64 `json:"cpu_s"`  // 0 for direct
	Upstream float64 `json:"upstream_cpu_s"`
	P50      float64 `json:"p50_us"` // a whole answer's time
	P99      float64 `json:"p99_us"`
	First50  float64 `json:"first_p50_us"` // until a stream's first text
	First99  float64 `json:"first_p99_us"`
	Wrong    int64   `json:"wrong_answers"` // not among Calls
	WrongWas string  `json:"wrong_was,omitempty"`
}

// sample is one finished call.
type sample struct {
	end         time.Time
	total, text time.Duration
}

// load is a running cell.
type load struct {
	w        *workload
	want     *want
	request  []byte
	clients  []*client
	samples  [][]sample
	deadline time.Time
	stop     atomic.Bool
	failed   chan error // what ends the run
	wg       sync.WaitGroup

	tolerant bool // wrong answers are counted, and end nothing
	wrong    atomic.Int64
	wrongWas atomic.Pointer[string] // the first
}

// runCell puts a load on addr for the settings' time. pids are whose CPU is counted: the
// subject's, 0 if it has no process, and the upstream's.
// A wrong answer ends the run unless it is tolerant.
func runCell(ctx context.Context, s *settings, w *workload, wanted *want, addr string, pids [2]int, tolerant bool) (*cell, error) {
	l, err := newLoad(s, w, wanted, addr)
	if err != nil {
		return nil, err
	}
	defer l.close()
	l.tolerant = tolerant
	l.start()
	if err := l.sleep(ctx, s.warmup); err != nil {
		return nil, err
	}
	from, err := l.read(pids)
	if err != nil {
		return nil, err
	}
	if err := l.sleep(ctx, s.duration); err != nil {
		return nil, err
	}
	to, err := l.read(pids)
	if err != nil {
		return nil, err
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	return l.result(from, to)
}

func newLoad(s *settings, w *workload, wanted *want, addr string) (*load, error) {
	n := w.conns
	if n == 0 {
		n = s.conns
	}
	l := &load{w: w, want: wanted, request: w.request(addr), samples: make([][]sample, n), failed: make(chan error, n)}
	l.deadline = time.Now().Add(s.warmup + s.duration + 20*time.Second)
	for range n {
		c := newClient(addr)
		if err := c.dial(l.deadline); err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (l *load) close() {
	l.stop.Store(true)
	for _, c := range l.clients {
		c.close()
	}
	l.wg.Wait()
}

func (l *load) start() {
	begin := time.Now()
	for i := range l.clients {
		l.wg.Go(func() {
			if err := l.client(i, begin); err != nil && !l.stop.Load() {
				l.failed <- err
			}
		})
	}
}

// client is one connection's calls. With a period each call has its moment; if the
// call before it is late, its time counts from that moment.
func (l *load) client(i int, begin time.Time) error {
	c := l.clients[i]
	due := begin.Add(l.w.period * time.Duration(i) / time.Duration(len(l.clients)))
	for !l.stop.Load() {
		sent := time.Now()
		if l.w.period > 0 {
			if sent.Before(due) {
				time.Sleep(due.Sub(sent))
				sent = time.Now()
			} else {
				sent = due
			}
			due = due.Add(l.w.period)
		}
		first, end, err := c.call(l.request, l.want)
		if err != nil {
			if !l.tolerant || l.stop.Load() {
				return err
			}
			l.wrong.Add(1)
			what := err.Error()
			l.wrongWas.CompareAndSwap(nil, &what)
			if err := c.dial(l.deadline); err != nil {
				return err
			}
			continue
		}
		l.samples[i] = append(l.samples[i], sample{end, end.Sub(sent), first.Sub(sent)})
	}
	return nil
}

func (l *load) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-l.failed:
		return err
	}
}

// finish lets the calls in flight end; what they answer is checked too.
func (l *load) finish() error {
	l.stop.Store(true)
	l.wg.Wait()
	select {
	case err := <-l.failed:
		return err
	default:
		return nil
	}
}

// reading is the state of the counters at a moment.
type reading struct {
	at     time.Time
	cpu    [2]time.Duration // of the subject, of the upstream
	events int64
}

func (l *load) read(pids [2]int) (r reading, err error) {
	for i, pid := range pids {
		if pid == 0 {
			continue
		}
		if r.cpu[i], err = cpuTime(pid); err != nil {
			return r, err
		}
	}
	for _, c := range l.clients {
		r.events += c.events.Load()
	}
	r.at = time.Now()
	return r, nil
}

func (l *load) result(from, to reading) (*cell, error) {
	var total, text []int64
	for _, list := range l.samples {
		for _, sm := range list {
			if sm.end.After(from.at) && !sm.end.After(to.at) {
				total, text = append(total, int64(sm.total)), append(text, int64(sm.text))
			}
		}
	}
	if len(total) == 0 {
		return nil, fmt.Errorf("load %s: no call ended within %s; use a longer --duration", l.w.name, to.at.Sub(from.at))
	}
	slices.Sort(total)
	slices.Sort(text)
	us := func(sorted []int64, q float64) float64 { return float64(quantile(sorted, q)) / 1e3 }
	c := &cell{
		Workload: l.w.name, Seconds: to.at.Sub(from.at).Seconds(), CPU: (to.cpu[0] - from.cpu[0]).Seconds(), Upstream: (to.cpu[1] - from.cpu[1]).Seconds(),
		Calls: float64(len(total)), P50: us(total, 0.5), P99: us(total, 0.99), Wrong: l.wrong.Load(),
	}
	if what := l.wrongWas.Load(); what != nil {
		c.WrongWas = *what
	}
	if l.w.stream {
		c.Events = to.events - from.events
		c.Calls = float64(c.Events) / streamEvents
		c.First50, c.First99 = us(text, 0.5), us(text, 0.99)
	}
	return c, nil
}
