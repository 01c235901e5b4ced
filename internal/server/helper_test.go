package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/internal/wire/anthropic"
	"github.com/breakwater-llm/breakwater/internal/wire/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler is a pipeline.Handler that a test scripts. It keeps every call.
type handler struct {
	mu    sync.Mutex
	do    func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error)
	calls []*pipeline.Call
}

func (h *handler) Handle(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
	h.mu.Lock()
	h.calls = append(h.calls, c)
	do := h.do
	h.mu.Unlock()
	if c.Refused != nil {
		return nil, c.Refused
	}
	return do(ctx, c)
}

func (h *handler) count() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.calls) }

func (h *handler) last() *pipeline.Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[len(h.calls)-1]
}

// events is an answer told event by event. A nil entry of step means no pause.
type events struct {
	ctx    context.Context
	data   []string
	more   bool
	err    error             // in place of the end
	step   func(i int) error // before event i
	closed chan struct{}     // closed by Close
	once   sync.Once
	next   int
}

func (e *events) Next() (*pipeline.Event, error) {
	i := e.next
	if e.step != nil {
		if err := e.step(i); err != nil {
			return nil, err
		}
	}
	e.next++
	switch {
	case i < len(e.data):
		last := i == len(e.data)-1 && e.err == nil
		return &pipeline.Event{Data: []byte(e.data[i]), Facts: wire.Facts{Content: true, Final: last}, More: e.more && !last}, nil
	case e.err != nil:
		return nil, e.err
	}
	return nil, io.EOF
}

func (e *events) Close() error {
	e.once.Do(func() {
		if e.closed != nil {
			close(e.closed)
		}
	})
	return nil
}

const okBody = `{"id":"c1","choices":[]}`

func answer(data ...string) func(context.Context, *pipeline.Call) (pipeline.Answer, error) {
	return func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		c.Record.Provider, c.Record.Model = "prov", "model-1"
		return &events{ctx: ctx, data: data}, nil
	}
}

func fails(e *llm.Error) func(context.Context, *pipeline.Call) (pipeline.Answer, error) {
	return func(context.Context, *pipeline.Call) (pipeline.Answer, error) { return nil, e }
}

const testKey = "key-1"

func identify(h http.Header) (pipeline.Identity, *llm.Error) {
	if h.Get("Authorization") != "Bearer "+testKey && h.Get("X-Api-Key") != testKey {
		return pipeline.Identity{}, llm.Errorf(llm.KindAuthentication, "no key")
	}
	return pipeline.Identity{KeyID: "id-1", Tags: map[string]string{"team": "web"}}, nil
}

func newServer(h pipeline.Handler, change func(*Options)) *Server {
	o := Options{
		Handler: h, OpenAI: openai.New(), Anthropic: anthropic.New(), Identify: identify,
		Models: func(pipeline.Identity) []string { return []string{"fast", "openai/gpt"} },
		Health: func() Health {
			return Health{Status: "healthy", Providers: map[string]ProviderHealth{"p": {Status: "healthy", Breaker: "closed"}}, Version: "v1"}
		},
	}
	if change != nil {
		change(&o)
	}
	return New(o)
}

func start(t *testing.T, s http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv
}

const (
	chatPath = "/v1/chat/completions"
	msgPath  = "/v1/messages"
)

func chat(stream bool) string {
	return fmt.Sprintf(`{"model":"fast","messages":[{"role":"user","content":"hi"}],"stream":%v}`, stream)
}

func message(stream bool) string {
	return fmt.Sprintf(`{"model":"fast","max_tokens":5,"messages":[{"role":"user","content":"hi"}],"stream":%v}`, stream)
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// send makes a request with a valid key. Headers are "Name: value"; they replace that of the key
// if they name one.
func send(t *testing.T, url, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b), err}
}

// raw sends bytes on a connection of its own and returns the status of the answer, or 0 if the connection
// is closed without one.
func raw(t *testing.T, addr, request string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, nil, ""
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.Close { // package http takes the header away
		resp.Header.Set("Connection", "close")
	}
	return resp.StatusCode, resp.Header, string(b)
}

// dialectOf tells in which protocol's shape an error is: openai, anthropic, or "".
func dialectOf(body string) string {
	var e struct {
		Type  string `json:"type"`
		ID    string `json:"request_id"`
		Error *struct {
			Type    *string `json:"type"`
			Message *string `json:"message"`
			Code    *string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(body), &e) != nil || e.Error == nil || e.Error.Type == nil || e.Error.Message == nil || *e.Error.Message == "" {
		return ""
	}
	if e.Type == "error" && e.ID != "" {
		return "anthropic"
	}
	if strings.Contains(body, `"param"`) && strings.Contains(body, `"code"`) {
		return "openai"
	}
	return ""
}
