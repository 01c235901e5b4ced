package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-llm/breakwater"
)

// The translated replays: each recording crosses the gateway between a client and a provider of
// different protocols, and what comes out is judged by meaning (docs/translation.md).

// other is the protocol that was not recorded: as a kind of provider, and as a client's surface.
func (c *cassette) other() string {
	if c.kind() == "openai" {
		return "anthropic"
	}
	return "openai"
}

func (c *cassette) otherSurface() surface {
	if c.kind() == "openai" {
		return messages
	}
	return chat
}

// models are the models that translated requests are sent to: what a request may say depends on them.
var models = map[string]string{"openai": "gpt-5.1", "anthropic": "claude-sonnet-4-6"}

// crossing sends requests through a gateway to a provider of the other kind, whose answers it makes.
type crossing struct {
	up       *httptest.Server
	conf     map[string]string // file by kind and policy
	answer   func(w http.ResponseWriter, body []byte)
	received []byte // by the provider in the last call; nil: nothing was sent
}

func newCrossing(t *testing.T) *crossing {
	x := &crossing{conf: map[string]string{}}
	x.up = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.received, _ = io.ReadAll(r.Body)
		x.answer(w, x.received)
	}))
	t.Cleanup(x.up.Close)
	dir := t.TempDir()
	for _, kind := range kinds {
		for _, policy := range []string{"error", "drop"} {
			base := x.up.URL
			if kind == "openai" {
				base += "/v1"
			}
			conf := fmt.Sprintf("on_unsupported: %s\nproviders:\n  up: {type: %s, base_url: %s, api_key: none}\nmodels:\n  m:\n"+
				"    targets: [{provider: up, model: %s}]\n    retry: {attempts: 1}\n", policy, kind, base, models[kind])
			path := filepath.Join(dir, kind+"-"+policy+".yaml")
			if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
				t.Fatal(err)
			}
			x.conf[kind+policy] = path
		}
	}
	return x
}

// send makes a gateway of its own for each call: breakers and cooldowns remember.
func (x *crossing) send(t *testing.T, s surface, kind, policy string, body []byte) replay {
	t.Helper()
	x.received = nil
	gw, err := breakwater.FromConfig(x.conf[kind+policy])
	if err != nil {
		t.Fatal(err)
	}
	defer gw.Close()
	front := httptest.NewServer(gw.Handler())
	defer front.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+s.path, bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := replay{status: resp.StatusCode, header: resp.Header, received: x.received}
	if out.body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return out
}

// verdicts are counted in columns: whole, refused as the rules say, and not part of the test, with the reason.
type verdicts struct {
	*tally
	direction map[string][3]int // whole, refused, total
	refused   map[string]int
	left      map[string]int
}

func newVerdicts(title string) *verdicts {
	return &verdicts{newTally(title), map[string][3]int{}, map[string]int{}, map[string]int{}}
}

// leave counts a recording that the test does not use, and why.
func (v *verdicts) leave(why string) { v.left[why]++ }

// judge counts one replay. The fields named in a refusal stand in a column of their own.
func (v *verdicts) judge(c *cassette, way string, ok bool, refused []string) {
	v.add(c, ok)
	col := v.direction[way]
	col[2]++
	switch {
	case ok && len(refused) > 0:
		col[1]++
		for _, f := range refused {
			v.refused[withoutIndexes(f)]++
		}
	case ok:
		col[0]++
	}
	v.direction[way] = col
}

