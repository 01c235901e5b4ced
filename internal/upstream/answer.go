package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/sse"
	"github.com/breakwater-llm/breakwater/llm"
)

// answer turns a 2xx response into the call's answer. What decides between
// whole and streamed is what the provider sent, not what was asked: either is
// turned into what the client asked for.
func (e *Endpoint) answer(ctx context.Context, c *pipeline.Call, resp *http.Response) (pipeline.Answer, error) {
	streamed := isEventStream(resp, c.Stream)
	if streamed && c.Stream {
		return e.newStream(ctx, c, resp), nil
	}
	defer resp.Body.Close()
	if streamed {
		return e.collect(ctx, c, resp)
	}
	body, err := readAll(resp, e.maxAnswer)
	if err != nil {
		return nil, e.broken(ctx, err, resp.StatusCode)
	}
	if c.Op == pipeline.OpCountTokens {
		return e.count(body, resp.StatusCode)
	}
	return e.whole(c, body, resp.StatusCode)
}

// isEventStream goes by the content type and, where that says neither that nor the
// JSON that was asked for, by the first bytes: some providers label streams wrongly.
func isEventStream(resp *http.Response, asked bool) bool {
	ct := resp.Header.Get("Content-Type")
	if ct == "application/json" && !asked {
		return false
	}
	media, _, _ := mime.ParseMediaType(ct)
	switch {
	case media == "text/event-stream":
		return true
	case media == "application/json" && !asked:
		return false
	}
	br := bufio.NewReader(resp.Body)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{br, resp.Body}
	head, _ := br.Peek(6)
	for _, field := range [...]string{"data:", "event:", "id:", "retry:", ":"} {
		if bytes.HasPrefix(head, []byte(field)) {
			return true
		}
	}
	return false
}

var errTooLarge = errors.New("the answer is larger than the bound")

func readAll(resp *http.Response, limit int64) ([]byte, error) {
	if n := resp.ContentLength; n >= 0 {
		if n > limit {
			return nil, errTooLarge
		}
		buf := make([]byte, n)
		_, err := io.ReadFull(resp.Body, buf)
		return buf, err
	}
	buf, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(buf)) > limit {
		return nil, errTooLarge
	}
	return buf, err
}

// broken is the error for an answer that broke off while it was read.
func (e *Endpoint) broken(ctx context.Context, err error, status int) *llm.Error {
	if le := pipeline.Cause(ctx); le != nil {
		le.Provider, le.ProviderStatus, le.Sent = e.name, status, true
		return le
	}
	if errors.Is(err, errTooLarge) || errors.Is(err, sse.ErrTooLong) {
		return e.fail(llm.Wrap(llm.KindBadResponse, err, "the provider's answer is larger than the gateway takes"), status)
	}
	return e.fail(llm.Wrap(llm.KindIncompleteStream, err, "the provider's answer broke off"), status)
}

// whole makes the answer of one event from a whole body.
func (e *Endpoint) whole(c *pipeline.Call, body []byte, status int) (pipeline.Answer, error) {
	facts := e.kind.Codec.InspectResponse(body)
	if facts.Err != nil {
		return nil, e.inside(facts.Err, status)
	}
	if c.Surface == e.kind.Codec.Protocol() && !c.Stream {
		return pipeline.Whole(pipeline.Event{Data: body, Facts: facts}), nil
	}
	r, err := e.kind.Codec.DecodeResponse(body)
	if err != nil {
		return nil, e.inside(llm.AsError(err), status)
	}
	return e.retell(c, r, facts, status)
}

// count passes on a token count, which only a provider of the client's own protocol is asked for.
func (e *Endpoint) count(body []byte, status int) (pipeline.Answer, error) {
	if !gjson.ValidBytes(body) || gjson.GetBytes(body, "input_tokens").Type != gjson.Number {
		return nil, e.fail(llm.Errorf(llm.KindBadResponse, "the provider's answer is not a token count"), status)
	}
	return pipeline.Whole(pipeline.Event{Data: body, Facts: wire.Facts{Content: true}}), nil
}

