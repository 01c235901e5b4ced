package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

type connectKey struct{}

// WithConnectTimeout bounds how long a new connection made for this context may
// take to come about.
func WithConnectTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, connectKey{}, d)
}

// NewTransport makes a transport for few hosts and many streams: HTTP/2 where
// the provider offers it, else a pool of idle HTTP/1.1 connections as large as the
// traffic needs; proxies from the environment; certificates verified against the
// system's roots.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if d, ok := ctx.Value(connectKey{}).(time.Duration); ok && d > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, d)
				defer cancel()
			}
			return dialer.DialContext(ctx, network, addr)
		},
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
