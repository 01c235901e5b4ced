package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/breakwater-llm/breakwater/internal/config"
	"github.com/breakwater-llm/breakwater/internal/secret"
)

type configCmd struct {
	Check  configCheckCmd  `cmd:"" help:"Validate a configuration: every mistake with its place and the fix."`
	Print  configPrintCmd  `cmd:"" help:"Print the effective configuration, defaults included, secrets masked."`
	Schema configSchemaCmd `cmd:"" help:"Print the JSON Schema of the configuration."`
	Init   configInitCmd   `cmd:"" help:"Write a commented starter file."`
}

type configCheckCmd struct {
	fileFlag
	JSON bool `help:"Print JSON."`
}

// Help is the command's example.
func (configCheckCmd) Help() string {
	return "Example:\n  breakwater config check --config breakwater.yaml"
}

func (c *configCheckCmd) Run(e *env) error {
	path := c.path(e)
	cfg := config.FromEnv(e.getenv)
	var warnings []config.Warning
	var err error
	if path != "" {
		cfg, warnings, err = config.Load(path, config.LoadOptions{})
	}
	if err == nil && path == "" {
		warnings, err = cfg.Validate()
	}
	if err == nil {
		err = cfg.CheckExposure()
	}
	if err == nil {
		_, err = cfg.ResolveSecrets(secret.NewResolver(secret.Options{}))
	}
	if c.JSON {
		if perr := printCheck(e, warnings, err); perr != nil {
			return perr
		}
	} else {
		for _, w := range warnings {
			fmt.Fprintln(e.stderr, "warning:", w)
		}
		if err != nil {
			fmt.Fprintln(e.stderr, err)
		}
	}
	if err != nil {
		return usageFailed
	}
	if !c.JSON {
		fmt.Fprintf(e.stdout, "%s: ok, %s, %s, %s\n", orEnvironment(path), count(len(cfg.Providers), "provider"), count(len(cfg.Models), "model"), count(len(warnings), "warning"))
	}
	return nil
}

// usageFailed ends with exitUsage when everything has been said already.
var usageFailed = usageError{errors.New("the configuration has mistakes")}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func orEnvironment(path string) string {
	if path == "" {
		return "environment"
	}
	return path
}

func printCheck(e *env, warnings []config.Warning, err error) error {
	out := struct {
		OK       bool             `json:"ok"`
		Problems []config.Problem `json:"problems"`
		Warnings []config.Warning `json:"warnings"`
	}{OK: err == nil, Problems: []config.Problem{}, Warnings: append([]config.Warning{}, warnings...)}
	var problems config.Errors
	switch {
	case errors.As(err, &problems):
		out.Problems = problems
	case err != nil:
		out.Problems = append(out.Problems, config.Problem{Message: err.Error()})
	}
	return printJSON(e.stdout, out)
}

type configPrintCmd struct{ fileFlag }

// Help is the command's example.
func (configPrintCmd) Help() string { return "Example:\n  breakwater config print" }

func (c *configPrintCmd) Run(e *env) error {
	cfg, _, err := c.load(e)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(config.Print(cfg))
	return err
}

type configSchemaCmd struct{}

// Help is the command's example.
func (configSchemaCmd) Help() string {
	return "Example:\n  breakwater config schema > breakwater.schema.json"
}

func (c *configSchemaCmd) Run(e *env) error {
	_, err := e.stdout.Write(config.Schema())
	return err
}

type configInitCmd struct {
	File  string `arg:"" optional:"" default:"breakwater.yaml" help:"Where to write; - prints it."`
	Force bool   `help:"Overwrite an existing file."`
}

// Help is the command's example.
func (configInitCmd) Help() string { return "Example:\n  breakwater config init" }

func (c *configInitCmd) Run(e *env) error {
	if c.File == "-" {
		_, err := e.stdout.Write(config.Starter())
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(c.File, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already; use --force to overwrite it", c.File)}
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(config.Starter()); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "Wrote %s. Edit it, then: breakwater config check && breakwater serve\n", c.File)
	return err
}
