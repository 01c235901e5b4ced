package sse

import (
	"bytes"
	"io"
)

const (
	firstBuffer = 1 << 10
	mostAhead   = 8 << 10   // up to which a buffer grows for more than one event at a time
	keepBuffer  = 256 << 10 // longer buffers are given up as soon as they are empty
	maxNoInput  = 100       // reads in a row that bring neither input nor an error
)

// Reader reads events. Name, Data and Raw are valid until the following Next.
// It reads from its source only when no whole block is buffered.
type Reader struct {
	src io.Reader
	max int
	err error // of src, or ErrTooLong; final

	buf    []byte
	start  int // of the block; between calls, behind the last one
	w      int // end of the input in buf
	cursor cursor
	begun  bool // behind the first line, the only one that a byte order mark may open
	block  block
	joined []byte // data of several lines
}

// cursor is a place between two lines.
type cursor struct {
	pos int
	// No LF is in buf[pos:lf], and one is at lf if lf is not the end of the input; the same
	// for CR. So no byte is searched twice, however the input is cut.
	lf, cr int
	// skipLF: the last line ended in a CR behind which nothing had come yet. If it is a
	// LF that comes, it belongs to that line end.
	skipLF bool
}

// block is what is known of the block that is being read.
type block struct {
	lines         int // fields and comments
	dataLines     int
	data, end     int // where the only data line's value is, counted from start
	name, nameEnd int // where the event: field's value is, counted from start; equal: there is none
	eventLine     bool
	unclean       bool // some line is not as Event.Clean wants it
}

// NewReader reads from r; maxEvent <= 0 means DefaultMaxEvent.
func NewReader(r io.Reader, maxEvent int) *Reader {
	if maxEvent <= 0 {
		maxEvent = DefaultMaxEvent
	}
	return &Reader{src: r, max: maxEvent}
}

// Reset makes the reader read from r, keeping its buffers, but for those that a very long event has left.
func (r *Reader) Reset(src io.Reader) {
	fresh := Reader{src: src, max: r.max}
	if len(r.buf) <= keepBuffer {
		fresh.buf = r.buf
	}
	if cap(r.joined) <= keepBuffer {
		fresh.joined = r.joined
	}
	*r = fresh
}

// Next returns the next block. At the end of the input it returns io.EOF; a last block that no blank line closed is
// returned first if it has data. Errors of the underlying reader are returned as they are.
//
// A block that an error other than io.EOF cuts off is not returned. Errors are final.
// Blank lines that close nothing belong to no block.
func (r *Reader) Next() (Event, error) {
	r.block = block{}
	r.cursor.pos = r.start
	for {
		from, to, ok := r.line(&r.cursor)
		if !ok {
			if err := r.fill(); err != nil {
				return r.end(err)
			}
			continue
		}
		if r.read(from, to) {
			continue
		}
		if r.block.lines > 0 {
			return r.event(to + 1)
		}
		r.block, r.start = block{}, r.cursor.pos
	}
}

// Buffered reports whether input beyond the last event is already here: a whole block, so that the
// following Next returns without reading.
func (r *Reader) Buffered() bool {
	c := r.cursor
	c.pos = r.start
	for lines := 0; ; lines++ {
		from, to, ok := r.line(&c)
		switch {
		case !ok:
			return false
		case from == to && lines > 0:
			return true
		case from == to:
			lines--
		}
	}
}

// source is an input that can tell what has arrived: whether Read would return at once, and the bytes
// that it holds (with framing of its own between them, perhaps, but no line feeds in a row).
type source interface {
	Ready() bool
	Ahead() []byte
}

// Ready reports whether the following Next returns without waiting. Of a source that can tell
// what has arrived, by methods Ready and Ahead, that is read too, as far as there is room for it behind the
// last event, which stays valid.
func (r *Reader) Ready() bool {
	for !r.Buffered() {
		src, ok := r.src.(source)
		if !ok || r.err != nil {
			return false
		}
		if r.w == len(r.buf) { // no room: is the end of a block in what the source holds?
			return bytes.Contains(src.Ahead(), []byte("\n\n"))
		}
		if !src.Ready() {
			return false
		}
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		r.err = err
		if n == 0 || err != nil {
			return r.Buffered()
		}
	}
	return true
}

// line finds the line at c and moves c behind it. It is buf[from:to] without its end, and not
// ok if its end has not come.
func (r *Reader) line(c *cursor) (from, to int, ok bool) {
	if c.skipLF && c.pos < r.w {
		c.skipLF = false
		if r.buf[c.pos] == '\n' {
			c.pos++
		}
	}
	c.lf = r.seek(max(c.lf, c.pos), '\n')
	c.cr = r.seek(max(c.cr, c.pos), '\r')
	from, to = c.pos, min(c.lf, c.cr)
	if to == r.w {
		return 0, 0, false
	}
	c.pos = to + 1
	if r.buf[to] == '\r' {
		if c.pos == r.w {
			c.skipLF = true
		} else if r.buf[c.pos] == '\n' {
			c.pos++
		}
	}
	return from, to, true
}

