package upstreamtest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/llm"
)

// read pulls an answer to its end.
func read(t *testing.T, ans pipeline.Answer) (data []byte, deltas []llm.Event, sum llm.Usage, last pipeline.Event, err error) {
	t.Helper()
	for {
		ev, e := ans.Next()
		if e == io.EOF {
			if !last.Final {
				t.Error("io.EOF after an event that is not final")
			}
			if _, again := ans.Next(); again != io.EOF {
				t.Errorf("after the end Next gives %v", again)
			}
			return data, deltas, sum, last, nil
		}
		if e != nil {
			return data, deltas, sum, last, e
		}
		if last.Final {
			t.Error("an event after the final one")
		}
		data = append(data, ev.Data...)
		deltas = append(deltas, ev.Deltas...)
		sum.Merge(ev.Usage)
		last = *ev
	}
}

// passThrough: between a client and a provider of one protocol all bytes survive, both ways, but for the
// model's name.
func passThrough(t *testing.T, h Harness) {
	h.each(t, h.own(), func(t *testing.T, p llm.Protocol, stream bool) {
		for _, play := range []Play{Text, Tool} {
			c := call(t, p, stream, `"x_unknown":{"b":1, "a":2.50,"é":"\u00e9"}`, dialects[p].Tools)
			prov, ans, err := h.play(t, Scene{Play: play}, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			data, _, _, _, err := read(t, ans)
			if err != nil {
				t.Fatal(err)
			}
			if said := dialects[p].Read(string(data), stream); said.Ends != 1 || said.Finish != dialects[p].Finish[play] {
				t.Errorf("the client is told %+v", said)
			}
			if prov.Sent != nil && !bytes.Equal(data, prov.Sent) {
				t.Errorf("the client gets\n%s\nsent was\n%s", data, prov.Sent)
			}
			want := bytes.Replace(c.Doc.Bytes(), []byte(`"asked"`), []byte(`"`+AnswerModel+`"`), 1)
			if got := prov.Requests()[0].Body; !bytes.Equal(got, want) {
				t.Errorf("the provider gets\n%s\nsent was\n%s", got, want)
			}
		}
	})
}

// toClient is what a client of the protocol is told in the scene, whose costs are among the facts.
func (h Harness) toClient(t *testing.T, p llm.Protocol, stream bool, s Scene) Said {
	t.Helper()
	prov, ans, err := h.play(t, s, call(t, p, stream, dialects[p].Tools), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, _, u, _, err := read(t, ans)
	if err != nil {
		t.Fatal(err)
	}
	if u != wantUsage {
		t.Errorf("usage %+v, want %+v", u, wantUsage)
	}
	body := prov.Requests()[0].Body
	for _, part := range []string{"Be brief.", "Hello there", ToolName, AnswerModel} {
		if !bytes.Contains(body, []byte(part)) {
			t.Errorf("the provider is not told %q: %s", part, body)
		}
	}
	if asked := gjson.GetBytes(body, "stream").Bool(); asked != stream {
		t.Errorf("stream: %t was asked of the provider, by the client %t", asked, stream)
	}
	return dialects[p].Read(string(data), stream)
}

// translation: a client of another protocol gets the text, the reason of its end and one mark of it, in its
// own protocol.
func translation(t *testing.T, h Harness) {
	h.each(t, h.foreign(), func(t *testing.T, p llm.Protocol, stream bool) {
		got := h.toClient(t, p, stream, Scene{Play: Text})
		if got.Text != AnswerText || got.Finish != dialects[p].Finish[Text] || got.Ends != 1 || len(got.Calls) > 0 {
			t.Errorf("the client is told %+v", got)
		}
	})
}

// tools: a call arrives with id, name and arguments, in every protocol of clients.
func tools(t *testing.T, h Harness) {
	h.each(t, surfaces, func(t *testing.T, p llm.Protocol, stream bool) {
		got := h.toClient(t, p, stream, Scene{Play: Tool})
		want := ToolID + " " + ToolName + " " + ToolArgs
		if h.Speaks == "" && len(got.Calls) == 1 { // the ids are the provider's own
			_, rest, _ := strings.Cut(got.Calls[0], " ")
			got.Calls[0] = ToolID + " " + rest
		}
		if !slices.Equal(got.Calls, []string{want}) || got.Finish != dialects[p].Finish[Tool] || got.Ends != 1 {
			t.Errorf("the client is told %+v, want the call %s", got, want)
		}
	})
}

// framing: what decides between whole and streamed is what the client asked for, whatever the provider
// makes of it.
func framing(t *testing.T, h Harness) {
	h.each(t, surfaces, func(t *testing.T, p llm.Protocol, stream bool) {
		for _, play := range []Play{Text, Tool} {
			got := h.toClient(t, p, stream, Scene{Play: play, Opposite: true})
			want := Said{Finish: dialects[p].Finish[play], Ends: 1}
			if play == Text {
				want.Text = AnswerText
			} else {
				want.Calls = []string{ToolID + " " + ToolName + " " + ToolArgs}
			}
			if got.Text != want.Text || got.Finish != want.Finish || got.Ends != 1 || !slices.Equal(got.Calls, want.Calls) {
				t.Errorf("the client is told %+v, want %+v", got, want)
			}
		}
	})
}

// native: the Go library gets events of the common vocabulary, and no bytes.
func native(t *testing.T, h Harness) {
	h.each(t, []llm.Protocol{llm.Native}, func(t *testing.T, p llm.Protocol, stream bool) {
		for _, play := range []Play{Text, Tool} {
			_, ans, err := h.play(t, Scene{Play: play}, call(t, p, stream), nil)
			if err != nil {
				t.Fatal(err)
			}
			data, deltas, _, _, err := read(t, ans)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 0 {
				t.Errorf("bytes for a native call: %s", data)
			}
			var col llm.Collector
			ends := 0
			for _, d := range deltas {
				col.Add(d)
				if d.Type == llm.EventEnd {
					ends++
				}
			}
			r := col.Response()
			if ends != 1 || deltas[len(deltas)-1].Type != llm.EventEnd || len(r.Choices) != 1 {
				t.Fatalf("%d ends, %d choices", ends, len(r.Choices))
			}
			if play == Text {
				if r.Text() != AnswerText || r.Choices[0].Finish != llm.FinishStop {
					t.Errorf("got %q, %s", r.Text(), r.Choices[0].Finish)
				}
				continue
			}
			parts := r.Choices[0].Parts
			if len(parts) != 1 || parts[0].ToolCall == nil || parts[0].ToolCall.Name != ToolName || parts[0].ToolCall.Arguments != ToolArgs ||
				r.Choices[0].Finish != llm.FinishToolCalls {
				t.Errorf("got %+v, %s", parts, r.Choices[0].Finish)
			}
		}
	})
}

var wantUsage = llm.Usage{Input: InputTokens - Cached, CacheRead: Cached, Output: Output, Reported: true}

// usage: what the answer cost is among its facts, once, whoever asks and however; so is its end.
func usage(t *testing.T, h Harness) {
	h.each(t, append([]llm.Protocol{llm.Native}, surfaces...), func(t *testing.T, p llm.Protocol, stream bool) {
		send := &upstream.Send{}
		_, ans, err := h.play(t, Scene{Play: Text}, call(t, p, stream), send)
		if err != nil {
			t.Fatal(err)
		}
		_, _, u, last, err := read(t, ans)
		if err != nil {
			t.Fatal(err)
		}
		if u != wantUsage {
			t.Errorf("usage %+v, want %+v", u, wantUsage)
		}
		if !last.Final || send.Status != 200 {
			t.Errorf("final: %t, status %d", last.Final, send.Status)
		}
	})
}

// refusals: each error status is of the kind that the table says, and of no other.
func refusals(t *testing.T, h Harness) {
	if len(h.Errors) == 0 {
		t.Fatal("no errors to test")
	}
	for _, row := range h.Errors {
		t.Run(row.Name, func(t *testing.T) {
			for _, p := range surfaces {
				send := &upstream.Send{}
				_, ans, err := h.play(t, Scene{Name: row.Name, Play: Refuse, Error: &row}, call(t, p, true), send)
				if ans != nil || err == nil {
					t.Fatal("answered")
				}
				le := failure(t, err)
				if le.Kind != row.Kind || le.Retryable() != row.Retry || le.Elsewhere() != row.Elsewhere {
					t.Errorf("%d is %s, retry %t, elsewhere %t; want %s, %t, %t", row.Status, le.Kind, le.Retryable(), le.Elsewhere(), row.Kind, row.Retry, row.Elsewhere)
				}
				if le.ProviderStatus != row.Status || send.Status != row.Status || le.Provider == "" || !le.Sent {
					t.Errorf("status %d and %d, provider %q, sent %t", le.ProviderStatus, send.Status, le.Provider, le.Sent)
				}
				if row.RetryAfter > 0 && le.RetryAfter != row.RetryAfter || row.RetryAfter == 0 && le.RetryAfter > 0 {
					t.Errorf("retry after %v, want %v", le.RetryAfter, row.RetryAfter)
				}
				if le.Message == "" || !strings.Contains(le.Message, row.Message) || strings.Contains(le.Message, "CANARY") || strings.Contains(le.Message, "<") {
					t.Errorf("the message is %q", le.Message)
				}
			}
		})
	}
}

// errorEvent: an error inside a 200 is that error, whatever came before, and nothing looks whole.
func errorEvent(t *testing.T, h Harness) {
	for _, p := range append([]llm.Protocol{llm.Native}, surfaces...) {
		t.Run(string(p), func(t *testing.T) {
			_, ans, err := h.play(t, Scene{Play: ErrorEvent}, call(t, p, true), nil)
			var data []byte
			if err == nil {
				data, _, _, _, err = read(t, ans)
			}
			if err == nil {
				t.Fatalf("the error was taken for an answer: %s", data)
			}
			if le := failure(t, err); le.Kind != llm.KindOverloaded {
				t.Errorf("the error is %s, want %s", le.Kind, llm.KindOverloaded)
			}
			notWhole(t, p, data)
		})
	}
}

func notWhole(t *testing.T, p llm.Protocol, data []byte) {
	t.Helper()
	if p == llm.Native {
		return
	}
	if s := dialects[p].Read(string(data), true); s.Ends > 0 || s.Finish != "" {
		t.Errorf("what came looks whole: %s", data)
	}
}

// incomplete: an answer that stops part way is an error, and no end is made up.
func incomplete(t *testing.T, h Harness) {
	h.each(t, append([]llm.Protocol{llm.Native}, surfaces...), func(t *testing.T, p llm.Protocol, stream bool) {
		_, ans, err := h.play(t, Scene{Play: Cut}, call(t, p, stream), nil)
		var data []byte
		if err == nil {
			data, _, _, _, err = read(t, ans)
		}
		if err == nil {
			t.Fatalf("half an answer was taken for a whole one: %s", data)
		}
		le := failure(t, err)
		if stream && le.Kind != llm.KindIncompleteStream || !stream && le.Kind != llm.KindBadResponse && le.Kind != llm.KindIncompleteStream {
			t.Errorf("the error is %s: %s", le.Kind, le.Message)
		}
		if !le.Retryable() || !le.Elsewhere() {
			t.Errorf("nobody would try %s again", le.Kind)
		}
		if stream {
			notWhole(t, p, data)
		}
	})
}

// garbage: a 200 that is not the protocol is the provider's failure.
func garbage(t *testing.T, h Harness) {
	h.each(t, append([]llm.Protocol{llm.Native}, surfaces...), func(t *testing.T, p llm.Protocol, stream bool) {
		_, ans, err := h.play(t, Scene{Play: Garbage}, call(t, p, stream), nil)
		var data []byte
		if err == nil {
			data, _, _, _, err = read(t, ans)
		}
		if err == nil {
			t.Fatalf("taken for an answer: %s", data)
		}
		if le := failure(t, err); le.Kind != llm.KindBadResponse || !le.Retryable() || !le.Elsewhere() {
			t.Errorf("the error is %s: %s", le.Kind, le.Message)
		}
	})
}

// leaves is how soon a provider must see that its caller has left.
const leaves = 5 * time.Second

// cancel: when the call ends, by its context or by Close, the provider's connection ends too; the error says that
// the caller left, or what the context's cause says.
func cancel(t *testing.T, h Harness) {
	late := llm.Errorf(llm.KindTimeout, "too late")
	for _, x := range []struct {
		name  string
		cause error
		want  llm.Kind
	}{{"context", nil, llm.KindClientClosed}, {"time limit", late, llm.KindTimeout}, {"close", nil, ""}} {
		t.Run(x.name, func(t *testing.T) {
			for _, p := range append([]llm.Protocol{llm.Native}, surfaces...) {
				c := call(t, p, true)
				prov := h.Play(t, Scene{Play: Stall, Stream: true}, c)
				ctx, stop := context.WithCancelCause(t.Context())
				defer stop(nil)
				ans, err := prov.Upstream.Do(ctx, c, &upstream.Send{Model: AnswerModel})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := ans.Next(); err != nil {
					t.Fatal(err)
				}
				if x.want == "" {
					if err := ans.Close(); err != nil {
						t.Error(err)
					}
				} else {
					stop(x.cause)
					for err == nil {
						_, err = ans.Next()
					}
					if le := failure(t, err); le.Kind != x.want {
						t.Errorf("the error is %s: %s", le.Kind, le.Message)
					}
				}
				if !prov.Left(leaves) {
					t.Error("the provider's connection stays open")
				}
				_ = ans.Close()
			}
		})
	}
}

// closing: Close may be called at any time and twice; after it nothing comes any more.
func closing(t *testing.T, h Harness) {
	h.each(t, append([]llm.Protocol{llm.Native}, surfaces...), func(t *testing.T, p llm.Protocol, stream bool) {
		for _, steps := range []int{0, 1, 1000} {
			_, ans, err := h.play(t, Scene{Play: Text}, call(t, p, stream), nil)
			if err != nil {
				t.Fatal(err)
			}
			for range steps {
				if _, err := ans.Next(); err != nil {
					break
				}
			}
			for range 2 {
				if err := ans.Close(); err != nil {
					t.Errorf("after %d events: %v", steps, err)
				}
			}
			if ev, err := ans.Next(); err == nil {
				t.Errorf("after Close an event comes: %s", ev.Data)
			}
		}
	})
}
