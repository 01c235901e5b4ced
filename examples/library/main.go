// Command library uses the pipeline without a server. It needs no key: the
// built-in simulator answers.
//
//	go run ./examples/library
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/breakwater-llm/breakwater"
	"github.com/breakwater-llm/breakwater/llm"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context) error {
	bw, err := breakwater.New(
		breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}),
		breakwater.WithModel("fast", "sim/mock"),
		breakwater.WithLogger(slog.New(slog.NewJSONHandler(os.Stderr, nil))), // one line a call
	)
	if err != nil {
		return err
	}
	defer bw.Close()

	// A whole answer.
	resp, err := bw.Complete(ctx, &breakwater.Request{Model: "fast", Messages: breakwater.User("What is a breakwater?")})
	if err != nil {
		return err
	}
	fmt.Println(resp.Text())

	// An answer as it comes.
	for ev, err := range bw.Stream(ctx, &breakwater.Request{Model: "fast", Messages: breakwater.User("And a mole?")}) {
		if err != nil {
			return err
		}
		if ev.Type == llm.EventText {
			fmt.Print(ev.Text)
		}
	}
	fmt.Println()

	// Errors are typed.
	_, err = bw.Complete(ctx, &breakwater.Request{Model: "nosuch", Messages: breakwater.User("Hello")})
	if errors.Is(err, &breakwater.Error{Kind: llm.KindNotFound}) {
		fmt.Println("as expected:", err)
	}
	return nil
}
