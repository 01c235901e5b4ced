package sim

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func cassetteJSON(path, body, status, answer string) string {
	return fmt.Sprintf(`{"request":{"method":"POST","path":%q,"body":%s},"stream":%t,"model":"m","response":{"status":%s,"headers":{"content-type":"application/json","content-encoding":"gzip"},"body":%q}}`,
		path, body, strings.Contains(body, `"stream":true`), status, answer)
}

func TestReplayMatching(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.json"), cassetteJSON("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"first"}]}`, "200", "A"))
	write(t, filepath.Join(dir, "sub", "b.json"), cassetteJSON("/openai/deployments/m/chat/completions?api-version=1", `{"messages":[{"role":"user","content":"second"}],"model":"m"}`, "201", "B"))
	write(t, filepath.Join(dir, "sub", "c.json"), cassetteJSON("/v1/messages?beta=true", `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "529", `{"type":"error"}`))
	write(t, filepath.Join(dir, "d.json"), cassetteJSON("/v1/responses", `{"model":"m","input":"x"}`, "200", "R"))
	write(t, filepath.Join(dir, "notes.txt"), "not a cassette")
	s := mustNew(t, Options{ReplayDir: dir})
	messages := `"messages":[{"role":"user","content":%q}]`
	tests := []struct {
		api          api
		body         string
		status       int
		want, reason string
	}{
		{openaiAPI, `{"messages": [ {"content":"second","role":"user"} ], "model":"m"}`, 201, "B", "equal but for order and space"},
		{openaiAPI, `{"model":"m",` + fmt.Sprintf(messages, "first") + `}`, 200, "A", "equal"},
		{openaiAPI, `{"model":"m",` + fmt.Sprintf(messages, "other") + `}`, 200, "A", "same model: first file"},
		{openaiAPI, `{"model":"m",` + fmt.Sprintf(messages, "other") + `}`, 201, "B", "then the next"},
		{openaiAPI, `{"model":"m",` + fmt.Sprintf(messages, "other") + `}`, 200, "A", "then the first again"},
		{anthropicAPI, `{"model":"m","max_tokens":6,` + fmt.Sprintf(messages, "y") + `}`, 529, `{"type":"error"}`, "another API"},
		{api{"openai", "/v1/responses", ""}, `{"model":"m","input":"y"}`, 200, "R", "an API that the simulator does not speak"},
	}
	for _, tt := range tests {
		got := ask1(t, s, tt.api, tt.body)
		if got.status != tt.status || got.body != tt.want || got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %+v", tt.reason, got)
		}
	}
	miss := ask1(t, s, openaiAPI, `{"model":"z","stream":true,`+fmt.Sprintf(messages, "x")+`}`)
	if text := gjson.Get(miss.body, "error.message").Str; miss.status != 404 || text != `no cassette for chat/completions with model "z" and stream true` {
		t.Errorf("unmatched: %+v", miss)
	}
	scripted := mustNew(t, Options{ReplayDir: dir, Script: mustScript(t, `rules: [{match: {user: scripted}, reply: {text: S}}]`)})
	if got := ask1(t, scripted, openaiAPI, `{"model":"m",`+fmt.Sprintf(messages, "scripted")+`}`); gjson.Get(got.body, "choices.0.message.content").Str != "S" {
		t.Errorf("rules come before cassettes: %s", got.body)
	}
	for _, bad := range []string{"", "{", `{"response":{"status":0}}`, `{"response":{"status":200,"body":"%","body_encoding":"base64"}}`} {
		if _, err := parseCassette([]byte(bad)); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if _, err := New(Options{ReplayDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no cassettes") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := New(Options{ReplayDir: filepath.Join(dir, "nope")}); err == nil {
		t.Error("a missing directory passes")
	}
}

// Every recorded answer of the two protocols comes back byte for byte.
func TestReplayRecordedTraffic(t *testing.T) {
	dir := sharedDir(t, "cassettes")
	s := mustNew(t, Options{ReplayDir: dir})
	client := &http.Client{Transport: s.RoundTripper()}
	answers := map[string]map[string]bool{} // request body to the answers recorded for it
	type asked struct {
		api  api
		body string
	}
	var list []asked
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		doc := gjson.ParseBytes(b)
		body := doc.Get("request.body")
		a, ok := map[string]api{"chat/completions": openaiAPI, "messages": anthropicAPI}[pathKind(doc.Get("request.path").Str)]
		if !ok || !body.IsObject() || !body.Get("model").Exists() || len(body.Get("messages").Array()) == 0 || a.name == "anthropic" && !body.Get("max_tokens").Exists() {
			return nil
		}
		key := a.name + string(canonical(body.Raw))
		if answers[key] == nil {
			answers[key] = map[string]bool{}
			list = append(list, asked{a, body.Raw})
		}
		answers[key][doc.Get("response.status").Raw+" "+doc.Get("response.body").Str] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		got := mustSend(t, client, q.api.request(t, t.Context(), "http://sim", q.body))
		if !answers[q.api.name+string(canonical(q.body))][fmt.Sprint(got.status)+" "+got.body] {
			t.Errorf("%s: answer %d is not the recorded one (%.100s)", q.api.name, got.status, got.body)
		}
	}
	if len(list) < 300 {
		t.Errorf("only %d recordings tried", len(list))
	}
	if b := s.Billed(); b.Input == 0 || b.Output == 0 {
		t.Errorf("billed %+v", b)
	}
}

func canonical(body string) []byte {
	h := canonicalHash([]byte(body))
	return h[:]
}

func TestReplayedStreamsTakeFaults(t *testing.T) {
	dir := t.TempDir()
	events := "data: {\"a\":1}\n\n: comment\n\ndata: {\"a\":2}\r\n\r\ndata: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n"
	write(t, filepath.Join(dir, "a.json"), strings.Replace(cassetteJSON("/v1/chat/completions", `{"model":"m","stream":true,"messages":[1]}`, "200", events), "application/json", "text/event-stream", 1))
	if got := ask1(t, mustNew(t, Options{ReplayDir: dir}), openaiAPI, openaiAPI.body(true, "x", "")); got.body != events {
		t.Errorf("%q", got.body)
	}
	cut := mustNew(t, Options{ReplayDir: dir, Faults: []FaultSpec{{Kind: FaultTruncate, AfterTokens: new(2)}}})
	if got := ask1(t, cut, openaiAPI, openaiAPI.body(true, "x", "")); got.body != events[:strings.Index(events, "data: {\"usage")] {
		t.Errorf("cut: %q", got.body)
	}
	if u := recordedUsage([]byte(events)); u != (Usage{Input: 7, Output: 3}) {
		t.Errorf("usage %+v", u)
	}
}

func FuzzParseCassette(f *testing.F) {
	f.Add([]byte(cassetteJSON("/v1/messages", `{"model":"m"}`, "200", "x")))
	f.Add([]byte(`{"request":null,"response":{"status":200,"body":"AA==","body_encoding":"base64","headers":{"a b":"\n"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCassette(b)
		if err != nil {
			return
		}
		n := 0
		for _, fr := range splitEvents(c.answer) {
			n += len(fr.data)
		}
		if n != len(c.answer) {
			t.Errorf("%d bytes in events, %d in the answer", n, len(c.answer))
		}
		recordedUsage(c.answer)
	})
}
