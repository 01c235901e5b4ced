package breakwatertest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	bt "github.com/breakwater-llm/breakwater/breakwatertest"
)

// ask is the code under test in these examples: any client of the API.
func ask(baseURL, prompt string) (status int, body string) {
	resp, err := http.Post(baseURL+"/chat/completions", "application/json",
		strings.NewReader(fmt.Sprintf(`{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": %q}]}`, prompt)))
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(b)
}

// In a test, NewProvider takes the test's t and needs no Close.
func ExampleNewProvider() {
	test := func(t *testing.T) {
		srv := bt.NewProvider(t, bt.Reply("Mocked response"))

		status, body := ask(srv.OpenAIBaseURL(), "What is our refund policy?")
		if status != 200 || !strings.Contains(body, "Mocked response") {
			t.Errorf("status %d", status)
		}

		srv.AssertCalls(1)
		srv.AssertReceived(func(r bt.Request) bool { return r.JSON("model") == "gpt-4o-mini" })
	}
	_ = test
}

// Outside of tests, Start gives a provider that the caller closes.
func ExampleStart() {
	srv, err := bt.Start(bt.Reply("Mocked response"))
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	status, body := ask(srv.OpenAIBaseURL(), "Hello")
	fmt.Println(status, strings.Contains(body, "Mocked response"))
	fmt.Println(srv.LastRequest().JSON("messages.0.content"))
	// Output:
	// 200 true
	// Hello
}

// The first two calls fail, then the provider has recovered.
func ExampleFailFirst() {
	srv, err := bt.Start(bt.Reply("ok"), bt.FailFirst(2, bt.ServerError()))
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	for range 4 {
		status, _ := ask(srv.OpenAIBaseURL(), "Hello")
		fmt.Println(status)
	}
	// Output:
	// 500
	// 500
	// 200
	// 200
}

// One step after the other, whatever they are.
func ExampleThen() {
	srv, err := bt.Start(bt.RateLimit(2*time.Second), bt.Then(bt.Overloaded()), bt.Then(bt.Reply("at last")))
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	for range 3 {
		status, _ := ask(srv.OpenAIBaseURL(), "Hello")
		fmt.Println(status)
	}
	// Output:
	// 429
	// 503
	// 200
}

// A tenth of the calls fails, the same ones in every run.
func ExampleFault() {
	srv, err := bt.Start(bt.Fault("overloaded", 0.1), bt.Seed(42))
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	failed := 0
	for range 100 {
		if status, _ := ask(srv.OpenAIBaseURL(), "Hello"); status != 200 {
			failed++
		}
	}
	fmt.Println(failed > 2 && failed < 25)
	// Output: true
}

// Whatever a script can say, a test can.
func ExampleScript() {
	srv, err := bt.Start(bt.Script(`
rules:
  - match: {user: "(?i)weather"}
    reply:
      tool_calls: [{name: get_weather, arguments: {city: Oslo}}]
  - reply: {template: "I know nothing about {{.User}}."}
`))
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	_, body := ask(srv.OpenAIBaseURL(), "The weather?")
	fmt.Println(strings.Contains(body, `"finish_reason": "tool_calls"`))
	_, body = ask(srv.OpenAIBaseURL(), "opera")
	fmt.Println(strings.Contains(body, "I know nothing about opera."))
	// Output:
	// true
	// true
}
