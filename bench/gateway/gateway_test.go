package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

// answer is what the raw upstream would send to a load's request.
func rawAnswer(t *testing.T, w *workload) []byte {
	t.Helper()
	if !w.stream {
		return wholeAnswer(w.answer)
	}
	return bytes.Join(streamAnswer(w.answer), nil)
}

// check reads one answer as the load client does.
func check(src io.Reader, wanted *want) error {
	var total atomic.Int64
	c := checker{total: &total}
	r := newReader(src, 32<<10)
	h, err := r.head()
	if err != nil {
		return err
	}
	if err := r.body(h, c.see); err != nil {
		return err
	}
	return c.verdict(wanted)
}

func TestCheckerTakesRightAnswers(t *testing.T) {
	for i := range workloads {
		w := &workloads[i]
		raw := rawAnswer(t, w)
		if err := check(bytes.NewReader(raw), w.want()); err != nil {
			t.Errorf("%s, at once: %v", w.name, err)
		}
		if err := check(iotest.OneByteReader(bytes.NewReader(raw)), w.want()); err != nil {
			t.Errorf("%s, byte by byte: %v", w.name, err)
		}
	}
}

// A benchmark that takes failures for successes is worth nothing.
func TestCheckerRefusesWrongAnswers(t *testing.T) {
	chat, stream := &workloads[0], &workloads[3]
	if chat.stream || !stream.stream {
		t.Fatal("the loads changed places")
	}
	event := func(drop int) []byte {
		events := streamAnswer(stream.answer)
		return bytes.Join(append(events[:drop:drop], events[drop+1:]...), nil)
	}
	for _, tc := range []struct {
		name string
		w    *workload
		raw  []byte
		len  int
	}{
		{"whole, cut", chat, rawAnswer(t, chat)[:700], 0},
		{"whole, other text", chat, wholeAnswer("other"), 0},
		{"whole, other length", chat, rawAnswer(t, chat), 1},
		{"whole, another load's", chat, rawAnswer(t, stream), 0},
		{"stream, an event less", stream, event(20), 0},
		{"stream, end mark missing", stream, append(event(streamEvents-1), "0\r\n\r\n"...), 0},
		{"stream, cut between events", stream, bytes.Join(streamAnswer(stream.answer)[:30], nil), 0},
		{"stream, other length", stream, rawAnswer(t, stream), 1},
		{"stream, a chunk too long", stream, bytes.Replace(rawAnswer(t, stream), []byte("\n\n\r\n"), []byte("\n\n!\r\n"), 1), 0},
	} {
		wanted := tc.w.want()
		wanted.length = tc.len
		if err := check(bytes.NewReader(tc.raw), wanted); err == nil {
			t.Errorf("%s: taken for right", tc.name)
		}
	}
}

func TestClientRefusesErrorStatus(t *testing.T) {
	raw := bytes.Replace(wholeAnswer(workloads[0].answer), []byte("200 OK"), []byte("502 Bad Gateway"), 1)
	addr := serveOnce(t, raw)
	c := newClient(addr)
	if err := c.dial(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, _, err := c.call(workloads[0].request(addr), workloads[0].want()); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("got %v, want an error that names the status", err)
	}
}

// serveOnce answers one request on one connection.
func serveOnce(t *testing.T, raw []byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := newReader(conn, 16<<10)
		if h, err := r.head(); err == nil && r.body(h, nil) == nil {
			_, _ = conn.Write(raw)
		}
	}()
	return ln.Addr().String()
}

func TestRequestBodies(t *testing.T) {
	for _, w := range append(workloads[:len(workloads):len(workloads)], heldLoad) {
		body := w.body()
		if len(body) != w.size {
			t.Errorf("%s: body of %d bytes, want %d", w.name, len(body), w.size)
		}
		if !json.Valid(body) {
			t.Errorf("%s: body is not JSON", w.name)
		}
		if !bytes.Contains(body[max(0, len(body)-tailSize):], []byte(`"`+w.marker)) {
			t.Errorf("%s: the marker is not in the tail that the raw upstream looks at", w.name)
		}
	}
	if len(aliasModel) != len(targetModel) {
		t.Error("model names of two lengths: answers would differ in length by subject")
	}
}

func TestKeepTail(t *testing.T) {
	var tail, all []byte
	for i := range 40 {
		p := bytes.Repeat([]byte{byte('a' + i%26)}, 1+i*i*7%5000)
		all = append(all, p...)
		tail = keepTail(tail, p)
		if want := all[max(0, len(all)-tailSize):]; !bytes.Equal(tail, want) {
			t.Fatalf("after %d pieces: a tail of %d bytes, want %d", i+1, len(tail), len(want))
		}
	}
}

