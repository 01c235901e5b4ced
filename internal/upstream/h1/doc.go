// Package h1 is an HTTP/1.1 client for calls to a provider in plain text: an
// inference server on one's own machine or network, or a proxy beside this
// process. It is an http.RoundTripper that does its work in the goroutine of the
// call: one write for the request, no goroutines and no second buffer for a
// connection, so a held stream costs little and an event passes through few
// hands. Calls over TLS, through proxies and over HTTP/2 are net/http's.
//
// It never sends a request twice, follows no redirect, decodes no content
// encoding, and keeps no cookie. A connection found dead before anything was
// sent is replaced; whatever happens after the first byte is the caller's to
// judge.
//
// Invariants: a response is framed by exactly one rule (RFC 9112, section 6.3);
// a body that ends before its frame does ends with io.ErrUnexpectedEOF; a
// connection is used again only after its answer was read to the end and
// nothing more had come.
package h1
