package sim

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func benchmark(b *testing.B, o Options, stream, socket bool) {
	o.MaxRequests = -1
	s := mustNew(b, o)
	base, client := "http://sim", &http.Client{Transport: s.RoundTripper()}
	if socket {
		ts, c := listen(b, s)
		base, client = ts.URL, c
	}
	body := openaiAPI.body(stream, strings.Repeat("word ", 100), "")
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Do(openaiAPI.request(b, b.Context(), base, body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

func BenchmarkWholeSocket(b *testing.B)     { benchmark(b, Options{}, false, true) }
func BenchmarkWholeInProcess(b *testing.B)  { benchmark(b, Options{}, false, false) }
func BenchmarkStreamSocket(b *testing.B)    { benchmark(b, Options{}, true, true) } // about 108 events, each flushed
func BenchmarkStreamCoalesced(b *testing.B) { benchmark(b, Options{Coalesce: true}, true, true) }
func BenchmarkStreamInProcess(b *testing.B) { benchmark(b, Options{}, true, false) }
