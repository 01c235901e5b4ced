package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// process is a program under measurement, or the upstream.
type process struct {
	cmd   *exec.Cmd
	addr  string
	ready time.Duration // from its start to its first good answer
	stdin io.Closer
	over  chan struct{}
}

// readyLimit is how long a process may take to start.
const readyLimit = 15 * time.Second

// start runs a program that is to listen on addr, with an environment of its own and
// its output to /dev/null, and waits until GET path answers 200; "" is content
// with a connection.
func start(ctx context.Context, addr, path, program string, args ...string) (*process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = null, null
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	stdin, err := cmd.StdinPipe() // its end stops this program's own roles
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, addr: addr, stdin: stdin, over: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.over) }()
	if err := p.await(ctx, path, begun); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w\nits own words: %s", cmd, err, ownWords(ctx, program, args))
	}
	return p, nil
}

func (p *process) await(ctx context.Context, path string, begun time.Time) error {
	for {
		if answers(p.addr, path) && p.alive() {
			p.ready = time.Since(begun)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.over:
			return errors.New("it ended before it was ready")
		case <-time.After(500 * time.Microsecond):
		}
		if time.Since(begun) > readyLimit {
			return fmt.Errorf("not ready after %s", readyLimit)
		}
	}
}

func answers(addr, path string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if path == "" {
		return true
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); err != nil {
		return false
	}
	h, err := newReader(conn, 16<<10).head()
	return err == nil && h.first == "HTTP/1.1 200 OK"
}

// ownWords runs a program that failed once more, to show what it says.
func ownWords(ctx context.Context, program string, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if len(out) == 0 && err != nil {
		return err.Error()
	}
	return string(out)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// alive reports whether the process still runs.
func (p *process) alive() bool {
	select {
	case <-p.over:
		return false
	default:
		return true
	}
}

// stop ends the process: politely, then not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.stdin.Close()
	select {
	case <-p.over:
	case <-time.After(500 * time.Millisecond):
		_ = p.cmd.Process.Kill()
		<-p.over
	}
}

// freeAddr is a loopback address that nothing listens on. Its port is below the range
// that systems take ports for outgoing connections from, so that it is still free
// when the process that it is for gets to it.
func freeAddr() (string, error) {
	var last error
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(20000+rand.IntN(12000)))
		if err == nil {
			ln.Close()
			return ln.Addr().String(), nil
		}
		last = err
	}
	return "", last
}

// stage is everything that a run starts: the upstream, and subjects in front of it.
type stage struct {
	s        *settings
	dir      string // for configuration files
	self     string // this program
	upstream *process
}

const (
	subjectDirect      = "direct"
	subjectProxy       = "proxy"
	subjectHandwritten = "handwritten"
	subjectBreakwater  = "breakwater"
)

var knownSubjects = []string{subjectDirect, subjectProxy, subjectHandwritten, subjectBreakwater}

func newStage(ctx context.Context, s *settings, dir string) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	st := &stage{s: s, dir: dir, self: self}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if s.upstream == "raw" {
		st.upstream, err = start(ctx, addr, "", self, "role-upstream", addr, "-")
		return st, err
	}
	script := filepath.Join(dir, "script.yaml")
	if err := os.WriteFile(script, []byte(simScript()), 0o600); err != nil {
		return nil, err
	}
	st.upstream, err = start(ctx, addr, "/v1/models", s.binary, "mock", "--listen", addr, "--script", script)
	return st, err
}

// subject starts one subject in front of the upstream. For direct there is
// nothing to start: the process is nil.
func (st *stage) subject(ctx context.Context, name string) (*process, error) {
	if name == subjectDirect {
		return nil, nil
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if name != subjectBreakwater {
		return start(ctx, addr, "", st.self, "role-"+name, addr, st.upstream.addr)
	}
	config := filepath.Join(st.dir, "breakwater.yaml")
	if err := os.WriteFile(config, []byte(gatewayConfig(st.upstream.addr, st.s.sameModel)), 0o600); err != nil {
		return nil, err
	}
	return start(ctx, addr, "/health/ready", st.s.binary, "serve", "--config", config, "--listen", addr, "--data", filepath.Join(st.dir, "data"))
}

// gatewayConfig is all that the gateway is told; the rest are its defaults. The
// target's model has another name than callers use, so that each body is edited.
func gatewayConfig(upstream string, sameModel bool) string {
	target := targetModel
	if sameModel {
		target = aliasModel
	}
	return fmt.Sprintf(`providers:
  up: {type: openai, base_url: "http://%s/v1", api_key: none}
models:
  %s: {targets: [{provider: up, model: %s}]}
`, upstream, aliasModel, target)
}
