package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// Kind is what sets one kind of provider apart from another.
type Kind struct {
	Codec wire.Codec
	// Paths, by operation, appended to the base URL. An operation without one
	// is not offered by this kind.
	Paths map[pipeline.Op]string
	// Authorize puts the key where this kind looks for it.
	Authorize func(h http.Header, key string)
	// Header is sent with every request unless the client's own value replaces it.
	Header http.Header
	// AskUsage: a stream must be asked to report usage.
	AskUsage bool
}

// Options make an [Endpoint].
type Options struct {
	Name      string // the provider's configured name
	Kind      Kind
	BaseURL   string // as the provider's official SDK takes it
	Transport http.RoundTripper
	UserAgent string
	// Scrub takes credentials out of a provider's error text. Nil: nothing is taken out.
	Scrub func([]byte) []byte
	// MaxAnswer bounds a whole answer in bytes; 0 means 64 MiB. MaxEvent bounds
	// one event of a stream; 0 means 16 MiB.
	MaxAnswer int64
	MaxEvent  int
}

const (
	defaultMaxAnswer = 64 << 20
	maxErrorBody     = 64 << 10
)

// Endpoint is one provider at one address.
type Endpoint struct {
	name      string
	kind      Kind
	host      string
	urls      map[pipeline.Op]*url.URL
	transport http.RoundTripper
	userAgent []string
	scrub     func([]byte) []byte
	maxAnswer int64
	maxEvent  int
}

// New makes an endpoint. It fails if the base URL is not an absolute http(s) URL.
func New(o Options) (*Endpoint, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, errors.New("upstream: base URL must be http(s)://host[/path]")
	}
	e := &Endpoint{
		name: o.Name, kind: o.Kind, host: base.Host, transport: o.Transport, userAgent: []string{o.UserAgent},
		scrub: o.Scrub, maxAnswer: o.MaxAnswer, maxEvent: o.MaxEvent, urls: map[pipeline.Op]*url.URL{},
	}
	for op, path := range o.Kind.Paths {
		u := *base
		u.Path = strings.TrimSuffix(base.Path, "/") + path
		e.urls[op] = &u
	}
	if e.maxAnswer == 0 {
		e.maxAnswer = defaultMaxAnswer
	}
	if e.scrub == nil {
		e.scrub = func(b []byte) []byte { return b }
	}
	return e, nil
}

// Host is the endpoint's address as records show it.
func (e *Endpoint) Host() string { return e.host }

// ErrUnsupported is the cause of an error that says the provider's protocol has no
// counterpart for something in the request: another provider may.
var ErrUnsupported = errors.New("upstream: not expressible in the provider's protocol")

// Send is what one attempt needs beyond the call itself.
type Send struct {
	Model string // the model asked of this provider
	Key   string // "" sends none
	// Drop: members of the request that this provider's protocol cannot say are
	// left out; otherwise such a request is refused.
	Drop bool
	// Status is set to the provider's HTTP status as soon as it is known, and
	// RequestID to the provider's own id.
	Status    int
	RequestID string
	Limits    []wire.Limit // the provider's rate limits, as its answer tells them
	Dropped   []string     // what Drop left out
}

// Offers reports whether the endpoint has the operation.
func (e *Endpoint) Offers(op pipeline.Op) bool { return e.urls[op] != nil }

// Do sends the call once. An error is an *llm.Error; the answer's events are in
// the call's dialect.
func (e *Endpoint) Do(ctx context.Context, c *pipeline.Call, s *Send) (pipeline.Answer, error) {
	body, err := e.encode(c, s)
	if err != nil {
		return nil, err
	}
	resp, err := e.roundTrip(ctx, c, s, body)
	if err != nil {
		return nil, err
	}
	s.Status, s.Limits = resp.StatusCode, e.kind.Codec.Limits(resp.Header, time.Now())
	if id := requestID(resp.Header); id != "" && string(e.scrub([]byte(id))) == id {
		s.RequestID = id
	}
	refused := resp.StatusCode < 200 || resp.StatusCode > 299
	if err := decompress(resp); err != nil {
		resp.Body.Close()
		if refused { // the status says enough
			resp.Body = http.NoBody
			return nil, e.refusal(ctx, resp)
		}
		return nil, e.fail(llm.Wrap(llm.KindBadResponse, err, "the provider's answer is compressed in a way that was not asked for"), resp.StatusCode)
	}
	if refused {
		return nil, e.refusal(ctx, resp)
	}
	return e.answer(ctx, c, resp)
}

// encode gives the bytes to send: the client's own, edited, when the protocols
// agree, and otherwise the call rewritten.
func (e *Endpoint) encode(c *pipeline.Call, s *Send) ([]byte, error) {
	if c.Surface == e.kind.Codec.Protocol() {
		return c.Doc.Apply(e.kind.Codec.EditRequest(c.Doc, s.Model, e.kind.AskUsage)...), nil
	}
	r, err := c.Request()
	if err != nil {
		return nil, err
	}
	asked := *r
	asked.Stream, asked.StreamWithUsage = c.Stream, c.Stream && e.kind.AskUsage
	body, unsupported, err := e.kind.Codec.EncodeRequest(&asked, s.Model)
	if err != nil {
		return nil, err
	}
	if len(unsupported) > 0 && !s.Drop {
		le := llm.Invalid(shown(unsupported[0]),
			"%s: provider %q (%s) has no counterpart for this; leave it out, or set on_unsupported: drop",
			shownList(unsupported), e.name, e.kind.Codec.Protocol())
		le.Err = ErrUnsupported
		return nil, le
	}
	s.Dropped = unsupported
	return body, nil
}

