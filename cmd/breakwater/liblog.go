package main

import (
	"bytes"
	"log"
	"log/slog"
)

// takeLibraryLog turns what libraries print through package log into lines of to's: net/http
// prints there what it finds on a provider's connection that nobody asked for.
func takeLibraryLog(to *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(libraryLog{to})
}

type libraryLog struct{ to *slog.Logger }

// Write keeps what is before the first quote: what is quoted came over the network.
func (l libraryLog) Write(p []byte) (int, error) {
	text, _, _ := bytes.Cut(p, []byte(`"`))
	l.to.Debug("library", "text", string(bytes.TrimSpace(text)))
	return len(p), nil
}
