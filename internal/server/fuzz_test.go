package server

import (
	"net/http"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
)

// FuzzHeaders: whatever the headers hold, a call takes only what may be shown again.
func FuzzHeaders(f *testing.F) {
	f.Add("id", "session", "a=b,c=d", "30s", "2023-06-01")
	f.Add("", "", "=", "-1", "")
	f.Add("a b", "\x00", "a=\n", "1e99", "\xff")
	f.Fuzz(func(t *testing.T, id, session, tags, timeout, version string) {
		r := &http.Request{Header: http.Header{
			"X-Request-Id": {id}, "X-Breakwater-Session": {session}, "X-Breakwater-Tag": {tags}, "X-Breakwater-Timeout": {timeout}, "Anthropic-Version": {version}, "Cookie": {session},
		}}
		c := &pipeline.Call{Record: &pipeline.Record{}}
		err := readHeaders(r, c)
		if !printable(c.ID, 128) || c.ID == "" || !printable(c.Session, 256) || c.Timeout < 0 || len(c.Tags) > 16 {
			t.Errorf("%q %q %v %v", c.ID, c.Session, c.Timeout, c.Tags)
		}
		for k, v := range c.Tags {
			if k == "" || !printable(k, 64) || !printable(v, 128) {
				t.Errorf("tag %q=%q", k, v)
			}
		}
		for k, v := range c.Header {
			if k != "Anthropic-Version" || !printable(v[0], 1024) {
				t.Errorf("%s: %q", k, v)
			}
		}
		if err == nil && timeout != "" && c.Timeout == 0 {
			t.Errorf("timeout %q is none", timeout)
		}
	})
}
