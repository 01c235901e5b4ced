package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/breakwater-llm/breakwater"
	"github.com/breakwater-llm/breakwater/llm"
)

type askCmd struct {
	fileFlag
	Data    string `help:"Folder for the ledger and state. Default: the configuration's." placeholder:"DIR"`
	Model   string `help:"Model name, provider/model, or a chain of those. Default: the first configured." short:"m"`
	Session string `help:"Conversation id to record the call under."`
	Stream  bool   `help:"Print the text as it comes." default:"true" negatable:""`
	JSON    bool   `help:"Print the whole answer as JSON."`
	Prompt  string `arg:"" help:"The question; - reads it from standard input."`
}

// Help is the command's example.
func (askCmd) Help() string {
	return "Examples:\n  breakwater ask 'What is a breakwater?'\n  git diff | breakwater ask --model claude-haiku-4-5 -"
}

// maxPrompt bounds what is read from standard input, in bytes.
const maxPrompt = 32 << 20

func (c *askCmd) Run(e *env) error {
	cfg, _, err := c.load(e)
	if err != nil {
		return err
	}
	prompt := c.Prompt
	if prompt == "-" {
		b, err := io.ReadAll(io.LimitReader(e.stdin, maxPrompt))
		if err != nil {
			return err
		}
		prompt = string(b)
	}
	if strings.TrimSpace(prompt) == "" {
		return usageError{fmt.Errorf("the prompt is empty")}
	}
	model := c.Model
	if model == "" {
		model = exampleModel(cfg)
	}
	gw, err := breakwater.FromLoaded(cfg, breakwater.WithLogger(quiet(e)), breakwater.WithVersion(buildVersion().Version))
	if err != nil {
		return usageError{err}
	}
	defer gw.Close()
	req := &breakwater.Request{Model: model, Messages: breakwater.User(prompt)}
	ctx := breakwater.WithSession(e.ctx, c.Session)
	if c.JSON || !c.Stream {
		return c.whole(ctx, e, gw, req)
	}
	return streamText(ctx, e.stdout, gw, req)
}

func (c *askCmd) whole(ctx context.Context, e *env, gw *breakwater.Gateway, req *breakwater.Request) error {
	resp, err := gw.Complete(ctx, req)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, resp)
	}
	_, err = fmt.Fprintln(e.stdout, resp.Text())
	return err
}

func streamText(ctx context.Context, w io.Writer, gw *breakwater.Gateway, req *breakwater.Request) error {
	for ev, err := range gw.Stream(ctx, req) {
		if err != nil {
			fmt.Fprintln(w)
			return err
		}
		if ev.Type == llm.EventText || ev.Type == llm.EventRefusal {
			if _, err := io.WriteString(w, ev.Text); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// quiet keeps the lines of ordinary calls off a terminal that shows the answer.
func quiet(e *env) *slog.Logger {
	return slog.New(slog.NewJSONHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}