func TestSummaries(t *testing.T) {
	if s := summarize([]float64{5, 1, 3}); s.Median != 3 || s.Min != 1 || s.Max != 5 || s.Rounds[0] != 5 {
		t.Errorf("odd: %+v", s)
	}
	if s := summarize([]float64{4, 2}); s.Median != 3 {
		t.Errorf("even: %+v", s)
	}
	if summarize(nil) != nil {
		t.Error("a summary of nothing")
	}
	sorted := []int64{10, 20, 30, 40}
	for q, want := range map[float64]int64{0: 10, 0.25: 10, 0.5: 20, 0.75: 30, 0.99: 40, 1: 40} {
		if got := quantile(sorted, q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	r := &report{Subjects: []string{subjectDirect, subjectProxy, subjectBreakwater}, Rounds: 2}
	for round, cpu := range [][2]float64{{0.1, 0.07}, {0.2, 0.16}} {
		for i, name := range r.Subjects {
			c := cell{Round: round + 1, Workload: "chat1k", Subject: name, Seconds: 1, Calls: 1000, P50: float64(100 * (i + 1)), P99: 900}
			if i > 0 {
				c.CPU = cpu[i-1]
			}
			r.Cells = append(r.Cells, c)
		}
	}
	r.Footprints = []footprint{{Subject: subjectBreakwater, ReadyMS: []float64{20}, Idle: []memory{{RSS: 31e6, PSS: 20e6}}, Streams: 100, Before: memory{RSS: 1e6}, Held: memory{RSS: 5e6}}}
	r.compare()
	got := map[string]bool{}
	for _, row := range r.Rows {
		if row.Target != nil {
			got[row.Workload+" "+row.Metric] = row.Target.Met
		}
		if row.Workload == "chat1k" && row.Metric == metricCPU {
			if m := row.Ratios[subjectBreakwater].Median; math.Abs(m-0.75) > 1e-9 {
				t.Errorf("ratio %v, want the median of 0.7 and 0.8", m)
			}
		}
		if row.Metric == metricP50 && row.Values[subjectBreakwater].Median != 200 {
			t.Errorf("added latency %v, want 200", row.Values[subjectBreakwater].Median)
		}
	}
	want := map[string]bool{
		"chat1k " + metricCPU: true, "held " + metricHeldRSS: true, "rest " + metricIdleRSS: false, "rest " + metricReadyMedms: true,
	}
	for k, v := range want {
		if met, ok := got[k]; !ok || met != v {
			t.Errorf("%s: met %v (judged: %v), want %v", k, met, ok, v)
		}
	}
	if r.missed() != 1 {
		t.Errorf("%d missed, want 1", r.missed())
	}
	var out bytes.Buffer
	r.print(&out)
	if !strings.Contains(out.String(), "MISSED") || !strings.Contains(out.String(), "<= 0.75 x proxy") {
		t.Errorf("the table has no verdicts:\n%s", &out)
	}
}

func TestCPUClock(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads Linux CPU clocks")
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	x := 0
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; x++ {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("the clock went from %s to %s (%v) over %d turns", before, after, err, x)
	}
	if m, err := memoryOf(os.Getpid()); err != nil || m.RSS < 1<<20 || m.PSS > m.RSS {
		t.Errorf("memory %+v, %v", m, err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--subjects", "direct,breakwater"}, {"--subjects", "direct,proxy,other"}, {"--workloads", "other"},
		{"--upstream", "other"}, {"--rounds", "0"}, {"extra"},
	} {
		if code := run(context.Background(), args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d, want 2", args, code)
		}
	}
}

// The whole run, small, over the raw upstream and without the gateway's binary.
func TestSmallRun(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("starts processes and measures them")
	}
	path := filepath.Join(t.TempDir(), "out.json")
	var out, errs bytes.Buffer
	args := []string{"--quick", "--rounds", "1", "--upstream", "raw", "--subjects", "direct,proxy,handwritten", "--workloads", "chat1k,stream,paced", "--held", "20", "--json", path}
	if code := run(context.Background(), args, &out, &errs); code != 0 {
		t.Fatalf("exit %d\n%s", code, &errs)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cells) != 9 || len(r.Footprints) != 2 {
		t.Fatalf("%d cells and %d footprints, want 9 and 2", len(r.Cells), len(r.Footprints))
	}
	for _, c := range r.Cells {
		if c.Calls <= 0 || c.P50 <= 0 || (c.Subject != subjectDirect) != (c.CPU > 0) {
			t.Errorf("an empty cell: %+v", c)
		}
	}
}

// The test binary plays this program's other roles, as the program itself does.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && roles[os.Args[1]] != nil {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
