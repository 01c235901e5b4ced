// Package sdk_test calls the running gateway with the official SDKs of OpenAI and Anthropic,
// and with Vercel's AI SDK, in Python, JavaScript and Go. Each case runs against a provider of the
// SDK's own protocol and against one of the other.
//
// The tests proper are written in the SDKs' languages, in the folders python and node and in the Go
// module e2e/gosdk. This package starts what they call, runs them with their own test runners, and
// reports each case as a subtest. Then it checks what an SDK cannot see: what the provider was sent
// and what the gateway logged.
//
// BREAKWATER_E2E_PYTHON is the path of a Python that has python/requirements.txt installed,
// BREAKWATER_E2E_NODE_MODULES that of the folder node_modules made from node/package.json.
package sdk_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater/internal/testenv"
)

// sdk is an SDK, or a client library over one, in one language.
type sdk struct {
	name    string
	surface string // the protocol it speaks: openai or anthropic
	vercel  bool   // Vercel's AI SDK, which has fewer features and one error class
	run     func(t *testing.T, environ []string) results
}

var sdks = []sdk{
	{name: "python-openai", surface: "openai", run: python("test_openai.py")},
	{name: "python-anthropic", surface: "anthropic", run: python("test_anthropic.py")},
	{name: "node-openai", surface: "openai", run: node("openai.test.mjs")},
	{name: "node-anthropic", surface: "anthropic", run: node("anthropic.test.mjs")},
	{name: "vercel-openai", surface: "openai", vercel: true, run: node("vercel-openai.test.mjs")},
	{name: "vercel-anthropic", surface: "anthropic", vercel: true, run: node("vercel-anthropic.test.mjs")},
	{name: "go-openai", surface: "openai", run: golang("./openai")},
	{name: "go-anthropic", surface: "anthropic", run: golang("./anthropic")},
}

func TestSDKs(t *testing.T) {
	w := newWorld(t)
	t.Run("all", func(t *testing.T) { // returns when the parallel ones are done, before the world ends
		for _, s := range sdks {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				report(t, w, s, s.run(t, environment(w, s)))
			})
		}
	})
}

// environment is that of an SDK's test runner. What would configure the SDK is left out.
func environment(w *world, s sdk) []string {
	var out []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(strings.ToUpper(e), "=")
		if !strings.HasPrefix(name, "OPENAI_") && !strings.HasPrefix(name, "ANTHROPIC_") && !strings.HasSuffix(name, "_PROXY") {
			out = append(out, e)
		}
	}
	return append(out,
		"BREAKWATER_URL="+w.gateway.URL,
		"BREAKWATER_KEY="+callerKey,
		"BREAKWATER_LIMITED_KEY="+limitedKey,
		"BREAKWATER_SDK="+s.name)
}

// report makes a subtest of every case in the table. One that the SDK's test runner did not run fails.
func report(t *testing.T, w *world, s sdk, got results) {
	for _, up := range upstreams {
		t.Run(up, func(t *testing.T) {
			for _, c := range cases {
				if !c.runs(s) {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					key := up + "/" + c.name
					o, ok := got[key]
					delete(got, key)
					switch {
					case !ok:
						t.Fatal("did not run")
					case !o.passed:
						t.Fatal(o.output)
					}
					c.check(t, w, s, up)
				})
			}
		})
	}
	for name := range got {
		t.Errorf("%s ran, but is not in the table of cases", name)
	}
}

// python runs a file with pytest.
func python(file string) func(*testing.T, []string) results {
	return func(t *testing.T, environ []string) results {
		python := os.Getenv("BREAKWATER_E2E_PYTHON")
		if python == "" {
			testenv.Missing(t, "needs BREAKWATER_E2E_PYTHON, a Python with e2e/sdk/python/requirements.txt installed")
		}
		out := filepath.Join(t.TempDir(), "report.xml")
		cmd := exec.Command(python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", out, file)
		cmd.Dir = filepath.Join(testenv.Root(t), "e2e", "sdk", "python")
		cmd.Env = environ
		return runJUnit(t, cmd, out)
	}
}

// node runs a file with Node's own test runner.
func node(file string) func(*testing.T, []string) results {
	return func(t *testing.T, environ []string) results {
		program := testenv.Program(t, "node")
		modules := os.Getenv("BREAKWATER_E2E_NODE_MODULES")
		if modules == "" {
			testenv.Missing(t, "needs BREAKWATER_E2E_NODE_MODULES, the node_modules made from e2e/sdk/node/package.json")
		}
		// Node looks for modules beside the importing file and in the folders above it.
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(testenv.Root(t), "e2e", "sdk", "node"))); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "report.xml")
		cmd := exec.Command(program, "--test", "--test-reporter=junit", "--test-reporter-destination="+out, file)
		cmd.Dir = dir
		cmd.Env = environ
		return runJUnit(t, cmd, out)
	}
}

// golang runs a package of the module e2e/gosdk, which is apart so that the SDKs are no
// dependencies of the gateway's module.
func golang(pkg string) func(*testing.T, []string) results {
	return func(t *testing.T, environ []string) results {
		program := testenv.Program(t, "go")
		dir := filepath.Join(testenv.Root(t), "e2e", "gosdk")
		list := exec.Command(program, "list", "-deps", "-test", pkg)
		list.Dir = dir
		if out, err := list.CombinedOutput(); err != nil {
			testenv.Missing(t, "needs the modules of e2e/gosdk (go mod download): %v\n%s", err, out)
		}
		cmd := exec.Command(program, "test", "-json", "-count=1", pkg)
		cmd.Dir = dir
		cmd.Env = environ
		return readGoTest(t, run(t, cmd))
	}
}

// run runs a test runner and returns its standard output. Exit code 1 says that tests failed, which
// the report tells better.
func run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%s: %v\n%s%s", cmd, err, &stdout, &stderr)
	}
	return stdout.Bytes()
}

// runJUnit runs a test runner that writes its report to a file.
func runJUnit(t *testing.T, cmd *exec.Cmd, file string) results {
	t.Helper()
	stdout := run(t, cmd)
	report, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	return readJUnit(t, report)
}
