package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Faults look in process as they do over a socket.
func TestFaultsInProcess(t *testing.T) {
	tests := []struct {
		fault   string
		stream  bool
		err     error // of RoundTrip
		readErr error
	}{
		{"reset", false, syscall.ECONNRESET, nil},
		{"reset", true, syscall.ECONNRESET, nil},
		{"reset,after_tokens=2", true, nil, syscall.ECONNRESET},
		{"truncate,variant=clean", true, nil, nil},
		{"truncate,variant=eof", false, nil, nil},
		{"truncate,variant=close", true, nil, io.ErrUnexpectedEOF},
		{"truncate,variant=close", false, nil, io.ErrUnexpectedEOF},
		{"truncate,variant=reset", false, nil, syscall.ECONNRESET},
	}
	for _, tt := range tests {
		f, err := ParseFault(tt.fault)
		if err != nil {
			t.Fatal(err)
		}
		s := mustNew(t, Options{Faults: []FaultSpec{f}})
		resp, err := s.RoundTripper().RoundTrip(anthropicAPI.request(t, t.Context(), "http://sim", anthropicAPI.body(tt.stream, longText, "")))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.fault, err, tt.err)
		}
		if err != nil {
			continue
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !errors.Is(err, tt.readErr) || len(b) == 0 || strings.Contains(string(b), "message_stop") {
			t.Errorf("%s: %v after %q, want %v", tt.fault, err, b, tt.readErr)
		}
	}
}

func TestClosingTheBodyEndsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{TokensPerSecond: 1})
		resp, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, t.Context(), "http://sim", openaiAPI.body(true, longText, "")))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		if _, err := io.ReadFull(resp.Body, b); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		synctest.Wait()
		if r := s.Requests()[0]; !r.Done || !r.Closed {
			t.Errorf("recorded %+v", r)
		}
		if _, err := resp.Body.Read(b); err == nil || err == io.EOF {
			t.Errorf("reading a closed body: %v", err)
		}
		_ = resp.Body.Close()
	})
}

func TestCancellingTheRequestEndsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{TokensPerSecond: 1})
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, ctx, "http://sim", openaiAPI.body(true, longText, "")))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(3 * time.Second)
			cancel()
		}()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		synctest.Wait()
		if r := s.Requests()[0]; !r.Done || !r.Closed {
			t.Errorf("recorded %+v", r)
		}
		_ = resp.Body.Close()
	})
}

// A reader that does not read holds the handler back, and memory with it.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{})
		resp, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, t.Context(), "http://sim", openaiAPI.body(true, strings.Repeat("word ", 1000), `,"n":20`)))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s.Requests()[0].Done {
			t.Error("the handler did not wait for its reader")
		}
		if p := resp.Body.(*pipe); len(p.buf) > maxBuffered {
			t.Errorf("%d bytes buffered", len(p.buf))
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || len(b) < 10*maxBuffered || !strings.HasSuffix(string(b), "[DONE]\n\n") {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		_ = resp.Body.Close()
	})
}

func TestRoundTripIsPolite(t *testing.T) {
	s := mustNew(t, Options{})
	rt := s.RoundTripper()
	ctx, cancel := context.WithCancel(t.Context())
	body, w := newTrickle(`{"model":`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sim/v1/chat/completions", body)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := rt.RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while sending the body: %v", err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("the body was not closed")
	}
	if _, err := rt.RoundTrip(&http.Request{Body: http.NoBody}); err == nil {
		t.Error("a request without URL passes")
	}
	whole := openaiAPI.request(t, t.Context(), "http://sim", openaiAPI.body(false, "x", ""))
	resp, err := rt.RoundTrip(whole)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.ContentLength != int64(len(b)) || resp.Request != whole || resp.Status != "200 OK" {
		t.Errorf("%+v", resp)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := mustNew(t, Options{Faults: []FaultSpec{{Kind: FaultTruncate, Rate: new(0.1), Variant: "close"}, {Kind: FaultReset, Rate: new(0.1)}}})
	ts, socket := listen(t, s)
	clients := []*http.Client{{Transport: s.RoundTripper()}, socket}
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			a := bothAPIs[i%2]
			user := "unique " + strings.Repeat("x", i)
			got, err := send(t, clients[i/2%2], a.request(t, t.Context(), ts.URL, a.body(true, user, "")))
			if err != nil || got.readErr != nil {
				return
			}
			if text := a.collectStream(t, got.body).text; !strings.HasSuffix(text, "You said: "+user) {
				t.Errorf("%q answers %q", user, text)
			}
		})
	}
	wg.Wait()
	if n := s.Count(); n < 400 {
		t.Errorf("%d requests counted", n)
	}
}
