// Package upstream speaks to one provider's endpoint: it encodes a call, sends
// it, decodes the answer into the client's dialect and classifies failures. What
// differs between providers is a [Kind], a value that each sub-package makes.
//
// It never retries, logs, counts money, sets a time limit or reads
// configuration; that is the work of package route.
//
// Invariants: an answer of the client's own protocol passes through byte for
// byte; redirects are never followed; nothing of the client's headers is sent
// but the call's allow-listed ones; a body is read to its bound and no further.
package upstream
