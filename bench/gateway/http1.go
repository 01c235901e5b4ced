package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// reader reads HTTP/1.1 messages from a connection with as little work as possible,
// for the two ends of the measurement: what they cost is taken from the subjects.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int
}

func newReader(src io.Reader, size int) *reader { return &reader{src: src, buf: make([]byte, size)} }

var errLongHead = errors.New("the head of a message is too long")

// fill reads more, after moving what is left to the front.
func (r *reader) fill() error {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	if r.w == len(r.buf) {
		return errLongHead
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// until returns the bytes up to and with mark. They are valid until the next call.
func (r *reader) until(mark []byte) ([]byte, error) {
	for from := 0; ; {
		if i := bytes.Index(r.buf[r.r+from:r.w], mark); i >= 0 {
			out := r.buf[r.r : r.r+from+i+len(mark)]
			r.r += len(out)
			return out, nil
		}
		from = max(0, r.w-r.r-len(mark)+1)
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// take gives n bytes on, in as many pieces as they come.
func (r *reader) take(n int, each func([]byte)) error {
	for n > 0 {
		if r.r == r.w {
			r.r, r.w = 0, 0
			if err := r.fill(); err != nil {
				return err
			}
		}
		piece := r.buf[r.r:min(r.w, r.r+n)]
		r.r += len(piece)
		n -= len(piece)
		if each != nil {
			each(piece)
		}
	}
	return nil
}

var (
	crlf     = []byte("\r\n")
	headMark = []byte("\r\n\r\n")
)

// head is what matters of a message's head.
type head struct {
	first   string // request or status line
	length  int    // -1: not told
	chunked bool
}

func (r *reader) head() (head, error) {
	b, err := r.until(headMark)
	if err != nil {
		return head{}, err
	}
	h := head{length: -1}
	first, rest, _ := bytes.Cut(b, crlf)
	h.first = string(first)
	for len(rest) > 2 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, crlf)
		switch {
		case hasName(line, "content-length:"):
			if h.length, err = strconv.Atoi(string(bytes.TrimSpace(line[len("content-length:"):]))); err != nil || h.length < 0 {
				return head{}, fmt.Errorf("bad header %q", line)
			}
		case hasName(line, "transfer-encoding:"):
			h.chunked = bytes.EqualFold(bytes.TrimSpace(line[len("transfer-encoding:"):]), []byte("chunked"))
		}
	}
	return h, nil
}

func hasName(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}

// body gives the body's bytes on, without the chunks around them.
func (r *reader) body(h head, each func([]byte)) error {
	if !h.chunked {
		if h.length < 0 {
			return errors.New("the message has neither length nor chunks")
		}
		return r.take(h.length, each)
	}
	for {
		line, err := r.until(crlf)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return fmt.Errorf("bad chunk size %q", line)
		}
		if err := r.take(int(n), each); err != nil {
			return err
		}
		end, err := r.until(crlf)
		if err != nil {
			return err
		}
		if len(end) != 2 {
			return errors.New("a chunk is longer than its size says")
		}
		if n == 0 {
			return nil
		}
	}
}
