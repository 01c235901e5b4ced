package anthropic

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

// The recorded usage object, read with another decoder than ours.
type recordedUsage struct {
	Input      int64 `json:"input_tokens"`
	Output     int64 `json:"output_tokens"`
	Read       int64 `json:"cache_read_input_tokens"`
	Written    int64 `json:"cache_creation_input_tokens"`
	Iterations []struct {
		Type   string `json:"type"`
		Input  int64  `json:"input_tokens"`
		Output int64  `json:"output_tokens"`
	} `json:"iterations"`
}

func (r recordedUsage) check(t *testing.T, u llm.Usage) {
	t.Helper()
	for _, i := range r.Iterations {
		if i.Type == "compaction" {
			r.Input += i.Input
			r.Output += i.Output
		}
	}
	got := [...]int64{u.Input, u.Output, u.CacheRead, u.CacheWrite + u.CacheWrite1h}
	want := [...]int64{r.Input, r.Output, r.Read, r.Written}
	if !u.Reported || got != want {
		t.Errorf("usage (input, output, read, written) = %v, recorded %v", got, want)
	}
}

func TestRecordedAnswers(t *testing.T) {
	codec, n := New(), 0
	for _, c := range cassettes(t, "messages") {
		if c.Response.Status != 200 || c.Stream {
			continue
		}
		n++
		t.Run(c.name, func(t *testing.T) {
			body := []byte(c.Response.Body)
			f := codec.InspectResponse(body)
			if f.Err != nil {
				t.Fatal(f.Err)
			}
			r, err := codec.DecodeResponse(body)
			if err != nil {
				t.Fatal(err)
			}
			var rec struct {
				ID      string
				Model   string
				Content []map[string]any
				Stop    string        `json:"stop_reason"`
				Usage   recordedUsage `json:"usage"`
			}
			if err := json.Unmarshal(body, &rec); err != nil {
				t.Fatal(err)
			}
			rec.Usage.check(t, f.Usage)
			rec.Usage.check(t, r.Usage)
			if f.ID != rec.ID || r.ID != rec.ID || f.Model != rec.Model || r.Model != rec.Model {
				t.Errorf("id or model lost")
			}
			ch := r.Choices[0]
			if f.Finish != ch.Finish || ch.RawFinish != rec.Stop || finishOf[rec.Stop] != ch.Finish {
				t.Errorf("finish %q, %q for %q", f.Finish, ch.Finish, rec.Stop)
			}
			if rec.Stop != "refusal" && len(ch.Parts) != len(rec.Content) {
				t.Errorf("%d parts of %d blocks", len(ch.Parts), len(rec.Content))
			}
			sameAgain(t, r)
			throughEvents(t, r)
		})
	}
	if n < 50 {
		t.Errorf("only %d answers", n)
	}
}

// sameAgain checks that an encoded answer decodes to what encodes to the same.
func sameAgain(t *testing.T, r *llm.Response) {
	t.Helper()
	once, err := New().EncodeResponse(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := New().DecodeResponse(once)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := New().EncodeResponse(back)
	if err != nil {
		t.Fatal(err)
	}
	if string(once) != string(twice) {
		t.Errorf("not a fixpoint:\n%s\n%s", once, twice)
	}
	if !reflect.DeepEqual(r.Usage, back.Usage) || r.Choices[0].Finish != back.Choices[0].Finish {
		t.Errorf("usage or finish changed: %+v %+v", r.Usage, back.Usage)
	}
}

// throughEvents checks that an answer told as a stream is the same answer.
func throughEvents(t *testing.T, r *llm.Response) {
	t.Helper()
	stream := encodeStream(t, r.Events(), wire.EncoderOptions{})
	checkOrder(t, stream)
	evs, err := decodeStream(strings.NewReader(string(stream)))
	if err != nil {
		t.Fatal(err)
	}
	want, err := New().EncodeResponse(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := New().EncodeResponse(collect(evs))
	if err != nil {
		t.Fatal(err)
	}
	w, g := normal(t, want).(map[string]any), normal(t, got).(map[string]any)
	if !reflect.DeepEqual(w, g) {
		t.Errorf("whole and streamed differ:\n%s\n%s", want, got)
	}
}

// randomReader gives its text in pieces of random size.
type randomReader struct {
	text string
	rnd  *rand.Rand
}

func (r *randomReader) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+r.rnd.IntN(40))], r.text)
	r.text = r.text[n:]
	return n, nil
}

