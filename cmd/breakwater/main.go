// Command breakwater is the gateway and its tools in one binary: flags to
// options, and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// Set by the linker: -ldflags "-X main.version=... -X main.commit=...".
var (
	version = "dev"
	commit  = ""
)

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1 // the check that the command makes failed
	exitUsage = 2 // wrong usage or configuration
)

// errCheck ends a command with exitFail when everything has been said already.
var errCheck = errors.New("check failed")

// usageError is a mistake in flags or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// env is what a command may touch of the outside.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) (string, bool)
}

type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the gateway."`
	Ask     askCmd     `cmd:"" help:"Ask a model once, through the same pipeline, in process."`
	Health  healthCmd  `cmd:"" help:"Probe every provider with a one-token call."`
	Mock    mockCmd    `cmd:"" help:"Run a stand-in for the providers, for tests."`
	Config  configCmd  `cmd:"" help:"Check, print or start a configuration."`
	Version versionCmd `cmd:"" help:"Print version, commit and Go version."`
}

const description = `The production layer between an application and its LLM providers.

With no configuration, providers are found by their keys in the environment
(OPENAI_API_KEY, ANTHROPIC_API_KEY, ...); with none, a simulated provider answers.`

func main() {
	// Signals stay caught to the end: a second one must not change the exit code.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	takeLibraryLog(slog.New(slog.DiscardHandler))
	e := &env{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.LookupEnv}
	ballast := tuneCollector()
	code := run(e, os.Args[1:])
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// run is the whole program but for the process around it.
func run(e *env, args []string) (code int) {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("breakwater"), kong.Description(description), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(e.stdout, e.stderr), kong.Exit(func(n int) { exited = n }),
	)
	if err != nil {
		fmt.Fprintln(e.stderr, "breakwater:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintln(e.stderr, "breakwater:", err)
		fmt.Fprintln(e.stderr, "Run breakwater --help, or a command with --help, for what there is.")
		return exitUsage
	}
	return exitCode(e, kctx.Run(e))
}

func exitCode(e *env, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errCheck):
		return exitFail
	case errors.As(err, &usage):
		fmt.Fprintln(e.stderr, "breakwater:", usage)
		return exitUsage
	}
	fmt.Fprintln(e.stderr, "breakwater:", err)
	return exitFail
}

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is the command's example.
func (versionCmd) Help() string { return "Example:\n  breakwater version --json" }

func (c *versionCmd) Run(e *env) error {
	v := buildVersion()
	if c.JSON {
		return printJSON(e.stdout, v)
	}
	_, err := fmt.Fprintf(e.stdout, "breakwater %s (commit %s, %s)\n", v.Version, v.Commit, v.Go)
	return err
}

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func buildVersion() versionInfo {
	v := versionInfo{Version: version, Commit: commit}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Go = info.GoVersion
		if v.Version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && v.Commit == "" {
				v.Commit = s.Value
			}
		}
	}
	if v.Commit == "" {
		v.Commit = "unknown"
	}
	return v
}
