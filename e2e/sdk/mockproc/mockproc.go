// Package mockproc runs `breakwater mock`, the simulated provider, as a process for a test.
package mockproc

import (
	"bufio"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/testkit"
)

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// Start runs `breakwater mock` with the arguments on a free port until the test is over, and
// returns its root URL. That is the base URL for Anthropic's protocol; OpenAI's has /v1 more.
func Start(t testing.TB, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(testkit.Binary(t), append([]string{"mock", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = []string{"GORACE=halt_on_error=1"}
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan string, 1)
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			select {
			case first <- lines.Text():
			default: // read on, so that the process never waits for a reader
			}
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if strings.Contains(stderr.String(), "DATA RACE") {
			t.Errorf("the simulated provider has a data race:\n%s", &stderr)
		}
	})
	select {
	case line := <-first:
		if url := address.FindString(line); url != "" {
			return url
		}
		t.Fatalf("the simulated provider's first line names no address: %s", line)
	case <-exited:
		t.Fatalf("the simulated provider ended at once: %v\n%s", cmd.ProcessState, &stderr)
	case <-time.After(20 * time.Second):
		t.Fatal("the simulated provider did not come up")
	}
	return ""
}
