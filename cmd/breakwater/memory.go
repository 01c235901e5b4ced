package main

import "os"

// ballastSize is the size of a piece of memory that is never touched, so that it takes none of the
// machine's, but that the garbage collector counts as live: a gateway's live heap is a few
// megabytes, and without it every few dozen calls would be followed by a collection.
const ballastSize = 12 << 20

// newBallast makes it, unless GOGC or GOMEMLIMIT in the environment say that somebody has
// decided otherwise.
func newBallast() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, ballastSize)
}
