package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// measure does the whole run.
func measure(ctx context.Context, s *settings, progress io.Writer) (*report, error) {
	dir, err := os.MkdirTemp("", "bench-gateway-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	begun := time.Now()
	st, err := newStage(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	defer st.upstream.stop()
	r := newReport(s, begun)
	if err := st.rounds(ctx, r, progress); err != nil {
		return nil, err
	}
	if err := st.still(ctx, r, progress); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(begun).Seconds()
	r.compare()
	return r, nil
}

// rounds measures all that is a matter of load.
func (st *stage) rounds(ctx context.Context, r *report, progress io.Writer) error {
	procs := map[string]*process{}
	defer func() {
		for _, p := range procs {
			p.stop()
		}
	}()
	for _, name := range st.s.subjects {
		p, err := st.subject(ctx, name)
		if err != nil {
			return err
		}
		if p != nil {
			procs[name] = p
		}
	}
	wants := map[string]*want{}
	for round := 1; round <= st.s.rounds; round++ {
		for i := range workloads {
			w := &workloads[i]
			if !slices.Contains(st.s.workloads, w.name) {
				continue
			}
			if wants[w.name] == nil {
				var err error
				if wants[w.name], err = learn(w, st.upstream.addr); err != nil {
					return fmt.Errorf("load %s, upstream: %w", w.name, err)
				}
			}
			for _, name := range st.s.subjects {
				fmt.Fprintf(progress, "\rround %d of %d: %-8s %-12s", round, st.s.rounds, w.name, name)
				addr, pids := st.upstream.addr, [2]int{0, st.upstream.pid()}
				if p := procs[name]; p != nil {
					addr, pids[0] = p.addr, p.pid()
				}
				c, err := runCell(ctx, st.s, w, wants[w.name], addr, pids, name == subjectProxy)
				if err != nil {
					return fmt.Errorf("round %d, load %s, subject %s: %w", round, w.name, name, err)
				}
				c.Round, c.Subject = round, name
				r.Cells = append(r.Cells, *c)
			}
		}
	}
	fmt.Fprint(progress, "\r\x1b[K")
	return nil
}

// learn asks the upstream once, to know how long a right answer is.
func learn(w *workload, addr string) (*want, error) {
	c := newClient(addr)
	if err := c.dial(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	defer c.close()
	wanted := w.want()
	if _, _, err := c.call(w.request(addr), wanted); err != nil {
		return nil, err
	}
	wanted.length = len(c.check.body)
	return wanted, nil
}