// collect puts a stream together for a client that asked for a whole answer.
func (e *Endpoint) collect(ctx context.Context, c *pipeline.Call, resp *http.Response) (pipeline.Answer, error) {
	var (
		frames = sse.NewReader(resp.Body, e.maxEvent)
		dec    = e.kind.Codec.NewDecoder()
		col    llm.Collector
		facts  wire.Facts
		evs    []llm.Event
		size   int
	)
	for {
		ev, err := frames.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, e.broken(ctx, err, resp.StatusCode)
		}
		if size += len(ev.Raw); int64(size) > e.maxAnswer {
			return nil, e.broken(ctx, errTooLarge, resp.StatusCode)
		}
		if ev.Data == nil {
			continue
		}
		if evs, err = dec.Decode(evs[:0], ev.Name, ev.Data); err != nil {
			return nil, e.inside(llm.AsError(err), resp.StatusCode)
		}
		if facts.TextSize += add(&col, evs); ended(evs) {
			break // the body may stay open behind the end mark
		}
	}
	evs, err := dec.End(evs[:0])
	if err != nil {
		return nil, e.inside(llm.AsError(err), resp.StatusCode)
	}
	add(&col, evs)
	r := col.Response()
	facts.Usage, facts.Model, facts.ID = r.Usage, r.Model, r.ID
	return e.retell(c, r, facts, resp.StatusCode)
}

// add collects events; it returns how much text they hold, in bytes.
func add(col *llm.Collector, evs []llm.Event) (size int) {
	for i := range evs {
		col.Add(evs[i])
		size += len(evs[i].Text)
	}
	return size
}

func ended(evs []llm.Event) bool {
	return len(evs) > 0 && evs[len(evs)-1].Type == llm.EventEnd
}

// retell gives a decoded answer in the client's dialect and framing.
func (e *Endpoint) retell(c *pipeline.Call, r *llm.Response, facts wire.Facts, status int) (pipeline.Answer, error) {
	facts.Content, facts.Final = true, true
	if r.Created == 0 {
		r.Created = time.Now().Unix()
	}
	for _, choice := range r.Choices {
		facts.Finish = choice.Finish
	}
	ev := pipeline.Event{Facts: facts}
	var err error
	switch {
	case c.Surface == llm.Native:
		ev.Deltas = r.Events()
	case c.Stream:
		enc := c.Codec.NewEncoder(encoderOptions(c))
		for _, d := range r.Events() {
			if ev.Data, err = enc.Encode(ev.Data, d); err != nil {
				return nil, e.inside(llm.AsError(err), status)
			}
		}
	default:
		if ev.Data, err = c.Codec.EncodeResponse(r); err != nil {
			return nil, e.inside(llm.AsError(err), status)
		}
	}
	return pipeline.Whole(ev), nil
}

// inside is an error found within a 2xx answer.
func (e *Endpoint) inside(le *llm.Error, status int) *llm.Error {
	e.clean(le)
	// A codec's own verdict on an answer quotes nothing of it.
	ownWords := (le.Kind == llm.KindBadResponse || le.Kind == llm.KindIncompleteStream) && le.Type == "" && le.BodyProtocol == ""
	le.Provider, le.Sent, le.Quoted = e.name, true, !ownWords
	if le.ProviderStatus == 0 {
		le.ProviderStatus = status
	}
	return le
}

func encoderOptions(c *pipeline.Call) wire.EncoderOptions {
	return wire.EncoderOptions{ID: c.ID, Model: c.Model, Created: time.Now().Unix(), WantUsage: c.Door.WantUsage}
}

// stream is a streamed answer being pulled.
type stream struct {
	e      *Endpoint
	ctx    context.Context
	c      *pipeline.Call
	body   io.ReadCloser
	status int
	frames *sse.Reader
	// Only when the dialects differ:
	dec wire.EventDecoder
	enc wire.EventEncoder // nil for native calls

	ev     pipeline.Event
	buf    []byte
	deltas []llm.Event
	// The choices seen so far, and those that have a finish reason.
	choices, finished uint64
	final             bool
	err               error
}

