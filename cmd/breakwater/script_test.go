package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"breakwater": main})
}

// TestScripts runs testdata/*.txtar: whole commands, as a shell would. Besides
// testscript's own commands there are
//
//	address NAME              sets NAME to a free loopback address
//	up URL                    waits until URL answers, whatever it says
//	http METHOD URL [FILE]    prints status, headers and body; FILE is the body sent
//	code N COMMAND...         runs COMMAND, which must exit with N
//
// UPDATE=1 in the environment rewrites what cmp compares with.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or every command under the race detector takes a second longer
			return nil
		},
		UpdateScripts: os.Getenv("UPDATE") == "1",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"address": freeAddress, "up": waitUp, "http": request, "code": exitsWith,
		},
	})
}

func freeAddress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: address NAME")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(ln.Close())
	ts.Setenv(args[0], ln.Addr().String())
}

// startLimit is how long a server may take to answer; a loaded machine is slow.
const startLimit = 20 * time.Second

func waitUp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: up URL")
	}
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, _, _, err := send(http.MethodGet, args[0], ""); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not answer within %s", args[0], startLimit)
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http METHOD URL [FILE]")
	}
	body := ""
	if len(args) == 3 {
		body = ts.ReadFile(args[2])
	}
	status, header, answer, err := send(args[0], args[1], body)
	ts.Check(err)
	var head strings.Builder
	ts.Check(header.Write(&head))
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n%s\n", status, strings.ReplaceAll(head.String(), "\r\n", "\n"), answer)
}

func send(method, url, body string) (status int, header http.Header, answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

// exitsWith pins the exit code, which testscript's exec does not tell.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: exit code %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
