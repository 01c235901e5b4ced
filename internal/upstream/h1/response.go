package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// maxHead bounds the head of an answer, in bytes; maxInterim, the 1xx answers before it.
const (
	maxHead    = 256 << 10
	maxInterim = 5
)

var (
	errHeadTooLong = errors.New("the answer's head is too long")
	errMalformed   = errors.New("malformed HTTP answer")
)

// head reads the answer's head and makes its body, which ends stop when it is over.
func (c *conn) head(req *http.Request, stop func() bool) (*http.Response, error) {
	for range maxInterim {
		resp, err := readHead(c.br)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			// resp.Request stays nil: it would keep the request's body for as long as the answer.
			return resp, c.frame(req, resp, stop)
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, errMalformed
		}
	}
	return nil, errMalformed
}

// readHead reads status line and header fields. All strings share one copy of the head.
func readHead(br *reader) (*http.Response, error) {
	raw, err := rawHead(br)
	if err != nil {
		return nil, err
	}
	text := string(raw)
	line, rest, _ := strings.Cut(text, "\n")
	resp, err := statusLine(strings.TrimSuffix(line, "\r"))
	if err != nil {
		return nil, err
	}
	n := strings.Count(rest, "\n")
	resp.Header = make(http.Header, n)
	values := make([]string, 0, n)
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimSuffix(line, "\r")
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || !token(name) || !fieldValue(value) {
			return nil, errMalformed
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		value = strings.Trim(value, " \t")
		if old := resp.Header[name]; old != nil {
			resp.Header[name] = append(old, value)
			continue
		}
		values = append(values, value)
		resp.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return resp, nil
}

// rawHead reads up to the blank line that ends a head, and returns what is before it. The
// bytes are valid until the reader is used again, unless the head is longer than its buffer.
func rawHead(br *reader) ([]byte, error) {
	var head []byte
	for begun := false; ; {
		line, err := br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) && (begun || len(line) > 0) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		blank := err == nil && len(bytes.TrimRight(line, "\r\n")) == 0 && (len(head) == 0 || head[len(head)-1] == '\n')
		if blank && begun {
			return bytes.TrimSuffix(head, []byte("\n")), nil
		}
		if blank {
			continue // blank lines before the status line are passed over
		}
		begun = true
		if head = append(head, line...); len(head) > maxHead {
			return nil, errHeadTooLong
		}
	}
}

func statusLine(line string) (*http.Response, error) {
	proto, rest, ok := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if !ok || err != nil || len(code) != 3 || status < 100 {
		return nil, errMalformed
	}
	resp := &http.Response{Status: rest, StatusCode: status, Proto: proto, ProtoMajor: 1, ProtoMinor: 1}
	switch proto {
	case "HTTP/1.1":
	case "HTTP/1.0":
		resp.ProtoMinor = 0
	default:
		return nil, errMalformed
	}
	return resp, nil
}

// token: a field's name as RFC 9110, section 5.1, has it.
func token(s string) bool {
	for i := range len(s) {
		ch := s[i]
		if ch <= ' ' || ch >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, ch) >= 0 {
			return false
		}
	}
	return true
}

func fieldValue(s string) bool {
	for i := range len(s) {
		if ch := s[i]; ch < ' ' && ch != '\t' || ch == 0x7f {
			return false
		}
	}
	return true
}

// frame decides where the body ends and makes its reader.
func (c *conn) frame(req *http.Request, resp *http.Response, stop func() bool) error {
	h := resp.Header
	resp.Close = resp.ProtoMinor == 0 || listed(h["Connection"], "close")
	if resp.ProtoMinor == 0 && listed(h["Connection"], "keep-alive") {
		resp.Close = false
	}
	b := &body{c: c, stop: stop, left: -1} // which outlives the head, so it does not hold it
	resp.Body = b
	resp.ContentLength = -1
	codings := h["Transfer-Encoding"]
	lengths := h["Content-Length"]
	switch {
	case req.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
		b.left, resp.ContentLength = 0, 0
	case len(codings) > 0:
		if len(codings) != 1 || !strings.EqualFold(codings[0], "chunked") || resp.ProtoMinor == 0 {
			return fmt.Errorf("%w: transfer encoding", errMalformed)
		}
		delete(h, "Transfer-Encoding")
		delete(h, "Content-Length")
		resp.TransferEncoding = chunkedCoding
		resp.Close = resp.Close || len(lengths) > 0 // two framings: one of them lies
		b.chunked, b.left = true, 0
	case len(lengths) > 0:
		n, err := length(lengths)
		if err != nil {
			return err
		}
		b.left, resp.ContentLength = n, n
	default:
		resp.Close = true
	}
	b.last = resp.Close
	if b.left == 0 && !b.chunked {
		b.finish()
	}
	return nil
}

var chunkedCoding = []string{"chunked"}

func length(values []string) (int64, error) {
	for _, v := range values[1:] {
		if v != values[0] {
			return 0, fmt.Errorf("%w: content length", errMalformed)
		}
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil || values[0][0] == '+' {
		return 0, fmt.Errorf("%w: content length", errMalformed)
	}
	return int64(n), nil
}

func listed(values []string, option string) bool {
	for _, v := range values {
		for _, o := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(o), option) {
				return true
			}
		}
	}
	return false
}
