package upstream

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// decompress undoes the Content-Encoding of an answer. None is asked for, but
// some providers, and proxies in front of them, compress all the same.
func decompress(resp *http.Response) error {
	encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding")))
	var open func(io.Reader) (io.ReadCloser, error)
	switch encoding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		open = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "deflate":
		open = inflate
	default:
		return fmt.Errorf("content encoding %q", encoding)
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Body = &decoded{src: resp.Body, open: open}
	return nil
}

// inflate reads zlib data, which is what "deflate" means in HTTP, or raw
// deflate, which is what some servers send under that name.
func inflate(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReader(r)
	head, err := br.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(br)
	}
	return flate.NewReader(br), nil
}

// decoded opens its decoder with the first read, so that getting the answer's
// head does not wait for its first bytes.
type decoded struct {
	src  io.ReadCloser
	open func(io.Reader) (io.ReadCloser, error)
	r    io.ReadCloser
	err  error
}

func (d *decoded) Read(p []byte) (int, error) {
	if d.r == nil && d.err == nil {
		d.r, d.err = d.open(d.src)
	}
	if d.err != nil {
		return 0, d.err
	}
	return d.r.Read(p)
}

func (d *decoded) Close() error { return d.src.Close() }
