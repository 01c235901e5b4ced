package upstream

// NewTLSTransport is net/http's transport, as it is used where package h1 is not.
var NewTLSTransport = newTLSTransport
