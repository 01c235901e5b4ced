// Package breakwatertest gives tests a simulated LLM provider: a real HTTP server
// on the loopback interface that speaks OpenAI's Chat Completions and Anthropic's
// Messages, streaming and not, answers what the test tells it, fails as the test
// tells it, and can be asked afterwards what it received.
//
//	srv := breakwatertest.NewProvider(t, breakwatertest.Reply("Mocked response"))
//	client := openai.NewClient(option.WithBaseURL(srv.OpenAIBaseURL()), option.WithAPIKey("test"))
//
// # Steps
//
// Options describe steps. A step answers one call, and the last step answers all
// calls that follow. There is one step to begin with; [Then] and [Replies] add
// more, [FailFirst] puts one in front:
//
//	NewProvider(t, Reply("hello"))                             // every call: hello
//	NewProvider(t, Replies("one", "two"))                      // one, two, two, ...
//	NewProvider(t, Reply("ok"), FailFirst(2, ServerError()))   // 500, 500, ok, ok, ...
//	NewProvider(t, RateLimit(time.Second), Then(Reply("ok")))  // 429, ok, ok, ...
//	NewProvider(t, Reply("a long text"), CutStream(3))         // every stream is cut
//
// A step without a reply answers with a text that repeats the user's; if the call
// forces a tool or asks for a JSON schema, with the smallest value that fits.
// Latency, TTFT, TokensPerSecond and Fault hold for the whole provider, unless they
// stand inside Then or FailFirst.
//
// Calls are counted over completions of all models and both protocols. What
// fails by chance ([Fault]) fails in the same calls every time, see [Seed].
//
// The package is for tests. It needs no network but loopback, and everything that
// it starts ends with the test.
package breakwatertest
