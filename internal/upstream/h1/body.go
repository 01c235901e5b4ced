package h1

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
)

// body reads an answer's body off its connection and gives the connection back at its end.
type body struct {
	c       *conn
	stop    func() bool
	last    bool  // the connection serves no further call
	left    int64 // bytes left of the body, or of the chunk; -1: until the connection ends
	chunked bool
	inChunk bool // a chunk was begun: its data is followed by a line end
	err     error
	over    atomic.Bool // the connection is given back or closed
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	var err error
	if b.chunked {
		n, err = b.readChunks(p)
	} else {
		n, err = b.readPlain(p)
	}
	if err != nil {
		b.err = err
		if errors.Is(err, io.EOF) {
			b.finish()
		} else {
			b.Close()
		}
	}
	return n, err
}

func (b *body) readPlain(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.br.Read(p)
	if b.left < 0 {
		return n, err
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readChunks fills p from the chunk that is open and from those behind it that are here already.
func (b *body) readChunks(p []byte) (n int, err error) {
	for n < len(p) {
		if b.left == 0 {
			if n > 0 && !b.nextIsHere() {
				return n, nil
			}
			if err := b.nextChunk(); err != nil {
				return n, err
			}
		}
		q := p[n:]
		if int64(len(q)) > b.left {
			q = q[:b.left]
		}
		if n > 0 && b.c.br.Buffered() == 0 {
			return n, nil
		}
		k, err := b.c.br.Read(q)
		n += k
		if b.left -= int64(k); err != nil {
			return n, unexpected(err)
		}
	}
	return n, nil
}

// nextIsHere reports whether the line of the next chunk is buffered, so that looking at it does not wait.
func (b *body) nextIsHere() bool {
	ahead := b.c.br.ahead()
	if b.inChunk {
		i := bytes.IndexByte(ahead, '\n')
		if i < 0 {
			return false
		}
		ahead = ahead[i+1:]
	}
	return bytes.IndexByte(ahead, '\n') >= 0
}

// Ready reports whether Read has something to give without waiting. It takes in what has
// arrived on the connection.
func (b *body) Ready() bool {
	if b.err != nil || b.over.Load() {
		return b.err != nil
	}
	for !b.here() {
		if !b.c.br.tryFill() {
			return false
		}
	}
	return true
}

// Ahead is what the connection's buffer holds, chunk lines included.
func (b *body) Ahead() []byte {
	if b.over.Load() {
		return nil
	}
	return b.c.br.ahead()
}

// here reports whether a byte of the body, or its end, is buffered.
func (b *body) here() bool {
	if !b.chunked || b.left > 0 {
		return b.c.br.Buffered() > 0
	}
	if !b.nextIsHere() {
		return false
	}
	ahead := b.c.br.ahead()
	for range 2 {
		if i := bytes.IndexByte(ahead, '\n'); i >= 0 {
			ahead = ahead[i+1:]
		}
		if !b.inChunk {
			break
		}
	}
	return len(ahead) > 0
}

// nextChunk reads the line end behind a chunk and the size line of the next. After the
// last, it reads the trailer and returns io.EOF.
func (b *body) nextChunk() error {
	if b.inChunk {
		line, err := b.c.br.ReadSlice('\n')
		if err != nil {
			return unexpected(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) != 0 {
			return errMalformed
		}
		b.inChunk = false
	}
	line, err := b.c.br.ReadSlice('\n')
	if err != nil {
		return unexpected(err)
	}
	size, err := chunkSize(bytes.TrimRight(line, "\r\n"))
	if err != nil {
		return err
	}
	if size > 0 {
		b.left, b.inChunk = size, true
		return nil
	}
	for total := 0; ; { // trailer fields mean nothing here
		line, err := b.c.br.ReadSlice('\n')
		if err != nil {
			return unexpected(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return io.EOF
		}
		if total += len(line); total > maxHead {
			return errHeadTooLong
		}
	}
}

// chunkSize reads hexadecimal digits, up to white space or an extension.
func chunkSize(line []byte) (int64, error) {
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		line = line[:i]
	}
	line = bytes.Trim(line, " \t")
	if len(line) == 0 || len(line) > 15 {
		return 0, errMalformed
	}
	var n int64
	for _, ch := range line {
		switch {
		case '0' <= ch && ch <= '9':
			ch -= '0'
		case 'a' <= ch && ch <= 'f':
			ch -= 'a' - 10
		case 'A' <= ch && ch <= 'F':
			ch -= 'A' - 10
		default:
			return 0, errMalformed
		}
		n = n<<4 | int64(ch)
	}
	return n, nil
}

// unexpected: the connection's end is not the body's.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// finish gives the connection back, if it can serve another call.
func (b *body) finish() {
	if !b.over.CompareAndSwap(false, true) {
		return
	}
	if !b.stop() || b.c.spent || b.last || b.c.br.Buffered() > 0 {
		b.c.Close()
		return
	}
	b.c.t.put(b.c)
}

// Close ends the answer. If it was not read to its end, the connection goes with it.
// It may be called from another goroutine than Read, to end that.
func (b *body) Close() error {
	if b.over.CompareAndSwap(false, true) {
		b.stop()
		return b.c.Close()
	}
	return nil
}