// print writes the tables; lines with the mark are shown by the test command even when all is well.
func (v *verdicts) print(t *testing.T) {
	t.Logf("REPORT %s: %d / %d replays", v.title, v.passed, v.total)
	for _, way := range sortedKeys(v.direction) {
		col := v.direction[way]
		t.Logf("REPORT   %-60s %4d whole, %4d refused by the rules, of %4d", way, col[0], col[1], col[2])
	}
	for _, m := range []map[string][2]int{v.byProv, v.byFeat} {
		for _, k := range sortedKeys(m) {
			t.Logf("REPORT   %-44s %4d / %d", k, m[k][0], m[k][1])
		}
	}
	for _, f := range sortedKeys(v.refused) {
		t.Logf("REPORT   refused, naming %-44s %4d", f, v.refused[f])
	}
	for _, why := range sortedKeys(v.left) {
		t.Logf("REPORT   not replayed: %-70s %4d", why, v.left[why])
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestReplayTranslatedRequests: a request of one protocol reaches a provider of the other with its meaning,
// or is refused with the names of all that has no counterpart there, no more and no less.
// With on_unsupported: drop the same request goes through without those, and says so.
func TestReplayTranslatedRequests(t *testing.T) {
	x := newCrossing(t)
	v := newVerdicts("translated requests, equal meaning")
	dropped := newVerdicts("translated requests, on_unsupported: drop")
	for _, c := range cassettes(t) {
		raw, ok := c.recordedRequest()
		switch {
		case c.API == "count_tokens":
			v.leave("token counts are asked of their own protocol only")
			continue
		case !ok:
			v.leave("no request was recorded")
			continue
		}
		body := withModel(raw, `"m"`)
		s, kind := c.surface(), c.other()
		x.answer = func(w http.ResponseWriter, sent []byte) { answerOK(w, kind, sent) }
		var names []string
		ok = t.Run("error/"+c.file, func(t *testing.T) {
			want, named := expected(t, c, body)
			r := x.send(t, s, kind, "error", body)
			if r.status == 200 {
				checkCrossed(t, kind, r, want, named)
				return
			}
			names = checkRefused(t, s, body, r, want.wrong, named)
		})
		v.judge(c, c.API+" to "+kind, ok, names)
		names = nil
		ok = t.Run("drop/"+c.file, func(t *testing.T) {
			want, named := expected(t, c, body)
			r := x.send(t, s, kind, "drop", body)
			if r.status == 200 {
				checkDropped(t, r, named)
				checkCrossed(t, kind, r, want, nil)
				return
			}
			names = checkRefused(t, s, body, r, want.wrong, nil)
		})
		dropped.judge(c, c.API+" to "+kind, ok, names)
	}
	v.print(t)
	dropped.print(t)
}

// recordedRequest is the recorded request if it is a JSON object with messages.
func (c *cassette) recordedRequest() ([]byte, bool) {
	raw := []byte(c.Request.Body)
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = []byte(text)
	}
	return raw, len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

// withModel asks for the model.
func withModel(raw []byte, model string) []byte {
	if member := modelMember(raw); member != nil {
		return bytes.Replace(raw, member, []byte(`"model":`+model), 1)
	}
	return append([]byte(`{"model":`+model+`,`), raw[1:]...)
}

// expected is what the provider must be wish, by the rules, and what must be named.
func expected(t *testing.T, c *cassette, body []byte) (wish, []string) {
	t.Helper()
	if c.kind() == "openai" {
		return readChat(t, body).toAnthropic(t, body)
	}
	return readMessages(t, body).toChat(t, body)
}

func checkCrossed(t *testing.T, kind string, r replay, want wish, named []string) {
	t.Helper()
	if len(want.wrong) > 0 {
		t.Errorf("went through although these are wrong: %v", want.wrong)
	}
	if len(named) > 0 {
		t.Errorf("went through although the provider cannot be told %v", named)
	}
	orphans := slices.ContainsFunc(want.items, func(i item) bool { return i.kind == "result" && i.call == 0 })
	legalRequest(t, kind, r.received, orphans)
	var got wish
	if kind == "openai" {
		got = readChat(t, r.received)
	} else {
		got = readMessages(t, r.received)
	}
	if d := differ(got, want); d != "" {
		t.Errorf("the provider was asked something else:\n%sreceived: %.1500s", d, r.received)
	}
}

// checkDropped: what was left out is told, by the names that a refusal gives.
func checkDropped(t *testing.T, r replay, named []string) {
	t.Helper()
	told := r.header.Get("X-Breakwater-Dropped")
	if strings.HasSuffix(told, " fields") {
		if told != fmt.Sprintf("%d fields", len(unique(named))) {
			t.Errorf("left out %s, want %v", told, named)
		}
		return
	}
	var got []string
	if told != "" {
		got = strings.Split(told, ",")
	}
	sameNames(t, "left out", got, named)
}

func unique(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}

func sameNames(t *testing.T, what string, got, want []string) {
	t.Helper()
	if g, w := unique(got), unique(want); !slices.Equal(g, w) {
		t.Errorf("%s: %v, want %v", what, g, w)
	}
}

// checkRefused: a 400 names what is wrong, or all that has no counterpart, and that is in the request. It
// returns the names.
func checkRefused(t *testing.T, s surface, body []byte, r replay, wrong, named []string) []string {
	t.Helper()
	if r.status != 400 || r.received != nil {
		t.Fatalf("status %d, sent upstream: %t: %s", r.status, r.received != nil, r.body)
	}
	_, code, message := s.errorOf(t, r.body)
	if code != "invalid_request" {
		t.Errorf("code %q, want invalid_request", code)
	}
	list, _, found := strings.Cut(message, `: provider "up"`)
	if !found { // not that it cannot be said, but that it is wrong
		name := regexp.MustCompile(`^[\w\[\].]+`).FindString(message)
		if !slices.Contains(wrong, name) {
			t.Errorf("names %q as wrong; by the rules that is %q: %s", name, wrong, message)
		}
		return []string{name}
	}
	names := strings.Split(list, ", ")
	sameNames(t, "refused", names, named)
	for _, n := range names {
		if !present(t, body, n) {
			t.Errorf("names %q, which is not in the request", n)
		}
	}
	return names
}

var indexes = regexp.MustCompile(`\[\d+\]`)

func withoutIndexes(path string) string { return indexes.ReplaceAllString(path, "[]") }

// lookup finds a path such as messages[2].content[0].text.
func lookup(t *testing.T, body []byte, path string) (any, bool) {
	t.Helper()
	var v any = parse(t, body).m
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		switch x := v.(type) {
		case map[string]any:
			if v = x[step]; v == nil {
				return nil, false
			}
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func valueAt(t *testing.T, body []byte, path string) string {
	v, _ := lookup(t, body, path)
	return canonical(v)
}

// present says whether what a refusal names is in the request: a path, or one of the names that stand for
// every part or tool of a type.
func present(t *testing.T, body []byte, name string) bool {
	t.Helper()
	if _, ok := lookup(t, body, name); ok {
		return true
	}
	has := func(member, value string) bool {
		return bytes.Contains(bytes.ReplaceAll(body, []byte(`": "`), []byte(`":"`)), []byte(`"`+member+`":"`+value+`"`))
	}
	where, typ, _ := strings.Cut(name, ".")
	typ, source, _ := strings.Cut(typ, ".")
	switch where {
	case "content", "tools", "assistant":
		return has("type", typ) && (source == "" || has("type", strings.TrimSuffix(source, "_id")))
	}
	return name == "citations" && bytes.Contains(body, []byte(`"citations"`))
}

// answerOK answers a call of the kind well, as it was asked: whole or streamed.
func answerOK(w http.ResponseWriter, kind string, sent []byte) {
	var req struct{ Stream bool }
	_ = json.Unmarshal(sent, &req)
	if !req.Stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, whole(kind, "ok"))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	head, content, tail := frames(kind, "ok")
	_, _ = io.WriteString(w, strings.Join(slices.Concat(head, content, tail), ""))
}
