package h1

import (
	"bufio"
	"bytes"
	"io"
	"net"
)

// reader is a connection's read buffer. Other than a bufio.Reader it can take in what has
// arrived without waiting for more.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int // buf[r:w] is unread
	err  error
	try  func() (int, error) // reads into buf[w:] without waiting; nil: cannot
	// Where input comes in drops, looking for more each time is a system call for nothing: after
	// a look in vain, the next ones are left out, twice as many each time.
	vain, pass uint8
}

const (
	maxPass = 32
	// mostBuffer is up to which a buffer grows that is found full. It begins small, for the many streams
	// of which a single event comes at a time.
	mostBuffer = 8 << 10
)

func newReader(c net.Conn) *reader {
	b := &reader{src: c, buf: make([]byte, readBuffer)}
	b.try = tryRead(c, b)
	return b
}

func (b *reader) Buffered() int { return b.w - b.r }

// ahead is what is buffered.
func (b *reader) ahead() []byte { return b.buf[b.r:b.w] }

func (b *reader) room() bool {
	switch {
	case b.r == b.w:
		if b.w == len(b.buf) && b.w > 0 && len(b.buf) < mostBuffer {
			b.buf = make([]byte, 2*len(b.buf)) // it was full: more comes at a time
		}
		b.r, b.w = 0, 0
	case b.w == len(b.buf) && b.r > 0:
		b.w = copy(b.buf, b.buf[b.r:b.w])
		b.r = 0
	}
	return b.w < len(b.buf)
}

// fill waits for input. Errors are final.
func (b *reader) fill() error {
	if b.err != nil {
		return b.err
	}
	if !b.room() {
		return bufio.ErrBufferFull
	}
	n, err := b.src.Read(b.buf[b.w:])
	b.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	b.err = err
	return err
}

// tryFill takes in what has arrived, and reports whether that was anything.
func (b *reader) tryFill() bool {
	if b.try == nil || b.err != nil || !b.room() {
		return false
	}
	if b.pass > 0 {
		b.pass--
		return false
	}
	n, err := b.try()
	if err != nil || n <= 0 {
		b.vain = min(2*b.vain+1, maxPass)
		b.pass = b.vain
		return false // a real error, or the end, shows with the next fill
	}
	b.vain = 0
	b.w += n
	return true
}

// ReadSlice reads up to and including delim, as bufio.Reader's does. The bytes are valid until the next read.
func (b *reader) ReadSlice(delim byte) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], delim); i >= 0 {
			line := b.buf[b.r : b.r+seen+i+1]
			b.r += len(line)
			return line, nil
		}
		seen = b.Buffered()
		if err := b.fill(); err != nil {
			line := b.ahead()
			b.r = b.w
			return line, err
		}
	}
}

// Read reads what is buffered, or else once from the connection.
func (b *reader) Read(p []byte) (int, error) {
	if b.r == b.w {
		if len(p) >= len(b.buf) && b.err == nil {
			return b.src.Read(p)
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.buf[b.r:b.w])
	b.r += n
	return n, nil
}
