// Package gate is what the tests of both SDKs share: the gateway to call, and a name for each call.
//
// The gateway, its keys and the simulated providers behind it are set up by the test in the folder
// e2e/sdk of the main module, which also reads the results and checks what the providers received.
package gate

import (
	"os"
	"strings"
	"testing"
)

// What the environment says of the gateway.
var (
	URL        = os.Getenv("BREAKWATER_URL")
	Key        = os.Getenv("BREAKWATER_KEY")
	LimitedKey = os.Getenv("BREAKWATER_LIMITED_KEY") // may use the chat models only
	sdk        = os.Getenv("BREAKWATER_SDK")         // the name of this run
)

// What e2e/sdk/testdata/replies.yaml says.
const (
	Text       = "The harbour is calm today."
	RetryAfter = "7"
)

// Person is what the model json answers.
type Person struct {
	Name string   `json:"name"`
	Age  int      `json:"age"`
	Tags []string `json:"tags"`
}

// Ana is that answer.
var Ana = Person{Name: "Ana", Age: 31, Tags: []string{"sailor", `née "Silva"`}}

// PersonSchema is the JSON schema of Person.
var PersonSchema = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"name": map[string]any{"type": "string"},
		"age":  map[string]any{"type": "integer"},
		"tags": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
	},
	"required":             []string{"name", "age", "tags"},
	"additionalProperties": false,
}

// CityProperties are the properties of the argument of the tool get_weather.
var CityProperties = map[string]any{"city": map[string]any{"type": "string"}}

// Pictures: of one pixel, and of none.
const (
	PNGBase64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
	ImageURL  = "https://images.example/harbour.png"
)

// TooLong is more than the gateway's limits.max_body.
var TooLong = strings.Repeat("wave ", 300_000)

// Case is a call, or a conversation, and the upstream that answers it.
type Case struct {
	*testing.T
	Upstream string
	id       string
}

// Run runs the tests against both kinds of upstream.
func Run(t *testing.T, tests map[string]func(Case)) {
	if URL == "" {
		t.Skip("BREAKWATER_URL is not set: these tests are run by e2e/sdk of the main module")
	}
	for _, upstream := range []string{"openai", "anthropic"} {
		for name, test := range tests {
			t.Run(upstream+"/"+name, func(t *testing.T) {
				test(Case{T: t, Upstream: upstream, id: sdk + "/" + upstream + "/" + name})
			})
		}
	}
}

// RequestID goes with the call; by it the main module's test finds its log line.
func (c Case) RequestID() string { return strings.ReplaceAll(c.id, "/", ".") }

// Model is the name of the model that behaves so at the case's upstream.
func (c Case) Model(behaviour string) string { return c.Upstream + "-" + behaviour }

// Own is the behaviour of a model that nobody else calls: rate limits have an effect on later calls.
func (c Case) Own(behaviour string) string { return behaviour + "-" + sdk }

// Say is a prompt that names the case.
func (c Case) Say() string { return "How is the sea? [" + c.id + "]" }

// Equal fails the test unless got is what is wanted.
func Equal[T comparable](c Case, what string, got, want T) {
	c.Helper()
	if got != want {
		c.Errorf("%s is %v, want %v", what, got, want)
	}
}

// Broken checks a text that a failure cut off.
func (c Case) Broken(text string) {
	c.Helper()
	if text == "" || text == Text || !strings.HasPrefix(Text, text) {
		c.Errorf("got the text %q", text)
	}
}
