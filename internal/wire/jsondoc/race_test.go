//go:build race

package jsondoc

// raceEnabled: the race detector makes pools forget and everything slow.
const raceEnabled = true
