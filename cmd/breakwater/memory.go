package main

import "os"

// ballast is memory that is never touched, so that it takes none of the machine's, but that
// the garbage collector counts as live: a gateway's live heap is a few megabytes, and without it
// every few dozen calls would be followed by a collection. GOGC or GOMEMLIMIT in the
// environment mean that somebody has decided otherwise.
var ballast []byte

const ballastSize = 48 << 20

func init() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, ballastSize)
	}
}
