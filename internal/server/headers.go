package server

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// forwarded are the client's headers that a provider of the same protocol may
// see: they decide what the body may hold. Nothing else of the client's goes on.
var forwarded = [...]string{"Anthropic-Version", "Anthropic-Beta", "Openai-Beta"}

// readHeaders takes what the call's headers say.
func readHeaders(r *http.Request, c *pipeline.Call) *llm.Error {
	h := r.Header
	c.ID = requestID(h)
	c.Record.RequestID = c.ID
	for _, name := range forwarded {
		for _, v := range h[name] {
			if !printable(v, 1024) {
				return llm.Invalid(name, "header %s: at most 1,024 printable ASCII characters", name)
			}
		}
		if v := h[name]; v != nil {
			if c.Header == nil {
				c.Header = make(http.Header, 2)
			}
			c.Header[name] = v
		}
	}
	if v := h["X-Breakwater-Session"]; len(v) > 0 {
		if !printable(v[0], 256) {
			return llm.Invalid("X-Breakwater-Session", "header X-Breakwater-Session: at most 256 printable ASCII characters")
		}
		c.Session, c.Record.Session = v[0], v[0]
	}
	if v := h["X-Breakwater-Tag"]; len(v) > 0 {
		tags, ok := parseTags(v)
		if !ok {
			return llm.Invalid("X-Breakwater-Tag", "header X-Breakwater-Tag: at most 16 pairs name=value, separated by commas, printable ASCII")
		}
		c.Tags = tags
	}
	if v := h["X-Breakwater-Timeout"]; len(v) > 0 {
		d, ok := parseTimeout(v[0])
		if !ok {
			return llm.Invalid("X-Breakwater-Timeout", "header X-Breakwater-Timeout: a duration such as 30s or 500ms")
		}
		c.Timeout = d
	}
	return nil
}

func printable(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func parseTags(values []string) (map[string]string, bool) {
	tags := map[string]string{}
	for _, v := range values {
		for _, pair := range strings.Split(v, ",") {
			name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok || name == "" || !printable(name, 64) || !printable(value, 128) || len(tags) == 16 {
				return nil, false
			}
			tags[name] = value
		}
	}
	return tags, true
}

// parseTimeout reads a duration, or a bare number of seconds.
func parseTimeout(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	if err != nil {
		sec, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(sec) || sec > 1e6 {
			return 0, false
		}
		d = time.Duration(sec * float64(time.Second))
	}
	return d, d > 0
}

// mergeTags adds the caller's tags to the key's, which win.
func mergeTags(key, call map[string]string) map[string]string {
	if len(key) == 0 || len(call) == 0 {
		if len(key) == 0 {
			return call
		}
		return key
	}
	out := maps.Clone(call)
	maps.Copy(out, key)
	return out
}

// requestID is the client's own id, if it is a plain one, or a new one.
func requestID(h http.Header) string {
	if v := h["X-Request-Id"]; len(v) > 0 && v[0] != "" && len(v[0]) <= 128 {
		for _, ch := range []byte(v[0]) {
			switch {
			case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9', ch == '-', ch == '_', ch == '.', ch == ':':
			default:
				return NewID()
			}
		}
		return v[0]
	}
	return NewID()
}

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID is a request id: ordered by time to the millisecond, then random.
func NewID() string {
	var b [15]byte
	ms := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint32(b[0:], uint32(ms>>16))
	binary.BigEndian.PutUint16(b[4:], uint16(ms))
	_, _ = rand.Read(b[6:]) // never fails
	var out [28]byte
	copy(out[:], "req_")
	idEncoding.Encode(out[4:], b[:])
	return string(out[:])
}

// head writes the headers of an answer. The answer is committed by now, so the
// record knows who gives it.
func (s *Server) head(h http.Header, c *pipeline.Call) {
	r := c.Record
	v := values(make([]string, 0, 10))
	v.set(h, "X-Request-Id", c.ID)
	v.set(h, "Request-Id", c.ID)
	v.set(h, "X-Breakwater-Provider", r.Provider)
	if printable(r.Model, 256) { // the caller may have chosen it
		v.set(h, "X-Breakwater-Model", r.Model)
	}
	v.set(h, "X-Breakwater-Attempts", strconv.Itoa(attempts(r)))
	v.set(h, "X-Breakwater-Cache", r.Cache)
	if r.UpstreamID != "" && printable(r.UpstreamID, 128) {
		v.set(h, "X-Breakwater-Upstream-Request-Id", r.UpstreamID)
	}
	if len(r.Dropped) > 0 {
		v.set(h, "X-Breakwater-Dropped", printableList(r.Dropped))
	}
	if c.Session != "" {
		v.set(h, "X-Breakwater-Session", c.Session)
	}
	if len(r.Limits) > 0 {
		c.Codec.SetLimits(h, r.Limits, time.Now())
	}
}

// values are the values of several headers in one piece of memory.
type values []string

// set gives a header, by its canonical name, its only value.
func (v *values) set(h http.Header, name, value string) {
	*v = append(*v, value)
	h[name] = (*v)[len(*v)-1 : len(*v) : len(*v)]
}

func printableList(names []string) string {
	s := strings.Join(names, ",")
	if !printable(s, 512) {
		return strconv.Itoa(len(names)) + " fields"
	}
	return s
}

// attempts counts what is in flight or over: the one that answers is recorded
// only when its answer ends.
func attempts(r *pipeline.Record) int {
	n := 1
	for i := range r.Attempts {
		if !r.Attempts[i].Skipped && r.Attempts[i].Kind != "" {
			n++
		}
	}
	return n
}

func ids(h http.Header, id string) {
	h["X-Request-Id"] = []string{id}
	h["Request-Id"] = []string{id}
}

// fail answers a call with an error.
func (s *Server) fail(w http.ResponseWriter, c *pipeline.Call, e *llm.Error) {
	h := w.Header()
	if c.Record.Provider != "" {
		h["X-Breakwater-Provider"] = []string{c.Record.Provider}
	}
	if n := attempts(c.Record) - 1; n > 0 {
		h["X-Breakwater-Attempts"] = []string{strconv.Itoa(n)}
	}
	if c.Session != "" {
		h["X-Breakwater-Session"] = []string{c.Session}
	}
	if c.ID == "" {
		c.ID = NewID()
	}
	s.refuse(w, c.Codec, e, c.ID)
}

// refuse writes an error in a dialect.
func (s *Server) refuse(w http.ResponseWriter, codec wire.Codec, e *llm.Error, id string) {
	h := w.Header()
	ids(h, id)
	status := e.HTTPStatus()
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		retryAfter(h, e.RetryAfter, status)
	}
	if e.NoRetry || e.Kind == llm.KindBudget {
		h["X-Should-Retry"] = []string{"false"}
	}
	body := codec.EncodeError(e, id)
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	out := writer{w: w, rc: http.NewResponseController(w), timeout: s.o.WriteTimeout}
	defer out.release()
	w.WriteHeader(status)
	out.last(body)
}

// retryAfter tells how long to wait, rounded up. A 503 always tells.
func retryAfter(h http.Header, d time.Duration, status int) {
	if d < 0 && status == http.StatusServiceUnavailable {
		d = time.Second
	}
	if d < 0 {
		return
	}
	h["Retry-After"] = []string{strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)}
	if d > 0 {
		h["Retry-After-Ms"] = []string{strconv.FormatInt(d.Milliseconds()+1, 10)}
	}
}
