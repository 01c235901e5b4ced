package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// still measures what is not a matter of load: start, memory at rest, and memory
// under streams that are open and slow.
func (st *stage) still(ctx context.Context, r *report, progress io.Writer) error {
	for _, name := range st.s.subjects {
		if name == subjectDirect {
			continue
		}
		f := &footprint{Subject: name}
		for range st.s.starts {
			fmt.Fprintf(progress, "\r\x1b[Kstart and memory: %s", name)
			if err := st.rest(ctx, f); err != nil {
				return err
			}
		}
		if st.s.held > 0 {
			fmt.Fprintf(progress, "\r\x1b[K%d held streams: %s", st.s.held, name)
			if err := st.hold(ctx, f); err != nil {
				return fmt.Errorf("held streams, subject %s: %w", name, err)
			}
		}
		r.Footprints = append(r.Footprints, *f)
	}
	fmt.Fprint(progress, "\r\x1b[K")
	return nil
}

// footprint is what a subject takes without load.
type footprint struct {
	Subject string    `json:"subject"`
	ReadyMS []float64 `json:"ready_ms"`
	Idle    []memory  `json:"idle"`
	Before  memory    `json:"held_before"`
	Held    memory    `json:"held"`
	Streams int       `json:"held_streams"`
}

// rest starts a subject, and reads its memory before it was asked anything but
// whether it is ready.
func (st *stage) rest(ctx context.Context, f *footprint) error {
	p, err := st.subject(ctx, f.Subject)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := pause(ctx, st.s.settle/2); err != nil {
		return err
	}
	m, err := memoryOf(p.pid())
	if err != nil {
		return err
	}
	f.ReadyMS = append(f.ReadyMS, float64(p.ready)/1e6)
	f.Idle = append(f.Idle, m)
	return nil
}

// hold opens the streams on a fresh process, waits until each has had its first
// text and a while longer, and reads the memory.
func (st *stage) hold(ctx context.Context, f *footprint) error {
	p, err := st.subject(ctx, f.Subject)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := warm(p.addr); err != nil {
		return err
	}
	if err := pause(ctx, st.s.settle/2); err != nil {
		return err
	}
	if f.Before, err = memoryOf(p.pid()); err != nil {
		return err
	}
	h, err := openStreams(ctx, p.addr, st.s.held, f.Subject == subjectProxy)
	if err != nil {
		return err
	}
	defer h.close()
	if err := pause(ctx, st.s.settle); err != nil {
		return err
	}
	if f.Held, err = memoryOf(p.pid()); err != nil {
		return err
	}
	f.Streams = st.s.held
	if !p.alive() {
		return errors.New("the process ended")
	}
	return h.check()
}

// warm makes a few calls, so that what a process allocates once is not counted as
// the streams'.
func warm(addr string) error {
	w := workloads[0]
	c := newClient(addr)
	if err := c.dial(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	defer c.close()
	request, wanted := w.request(addr), w.want()
	for range 100 {
		if _, _, err := c.call(request, wanted); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heldStreams are open streams that are read as they come.
type heldStreams struct {
	clients []*client
	wg      sync.WaitGroup
	closing atomic.Bool
	ended   chan error // a stream that is over is one too few
}

// openStreams opens n streams, 64 at a time, and returns when each has had text.
// If tolerant, a stream that breaks is opened again.
func openStreams(ctx context.Context, addr string, n int, tolerant bool) (*heldStreams, error) {
	h := &heldStreams{ended: make(chan error, n)}
	request, wanted := heldLoad.request(addr), heldLoad.want()
	deadline := time.Now().Add(100 * time.Second)
	for len(h.clients) < n {
		for range min(64, n-len(h.clients)) {
			c := newClient(addr)
			if err := c.dial(deadline); err != nil {
				h.close()
				return nil, err
			}
			h.clients = append(h.clients, c)
			h.wg.Go(func() {
				_, _, err := c.call(request, wanted)
				for tries := 0; tolerant && tries < 5 && err != nil && !h.closing.Load(); tries++ {
					c.events.Store(0)
					if err = c.dial(deadline); err == nil {
						_, _, err = c.call(request, wanted)
					}
				}
				if err == nil {
					err = errors.New("the stream came to its end")
				}
				if !h.closing.Load() {
					h.ended <- err
				}
			})
		}
		if err := h.flowing(ctx); err != nil {
			h.close()
			return nil, err
		}
	}
	return h, nil
}

// flowing waits until every stream has had more than its opening event.
func (h *heldStreams) flowing(ctx context.Context) error {
	for i := 0; i < len(h.clients); {
		if h.clients[i].events.Load() >= 2 {
			i++
			continue
		}
		select {
		case err := <-h.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// check fails if a stream has ended.
func (h *heldStreams) check() error {
	select {
	case err := <-h.ended:
		return err
	default:
		return nil
	}
}

func (h *heldStreams) close() {
	h.closing.Store(true)
	for _, c := range h.clients {
		c.close()
	}
	h.wg.Wait()
}
