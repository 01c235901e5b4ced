package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/breakwater-llm/breakwater"
	"github.com/breakwater-llm/breakwater/internal/config"
)

type serveCmd struct {
	fileFlag
	Listen string `help:"Address to listen on. Default: the configuration's, 127.0.0.1:8080." placeholder:"ADDR"`
	Data   string `help:"Folder for the ledger and state. Default: the configuration's." placeholder:"DIR"`
}

// Help is the command's example.
func (serveCmd) Help() string {
	return "Examples:\n  OPENAI_API_KEY=... breakwater serve\n  breakwater serve --config breakwater.yaml --listen 127.0.0.1:9000"
}

func (c *serveCmd) Run(e *env) error {
	cfg, path, err := c.load(e)
	if err != nil {
		return err
	}
	if c.Listen != "" {
		cfg.Listen = c.Listen
	}
	if c.Data != "" {
		cfg.DataDir = c.Data
	}
	if err := cfg.CheckExposure(); err != nil {
		return usageError{err}
	}
	log := logger(e, cfg)
	takeLibraryLog(log)
	gw, err := breakwater.FromLoaded(cfg, breakwater.WithLogger(log), breakwater.WithVersion(buildVersion().Version))
	if err != nil {
		return usageError{err}
	}
	defer gw.Close()
	ln, err := new(net.ListenConfig).Listen(e.ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", cfg.Listen, err)
	}
	banner(e.stdout, cfg, path, ln.Addr().String())
	return serve(e.ctx, gw, ln, cfg.Limits.Drain.Std(), log)
}

// serve runs the server until ctx is done, then lets calls in flight finish.
func serve(ctx context.Context, gw *breakwater.Gateway, ln net.Listener, drain time.Duration, log *slog.Logger) error {
	// Calls end when this context does, with its cause; it outlives ctx by the drain time.
	base, end := context.WithCancelCause(context.Background())
	defer end(nil)
	srv := newServer(gw.Handler(), log)
	srv.BaseContext = func(net.Listener) context.Context { return base }
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("draining", "limit", drain.String())
	limit, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if !gw.Drain(limit) {
		log.Warn("drain time is over; ending the calls in flight")
		end(breakwater.ErrShutdown)
		grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		gw.Drain(grace)
	}
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := srv.Shutdown(last); err != nil {
		return srv.Close()
	}
	return nil
}

// newServer sets the limits that hold for every connection. There is none on a
// whole request or answer: streams are long; each write has its own.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Protocols:         protocols,
	}
}

// banner tells what was found, where the gateway is, a call that works as
// pasted, and what to do next.
func banner(w io.Writer, cfg *config.Config, path, addr string) {
	from := "the environment"
	if path != "" {
		from = path
	}
	fmt.Fprintf(w, "Breakwater %s on http://%s\n\n", buildVersion().Version, addr)
	fmt.Fprintf(w, "Providers (from %s):\n", from)
	for _, p := range cfg.Providers {
		note := p.Value.BaseURL
		if p.Value.Type == config.Mock {
			note = "simulated: answers are made up, nothing is sent anywhere and nothing costs money"
		}
		fmt.Fprintf(w, "  %-12s %-10s %s\n", p.Name, p.Value.Type, note)
	}
	if names := cfg.Models.Names(); len(names) > 0 {
		fmt.Fprintf(w, "Models: %s\n", strings.Join(names, ", "))
	}
	key := ""
	if len(cfg.Keys) > 0 {
		key = " -H 'Authorization: Bearer YOUR_KEY'"
	}
	fmt.Fprintf(w, "\nTry it:\n  curl http://%s/v1/chat/completions%s -H 'Content-Type: application/json' \\\n    -d '{\"model\":%q,\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n", addr, key, exampleModel(cfg))
	fmt.Fprintf(w, "\nNext: point an SDK at it (OpenAI base URL http://%s/v1, Anthropic base URL http://%s)", addr, addr)
	switch {
	case path == "" && cfg.Providers[0].Value.Type == config.Mock:
		fmt.Fprint(w, ",\nor stop it, set OPENAI_API_KEY or ANTHROPIC_API_KEY, and start it again for real answers.\n\n")
	case path == "":
		fmt.Fprint(w, ",\nor write a configuration: breakwater config init\n\n")
	default:
		fmt.Fprint(w, ".\n\n")
	}
}

func exampleModel(cfg *config.Config) string {
	if len(cfg.Models) > 0 {
		return cfg.Models[0].Name
	}
	return breakwater.DefaultModel
}
