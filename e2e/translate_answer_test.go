package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// plainID is an id that both protocols take as it is.
var plainID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// TestReplayTranslatedAnswers: a client of one protocol gets what a provider of the other answered, with its
// meaning and in the exact form that SDKs parse; also where one side streams and the other does not.
func TestReplayTranslatedAnswers(t *testing.T) {
	x := newCrossing(t)
	v := newVerdicts("translated answers, equal meaning")
	for _, c := range cassettes(t) {
		if c.API == "count_tokens" {
			v.leave("token counts are asked of their own protocol only")
			continue
		}
		x.answer = func(w http.ResponseWriter, _ []byte) { c.answerRecorded(w) }
		for _, streamed := range []bool{true, false} {
			name, way := "whole", c.API+" answer, "
			if streamed {
				name = "stream"
			}
			switch {
			case c.Response.Status != 200:
				if streamed != c.Stream {
					continue // an error has one form
				}
				way = c.API + " error"
			case !streamed && c.Stream && c.has("odd_content_type"):
				v.leave("an event stream labelled as JSON, for a client that asked for JSON")
				continue
			case streamed == c.Stream:
				way += name + " as recorded"
			default:
				way += name + " where the provider did the opposite"
			}
			ok := t.Run(name+"/"+c.file, func(t *testing.T) {
				s := c.otherSurface()
				r := x.send(t, s, c.kind(), "error", []byte(s.request("m", streamed, usageWanted(s, streamed)...)))
				got := c.checkAnswer(t, s, streamed, r)
				if s == messages && slices.ContainsFunc(got.calls, func(k called) bool { return !plainID.MatchString(k.id) || strings.HasPrefix(k.id, "bwid_") }) {
					x.checkIDs(t, c, got)
				}
			})
			v.judge(c, way, ok, nil)
		}
	}
	v.print(t)
}

func usageWanted(s surface, stream bool) []string {
	if s == chat && stream {
		return []string{`"stream_options":{"include_usage":true}`}
	}
	return nil
}