// Bounds of how the members of a request are named in messages: the names are the caller's.
const (
	maxShown     = 128 // bytes of a name
	maxShownList = 16  // names
)

// shown is a member's name as messages show it: clipped, without characters that do
// not print.
func shown(name string) string {
	clipped := name[:min(len(name), maxShown)]
	clipped = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, clipped)
	if len(name) > maxShown {
		clipped += "..."
	}
	return clipped
}

func shownList(names []string) string {
	var out []string
	for _, n := range names[:min(len(names), maxShownList)] {
		out = append(out, shown(n))
	}
	if more := len(names) - maxShownList; more > 0 {
		out = append(out, "and "+strconv.Itoa(more)+" more")
	}
	return strings.Join(out, ", ")
}

func (e *Endpoint) roundTrip(ctx context.Context, c *pipeline.Call, s *Send, body []byte) (*http.Response, error) {
	u := e.urls[c.Op]
	if u == nil {
		return nil, llm.Errorf(llm.KindInvalidRequest, "provider %q does not offer %s", e.name, c.Op)
	}
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           u,
		Host:          u.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        e.header(c, s),
		Body:          newRequestBody(body),
		ContentLength: int64(len(body)),
	}).WithContext(ctx)
	// No GetBody: without it no transport can replay the call by itself.
	resp, err := e.transport.RoundTrip(req)
	if err != nil {
		return nil, e.transportError(ctx, err)
	}
	return resp, nil
}

// requestBody is a body that a transport may close at any time, or take whole.
type requestBody struct {
	bytes.Reader
	whole []byte
}

func newRequestBody(b []byte) *requestBody {
	r := &requestBody{whole: b}
	r.Reset(b)
	return r
}

func (*requestBody) Close() error { return nil }

// Bytes is the body for a transport that sends it in one piece.
func (r *requestBody) Bytes() []byte { return r.whole }

var (
	jsonType     = []string{"application/json"}
	streamAccept = []string{"text/event-stream"}
	identity     = []string{"identity"}
)

func (e *Endpoint) header(c *pipeline.Call, s *Send) http.Header {
	h := make(http.Header, 8)
	for k, v := range e.kind.Header {
		h[k] = v
	}
	if c.Surface == e.kind.Codec.Protocol() {
		for k, v := range c.Header {
			h[k] = v
		}
	}
	h["Content-Type"] = jsonType
	h["Accept"] = jsonType
	if c.Stream {
		h["Accept"] = streamAccept
	}
	h["Accept-Encoding"] = identity
	h["User-Agent"] = e.userAgent
	if s.Key != "" {
		e.kind.Authorize(h, s.Key)
	}
	return h
}

// refusal turns an answer with an error status into an error.
func (e *Endpoint) refusal(ctx context.Context, resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody+1))
	if err != nil && ctx.Err() != nil {
		return e.transportError(ctx, err)
	}
	if err != nil || len(body) > maxErrorBody {
		body = nil // cut: not worth passing on, and not JSON any more
	}
	body = e.scrub(body)
	if resp.StatusCode < 400 {
		return e.fail(llm.Errorf(llm.KindBadResponse, "the provider answered with status %d; redirects are not followed", resp.StatusCode), resp.StatusCode)
	}
	le := e.kind.Codec.DecodeError(resp.StatusCode, resp.Header, body, time.Now())
	e.clean(le)
	le.Quoted = true
	return e.fail(le, resp.StatusCode)
}

func (e *Endpoint) fail(le *llm.Error, status int) *llm.Error {
	le.Provider, le.ProviderStatus, le.Sent = e.name, status, true
	return le
}

// transportError classifies a failure to get any answer. The cause of a
// cancelled context, if it is an *llm.Error (a time limit, the client's
// leaving), is what happened.
func (e *Endpoint) transportError(ctx context.Context, err error) error {
	if le := pipeline.Cause(ctx); le != nil {
		le.Provider, le.Sent = e.name, true
		return le
	}
	le := llm.Wrap(llm.KindConnection, err, "%s", connectionText(err))
	le.Provider = e.name
	var op *net.OpError
	le.Sent = !(errors.As(err, &op) && op.Op == "dial")
	return le
}

// connectionText says what went wrong on the way without an address or URL,
// which may hold what is not for callers.
func connectionText(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var nerr net.Error
	switch {
	case errors.As(err, &dns):
		return "the provider's host name could not be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the provider refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the provider closed the connection before it answered"
	case errors.As(err, &nerr) && nerr.Timeout(): // dialling, or the TLS handshake: nothing else has a limit of its own
		return "connecting to the provider took too long"
	case errors.As(err, &op) && op.Op == "dial":
		return "the provider could not be reached"
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"):
		return "the provider's TLS certificate or handshake was not accepted"
	}
	return "the connection to the provider failed"
}

// requestID finds the provider's own id for the request, under the names in use.
func requestID(h http.Header) string {
	for _, k := range [...]string{"X-Request-Id", "Request-Id", "Apim-Request-Id", "Mistral-Correlation-Id", "X-Generation-Id"} {
		if v := h[k]; len(v) > 0 && len(v[0]) <= 128 {
			return v[0]
		}
	}
	return ""
}
