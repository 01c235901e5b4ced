package sim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRecordsRequestsAndConnections(t *testing.T) {
	s := mustNew(t, Options{MaxRequests: 3})
	ts, client := listen(t, s)
	for i := range 5 {
		r := openaiAPI.request(t, t.Context(), ts.URL, openaiAPI.body(false, fmt.Sprint("call ", i), ""))
		r.Header.Set("Authorization", "Bearer abc")
		r.URL.RawQuery = "beta=true"
		mustSend(t, client, r)
	}
	list := s.Requests()
	if s.Count() != 5 || len(list) != 3 {
		t.Fatalf("count %d, kept %d", s.Count(), len(list))
	}
	for i, r := range list {
		if r.N != uint64(i+3) || r.Method != "POST" || r.Path != "/v1/chat/completions?beta=true" || r.Header.Get("Authorization") != "Bearer abc" ||
			!strings.Contains(string(r.Body), fmt.Sprint("call ", i+2)) || r.Status != 200 || r.Closed || r.Billed.Output == 0 || r.ConnID != 1 {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if c := s.Conns(); len(c) != 1 || !c[0].Closed.IsZero() {
		t.Errorf("connections %+v", c)
	}
	client.CloseIdleConnections()
	waitFor(t, func() bool { c := s.Conns(); return len(c) == 1 && !c[0].Closed.IsZero() })
	none := mustNew(t, Options{MaxRequests: -1})
	ask1(t, none, openaiAPI, openaiAPI.body(false, "x", ""))
	if none.Count() != 1 || len(none.Requests()) != 0 || none.Billed().Output == 0 {
		t.Errorf("keeping none: %d %d %+v", none.Count(), len(none.Requests()), none.Billed())
	}
}

// waitFor polls what another process end does in its own time.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 10 s in vain")
		}
	}
}

func TestClientLeavesOverASocket(t *testing.T) {
	s := mustNew(t, Options{TokensPerSecond: 50})
	ts, client := listen(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp, err := client.Do(anthropicAPI.request(t, ctx, ts.URL, anthropicAPI.body(true, strings.Repeat("long ", 300), "")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 800)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = resp.Body.Close()
	waitFor(t, func() bool { return s.Requests()[0].Done })
	r := s.Requests()[0]
	if !r.Closed || r.Billed.Output == 0 || r.Billed.Output >= EstimateTokens(strings.Repeat("long ", 300)) {
		t.Errorf("%+v", r)
	}
	waitFor(t, func() bool { return !s.Conns()[0].Closed.IsZero() })
}

func TestBodiesAreBounded(t *testing.T) {
	l := requestLog{max: 1000}
	r, _ := http.NewRequest(http.MethodPost, "http://x/", nil)
	body := make([]byte, maxKeptBodies/4)
	for i := range 10 {
		l.begin(r, body, uint64(i), time.Now())
	}
	if len(l.list) != 4 || l.bytes != maxKeptBodies || l.count != 10 {
		t.Errorf("%d kept, %d bytes", len(l.list), l.bytes)
	}
	l.begin(r, make([]byte, maxKeptBodies+1), 11, time.Now())
	if len(l.list) != 1 {
		t.Errorf("%d kept beside a huge one", len(l.list))
	}
}

func TestBodyTooLarge(t *testing.T) {
	s := mustNew(t, Options{})
	big := strings.NewReader(strings.Repeat(" ", MaxBody+1))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sim/v1/messages", big)
	if err != nil {
		t.Fatal(err)
	}
	if got := mustSend(t, &http.Client{Transport: s.RoundTripper()}, r); got.status != 413 || !strings.Contains(got.body, "request_too_large") {
		t.Errorf("%+v", got)
	}
}
