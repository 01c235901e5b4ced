package server

import "io"

// Sizes of the pieces that a body of unknown length is read in, in bytes.
const (
	firstPiece = 16 << 10
	mostPiece  = 1 << 20
)

// readPieces reads to the end of r, or until there is more than limit bytes. It joins the pieces once:
// a single buffer that grows leaves several times the body behind for the garbage collector.
func readPieces(r io.Reader, limit int64) (body []byte, over bool, err error) {
	var pieces [][]byte
	total := int64(0)
	last := make([]byte, 0, firstPiece)
	for err == nil {
		if len(last) == cap(last) {
			pieces = append(pieces, last)
			last = make([]byte, 0, min(2*cap(last), mostPiece))
		}
		var n int
		n, err = r.Read(last[len(last):cap(last)])
		last = last[:len(last)+n]
		if total += int64(n); total > limit {
			return nil, true, nil
		}
	}
	if err != io.EOF {
		return nil, false, err
	}
	if len(pieces) == 0 {
		return last, false, nil
	}
	body = make([]byte, 0, total)
	for _, p := range append(pieces, last) {
		body = append(body, p...)
	}
	return body, false, nil
}

// readSized reads n bytes. Memory for a large body is taken when a first piece of it has come, not
// when it is announced.
func readSized(r io.Reader, n int64) ([]byte, error) {
	if n <= firstPiece {
		body := make([]byte, n)
		_, err := io.ReadFull(r, body)
		return body, err
	}
	first := make([]byte, firstPiece)
	if _, err := io.ReadFull(r, first); err != nil {
		return nil, err
	}
	body := make([]byte, n)
	copy(body, first)
	_, err := io.ReadFull(r, body[firstPiece:])
	return body, err
}
