package openai

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestDoor(t *testing.T) {
	const rest = `"messages":[{"role":"user","content":"hi"}]`
	for body, want := range map[string]wire.Door{
		`{"model":"m",` + rest + `}`: {Model: "m"},
		`{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"user":"u",` + rest + `}`:                  {Model: "m", Stream: true, WantUsage: true, MaxTokens: 5, User: "u"},
		`{"model":"m","stream":null,"stream_options":null,"max_tokens":9,"max_completion_tokens":7,"user":null,` + rest + `}`:         {Model: "m", MaxTokens: 7},
		`{"model":"a\u002fb","stream":false,"stream_options":{"include\u005fusage":true},"max_tokens":-1,` + rest + `}`:               {Model: "a/b", WantUsage: true},
		`{"model":"m","stream_options":{"include_usage":false,"include_obfuscation":true},"max_completion_tokens":null,` + rest + `}`: {Model: "m"},
	} {
		got, err := New().Door(parse(t, body))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for body, param := range map[string]string{
		`{` + rest + `}`:                                                      "model",
		`{"model":null,` + rest + `}`:                                         "model",
		`{"model":7,` + rest + `}`:                                            "model",
		`{"model":"",` + rest + `}`:                                           "model",
		`{"model":"a\nb",` + rest + `}`:                                       "model",
		`{"model":"a\u0000",` + rest + `}`:                                    "model",
		`{"model":"` + strings.Repeat("m", 257) + `",` + rest + `}`:           "model",
		`{"model":"m"}`:                                                       "messages",
		`{"model":"m","messages":null}`:                                       "messages",
		`{"model":"m","messages":[ ]}`:                                        "messages",
		`{"model":"m","messages":{}}`:                                         "messages",
		`{"model":"m","messages":"hi"}`:                                       "messages",
		`{"model":"m","stream":1,` + rest + `}`:                               "stream",
		`{"model":"m","stream_options":true,` + rest + `}`:                    "stream_options",
		`{"model":"m","stream_options":{"include_usage":"yes"},` + rest + `}`: "stream_options.include_usage",
		`{"model":"m","max_tokens":"5",` + rest + `}`:                         "max_tokens",
		`{"model":"m","max_completion_tokens":1.5,` + rest + `}`:              "max_completion_tokens",
		`{"model":"m","user":{},` + rest + `}`:                                "user",
	} {
		_, err := New().Door(parse(t, body))
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != llm.KindInvalidRequest || e.Param != param {
			t.Errorf("%s: %v, want %s", body, err, param)
		}
	}
}

func TestShape(t *testing.T) {
	for _, body := range []string{
		`{"Model":"m"}`, `{"messages":[{"Role":"user"}]}`, `{"messages":[{"content":[{"TYPE":"text"}]}]}`,
		`{"messages":[{"content":[{"image_url":{"URL":"x"}}]}]}`, `{"tools":[{"function":{"Name":"f"}}]}`,
		`{"messages":[{"tool_calls":[{"function":{"Arguments":"{}"}}]}]}`, `{"stream_options":{"Include_Usage":true}}`, `{"MAX_TOKENS":1}`,
		`{"response_format":{"json_schema":{"Schema":{}}}}`, `{"tool_choice":{"Function":{}}}`,
	} {
		if _, err := jsondoc.Parse([]byte(body), New().Shape()); err == nil {
			t.Errorf("%s was let in", body)
		}
	}
	for _, body := range []string{
		`{"metadata":{"Model":"m"}}`, `{"tools":[{"function":{"parameters":{"Type":"object","properties":{"Name":{}}}}}]}`,
		`{"logit_bias":{"A":1}}`, `{"response_format":{"json_schema":{"schema":{"Strict":1}}}}`,
	} {
		if _, err := jsondoc.Parse([]byte(body), New().Shape()); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestEditRequest(t *testing.T) {
	for _, tc := range []struct {
		body, model string
		ask         bool
		want        string
	}{
		{`{"model": "m", "x": 1.0}`, "m", true, `{"model": "m", "x": 1.0}`},
		{`{"model": "m", "x": 1.0}`, `q"r`, true, `{"model": "q\"r", "x": 1.0}`},
		{`{"x":"<&>","model":"a\u002fb"}`, "a/b", true, `{"x":"<&>","model":"a\u002fb"}`},
		{`{"model":"m","stream":true}`, "m", false, `{"model":"m","stream":true}`},
		{`{"model":"m","stream":false}`, "m", true, `{"model":"m","stream":false}`},
		{`{"model":"m","stream":true}`, "m", true, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`},
		{`{"stream_options":null,"model":"m","stream":true}`, "m", true, `{"stream_options":{"include_usage":true},"model":"m","stream":true}`},
		{`{"stream_options":{ },"model":"m","stream":true}`, "m", true, `{"stream_options":{"include_usage":true },"model":"m","stream":true}`},
		{`{"stream_options":{"a" : 1.0},"model":"m","stream":true}`, "m", true, `{"stream_options":{"include_usage":true,"a" : 1.0},"model":"m","stream":true}`},
		{`{"stream_options":{"a":1,"include_usage": false , "b":2},"model":"m","stream":true}`, "m", true, `{"stream_options":{"a":1,"include_usage": true , "b":2},"model":"m","stream":true}`},
		{`{"stream_options":{"include_usage":null},"model":"m","stream":true}`, "n", true, `{"stream_options":{"include_usage":true},"model":"n","stream":true}`},
		{`{"stream_options":{"include_usage":true},"model":"m","stream":true}`, "m", true, `{"stream_options":{"include_usage":true},"model":"m","stream":true}`},
	} {
		doc := parse(t, tc.body)
		got := string(doc.Apply(New().EditRequest(doc, tc.model, tc.ask)...))
		if got != tc.want {
			t.Errorf("%s, %s, %v:\n got %s\nwant %s", tc.body, tc.model, tc.ask, got, tc.want)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name string
		h    http.Header
		want []wire.Limit
	}{
		{"openai", header("x-ratelimit-limit-requests", "500", "x-ratelimit-remaining-requests", "499", "x-ratelimit-reset-requests", "120ms",
			"x-ratelimit-limit-tokens", "200000", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "8m38.4s"),
			[]wire.Limit{{Unit: "requests", Limit: 500, Remaining: 499, Reset: 120 * time.Millisecond}, {Unit: "tokens", Limit: 200000, Reset: 8*time.Minute + 38400*time.Millisecond}}},
		{"azure: seconds", header("x-ratelimit-limit-requests", "50", "x-ratelimit-remaining-requests", "48", "x-ratelimit-reset-requests", "2146", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "0"),
			[]wire.Limit{{Unit: "requests", Limit: 50, Remaining: 48, Reset: 2146 * time.Second}, {Unit: "tokens", Limit: -1}}},
		{"xai: no reset", header("x-ratelimit-limit-tokens", "10", "x-ratelimit-remaining-tokens", "9"), []wire.Limit{{Unit: "tokens", Limit: 10, Remaining: 9, Reset: -1}}},
		{"mistral", header("x-ratelimit-limit-tokens-minute", "2000000", "x-ratelimit-remaining-tokens-minute", "1999999", "x-ratelimit-limit-req-minute", "60"),
			[]wire.Limit{{Unit: "requests", Limit: 60, Remaining: -1, Reset: -1}, {Unit: "tokens", Limit: 2000000, Remaining: 1999999, Reset: -1}}},
		{"mistral, older", header("x-ratelimitbysize-limit-minute", "2000000", "x-ratelimitbysize-remaining-minute", "1968000", "ratelimitbysize-reset", "19"),
			[]wire.Limit{{Unit: "tokens", Limit: 2000000, Remaining: 1968000, Reset: 19 * time.Second}}},
		{"openrouter: milliseconds", header("x-ratelimit-limit", "20", "x-ratelimit-remaining", "0", "x-ratelimit-reset", "1795435230000"),
			[]wire.Limit{{Unit: "requests", Limit: 20, Reset: 30 * time.Second}}},
		{"unix seconds", header("x-ratelimit-limit", "20", "x-ratelimit-reset", "1795435230"), []wire.Limit{{Unit: "requests", Limit: 20, Remaining: -1, Reset: 30 * time.Second}}},
		{"nonsense", header("x-ratelimit-limit-requests", "many", "x-ratelimit-remaining-requests", "-1", "x-ratelimit-limit-tokens", "NaN", "x-ratelimit-limit", "false"), nil},
		{"reset in the past, negative", header("x-ratelimit-limit", "1", "x-ratelimit-reset", "1600000000000", "x-ratelimit-limit-tokens", "1", "x-ratelimit-reset-tokens", "-5s"),
			[]wire.Limit{{Unit: "tokens", Limit: 1, Remaining: -1, Reset: -1}, {Unit: "requests", Limit: 1, Remaining: -1, Reset: 0}}},
	} {
		if got := New().Limits(tc.h, time.Unix(1795435200, 0)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tc.name, got, tc.want)
		}
	}
}

func TestSetLimits(t *testing.T) {
	h := http.Header{}
	limits := []wire.Limit{
		{Unit: "requests", Limit: 500, Remaining: 499, Reset: 5999 * time.Microsecond},
		{Unit: "tokens", Limit: 200000, Remaining: -1, Reset: 8*time.Minute + 38400*time.Millisecond},
		{Unit: "input-tokens", Limit: 1},
	}
	New().SetLimits(h, limits, errNow)
	want := http.Header{
		"X-Ratelimit-Limit-Requests": {"500"}, "X-Ratelimit-Remaining-Requests": {"499"}, "X-Ratelimit-Reset-Requests": {"6ms"},
		"X-Ratelimit-Limit-Tokens": {"200000"}, "X-Ratelimit-Reset-Tokens": {"8m38.4s"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%v", h)
	}
	limits[0].Reset = 6 * time.Millisecond
	if got := New().Limits(h, errNow); !reflect.DeepEqual(got, limits[:2]) {
		t.Errorf("read again: %+v", got)
	}
}
