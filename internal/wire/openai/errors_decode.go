package openai

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// Bounds of what is kept of a provider's error, in bytes.
const (
	maxErrorMessage = 2 << 10
	maxErrorBody    = 64 << 10
)

func (codec) DecodeError(status int, h http.Header, body []byte, now time.Time) *llm.Error {
	told := readError(body, isHTML(h, body))
	e := classify(status, &told)
	e.ProviderStatus = status
	e.ContentType = h.Get("Content-Type")
	if strings.EqualFold(strings.TrimSpace(h.Get("X-Should-Retry")), "false") {
		e.NoRetry = true
	}
	if told.daily { // hours until a daily quota is whole again: another try now is wasted
		e.NoRetry = true
	}
	if mayWait(status) && e.Kind != llm.KindTooLarge {
		if e.RetryAfter = wire.RetryAfter(h, now); e.RetryAfter < 0 {
			e.RetryAfter = told.wait
		}
	}
	if callersOwn(e.Kind, status) {
		e.Status = status
	}
	if e.Kind != llm.KindAuthentication { // such a body may repeat the key
		e.Body, e.BodyProtocol = bytes.Clone(body[:min(len(body), maxErrorBody)]), llm.OpenAIChat
	}
	return e
}

// streamError reads an error that came inside a 200: an event of a stream, or a
// body. Its status is the one written in it, if there is one.
func streamError(data []byte) *llm.Error {
	told := readError(data, false)
	return inAnswer(&told)
}

// inChoice reads the error object of a single choice.
func inChoice(object []byte) *llm.Error {
	var told providerError
	told.fromObject(gjson.ParseBytes(object))
	told.clean()
	return inAnswer(&told)
}

func inAnswer(told *providerError) *llm.Error {
	status := told.status
	if status == 0 && told.typ == "invalid_request_error" {
		status = http.StatusBadRequest
	}
	e := classify(status, told)
	e.ProviderStatus = told.status
	if mayWait(status) && e.Kind != llm.KindTooLarge {
		e.RetryAfter = told.wait
	}
	if callersOwn(e.Kind, told.status) {
		e.Status = told.status
	}
	return e
}

// mayWait: only these answers' waits are believed (others carry retry-after too).
func mayWait(status int) bool {
	return status == http.StatusTooManyRequests || status >= 500 || status == 0
}

// callersOwn reports whether the caller gets the provider's status: the mistake is in
// the request itself.
func callersOwn(kind llm.Kind, status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
	default:
		return false
	}
	switch kind {
	case llm.KindInvalidRequest, llm.KindNotFound, llm.KindTooLarge, llm.KindContextLength, llm.KindContentFilter:
		return true
	}
	return false
}

// providerError is what the shapes of error bodies have in common.
type providerError struct {
	message string
	typ     string   // error type or status word
	code    string   // textual or numeric, as text
	words   []string // everything that names a reason: type, code, inner code, status, details' reasons
	param   string
	status  int // an HTTP status written in the body; 0: none
	text    string
	wait    time.Duration // negative: not told
	daily   bool          // a quota by the day is used up
}

// readError reads any of the bodies that providers send. JSON need not be valid
// to its end: Vertex sends a trailing comma.
func readError(body []byte, html bool) providerError {
	e := providerError{wait: -1}
	body = body[:min(len(body), maxErrorBody)]
	trimmed := strings.TrimSpace(string(body))
	switch {
	case html:
		e.message = htmlTitle(trimmed)
	case strings.HasPrefix(trimmed, "{"), strings.HasPrefix(trimmed, "["):
		e.fromJSON(gjson.Parse(trimmed))
	default:
		e.message = strings.Trim(trimmed, `"`)
	}
	e.clean()
	return e
}

func (e *providerError) fromJSON(root gjson.Result) {
	if root.IsArray() { // Gemini: [{"error": {...}}]
		root = root.Get("0")
	}
	switch inner := root.Get("error"); {
	case inner.IsObject():
		e.fromObject(inner)
	case inner.Type == gjson.String: // xAI, Ollama, Hugging Face
		e.fromObject(root)
		e.message = inner.Str
	default: // Mistral, Cerebras, Voyage, Cohere: flat
		e.fromObject(root)
	}
}

func (e *providerError) fromObject(o gjson.Result) {
	e.message = firstString(o, "message", "Message", "msg", "error_description", "title", "reason")
	if e.message == "" {
		e.message = detailText(o)
	}
	e.typ = firstString(o, "type", "error_type", "status")
	e.code = scalar(o.Get("code"))
	e.param = firstString(o, "param")
	for _, path := range []string{"type", "error_type", "status", "code", "innererror.code", "reason"} {
		e.word(scalar(o.Get(path)))
	}
	for _, path := range []string{"code", "status_code", "status"} {
		if n := o.Get(path); n.Type == gjson.Number && n.Num >= 400 && n.Num < 600 && e.status == 0 {
			e.status = int(n.Num)
		}
	}
	if n, err := strconv.Atoi(e.code); err == nil && n >= 400 && n < 600 && e.status == 0 {
		e.status = n
	}
	e.details(o.Get("details"))
	e.upstream(o.Get("metadata"))
}

