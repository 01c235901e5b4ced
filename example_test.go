package breakwater_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/breakwater-llm/breakwater"
	"github.com/breakwater-llm/breakwater/breakwatertest"
	"github.com/breakwater-llm/breakwater/llm"
)

// A gateway with one provider, the built-in simulator. With a real one the line reads
//
//	breakwater.WithProvider("openai", breakwater.Provider{Type: "openai", APIKey: key})
func Example() {
	bw, err := breakwater.New(
		breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}),
		breakwater.WithModel("fast", "sim/mock"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bw.Close()
	resp, err := bw.Complete(context.Background(), &breakwater.Request{Model: "fast", Messages: breakwater.User("Hello")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Text())
	// Output: This is Breakwater's simulated provider. You said: Hello
}

// Two providers behind one name. The first is overloaded, so the second answers; the caller sees one answer.
func ExampleNew_fallback() {
	first, _ := breakwatertest.Start(breakwatertest.Overloaded())
	defer first.Close()
	second, _ := breakwatertest.Start(breakwatertest.Reply("Hello from the second"))
	defer second.Close()

	bw, err := breakwater.New(
		breakwater.WithProvider("openai", breakwater.Provider{Type: "openai", BaseURL: first.OpenAIBaseURL(), APIKey: "test-key-1"}),
		breakwater.WithProvider("claude", breakwater.Provider{Type: "anthropic", BaseURL: second.AnthropicBaseURL(), APIKey: "test-key-2"}),
		breakwater.WithModel("fast", "openai/gpt-4o-mini", "claude/claude-haiku-4-5"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bw.Close()
	resp, err := bw.Complete(context.Background(), &breakwater.Request{Model: "fast", Messages: breakwater.User("Hello")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s (%d call to the first, %d to the second)\n", resp.Text(), first.Calls(), second.Calls())
	// Output: Hello from the second (1 call to the first, 1 to the second)
}

// A whole answer, its token counts and why it ended.
func ExampleGateway_Complete() {
	bw, _ := breakwater.New(breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}))
	defer bw.Close()
	resp, err := bw.Complete(context.Background(), &breakwater.Request{Model: "sim/mock", Messages: breakwater.User("Hello")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Text())
	fmt.Println(resp.Choices[0].Finish, resp.Usage.TotalInput(), resp.Usage.Output)
	// Output:
	// This is Breakwater's simulated provider. You said: Hello
	// stop 2 14
}

// Errors are *breakwater.Error: matched by kind, and with what each attempt met.
func ExampleGateway_Complete_errors() {
	provider, _ := breakwatertest.Start(breakwatertest.ServerError())
	defer provider.Close()
	bw, _ := breakwater.New(
		breakwater.WithProvider("openai", breakwater.Provider{Type: "openai", BaseURL: provider.OpenAIBaseURL(), APIKey: "test-key-1"}),
		breakwater.WithModel("fast", "openai/gpt-4o-mini"),
	)
	defer bw.Close()
	_, err := bw.Complete(context.Background(), &breakwater.Request{Model: "fast", Messages: breakwater.User("Hello")})

	fmt.Println(errors.Is(err, &breakwater.Error{Kind: llm.KindServerError}))
	var failed *breakwater.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.PublicCode(), failed.HTTPStatus())
		for _, a := range failed.Attempts {
			fmt.Println(a.Provider, a.Model, a.Status, a.Kind, a.Reason)
		}
	}
	// Output:
	// true
	// all_providers_failed 502
	// openai gpt-4o-mini 500 server_error first
	// openai gpt-4o-mini 500 server_error retry
}

// An answer as it comes. Leaving the loop early cancels the call.
func ExampleGateway_Stream() {
	bw, _ := breakwater.New(breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}))
	defer bw.Close()
	for ev, err := range bw.Stream(context.Background(), &breakwater.Request{Model: "sim/mock", Messages: breakwater.User("Hello")}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		switch ev.Type {
		case llm.EventText:
			fmt.Print(ev.Text)
		case llm.EventEnd:
			fmt.Println(" [complete]")
		}
	}
	// Output: This is Breakwater's simulated provider. You said: Hello [complete]
}

// handlerFunc is a function as a breakwater.Handler.
type handlerFunc func(ctx context.Context, c *breakwater.Call) (breakwater.Answer, error)

func (f handlerFunc) Handle(ctx context.Context, c *breakwater.Call) (breakwater.Answer, error) {
	return f(ctx, c)
}

// A stage sees every call, streaming or not, from the library or over HTTP. This one takes no calls
// without a session.
func ExampleWithStage() {
	needSession := func(next breakwater.Handler) breakwater.Handler {
		return handlerFunc(func(ctx context.Context, c *breakwater.Call) (breakwater.Answer, error) {
			if c.Session == "" {
				return nil, llm.Invalid("X-Breakwater-Session", "say which conversation the call belongs to")
			}
			return next.Handle(ctx, c)
		})
	}
	bw, _ := breakwater.New(
		breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}),
		breakwater.WithStage(needSession),
	)
	defer bw.Close()
	req := &breakwater.Request{Model: "sim/mock", Messages: breakwater.User("Hello")}

	_, err := bw.Complete(context.Background(), req)
	fmt.Println(err)
	resp, err := bw.Complete(breakwater.WithSession(context.Background(), "order-17"), req)
	fmt.Println(resp.Text(), err)
	// Output:
	// invalid_request: say which conversation the call belongs to
	// This is Breakwater's simulated provider. You said: Hello <nil>
}

// printer keeps records by printing them.
type printer struct{}

func (printer) Record(_ context.Context, r *breakwater.Record) error {
	fmt.Println(r.Status, r.Provider, r.RequestedModel, len(r.Attempts), r.Usage.Output)
	return nil
}

// A recorder gets one record a call, before the answer is complete.
func ExampleWithRecorder() {
	bw, _ := breakwater.New(
		breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}),
		breakwater.WithRecorder(printer{}),
	)
	defer bw.Close()
	_, err := bw.Complete(context.Background(), &breakwater.Request{Model: "sim/mock", Messages: breakwater.User("Hello")})
	fmt.Println(err)
	// Output:
	// success sim sim/mock 1 14
	// <nil>
}

// The HTTP surface, mounted in a server of one's own.
func ExampleGateway_Handler() {
	bw, _ := breakwater.New(
		breakwater.WithProvider("sim", breakwater.Provider{Type: "mock"}),
		breakwater.WithModel("fast", "sim/mock"),
	)
	defer bw.Close()
	mux := http.NewServeMux()
	mux.Handle("/v1/", bw.Handler())
	srv := httptest.NewServer(mux)
	defer srv.Close()

	resp, err := http.Post(srv.URL+"/v1/messages", "application/json",
		strings.NewReader(`{"model":"fast","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, resp.Header.Get("X-Breakwater-Provider"))
	fmt.Println(strings.Contains(string(body), "You said: Hello"))
	// Output:
	// 200 OK sim
	// true
}
