package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/breakwater-llm/breakwater/internal/upstream/h1"
)

type connectKey struct{}

// WithConnectTimeout bounds how long a new connection made for this context may
// take to come about.
func WithConnectTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, connectKey{}, d)
}

// Transport sends requests and keeps connections.
type Transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// NewTransport makes a transport to baseURL, for few hosts and many streams. In
// plain text it is package h1's. Over TLS or through a proxy of the environment it is
// net/http's: HTTP/2 where the provider offers it, else a pool of idle connections as
// large as the traffic needs, certificates verified against the system's roots.
func NewTransport(baseURL string) Transport {
	if u, err := url.Parse(baseURL); err == nil && u.Scheme == "http" {
		if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); proxy == nil && err == nil {
			return &h1.Transport{Dial: dial}
		}
	}
	return newTLSTransport()
}

var dialer = &net.Dialer{KeepAlive: 30 * time.Second}

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if d, ok := ctx.Value(connectKey{}).(time.Duration); ok && d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return dialer.DialContext(ctx, network, addr)
}

func newTLSTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0, // no bound over all hosts
		MaxIdleConnsPerHost: 4096,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // Accept-Encoding is set by hand, so answers keep their bytes
		// A connection that died without a word is found out by a ping, not by one call after the other.
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       4 << 10,
		ReadBufferSize:        4 << 10,
	}
}