// details reads Google's list of typed details.
func (e *providerError) details(list gjson.Result) {
	for _, d := range list.Array() {
		e.word(d.Get("reason").String())
		if delay := d.Get("retryDelay"); delay.Exists() {
			if w, err := time.ParseDuration(delay.String()); err == nil && w >= 0 {
				e.wait = min(w, wire.MaxRetryAfter)
			}
		}
		for _, v := range d.Get("violations").Array() {
			e.daily = e.daily || strings.Contains(v.Get("quotaId").String(), "PerDay")
		}
	}
}

// upstream reads what OpenRouter tells of the provider behind it.
func (e *providerError) upstream(m gjson.Result) {
	raw := m.Get("raw")
	if !raw.Exists() {
		return
	}
	inner := providerError{wait: -1}
	if text := raw.String(); strings.HasPrefix(strings.TrimSpace(text), "{") {
		inner.fromJSON(gjson.Parse(text))
	} else {
		inner.message = text
	}
	for _, w := range inner.words {
		e.word(w)
	}
	if inner.message != "" {
		e.message = strings.TrimSuffix(e.message, ".") + ": " + inner.message
	}
}

func (e *providerError) word(w string) {
	if w != "" {
		e.words = append(e.words, w)
	}
}

// clean bounds and scrubs the texts.
func (e *providerError) clean() {
	e.text = strings.ToLower(e.message)
	e.message = cleanText(e.message, maxErrorMessage)
	e.typ = cleanText(e.typ, 128)
	e.param = cleanText(e.param, 256)
	if e.wait < 0 {
		e.wait = waitInText(e.text)
	}
}

// firstString is the first of the members that is a non-empty string.
func firstString(o gjson.Result, names ...string) string {
	for _, n := range names {
		if s := o.Get(n); s.Type == gjson.String && s.Str != "" {
			return s.Str
		}
	}
	return ""
}

// scalar is a string or number as text.
func scalar(r gjson.Result) string {
	if r.Type == gjson.String || r.Type == gjson.Number {
		return r.String()
	}
	return ""
}

// detailText reads FastAPI's detail (Mistral, Voyage): a text, or a list of
// places and messages. The input that it may repeat is left out.
func detailText(o gjson.Result) string {
	d := o.Get("detail")
	if d.Type == gjson.String {
		return d.Str
	}
	if !d.IsArray() {
		d = o.Get("message.detail")
	}
	var texts []string
	for _, one := range d.Array() {
		var loc []string
		for _, l := range one.Get("loc").Array() {
			loc = append(loc, l.String())
		}
		texts = append(texts, strings.Join(loc, ".")+": "+one.Get("msg").String())
		if len(texts) == 8 {
			break
		}
	}
	return strings.Join(texts, "; ")
}

func isHTML(h http.Header, body []byte) bool {
	head := strings.TrimSpace(string(body[:min(len(body), 64)]))
	if strings.HasPrefix(head, "{") || strings.HasPrefix(head, "[") {
		return false
	}
	return strings.HasPrefix(head, "<") || strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/html")
}

// htmlTitle is the title of a page: all that is worth telling of a proxy's error page.
func htmlTitle(page string) string {
	low := strings.ToLower(page)
	start := strings.Index(low, "<title>")
	if start < 0 || len(low) != len(page) {
		return ""
	}
	rest := page[start+len("<title>"):]
	end := strings.Index(strings.ToLower(rest), "</title>")
	if end < 0 {
		return ""
	}
	return strings.TrimSpace(rest[:end])
}

// cleanText makes s valid UTF-8 on one line without control characters, cut to
// limit bytes.
func cleanText(s string, limit int) string {
	s = s[:min(len(s), 2*limit)]
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// waitInText reads "try again in 20s", "1m30.5s", "60 seconds" and their like
// out of a message in lower case, or -1.
func waitInText(text string) time.Duration {
	for _, lead := range []string{"try again in ", "retry in ", "retry after "} {
		_, rest, ok := strings.Cut(text, lead)
		if !ok {
			continue
		}
		if w := leadingWait(rest); w >= 0 {
			return w
		}
	}
	return -1
}

// leadingWait reads the duration at the beginning of s.
func leadingWait(s string) time.Duration {
	n := 0
	for n < len(s) && n < 32 && (s[n] >= '0' && s[n] <= '9' || s[n] == '.' || strings.IndexByte("hmsnu", s[n]) >= 0) {
		n++
	}
	token := strings.TrimRight(s[:n], ".")
	if d, err := time.ParseDuration(token); err == nil {
		return min(d, wire.MaxRetryAfter)
	}
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		return -1
	}
	unit := strings.TrimLeft(s[n:], " ")
	switch {
	case strings.HasPrefix(unit, "ms"), strings.HasPrefix(unit, "milli"):
		return wire.Wait(f, time.Millisecond)
	case strings.HasPrefix(unit, "min"):
		return wire.Wait(f, time.Minute)
	case strings.HasPrefix(unit, "hour"):
		return wire.Wait(f, time.Hour)
	case strings.HasPrefix(unit, "s"):
		return wire.Wait(f, time.Second)
	}
	return -1
}