func (e *Endpoint) newStream(ctx context.Context, c *pipeline.Call, resp *http.Response) *stream {
	s := &stream{e: e, ctx: ctx, c: c, body: resp.Body, status: resp.StatusCode, frames: sse.NewReader(resp.Body, e.maxEvent)}
	if c.Surface != e.kind.Codec.Protocol() {
		s.dec = e.kind.Codec.NewDecoder()
		if c.Surface != llm.Native {
			s.enc = c.Codec.NewEncoder(encoderOptions(c))
		}
	}
	return s
}

func (s *stream) Next() (*pipeline.Event, error) {
	if s.final {
		s.drain()
		return nil, io.EOF
	}
	if s.err != nil {
		return nil, s.err
	}
	if err := s.next(); err != nil {
		s.err = err
		s.body.Close()
		return nil, err
	}
	return &s.ev, nil
}

func (s *stream) next() *llm.Error {
	s.ev = pipeline.Event{}
	frame, err := s.frames.Next()
	if err == io.EOF {
		return s.end()
	}
	if err != nil {
		return s.e.broken(s.ctx, err, s.status)
	}
	if frame.Data != nil {
		s.ev.Facts = s.e.kind.Codec.InspectEvent(frame.Name, frame.Data)
	} else {
		s.ev.Ping = true
	}
	if s.ev.Err != nil {
		return s.e.inside(s.ev.Err, s.status)
	}
	s.choices |= s.ev.Choices
	s.finished |= s.ev.Finished
	s.final = s.ev.Final
	s.ev.More = !s.final && s.frames.Ready()
	if s.dec == nil {
		s.pass(frame)
		return nil
	}
	return s.translate(func() ([]llm.Event, error) {
		if frame.Data == nil {
			return nil, nil
		}
		return s.dec.Decode(s.deltas[:0], frame.Name, frame.Data)
	})
}

// pass gives the frame on as it came, unless that would trip a client's parser.
func (s *stream) pass(frame sse.Event) {
	switch {
	case s.ev.UsageOnly && !s.c.Door.WantUsage:
	case frame.Clean:
		s.ev.Data = frame.Raw
	case frame.Data != nil:
		s.buf = sse.Append(s.buf[:0], string(frame.Name), frame.Data)
		s.ev.Data = s.buf
	}
}

func (s *stream) translate(decode func() ([]llm.Event, error)) *llm.Error {
	deltas, err := decode()
	if err != nil {
		return s.e.inside(llm.AsError(err), s.status)
	}
	s.deltas = deltas
	if s.enc == nil {
		s.ev.Deltas = deltas
		return nil
	}
	s.buf = s.buf[:0]
	for i := range deltas {
		if s.buf, err = s.enc.Encode(s.buf, deltas[i]); err != nil {
			return s.e.inside(llm.AsError(err), s.status)
		}
	}
	s.ev.Data = s.buf
	return nil
}

// EndMarker is a codec whose streams some providers end without the end mark,
// right after the finish reason: the mark to add. For other protocols a stream
// without its mark is a broken one.
type EndMarker interface{ EndMark() []byte }

// end handles the end of a body that no end mark came before.
func (s *stream) end() *llm.Error {
	marker, ok := s.e.kind.Codec.(EndMarker)
	if !ok || s.finished == 0 || s.choices&^s.finished != 0 {
		return s.e.broken(s.ctx, io.ErrUnexpectedEOF, s.status)
	}
	s.final = true
	s.ev.Facts = wire.Facts{Final: true}
	if s.dec == nil {
		s.ev.Data = marker.EndMark()
		return nil
	}
	return s.translate(func() ([]llm.Event, error) { return s.dec.End(s.deltas[:0]) })
}

// drainTime bounds the wait for the end of a body whose answer is complete, so
// that its connection can be used again.
const drainTime = 50 * time.Millisecond

func (s *stream) drain() {
	if s.body == nil {
		return
	}
	body := s.body
	s.body = nil
	stop := time.AfterFunc(drainTime, func() { body.Close() })
	_, _ = io.CopyN(io.Discard, body, maxErrorBody)
	if stop.Stop() {
		body.Close()
	}
}

func (s *stream) Close() error {
	if s.body == nil {
		return nil
	}
	if s.final {
		s.drain()
		return nil
	}
	err := s.body.Close()
	s.body = nil
	if s.err == nil {
		s.err = llm.Errorf(llm.KindClientClosed, "the answer was closed")
	}
	return err
}