// answerRecorded gives the recorded answer.
func (c *cassette) answerRecorded(w http.ResponseWriter) {
	for name, v := range c.Response.Headers {
		w.Header().Set(name, v)
	}
	if c.Stream && w.Header().Get("Content-Type") == "" && c.Response.Status == 200 {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	w.WriteHeader(c.Response.Status)
	_, _ = io.WriteString(w, c.Response.Body)
}

// checkAnswer returns what the client was told, if it was told anything.
func (c *cassette) checkAnswer(t *testing.T, s surface, streamed bool, r replay) (got said) {
	t.Helper()
	if c.Response.Status != 200 {
		c.checkRefusal(t, s, r)
		return got
	}
	recorded := readAnswer(t, c.kind(), c.Stream, []byte(c.Response.Body))
	if c.Stream {
		recorded.broken = recorded.broken || !whole_(c, events(t, []byte(c.Response.Body)))
	}
	if recorded.broken || unreadable(recorded) {
		checkBroken(t, s, streamed, r)
		return got
	}
	if r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	switch {
	case streamed && s == chat:
		wellFormedChat(t, events(t, r.body))
	case streamed:
		wellFormedMessages(t, events(t, r.body))
	default:
		wellFormedWhole(t, s, r.body)
	}
	got = readAnswer(t, c.other(), streamed, r.body)
	got.compare(t, recorded.retold(c.kind()))
	return got
}

// checkIDs: a call whose id this protocol does not allow comes back to its provider under the id that it gave.
func (x *crossing) checkIDs(t *testing.T, c *cassette, got said) {
	t.Helper()
	recorded := readAnswer(t, c.kind(), c.Stream, []byte(c.Response.Body))
	var calls, results []string
	for _, k := range got.calls {
		if !plainID.MatchString(k.id) {
			t.Errorf("the id %q is not legal in this protocol", k.id)
		}
		calls = append(calls, fmt.Sprintf(`{"type":"tool_use","id":%q,"name":%q,"input":%s}`, k.id, k.name, k.args))
		results = append(results, fmt.Sprintf(`{"type":"tool_result","tool_use_id":%q,"content":"done"}`, k.id))
	}
	body := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"go"},{"role":"assistant","content":[` + strings.Join(calls, ",") +
		`]},{"role":"user","content":[` + strings.Join(results, ",") + `]}]}`
	x.send(t, messages, c.kind(), "error", []byte(body))
	var sent struct {
		Messages []struct {
			ID    string                `json:"tool_call_id"`
			Calls []struct{ ID string } `json:"tool_calls"`
		}
	}
	if err := json.Unmarshal(x.received, &sent); err != nil {
		t.Fatal(err)
	}
	var back, want []string
	for _, m := range sent.Messages {
		for _, k := range m.Calls {
			back = append(back, k.ID)
		}
		if m.ID != "" {
			back = append(back, m.ID)
		}
	}
	for range 2 {
		for _, k := range recorded.calls {
			want = append(want, k.id)
		}
	}
	if !slices.Equal(back, want) {
		t.Errorf("the ids came back as %q, want %q", back, want)
	}
}

// unreadable: arguments that are no object, and not because the limit cut them: no call can be made of them.
func unreadable(a said) bool {
	return a.finish != "length" && slices.ContainsFunc(a.calls, func(c called) bool { return !strings.HasPrefix(c.args, "{") })
}

// checkBroken: what the provider did not finish must not look whole.
func checkBroken(t *testing.T, s surface, streamed bool, r replay) {
	t.Helper()
	if r.status != 200 {
		s.errorOf(t, r.body)
		return
	}
	if !streamed {
		t.Fatalf("a broken recording was answered as if it were whole: %s", r.body)
	}
	if a := s.read(t, r.body); a.complete || !a.failed || a.after {
		t.Fatalf("a broken recording looks whole: %+v", a)
	}
}

// checkRefusal: an error in the client's own form, of the class that the provider's status means.
func (c *cassette) checkRefusal(t *testing.T, s surface, r replay) {
	typ, _, message := s.errorOf(t, r.body)
	status := c.Response.Status
	if callersOwn(r.status) && r.status == status {
		if told := toldMessage(c.Response.Body); !strings.Contains(message, told) {
			t.Errorf("says %q, the provider said %q", message, told)
		}
	} else if r.status != 413 { // one request above the provider's limit is the caller's own
		checkAttempts(t, r, status)
	}
	switch {
	case r.status == status && callersOwn(status):
	case r.status == 400 && status == 413, r.status == 413 && (status == 400 || status == 429):
	case r.status == 429 && status == 429:
	case r.status == 504 && (status == 408 || status == 504):
	case r.status == 502 && !callersOwn(status), r.status == 502 && status == 400 && accountAtFault(c.Response.Body):
	default:
		t.Errorf("status %d for the provider's %d: %s", r.status, status, r.body)
	}
	if want := errorTypes[r.status]; s == messages && typ != want {
		t.Errorf("type %q for status %d, want %q", typ, r.status, want)
	}
	if s == chat {
		var e struct {
			Error map[string]json.RawMessage
		}
		_ = json.Unmarshal(r.body, &e)
		for _, name := range []string{"message", "type", "param", "code"} {
			if e.Error[name] == nil {
				t.Errorf("the error has no member %s: %s", name, r.body)
			}
		}
	}
}

// errorTypes are Anthropic's words for a status.
var errorTypes = map[int]string{
	400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large", 422: "invalid_request_error", 429: "rate_limit_error",
	502: "api_error", 504: "timeout_error",
}

// accountAtFault: a 400 that is about the gateway's own account with the provider.
func accountAtFault(body string) bool {
	for _, s := range []string{"credit balance is too low", "usage limits", "API key", "tool_use_failed", "API_KEY_INVALID"} {
		if strings.Contains(body, s) {
			return true
		}
	}
	return false
}

// toldMessage is a piece of what the provider's error says: the message's first line, cut.
func toldMessage(body string) string {
	m := decode([]byte(body))
	var told string
	for _, s := range []string{text(object(m["error"])["message"]), text(m["error"]), text(m["message"]), text(m["detail"])} {
		if told == "" {
			told = s
		}
	}
	told, _, _ = strings.Cut(told, "\n")
	return told[:min(len(told), 60)]
}

// checkAttempts: the one attempt stands in the error, with the provider's status.
func checkAttempts(t *testing.T, r replay, status int) {
	t.Helper()
	m := decode(r.body)
	list, _ := object(m["error"])["attempts"].([]any)
	if list == nil {
		list, _ = m["attempts"].([]any)
	}
	if len(list) != 1 || number(object(list[0])["status"]) != status || text(object(list[0])["error"]) == "" {
		t.Errorf("the attempts do not tell of the status %d: %s", status, r.body)
	}
}

// wellFormedChat: what OpenAI's SDKs need of a stream.
func wellFormedChat(t *testing.T, evs []event) {
	t.Helper()
	var id string
	finishes, roles, usages := 0, 0, 0
	for i, ev := range evs {
		if ev.name != "" {
			t.Errorf("event %d has the name %q", i, ev.name)
		}
		if ev.data == "[DONE]" {
			if i != len(evs)-1 {
				t.Errorf("[DONE] is event %d of %d", i, len(evs))
			}
			continue
		}
		m := decode([]byte(ev.data))
		choices, ok := m["choices"].([]any)
		if !ok || m["object"] != "chat.completion.chunk" || text(m["id"]) == "" || number(m["created"]) == 0 {
			t.Fatalf("event %d is no chunk: %s", i, ev.data)
		}
		if id == "" {
			id = text(m["id"])
		}
		if text(m["id"]) != id {
			t.Errorf("the id changes from %q to %q", id, m["id"])
		}
		if _, there := m["error"]; there {
			t.Errorf("a chunk with a member error: %s", ev.data)
		}
		usage, there := m["usage"]
		if !there || (usage != nil) != (len(choices) == 0) {
			t.Errorf("usage belongs into a chunk of its own and is null in the others: %s", ev.data)
		}
		if usage != nil {
			usages++
		}
		for _, v := range choices {
			c := object(v)
			if _, ok := c["index"]; !ok || c["delta"] == nil {
				t.Errorf("a choice without index or delta: %s", ev.data)
			}
			if c["finish_reason"] != nil {
				finishes++
			}
			d := object(c["delta"])
			if d["role"] != nil {
				roles++
			}
			list, _ := d["tool_calls"].([]any)
			for _, v := range list {
				if _, ok := object(v)["index"]; !ok {
					t.Errorf("a call without index: %s", ev.data)
				}
			}
		}
	}
	if finishes != 1 || roles != 1 || usages > 1 {
		t.Errorf("%d chunks with a finish reason, %d with a role, %d with usage", finishes, roles, usages)
	}
}

// wellFormedMessages: what Anthropic's SDKs need of a stream.
func wellFormedMessages(t *testing.T, evs []event) {
	t.Helper()
	open, next := -1, 0
	var order []string
	for i, ev := range evs {
		m := decode([]byte(ev.data))
		typ := text(m["type"])
		if typ == "" || typ != ev.name {
			t.Errorf("event %d has the name %q and the type %q", i, ev.name, typ)
		}
		index := number(m["index"])
		switch typ {
		case "message_start":
			msg := object(m["message"])
			if list, ok := msg["content"].([]any); !ok || len(list) > 0 || object(msg["usage"]) == nil || !strings.HasPrefix(text(msg["id"]), "msg_") {
				t.Errorf("not the start of a message: %s", ev.data)
			}
		case "content_block_start":
			if open >= 0 || index != next {
				t.Errorf("block %d opens while %d is open; %d is next", index, open, next)
			}
			open, next = index, next+1
		case "content_block_delta":
			if index != open {
				t.Errorf("a delta for block %d while %d is open", index, open)
			}
		case "content_block_stop":
			if index != open {
				t.Errorf("block %d closes while %d is open", index, open)
			}
			open = -1
		case "message_delta":
			if object(m["usage"]) == nil || text(object(m["delta"])["stop_reason"]) == "" {
				t.Errorf("not the end of a message: %s", ev.data)
			}
		}
		if strings.HasPrefix(typ, "message_") {
			order = append(order, typ)
		}
	}
	if fmt.Sprint(order) != "[message_start message_delta message_stop]" || open >= 0 {
		t.Errorf("the message goes %v, block %d is left open", order, open)
	}
}

// wellFormedWhole: what SDKs need of a whole answer.
func wellFormedWhole(t *testing.T, s surface, body []byte) {
	t.Helper()
	m := decode(body)
	if s == messages {
		if _, ok := m["content"].([]any); !ok || m["type"] != "message" || m["role"] != "assistant" || object(m["usage"]) == nil ||
			!strings.HasPrefix(text(m["id"]), "msg_") || text(m["stop_reason"]) == "" {
			t.Errorf("not a message: %.500s", body)
		}
		return
	}
	choices, _ := m["choices"].([]any)
	if len(choices) != 1 || m["object"] != "chat.completion" || text(m["id"]) == "" || number(m["created"]) == 0 {
		t.Fatalf("not a completion: %.500s", body)
	}
	msg := object(choices[0], "message")
	content, there := msg["content"]
	calls, some := msg["tool_calls"]
	if list, _ := calls.([]any); !there || content == "" && len(list) > 0 || some && len(list) == 0 || text(object(choices[0])["finish_reason"]) == "" {
		t.Errorf("not a message: %.500s", body)
	}
}

// TestReplayTokenCounts: a count that no provider of the client's protocol can be asked for is an estimate, near
// enough to the recorded count to plan with, and nobody is asked.
func TestReplayTokenCounts(t *testing.T) {
	x := newCrossing(t)
	x.answer = func(w http.ResponseWriter, _ []byte) { w.WriteHeader(500) }
	v := newVerdicts("token counts where the provider has none")
	for _, c := range cassettes(t) {
		if c.API != "count_tokens" {
			v.leave("no token count")
			continue
		}
		ok := t.Run(c.file, func(t *testing.T) {
			raw, _ := c.recordedRequest()
			r := x.send(t, c.surface(), "openai", "error", withModel(raw, `"m"`))
			if r.status != 200 || r.received != nil {
				t.Fatalf("status %d, the provider was asked: %t: %s", r.status, r.received != nil, r.body)
			}
			got := number(decode(r.body)["input_tokens"])
			told := number(decode([]byte(c.Response.Body))["input_tokens"])
			near := got <= 10*told && told <= 10*got || c.has("server_tools") // whose instructions nobody sees
			if got <= 0 || c.Response.Status == 200 && !near {
				t.Errorf("estimated %d tokens, the provider counted %d", got, told)
			}
		})
		v.judge(c, "count_tokens to openai", ok, nil)
	}
	v.print(t)
}
