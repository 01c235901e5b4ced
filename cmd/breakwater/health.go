package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/breakwater-llm/breakwater"
)

type healthCmd struct {
	fileFlag
	JSON bool `help:"Print JSON."`
}

// Help is the command's example.
func (healthCmd) Help() string { return "Example:\n  breakwater health --json" }

func (c *healthCmd) Run(e *env) error {
	cfg, _, err := c.load(e)
	if err != nil {
		return err
	}
	gw, err := breakwater.FromLoaded(cfg, breakwater.WithLogger(quiet(e)), breakwater.WithVersion(buildVersion().Version))
	if err != nil {
		return usageError{err}
	}
	defer gw.Close()
	results := gw.Probe(e.ctx)
	failed := false
	for _, r := range results {
		failed = failed || r.Status != "healthy"
	}
	if c.JSON {
		if err := printJSON(e.stdout, map[string]any{"providers": results}); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "PROVIDER\tSTATUS\tLATENCY\tMODEL\tERROR")
		for _, r := range results {
			fmt.Fprintf(w, "%s\t%s\t%.0f ms\t%s\t%s\n", r.Provider, r.Status, r.LatencyMS, r.Model, r.Error)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if failed {
		return errCheck
	}
	return nil
}
