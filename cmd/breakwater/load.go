package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/observe"
)

// fileFlag is the flag of every command that reads a configuration.
type fileFlag struct {
	Config string `help:"Configuration file. Default: $BREAKWATER_CONFIG, else breakwater.yaml if it is there, else what the environment's keys give." placeholder:"FILE" type:"path"`
}

const defaultFile = "breakwater.yaml"

// path finds the configuration file; "" means that there is none.
func (f *fileFlag) path(e *env) string {
	if f.Config != "" {
		return f.Config
	}
	if p, _ := e.getenv("BREAKWATER_CONFIG"); p != "" {
		return p
	}
	if _, err := os.Stat(defaultFile); err == nil {
		return defaultFile
	}
	return ""
}

// load reads and checks the configuration and tells its warnings.
func (f *fileFlag) load(e *env) (cfg *config.Config, path string, err error) {
	path = f.path(e)
	if path == "" {
		return config.FromEnv(e.getenv), "", nil
	}
	cfg, warnings, err := config.Load(path, config.LoadOptions{})
	if err != nil {
		return nil, path, usageError{err}
	}
	if len(cfg.Providers) == 0 { // a file of settings only: providers come from the environment as without one
		found := config.FromEnv(e.getenv)
		cfg.Providers = found.Providers
		if len(cfg.Models) == 0 {
			cfg.Models = found.Models
		}
	}
	log := logger(e, cfg)
	for _, w := range warnings {
		log.Warn("configuration", "warning", fmt.Sprint(w))
	}
	return cfg, path, nil
}

// logger writes to stderr as the configuration says.
func logger(e *env, cfg *config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Telemetry.Log.Level)) // a word the configuration has checked
	o := &slog.HandlerOptions{Level: level}
	if cfg.Telemetry.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(e.stderr, o))
	}
	return slog.New(observe.NewJSONHandler(e.stderr, o))
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
