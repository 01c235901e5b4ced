// Package sse reads and writes event streams (text/event-stream) as the WHATWG
// HTML standard defines them, keeping each event's original bytes so that it can
// be passed on as it came. Reading is bounded, and does not wait for more than
// one event.
//
// It frames only: ids, retry times and reconnecting are not its business, and what is
// in the data is for others to read. Where it goes beyond the standard: blocks without
// data are returned too, and so is a last block that the end of the input closes.
package sse

import "errors"

// DefaultMaxEvent bounds one event, in bytes.
const DefaultMaxEvent = 16 << 20

// ErrTooLong: an event is longer than the reader's bound.
var ErrTooLong = errors.New("sse: event too long")

// Event is one block of the stream: the lines up to a blank line.
type Event struct {
	Name []byte // event: field; nil if there is none or it is empty
	Data []byte // data: lines, joined by LF; nil if the block has none (a comment, a lone event: line)
	Raw  []byte // the block as it came, its closing blank line included
	// Clean: Raw can be passed on to any client as it is. That is so if it consists of event:, data: and
	// comment lines, ends lines by LF, is closed by a blank line, has exactly one data line or is comments only, and begins
	// with no byte order mark.
	Clean bool
}
