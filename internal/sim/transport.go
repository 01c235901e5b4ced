package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// RoundTripper serves requests in this process, without a socket. A request's
// handler runs in a goroutine of its own, which ends when its answer is read to
// the end, its body is closed or the request's context is done; so answers must
// be closed, as with any transport. Broken answers read as they do from a
// network: io.ErrUnexpectedEOF, or an error that is syscall.ECONNRESET.
func (s *Server) RoundTripper() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// maxBuffered is how far an answer may run ahead of its reader, in bytes.
const maxBuffered = 64 << 10

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		closeBody(req)
		return nil, errors.New("sim: request without URL")
	}
	body, err := readRequest(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "in-process"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Header == nil {
		in.Header = http.Header{}
	}
	p := newPipe(cancel)
	w := &memWriter{header: http.Header{}, pipe: p, ready: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { p.fail(ctxError(req.Context())) })
	go func() {
		defer stop()
		t.s.runHandler(w, in, req.Context())
	}()
	select {
	case <-w.ready:
	case <-req.Context().Done():
		cancel()
		return nil, context.Cause(req.Context())
	}
	if w.status == 0 { // the handler ended without an answer
		cancel()
		return nil, p.err()
	}
	return response(w, req, p), nil
}

// ctxError is what reading an answer gives once its request has ended.
func ctxError(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errors.New("http: read on closed response body")
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// readRequest reads and closes the request's body; a done context ends it.
func readRequest(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, req.Context().Err()
	}
	stop := context.AfterFunc(req.Context(), func() { closeBody(req) })
	b, err := io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	stop()
	closeBody(req)
	if ctxErr := req.Context().Err(); ctxErr != nil {
		return nil, context.Cause(req.Context())
	}
	return b, err
}

// runHandler runs the handler to its end, and ends the answer. The client's own
// context tells why the handler's ended.
func (s *Server) runHandler(w *memWriter, r *http.Request, client context.Context) {
	defer func() {
		end := io.EOF
		switch p := recover(); {
		case r.Context().Err() != nil:
			end = ctxError(client)
		case p == nil:
			w.WriteHeader(http.StatusOK)
		case p != any(http.ErrAbortHandler):
			end = fmt.Errorf("sim: the handler panicked: %v", p)
		case w.wasReset:
			end = errReset
		case w.status == 0:
			end = io.EOF // as from a server that closes without a word
		default:
			end = io.ErrUnexpectedEOF
		}
		w.pipe.fail(end)
		w.once.Do(func() { close(w.ready) })
	}()
	s.ServeHTTP(w, r)
}

func response(w *memWriter, req *http.Request, p *pipe) *http.Response {
	resp := &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: p, ContentLength: -1, Request: req,
	}
	if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	} else {
		resp.TransferEncoding = []string{"chunked"}
	}
	return resp
}

// memWriter is the handler's side of an answer in this process.
type memWriter struct {
	header   http.Header
	sent     http.Header // as they were when the head went out
	status   int
	pipe     *pipe
	ready    chan struct{} // closed when the head is known, or the handler has ended
	once     sync.Once
	wasReset bool
}

func (w *memWriter) Header() http.Header { return w.header }

func (w *memWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.header.Del("Transfer-Encoding")
	w.status, w.sent = status, w.header.Clone()
	w.once.Do(func() { close(w.ready) })
}

func (w *memWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

func (w *memWriter) Flush() { w.WriteHeader(http.StatusOK) }

func (w *memWriter) reset() { w.wasReset = true }

// pipe carries an answer's body from its handler to its reader, with a bounded
// buffer between them. It has one writer and one reader.
type pipe struct {
	mu     sync.Mutex
	wake   sync.Cond
	buf    []byte
	off    int
	end    error // what a reader gets once the buffer is empty; nil: more may come
	closed bool  // by the reader
	cancel context.CancelFunc
}

func newPipe(cancel context.CancelFunc) *pipe {
	p := &pipe{cancel: cancel}
	p.wake.L = &p.mu
	return p
}

func (p *pipe) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

// fail ends the body: its reader gets err after what is buffered. The first end
// counts.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	if p.end == nil {
		p.end = err
	}
	p.mu.Unlock()
	p.wake.Broadcast()
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for len(b) > 0 {
		for len(p.buf)-p.off >= maxBuffered && p.end == nil {
			p.wake.Wait()
		}
		if p.end != nil {
			return written, io.ErrClosedPipe
		}
		if p.off > 0 && p.off == len(p.buf) {
			p.buf, p.off = p.buf[:0], 0
		}
		n := min(len(b), maxBuffered-(len(p.buf)-p.off))
		p.buf = append(p.buf, b[:n]...)
		b = b[n:]
		written += n
		p.wake.Broadcast()
	}
	return written, nil
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.off == len(p.buf) && p.end == nil {
		p.wake.Wait()
	}
	if p.closed {
		return 0, errors.New("http: read on closed response body")
	}
	if p.off == len(p.buf) {
		p.cancel()
		return 0, p.end
	}
	n := copy(b, p.buf[p.off:])
	p.off += n
	p.wake.Broadcast()
	return n, nil
}

// Close ends the request: the handler's context is cancelled.
func (p *pipe) Close() error {
	p.mu.Lock()
	p.closed = true
	p.buf, p.off = nil, 0
	if p.end == nil {
		p.end = io.ErrClosedPipe
	}
	p.mu.Unlock()
	p.wake.Broadcast()
	p.cancel()
	return nil
}