func TestRecordedStreams(t *testing.T) {
	codec, n := New(), 0
	for _, c := range cassettes(t, "messages") {
		if c.Response.Status != 200 || !c.Stream || strings.Contains(c.Response.Body, "event: error") {
			continue
		}
		n++
		// A few recordings hold several answers, one behind the other.
		if i := strings.Index(c.Response.Body, "event: message_stop"); i >= 0 {
			c.Response.Body = c.Response.Body[:i] + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
		}
		t.Run(c.name, func(t *testing.T) {
			evs, err := decodeStream(strings.NewReader(c.Response.Body))
			if err != nil {
				t.Fatal(err)
			}
			for seed := range 3 {
				again, err := decodeStream(&randomReader{c.Response.Body, rand.New(rand.NewPCG(uint64(seed), 1))})
				if err != nil || !reflect.DeepEqual(evs, again) {
					t.Fatalf("another chunking gives another answer (%v)", err)
				}
			}
			r := collect(evs)
			usage, text := recorded(t, c.Response.Body)
			usage.check(t, r.Usage)
			if got := answerText(r); got != text {
				t.Errorf("text differs: %d bytes, recorded %d", len(got), len(text))
			}
			facts := inspectAll(codec, c.Response.Body)
			usage.check(t, facts.Usage)
			if !facts.Final || !facts.Content || facts.Finish != r.Choices[0].Finish || facts.ID != r.ID {
				t.Errorf("facts %+v", facts)
			}
			sameAgain(t, r)
			stream := encodeStream(t, evs, wire.EncoderOptions{})
			checkOrder(t, stream)
			back, err := decodeStream(strings.NewReader(string(stream)))
			if err != nil {
				t.Fatal(err)
			}
			a, _ := codec.EncodeResponse(r)
			b, _ := codec.EncodeResponse(collect(back))
			if string(a) != string(b) {
				t.Errorf("re-encoded stream differs:\n%s\n%s", a, b)
			}
			throughEvents(t, r)
		})
	}
	if n < 70 {
		t.Errorf("only %d streams", n)
	}
}

// recorded reads the final usage and the text of a stream by plain means.
func recorded(t *testing.T, body string) (recordedUsage, string) {
	var u recordedUsage
	var text strings.Builder
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var ev struct {
			Message struct{ Usage json.RawMessage }
			Usage   json.RawMessage
			Block   struct{ Text string } `json:"content_block"`
			Delta   struct {
				Type string
				Text string
			}
		}
		if err := json.Unmarshal([]byte(data), &ev); err != nil {
			t.Fatal(err)
		}
		for _, raw := range []json.RawMessage{ev.Message.Usage, ev.Usage} {
			if raw != nil {
				if err := json.Unmarshal(raw, &u); err != nil {
					t.Fatal(err)
				}
			}
		}
		text.WriteString(ev.Block.Text)
		if ev.Delta.Type == "text_delta" {
			text.WriteString(ev.Delta.Text)
		}
	}
	return u, text.String()
}

func answerText(r *llm.Response) string {
	var b strings.Builder
	for _, p := range r.Choices[0].Parts {
		if p.Type == llm.PartText {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// inspectAll folds the facts of all events, as a pipeline would.
func inspectAll(codec wire.Codec, body string) wire.Facts {
	r := sse.NewReader(strings.NewReader(body), 0)
	var all wire.Facts
	for {
		ev, err := r.Next()
		if err != nil {
			return all
		}
		f := codec.InspectEvent(ev.Name, ev.Data)
		all.Content = all.Content || f.Content
		all.Final = all.Final || f.Final
		all.TextSize += f.TextSize
		all.Usage.Merge(f.Usage)
		if f.Finish != "" {
			all.Finish = f.Finish
		}
		if f.ID != "" {
			all.ID = f.ID
		}
		if f.Err != nil {
			all.Err = f.Err
		}
	}
}

func TestRecordedErrors(t *testing.T) {
	now := time.Date(2026, 2, 15, 8, 0, 0, 0, time.UTC)
	kinds := map[string]int{}
	for _, c := range cassettes(t, "messages") {
		if c.Response.Status == 200 {
			continue
		}
		h := http.Header{}
		for k, v := range c.Response.Headers {
			h.Set(k, v)
		}
		e := New().DecodeError(c.Response.Status, h, []byte(c.Response.Body), now)
		kinds[string(e.Kind)]++
		if e.Message == "" || e.ProviderStatus != c.Response.Status {
			t.Errorf("%s: %+v", c.name, e)
		}
		if e.Kind == llm.KindAuthentication {
			if len(e.Body) > 0 { // it may repeat the key
				t.Errorf("%s: %+v", c.name, e)
			}
			continue
		}
		if string(e.Body) != c.Response.Body {
			t.Errorf("%s: %+v", c.name, e)
		}
		if h.Get("Content-Type") == "application/json" && (e.Type == "" || string(New().EncodeError(e, "req_1")) != c.Response.Body) {
			t.Errorf("%s: body not passed on", c.name)
		}
	}
	want := map[string]int{"authentication": 12, "invalid_request": 6, "not_found": 5, "overloaded": 2, "quota": 1, "rate_limit": 2, "server_error": 1, "too_large": 2}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
}

func TestRecordedErrorInStream(t *testing.T) {
	found := false
	for _, c := range cassettes(t, "messages") {
		if c.Response.Status != 200 || !strings.Contains(c.Response.Body, "event: error") {
			continue
		}
		found = true
		evs, err := decodeStream(strings.NewReader(c.Response.Body))
		if e := llm.AsError(err); e == nil || e.Kind != llm.KindOverloaded || len(evs) != 0 {
			t.Errorf("%s: %v after %d events", c.name, err, len(evs))
		}
		if f := inspectAll(New(), c.Response.Body); f.Err == nil || f.Err.Kind != llm.KindOverloaded {
			t.Errorf("%s: facts %+v", c.name, f)
		}
	}
	if !found {
		t.Error("no recording with an error event")
	}
}

func TestRecordedCounts(t *testing.T) {
	for _, c := range cassettes(t, "count_tokens") {
		if c.Response.Status != 200 {
			continue
		}
		n, err := DecodeCount([]byte(c.Response.Body))
		if err != nil || strings.ReplaceAll(c.Response.Body, " ", "") != string(EncodeCount(n)) {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
	}
}
