package sim

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// moments reads a stream and tells when each event came, after the request.
func moments(t *testing.T, s *Server, a api, user string) (out []time.Duration) {
	t.Helper()
	start := time.Now()
	resp, err := s.RoundTripper().RoundTrip(a.request(t, t.Context(), "http://sim", a.body(true, user, "")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out = append(out, time.Since(start)) // the head
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "data: ") {
			out = append(out, time.Since(start))
		}
	}
	return out
}

func TestPacedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{
			Latency: 100 * time.Millisecond, TTFT: 300 * time.Millisecond, TokensPerSecond: 10,
			Script: mustScript(t, `rules: [{reply: {text: "aaaabbbbcccc", chunks: 4}}]`),
		})
		const ms = time.Millisecond
		want := []time.Duration{100 * ms, 100 * ms, 300 * ms, 400 * ms, 500 * ms, 500 * ms, 500 * ms} // head, role, 3 deltas, finish, [DONE]
		got := moments(t, s, openaiAPI, "x")
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v, want %v", got, want)
			}
		}
		start := time.Now()
		ask1(t, s, openaiAPI, openaiAPI.body(false, "x", ""))
		if took := time.Since(start); took != 500*ms {
			t.Errorf("a whole answer took %v, want 500ms: the stream's last token", took)
		}
		start = time.Now()
		ask1(t, s, openaiAPI, `{`)
		if took := time.Since(start); took != 100*ms {
			t.Errorf("an error took %v, want the latency", took)
		}
	})
}

func TestTimeOfRulesAndScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{Script: mustScript(t, `
time: {latency: 1s}
rules:
  - match: {user: slow}
    time: {latency: 3s}
  - match: {user: faulty}
    faults: [{kind: slow, delay: 500ms, factor: 2}]
  - match: {user: plain}
    faults: [{kind: slow}]
`)})
		for user, want := range map[string]time.Duration{"slow": 3 * time.Second, "other": time.Second, "faulty": 2500 * time.Millisecond, "plain": 3 * time.Second} {
			start := time.Now()
			ask1(t, s, anthropicAPI, anthropicAPI.body(false, user, ""))
			if took := time.Since(start); took != want {
				t.Errorf("%s took %v, want %v", user, took, want)
			}
		}
	})
}

func TestScheduleOfFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{Faults: []FaultSpec{{Kind: FaultServerError, At: Duration(10 * time.Second), For: Duration(5 * time.Second), Every: Duration(20 * time.Second)}}})
		got := ""
		for range 40 { // one request a second, from 0
			if ask1(t, s, openaiAPI, openaiAPI.body(false, "x", "")).status == 200 {
				got += "."
			} else {
				got += "x"
			}
			time.Sleep(time.Second)
		}
		if want := "..........xxxxx...............xxxxx....."; got != want {
			t.Errorf("%s, want\n%s", got, want)
		}
	})
}

func TestHangEndsWithClientOrServer(t *testing.T) {
	for _, stream := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := mustNew(t, Options{Faults: []FaultSpec{{Kind: FaultTimeout}}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			_, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, ctx, "http://sim", openaiAPI.body(stream, "x", "")))
			if err != context.DeadlineExceeded || time.Since(start) != time.Hour {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			synctest.Wait()
			if r := s.Requests()[0]; !r.Done || !r.Closed || r.Status != 0 {
				t.Errorf("recorded %+v", r)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, t.Context(), "http://sim", openaiAPI.body(stream, "x", "")))
				ended <- err
			}()
			synctest.Wait()
			_ = s.Close()
			if err := <-ended; err != io.EOF {
				t.Errorf("after Close: %v, want EOF", err)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	const mean = 100 * time.Millisecond
	for _, tt := range []struct {
		timing   Timing
		low, top time.Duration
	}{
		{Timing{Latency: Duration(mean), Jitter: 0.2}, 80 * time.Millisecond, 120 * time.Millisecond},
		{Timing{Latency: Duration(mean), Jitter: 0.5, Shape: ShapeLognormal}, time.Millisecond, 2 * time.Second},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		var sum, low, top time.Duration
		const n = 20_000
		for i := range n {
			v := newPace(tt.timing, rng, time.Time{}, nil).head
			sum += v
			if i == 0 || v < low {
				low = v
			}
			top = max(top, v)
		}
		if m := sum / n; m < 98*time.Millisecond || m > 102*time.Millisecond {
			t.Errorf("%v: mean %v, want 100ms", tt.timing.Shape, m)
		}
		if low < tt.low || top > tt.top || top-low < 35*time.Millisecond {
			t.Errorf("%v: from %v to %v", tt.timing.Shape, low, top)
		}
	}
}

func TestBadTiming(t *testing.T) {
	for _, timing := range []Timing{{Latency: -1}, {TTFT: -1}, {TokensPerSecond: -1}, {Jitter: 1.5}, {Jitter: -0.1}, {Shape: "round"}, {Jitter: 4, Shape: ShapeLognormal}} {
		if timing.validate() == nil {
			t.Errorf("%+v passes", timing)
		}
	}
	if _, err := New(Options{Latency: -1}); err == nil {
		t.Error("New takes a negative latency")
	}
	if _, err := New(Options{Faults: []FaultSpec{{Kind: "x"}}}); err == nil {
		t.Error("New takes an unknown fault")
	}
}

// What a client that leaves is billed: the tokens it was sent.
func TestBillingOfBrokenAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, Options{TokensPerSecond: 1, TTFT: time.Second, Script: mustScript(t, `rules: [{reply: {text: "aaaabbbbccccdddd", chunks: 4, usage: {input: 10, output: 40}}}]`)})
		for _, stream := range []bool{true, false} {
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond) // after 2 of 4 tokens
			resp, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, ctx, "http://sim", openaiAPI.body(stream, "x", "")))
			if err == nil {
				_, _ = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			cancel()
			synctest.Wait()
		}
		list := s.Requests()
		if b := list[0].Billed; b != (Usage{Input: 10, Output: 20}) || !list[0].Closed {
			t.Errorf("stream: %+v", list[0])
		}
		if b := list[1].Billed; b != (Usage{Input: 10, Output: 20}) || !list[1].Closed {
			t.Errorf("whole: %+v", list[1])
		}
		if b := s.Billed(); b != (Usage{Input: 20, Output: 40}) {
			t.Errorf("together %+v", b)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // before the first
		defer cancel()
		resp, err := s.RoundTripper().RoundTrip(openaiAPI.request(t, ctx, "http://sim", openaiAPI.body(true, "x", "")))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		synctest.Wait()
		if b := s.Requests()[2].Billed; b != (Usage{}) {
			t.Errorf("before the first token: %+v", b)
		}
		ask1(t, s, openaiAPI, openaiAPI.body(true, "x", ""))
		if b := s.Billed(); b != (Usage{Input: 30, Output: 80}) {
			t.Errorf("with a whole stream %+v", b)
		}
	})
}

func TestCoalesce(t *testing.T) {
	s := mustNew(t, Options{Coalesce: true})
	ts, client := listen(t, s)
	r := openaiAPI.request(t, t.Context(), ts.URL, openaiAPI.body(true, "hello", includeUsage))
	got := openaiAPI.collectStream(t, mustSend(t, client, r).body)
	if got.text == "" || got.usage.Output == 0 {
		t.Errorf("%+v", got)
	}
}
