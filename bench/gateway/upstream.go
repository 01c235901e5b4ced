package main

import (
	"bytes"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"time"
)

// serveUpstream is the least that can stand in for a provider: canned answers,
// written to the connection as they are.
func serveUpstream(listen, _ string) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	u := &rawUpstream{
		chat:   wholeAnswer(prose(560)),
		stream: streamAnswer(words(streamWords)),
		held:   streamAnswer(heldLoad.answer),
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go u.serve(conn)
	}
}

type rawUpstream struct {
	chat         []byte
	stream, held [][]byte
}

func (u *rawUpstream) serve(conn net.Conn) {
	defer conn.Close()
	in := newReader(conn, 16<<10)
	tail := make([]byte, 0, 2*tailSize)
	for {
		h, err := in.head()
		if err != nil {
			return
		}
		tail = tail[:0]
		if err := in.body(h, func(p []byte) { tail = keepTail(tail, p) }); err != nil {
			return
		}
		switch {
		case bytes.Contains(tail, []byte(`"[stream]`)):
			err = send(conn, u.stream, 0)
		case bytes.Contains(tail, []byte(`"[paced]`)):
			err = send(conn, u.stream, eventGap)
		case bytes.Contains(tail, []byte(`"[held]`)):
			err = send(conn, u.held, heldGap)
		default:
			_, err = conn.Write(u.chat)
		}
		if err != nil {
			return
		}
	}
}

// tailSize is how much of a body's end surely holds the last user text's beginning.
const tailSize = 2 << 10

func keepTail(tail, p []byte) []byte {
	if len(p) > tailSize {
		p = p[len(p)-tailSize:]
	}
	if over := len(tail) + len(p) - tailSize; over > 0 {
		tail = tail[:copy(tail, tail[min(over, len(tail)):])]
	}
	return append(tail, p...)
}

// send writes a stream's events one by one, each in a write of its own; with a
// gap, from the second text on, each when it is due.
func send(conn net.Conn, events [][]byte, gap time.Duration) error {
	start := time.Now()
	for i, ev := range events {
		if gap > 0 && i > 2 && i < len(events)-3 {
			time.Sleep(time.Until(start.Add(time.Duration(i-2) * gap)))
		}
		if _, err := conn.Write(ev); err != nil {
			return err
		}
	}
	return nil
}

const rawHead = "HTTP/1.1 200 OK\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nX-Request-Id: req_0123456789abcdef\r\n"

const rawUsage = `{"prompt_tokens":200,"completion_tokens":140,"total_tokens":340,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
	`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`

func wholeAnswer(text string) []byte {
	q, _ := json.Marshal(text)
	body := `{"id":"chatcmpl-0123456789abcdefghijklmnopqrs","object":"chat.completion","created":1700000000,"model":"` + targetModel +
		`","choices":[{"index":0,"message":{"role":"assistant","content":` + string(q) +
		`,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":` + rawUsage +
		`,"service_tier":"default","system_fingerprint":"fp_0123456789"}` + "\n"
	return []byte(rawHead + "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// streamAnswer renders the writes of a stream: the first with the head, each event a
// chunk of its own, the last with the end of the body.
func streamAnswer(text string) [][]byte {
	head := `data: {"id":"chatcmpl-0123456789abcdefghijklmnopqrs","object":"chat.completion.chunk","created":1700000000,"model":"` + targetModel +
		`","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[`
	event := func(delta, finish string) string {
		return head + `{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}],"usage":null}` + "\n\n"
	}
	events := []string{event(`{"role":"assistant","content":"","refusal":null}`, "null")}
	for i, word := range strings.Split(text, " ") {
		if i > 0 {
			word = " " + word
		}
		events = append(events, event(`{"content":"`+word+`"}`, "null"))
	}
	events = append(events, event("{}", `"stop"`), head+`],"usage":`+rawUsage+"}\n\n", "data: [DONE]\n\n")
	out := make([][]byte, len(events))
	for i, ev := range events {
		chunk := strconv.FormatInt(int64(len(ev)), 16) + "\r\n" + ev + "\r\n"
		if i == 0 {
			chunk = rawHead + "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
		}
		if i == len(events)-1 {
			chunk += "0\r\n\r\n"
		}
		out[i] = []byte(chunk)
	}
	return out
}
