package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testenv"
)

var (
	buildOnce sync.Once
	binary    string
	buildErr  error
)

// Binary builds the breakwater binary, once for the test process, and returns its path. Under the
// race detector it is built with it too.
func Binary(t testing.TB) string {
	t.Helper()
	buildOnce.Do(func() {
		dir, err := os.MkdirTemp("", "breakwater-bin-")
		if err != nil {
			buildErr = err
			return
		}
		binary = filepath.Join(dir, "breakwater")
		args := []string{"build", "-o", binary}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "./cmd/breakwater")...)
		cmd.Dir = testenv.Root(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return binary
}

// Gateway is a running breakwater process.
type Gateway struct {
	URL    string
	Dir    string // its working directory, with the configuration file
	cmd    *exec.Cmd
	stdout *tail
	stderr *tail
	exited chan struct{}
	err    error
}

// Start runs `breakwater serve` with the configuration (YAML; "" for none) and extra environment
// (NAME=value) on a free port, and waits until it is ready. The process has no other
// environment than PATH, HOME and TMPDIR.
func Start(t testing.TB, config string, environ ...string) *Gateway {
	t.Helper()
	g := launch(t, config, environ)
	deadline := time.Now().Add(20 * time.Second)
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	for {
		if g.URL = address.FindString(g.stdout.String()); g.URL != "" {
			if resp, err := http.Get(g.URL + "/health/live"); err == nil {
				resp.Body.Close()
				return g
			}
		}
		select {
		case <-g.exited:
			t.Fatalf("the gateway ended at once: %v\n%s%s", g.err, g.stdout, g.stderr)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway did not come up\n%s%s", g.stdout, g.stderr)
		}
	}
}

func launch(t testing.TB, config string, environ []string) *Gateway {
	t.Helper()
	g := &Gateway{Dir: t.TempDir(), stdout: &tail{}, stderr: &tail{}, exited: make(chan struct{})}
	args := []string{"serve", "--listen", "127.0.0.1:0"}
	if config != "" {
		path := filepath.Join(g.Dir, "breakwater.yaml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	g.cmd = exec.Command(Binary(t), args...)
	g.cmd.Dir = g.Dir
	g.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + g.Dir, "TMPDIR=" + os.TempDir(), race}, environ...)
	g.cmd.Stdout, g.cmd.Stderr = g.stdout, g.stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.err = g.cmd.Wait(); close(g.exited) }()
	t.Cleanup(func() {
		g.Kill()
		if strings.Contains(g.stderr.String(), "DATA RACE") {
			t.Errorf("the gateway has a data race:\n%s", g.stderr)
		}
	})
	return g
}

// PID is the process's id.
func (g *Gateway) PID() int { return g.cmd.Process.Pid }

// Signal sends a signal.
func (g *Gateway) Signal(s os.Signal) { _ = g.cmd.Process.Signal(s) }

// Terminate sends SIGTERM and waits for the exit code, at most for d.
func (g *Gateway) Terminate(d time.Duration) (code int, ok bool) {
	g.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
		return g.cmd.ProcessState.ExitCode(), true
	case <-time.After(d):
		return 0, false
	}
}

// Kill ends the process at once and waits for it.
func (g *Gateway) Kill() {
	_ = g.cmd.Process.Kill()
	<-g.exited
}

// Stdout and Stderr are what the process has printed so far.
func (g *Gateway) Stdout() string { return g.stdout.String() }

// Stderr is what the process has logged so far.
func (g *Gateway) Stderr() string { return g.stderr.String() }

// Line is a log line of a call.
type Line map[string]any

// Calls returns the llm_call lines so far. Every line of the log must be a JSON object.
func (g *Gateway) Calls(t testing.TB) []Line {
	t.Helper()
	var out []Line
	for _, raw := range strings.Split(g.stderr.String(), "\n") {
		if strings.TrimSpace(raw) == "" {
			continue
		}
		var l Line
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			t.Errorf("a log line is not a JSON object: %s", raw)
			continue
		}
		if l["msg"] == "llm_call" {
			out = append(out, l)
		}
	}
	return out
}

// WaitCalls waits until n calls are logged and returns them.
func (g *Gateway) WaitCalls(t testing.TB, n int) []Line {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		calls := g.Calls(t)
		if len(calls) >= n || time.Now().After(deadline) {
			if len(calls) != n {
				t.Errorf("got %d llm_call lines, want %d", len(calls), n)
			}
			return calls
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Reply is a whole HTTP answer.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	Err    error // of reading the body
	Took   time.Duration
}

// Do sends a request to the gateway and reads the answer whole. Headers are "Name: value".
func (g *Gateway) Do(ctx context.Context, method, path, body string, headers ...string) (*Reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &Reply{Status: resp.StatusCode, Header: resp.Header, Body: b, Err: err, Took: time.Since(start)}, nil
}

// Post sends a POST and fails the test if no answer comes.
func (g *Gateway) Post(t testing.TB, path, body string, headers ...string) *Reply {
	t.Helper()
	r, err := g.Do(t.Context(), http.MethodPost, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// tail keeps what a process prints.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
