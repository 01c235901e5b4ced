package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/breakwater-llm/breakwater/internal/sim"
)

type mockCmd struct {
	Listen          string        `help:"Address to listen on." default:"127.0.0.1:9090" placeholder:"ADDR"`
	Script          string        `help:"Replies, times and faults by rule (YAML)." placeholder:"FILE" type:"path"`
	Latency         time.Duration `help:"Wait before every answer." placeholder:"D"`
	TTFT            time.Duration `name:"ttft" help:"Wait before the first token of a stream." placeholder:"D"`
	TokensPerSecond float64       `help:"Speed of a stream after its first token; 0: as fast as it can." placeholder:"N"`
	Jitter          float64       `help:"Spread of all times, as a share of them." placeholder:"F"`
	Fault           []string      `help:"KIND=RATE, such as rate_limit=0.1; repeatable. See docs/mock.md for the kinds." placeholder:"KIND=RATE" sep:"none"`
	Seed            uint64        `help:"Seed of everything random, so that a run repeats."`
	Replay          string        `help:"Folder of recorded calls to answer from." placeholder:"DIR" type:"path"`
}

// Help is the command's example.
func (mockCmd) Help() string {
	return "Examples:\n  breakwater mock --ttft 300ms --tokens-per-second 50\n  breakwater mock --fault rate_limit=0.2 --fault truncate=0.05 --seed 7"
}

func (c *mockCmd) Run(e *env) error {
	o := sim.Options{
		Latency: c.Latency, TTFT: c.TTFT, TokensPerSecond: c.TokensPerSecond, Jitter: c.Jitter,
		Seed: c.Seed, ReplayDir: c.Replay, MaxRequests: -1,
	}
	if c.Script != "" {
		script, err := sim.LoadScript(c.Script)
		if err != nil {
			return usageError{err}
		}
		o.Script = script
	}
	for _, f := range c.Fault {
		spec, err := sim.ParseFault(f)
		if err != nil {
			return usageError{err}
		}
		o.Faults = append(o.Faults, spec)
	}
	s, err := sim.New(o)
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	ln, err := new(net.ListenConfig).Listen(e.ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", c.Listen, err)
	}
	fmt.Fprintf(e.stdout, "Simulated provider on http://%s\n  OpenAI base URL    http://%s/v1\n  Anthropic base URL http://%s\n", ln.Addr(), ln.Addr(), ln.Addr())
	srv := newServer(s, slog.New(slog.DiscardHandler))
	s.Attach(srv)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-e.ctx.Done():
	}
	s.Close()
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := srv.Shutdown(last); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return srv.Close()
	}
	return nil
}
