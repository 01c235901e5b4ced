package main

import (
	"os"
	"runtime/debug"
)

// A gateway's live heap is a few megabytes when it is busy with short calls, and many more when it holds
// streams. With the collector's own setting the first would be collected every few dozen calls, and the
// second would grow by as much again in garbage. So the collector counts a piece of memory as live that is
// never touched, and so takes none of the machine's, and runs when half of what is live has come on top.
const (
	ballastSize = 24 << 20
	gcPercent   = 50
)

// tuneCollector sets that up, unless GOGC or GOMEMLIMIT in the environment say that somebody has decided
// otherwise. What it returns has to be kept alive.
func tuneCollector() (ballast []byte) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	return make([]byte, ballastSize)
}
