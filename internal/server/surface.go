package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// surface serves one operation of one protocol.
func (s *Server) surface(codec wire.Codec, op pipeline.Op) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &pipeline.Call{Op: op, Surface: codec.Protocol(), Codec: codec}
		c.Record = &pipeline.Record{Surface: c.Surface, Op: op, Start: time.Now(), Cache: "bypass"}
		refused := s.enter()
		if refused == nil {
			defer s.leave()
		}
		c.Refused = s.read(w, r, c, refused)
		s.answer(r.Context(), w, r, c) // which ends with this function, and when the client leaves
	}
}

// read fills the call from the request: what the headers say, who calls, then the
// body. Of a call that is refused already, the body is not read.
func (s *Server) read(w http.ResponseWriter, r *http.Request, c *pipeline.Call, refused *llm.Error) *llm.Error {
	lerr := readHeaders(r, c)
	if lerr != nil {
		return lerr
	}
	id, lerr := s.o.Identify(r.Header)
	if lerr != nil {
		return lerr
	}
	c.Identity = id
	c.Record.KeyID = id.KeyID
	c.Record.Tags = mergeTags(id.Tags, c.Tags)
	if refused != nil {
		return refused
	}
	body, lerr := s.readBody(w, r)
	if lerr != nil {
		return lerr
	}
	doc, err := jsondoc.Parse(body, c.Codec.Shape())
	if err != nil {
		return badJSON(err)
	}
	c.Doc = doc
	if c.Door, err = c.Codec.Door(doc); err != nil {
		return llm.AsError(err)
	}
	c.Model, c.Stream = c.Door.Model, c.Door.Stream && c.Op == pipeline.OpGenerate
	c.Record.RequestedModel, c.Record.Stream = c.Model, c.Stream
	return nil
}

func badJSON(err error) *llm.Error {
	var syntax *jsondoc.SyntaxError
	if errors.As(err, &syntax) {
		return llm.Invalid(syntax.Path, "the request body is not acceptable JSON: %s", syntax.Error())
	}
	return llm.Invalid("", "the request body is not acceptable JSON")
}

// readBody reads the whole body before anything is sent on, to its bound.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *llm.Error) {
	tooLarge := func() *llm.Error {
		w.Header().Set("Connection", "close")
		return llm.Errorf(llm.KindTooLarge, "the request body is larger than limits.max_body, %d bytes", s.o.MaxBody)
	}
	if r.ContentLength > s.o.MaxBody {
		return nil, tooLarge()
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, llm.Invalid("Content-Encoding", "compressed request bodies are not taken; send the body as plain JSON")
	}
	var body []byte
	var err error
	if n := r.ContentLength; n >= 0 {
		body, err = readSized(r.Body, n)
	} else {
		var over bool
		if body, over, err = readPieces(r.Body, s.o.MaxBody); over {
			return nil, tooLarge()
		}
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		if errors.Is(err, os.ErrDeadlineExceeded) {
			e := llm.Wrap(llm.KindTimeout, err, "the request body did not arrive within %s", s.o.ReadTimeout)
			e.Status = http.StatusRequestTimeout
			return nil, e
		}
		return nil, llm.Wrap(llm.KindClientClosed, err, "the request body did not arrive whole")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// answer runs the call and writes what comes.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, c *pipeline.Call) {
	ans, err := s.o.Handler.Handle(ctx, c)
	if err != nil {
		s.fail(w, c, llm.AsError(err))
		return
	}
	defer ans.Close()
	ev, err := ans.Next()
	if err != nil {
		s.fail(w, c, llm.AsError(err))
		return
	}
	out := writer{w: w, rc: http.NewResponseController(w), timeout: s.o.WriteTimeout, armed: r.ProtoMajor < 2}
	defer out.release()
	s.head(w.Header(), c)
	if !c.Stream {
		out.whole(ev.Data)
		return
	}
	for {
		if !out.frame(ev) {
			return // the client is gone: Close says so
		}
		if ev, err = ans.Next(); err != nil {
			break
		}
	}
	if err != io.EOF {
		le := llm.AsError(err)
		if le.Kind != llm.KindClientClosed {
			out.last(c.Codec.ErrorEvent(le, c.ID))
		}
	}
}
