package server

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

func TestReadPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 3 * firstPiece, 3*firstPiece + 1, 5<<20 + 7} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r }, "half": iotest.HalfReader, "with the end": iotest.DataErrReader,
		} {
			got, over, err := readPieces(wrap(bytes.NewReader(want)), int64(n))
			if err != nil || over || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: %d came, over %v, %v", name, n, len(got), over, err)
			}
			if n == 0 {
				continue
			}
			if got, over, err := readPieces(wrap(bytes.NewReader(want)), int64(n)-1); err != nil || !over || got != nil {
				t.Errorf("%s, %d bytes, one over: %d came, over %v, %v", name, n, len(got), over, err)
			}
		}
	}
	broken := errors.New("broken")
	for _, fault := range []error{broken, io.ErrUnexpectedEOF} {
		r := io.MultiReader(bytes.NewReader(make([]byte, 2*firstPiece)), iotest.ErrReader(fault))
		if got, over, err := readPieces(r, 1<<20); !errors.Is(err, fault) || over || got != nil {
			t.Errorf("%v: %d came, over %v, %v", fault, len(got), over, err)
		}
	}
}
