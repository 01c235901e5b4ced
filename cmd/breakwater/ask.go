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
	var rec lastRecord
	gw, err := breakwater.FromLoaded(cfg, breakwater.WithLogger(quiet(e)), breakwater.WithVersion(buildVersion().Version), breakwater.WithRecorder(&rec))
	if err != nil {
		return usageError{err}
	}
	defer gw.Close()
	req := &breakwater.Request{Model: model, Messages: breakwater.User(prompt)}
	ctx := breakwater.WithSession(e.ctx, c.Session)
	if !c.JSON && c.Stream {
		return streamText(ctx, e.stdout, gw, req)
	}
	resp, err := gw.Complete(ctx, req)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.stdout, newAnswer(resp, &rec.record))
	}
	_, err = fmt.Fprintln(e.stdout, resp.Text())
	return err
}

// lastRecord keeps the record of the latest call.
type lastRecord struct{ record breakwater.Record }

// Record implements [breakwater.Recorder].
func (l *lastRecord) Record(_ context.Context, r *breakwater.Record) error {
	l.record = *r
	return nil
}

// answer is what --json prints; its names are those of the log line.
type answer struct {
	RequestID       string  `json:"request_id"`
	Provider        string  `json:"provider"`
	Model           string  `json:"model"`
	Text            string  `json:"text"`
	FinishReason    string  `json:"finish_reason"`
	InputTokens     int64   `json:"input_tokens"`
	OutputTokens    int64   `json:"output_tokens"`
	CachedTokens    int64   `json:"cached_tokens"`
	ReasoningTokens int64   `json:"reasoning_tokens"`
	UsageSource     string  `json:"usage_source"`
	LatencyMS       float64 `json:"latency_ms"`
	Attempts        int     `json:"attempts"`
}

func newAnswer(resp *breakwater.Response, r *breakwater.Record) answer {
	a := answer{
		RequestID: r.RequestID, Provider: r.Provider, Model: r.Model, Text: resp.Text(), FinishReason: string(r.Finish),
		InputTokens: r.Usage.TotalInput(), OutputTokens: r.Usage.Output, CachedTokens: r.Usage.CacheRead, ReasoningTokens: r.Usage.Reasoning,
		UsageSource: r.UsageSource, LatencyMS: float64(r.Latency.Microseconds()) / 1000,
	}
	for i := range r.Attempts {
		if !r.Attempts[i].Skipped {
			a.Attempts++
		}
	}
	return a
}

func streamText(ctx context.Context, w io.Writer, gw *breakwater.Gateway, req *breakwater.Request) error {
	begun := false
	for ev, err := range gw.Stream(ctx, req) {
		if err != nil {
			if begun {
				fmt.Fprintln(w)
			}
			return err
		}
		if ev.Type == llm.EventText || ev.Type == llm.EventRefusal {
			begun = true
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
