package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// largePool is a transport that keeps as many idle connections as the load has.
func largePool() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = 4096
	return t
}

// serveProxy is the yardstick: the standard library's reverse proxy as it comes,
// flushing at once.
func serveProxy(listen, upstream string) error {
	target := &url.URL{Scheme: "http", Host: upstream}
	return serveHTTP(listen, &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     largePool(),
		FlushInterval: -1,
	})
}

func serveHTTP(listen string, h http.Handler) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return http.Serve(ln, h) //nolint:gosec // a bare server, on purpose
}

// serveHandwritten is a lower bound for proxies made of net/http's server and
// transport: it reads the body, sends it on, and copies the answer, with nothing
// else done and every buffer reused.
func serveHandwritten(listen, upstream string) error {
	h := &handwritten{target: url.URL{Scheme: "http", Host: upstream, Path: "/v1/chat/completions"}, transport: largePool()}
	h.transport.DisableCompression = true
	h.bodies.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	return serveHTTP(listen, h)
}

type handwritten struct {
	target    url.URL
	transport *http.Transport
	bodies    sync.Pool
}

var sentHeader = http.Header{
	"Content-Type":  {"application/json"},
	"Authorization": {"Bearer none"},
	"User-Agent":    {"handwritten"},
}

func (h *handwritten) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pb := h.bodies.Get().(*[]byte)
	defer h.bodies.Put(pb)
	n := max(int(r.ContentLength), 0)
	if cap(*pb) < n {
		*pb = make([]byte, 0, n)
	}
	buf := (*pb)[:n]
	if _, err := io.ReadFull(r.Body, buf); err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	out := (&http.Request{
		Method: http.MethodPost, URL: &h.target, Host: h.target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: sentHeader, ContentLength: int64(n),
		Body: io.NopCloser(bytes.NewReader(buf)), // a kind that the transport knows: head and body go out in one write
	}).WithContext(r.Context())
	resp, err := h.transport.RoundTrip(out)
	if err != nil {
		http.Error(w, "upstream", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header()["Content-Type"] = resp.Header["Content-Type"]
	if v := resp.Header["Content-Length"]; v != nil {
		w.Header()["Content-Length"] = v
	}
	w.WriteHeader(resp.StatusCode)
	h.copy(w, resp)
}

func (h *handwritten) copy(w http.ResponseWriter, resp *http.Response) {
	pb := h.bodies.Get().(*[]byte)
	defer h.bodies.Put(pb)
	buf := (*pb)[:cap(*pb)]
	f := w.(http.Flusher)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			if resp.ContentLength < 0 {
				f.Flush()
			}
		}
		if err != nil {
			return
		}
	}
}
