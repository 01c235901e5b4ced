package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Race reports whether the tests, and with them the binary, have the race detector.
const Race = raceEnabled

// race is the race detector's environment: a race ends the process, and its end is not put off, which
// by default takes a second.
const race = "GORACE=halt_on_error=1 atexit_sleep_ms=0"

// Run runs the binary in the folder to its end, which must come within 30 s, with no other
// environment than Start gives, and returns its exit code and what it printed.
func Run(t testing.TB, dir string, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Binary(t), args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), race}, environ...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || !limit.Stop() {
		t.Errorf("breakwater %s: did not end by itself: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Raw sends bytes on a connection of its own and reads one answer. An answer that is not
// HTTP, or none within 10 s, has status 0.
func (g *Gateway) Raw(t testing.TB, request string) *Reply {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	start := time.Now()
	go func() { _, _ = io.WriteString(conn, request) }() // the gateway may answer before it has read all
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return &Reply{Err: err, Header: http.Header{}}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &Reply{Status: resp.StatusCode, Header: resp.Header, Body: b, Err: err, Took: time.Since(start)}
}

// Memory is the process's resident memory now and the peak since [Gateway.ResetPeak], in bytes.
func (g *Gateway) Memory(t testing.TB) (now, peak int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		t.Skipf("memory is read from /proc: %v", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		name, value, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		switch name {
		case "VmRSS":
			now = kb << 10
		case "VmHWM":
			peak = kb << 10
		}
	}
	return now, peak
}

// ResetPeak makes the present memory the peak.
func (g *Gateway) ResetPeak(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.PID()), []byte("5"), 0); err != nil {
		t.Skipf("the peak is reset in /proc: %v", err)
	}
}

// Forget empties the record of requests; the numbers of those to come begin at 1 again.
func (u *Upstream) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reqs = nil
}

// Wait waits for the exit code, at most for d.
func (g *Gateway) Wait(d time.Duration) (code int, ok bool) {
	select {
	case <-g.exited:
		return g.cmd.ProcessState.ExitCode(), true
	case <-time.After(d):
		return 0, false
	}
}

// CPU is the processor time that the process has used, to about 10 ms; 0 where that cannot be read.
func (g *Gateway) CPU() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.PID()))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s
}