// seek returns where the first b from i on is, or the end of the input.
func (r *Reader) seek(i int, b byte) int {
	if i >= r.w || r.buf[i] == b {
		return i
	}
	if k := bytes.IndexByte(r.buf[i:r.w], b); k >= 0 {
		return i + k
	}
	return r.w
}

// read takes the line buf[from:to] into the block, and reports whether it was not blank.
func (r *Reader) read(from, to int) bool {
	b := &r.block
	if b.lines == 0 {
		r.start = from
	}
	if to < r.w && r.buf[to] == '\r' {
		b.unclean = true
	}
	if !r.begun {
		r.begun = true
		if bytes.HasPrefix(r.buf[from:to], []byte("\xef\xbb\xbf")) {
			from += 3
			b.unclean = true
		}
	}
	if from == to {
		return false
	}
	b.lines++
	line := r.buf[from:to]
	switch {
	case line[0] == ':': // comment
	case bytes.HasPrefix(line, []byte("data:")):
		r.data(r.value(from+len("data:"), to), to)
	case bytes.HasPrefix(line, []byte("event:")):
		b.eventLine = true
		b.name, b.nameEnd = r.value(from+len("event:"), to)-r.start, to-r.start
	default:
		// A field without a colon has an empty value. Ids, retry times and unknown fields are passed over.
		b.unclean = true
		switch string(line) {
		case "data":
			r.data(to, to)
		case "event":
			b.eventLine, b.name, b.nameEnd = true, 0, 0
		}
	}
	return true
}

// value returns where a value begins of which a line has [i, to): one space before it does not count.
func (r *Reader) value(i, to int) int {
	if i < to && r.buf[i] == ' ' {
		i++
	}
	return i
}

// data adds buf[from:to] to the data.
func (r *Reader) data(from, to int) {
	b := &r.block
	b.dataLines++
	if b.dataLines == 1 {
		b.data, b.end = from-r.start, to-r.start
		return
	}
	if b.dataLines == 2 {
		r.joined = append(r.joined[:0], r.buf[r.start+b.data:r.start+b.end]...)
	}
	r.joined = append(r.joined, '\n')
	r.joined = append(r.joined, r.buf[from:to]...)
}

// name returns the block's event: field.
func (r *Reader) name() []byte {
	b := &r.block
	if b.name == b.nameEnd {
		return nil
	}
	from, to := r.start+b.name, r.start+b.nameEnd
	return r.buf[from:to:to]
}

// event returns the block, which the line end before closed ended, and leaves it behind. The second byte of
// a CRLF there does not count for its length: it may not have come yet.
func (r *Reader) event(closed int) (Event, error) {
	if closed-r.start > r.max {
		r.err = ErrTooLong
		return r.end(ErrTooLong)
	}
	b := &r.block
	ev := Event{
		Name:  r.name(),
		Raw:   r.buf[r.start:r.cursor.pos:r.cursor.pos],
		Clean: !b.unclean && (b.dataLines == 1 || b.dataLines == 0 && !b.eventLine),
	}
	switch b.dataLines {
	case 0:
	case 1:
		from, to := r.start+b.data, r.start+b.end
		ev.Data = r.buf[from:to:to]
	default:
		ev.Data = r.joined[:len(r.joined):len(r.joined)]
	}
	r.start = r.cursor.pos
	return ev, nil
}

// end returns the error that ends the input, but first, at its regular end, the block that was open.
func (r *Reader) end(err error) (Event, error) {
	rest := r.cursor.pos
	r.cursor.pos = r.w
	if err == io.EOF {
		r.read(rest, r.w)
		if r.block.dataLines > 0 {
			r.block.unclean = true // not closed
			return r.event(r.w)
		}
	}
	r.start = r.w
	return Event{}, err
}

// fill reads more input behind what is there.
func (r *Reader) fill() error {
	if r.w-r.start > r.max {
		r.err = ErrTooLong
	}
	if r.err != nil {
		return r.err
	}
	r.makeRoom()
	for range maxNoInput {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		r.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.err = io.ErrNoProgress
	return r.err
}

// makeRoom moves the input to the front of the buffer, or of a longer one, if it has reached the end.
func (r *Reader) makeRoom() {
	buf, have := r.buf, r.w-r.start
	switch {
	case have == 0 && len(buf) > keepBuffer:
		buf = make([]byte, firstBuffer)
	case have == 0 && r.w == len(buf) && len(buf) > 0 && len(buf) < mostAhead:
		buf = make([]byte, 2*len(buf)) // it was full: several events come at a time
	case have == 0 && len(buf) > 0:
	case r.w < len(buf):
		return
	case r.start < len(buf)/2 && len(buf) <= r.max, len(buf) == 0:
		buf = make([]byte, max(firstBuffer, min(2*len(buf)-1, r.max)+1))
	}
	copy(buf, r.buf[r.start:r.w])
	r.buf = buf
	r.cursor.pos -= r.start
	r.cursor.lf -= r.start
	r.cursor.cr -= r.start
	r.w = have
	r.start = 0
}
