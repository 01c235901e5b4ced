package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// workload is one kind of load.
type workload struct {
	name, title string
	marker      string        // how the upstream knows what to answer: the last user text begins with it
	size        int           // of the request's body, bytes
	stream      bool          //
	conns       int           // 0: the flag's
	period      time.Duration // between two calls of one connection; 0: closed loop
	answer      string        // the text of the answer
}

const (
	// streamEvents are a stream's events: role, 46 words, finish, usage, end mark.
	streamEvents = 50
	streamWords  = streamEvents - 4
	// eventGap is the time between two events of a paced stream, and heldGap of a held one.
	eventGap = 5 * time.Millisecond
	heldGap  = time.Second
)

var workloads = []workload{
	{name: "chat1k", title: "1 KB calls", marker: "[chat]", size: 1 << 10, answer: prose(560)},
	{name: "chat64k", title: "64 KB calls", marker: "[chat]", size: 64 << 10, answer: prose(560)},
	{name: "rate1k", title: "1 KB calls at 800/s", marker: "[chat]", size: 1 << 10, conns: 32, period: 40 * time.Millisecond, answer: prose(560)},
	{name: "stream", title: "streams of 50 events", marker: "[stream]", size: 1 << 10, stream: true, answer: words(streamWords)},
	{name: "paced", title: "the same, an event every 5 ms", marker: "[paced]", size: 1 << 10, stream: true, conns: 64, period: 320 * time.Millisecond, answer: words(streamWords)},
}

// heldLoad is what held streams are asked for: at heldGap it lasts two minutes, longer than they are held.
var heldLoad = workload{name: "held", marker: "[held]", size: 1 << 10, stream: true, answer: words(120)}

func workloadNames() []string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.name)
	}
	return names
}

func (w *workload) want() *want {
	q, _ := json.Marshal(w.answer)
	return &want{stream: w.stream, text: q[1 : len(q)-1], events: streamEvents}
}

// The names of the model for callers and at the provider: of one length, so that
// an answer through the gateway is as long as one straight from the upstream.
const (
	aliasModel  = "bench-alias"
	targetModel = "bench-model"
)

// request renders the whole request, with the headers that OpenAI's Python
// client sends.
func (w *workload) request(host string) []byte {
	body := w.body()
	var b bytes.Buffer
	b.WriteString("POST /v1/chat/completions HTTP/1.1\r\nHost: " + host + "\r\n")
	for _, h := range [][2]string{
		{"Accept-Encoding", "gzip, deflate"}, {"Connection", "keep-alive"}, {"Accept", "application/json"},
		{"Content-Type", "application/json"}, {"User-Agent", "OpenAI/Python 2.8.1"},
		{"X-Stainless-Lang", "python"}, {"X-Stainless-Package-Version", "2.8.1"}, {"X-Stainless-OS", "Linux"},
		{"X-Stainless-Arch", "x64"}, {"X-Stainless-Runtime", "CPython"}, {"X-Stainless-Runtime-Version", "3.13.1"},
		{"Authorization", "Bearer bench"}, {"X-Stainless-Async", "false"}, {"x-stainless-retry-count", "0"},
		{"x-stainless-read-timeout", "600"}, {"Content-Length", strconv.Itoa(len(body))},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body is a conversation of turns of up to about 1.4 KB, in the order that
// OpenAI's Python client writes it, of exactly w.size bytes.
func (w *workload) body() []byte {
	var req struct {
		Messages      []chatMessage  `json:"messages"`
		Model         string         `json:"model"`
		MaxTokens     int            `json:"max_completion_tokens"`
		Stream        bool           `json:"stream,omitempty"`
		StreamOptions map[string]any `json:"stream_options,omitempty"`
		Temperature   float64        `json:"temperature"`
	}
	req.Model, req.MaxTokens, req.Temperature, req.Stream = aliasModel, 4096, 0.2, w.stream
	if w.stream {
		req.StreamOptions = map[string]any{"include_usage": true}
	}
	system := chatMessage{"system", "You answer questions about the harbour."}
	last := chatMessage{"user", w.marker + " And what does the \"breakwater\" do about it?"}
	var turns []chatMessage
	render := func(pad int) []byte {
		padded := last
		padded.Content += strings.Repeat(".", pad)
		req.Messages = append(append([]chatMessage{system}, turns...), padded)
		return encode(req)
	}
	for len(turns) < 1000 {
		role := [...]string{"user", "assistant"}[len(turns)%2]
		turns = append(turns, chatMessage{role, prose(min(1400, w.size/4))})
		if len(render(0)) > w.size {
			turns = turns[:len(turns)-1]
			break
		}
	}
	return render(w.size - len(render(0)))
}

func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// prose is text as conversations have it: line ends, quotes, some characters
// beyond ASCII.
func prose(n int) string {
	const piece = "The swell comes in from the west; the \"long arm\" takes the worst of it.\n\n- Depth at low water: 4.5 m – check the chart.\n- Café on the quay, open 6–14 h.\n"
	s := strings.Repeat(piece, n/len(piece)+1)
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// words are n words of three letters: for the simulator each with its space is a
// token and an event.
func words(n int) string {
	list := [...]string{"sea", "and", "the", "wet", "dog", "ran", "far", "out"}
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(list[i%len(list)])
	}
	return b.String()
}

// simScript makes the product's own simulator answer as the loads want.
func simScript() string {
	var b strings.Builder
	b.WriteString("rules:\n")
	rule := func(marker, text string, gap time.Duration) {
		quoted, _ := json.Marshal(text)
		fmt.Fprintf(&b, "  - match: {user: '^\\[%s\\]'}\n    reply: {text: %s}\n", strings.Trim(marker, "[]"), quoted)
		if gap > 0 {
			fmt.Fprintf(&b, "    time: {tokens_per_second: %v}\n", float64(time.Second)/float64(gap))
		}
	}
	rule("[chat]", prose(560), 0)
	rule("[stream]", words(streamWords), 0)
	rule("[paced]", words(streamWords), eventGap)
	rule("[held]", heldLoad.answer, heldGap)
	return b.String()
}
