package e2e

import (
	"strings"
	"testing"
)

// legalRequest checks what each API demands of the order and form of a conversation, beyond its meaning. With
// orphans the client itself sent results that belong to no call.
func legalRequest(t *testing.T, kind string, body []byte, orphans bool) {
	t.Helper()
	top := decode(body)
	list, _ := top["messages"].([]any)
	if len(list) == 0 {
		t.Errorf("no messages")
	}
	if kind == "openai" {
		legalChat(t, top, list, orphans)
	} else {
		legalMessages(t, top, list, orphans)
	}
}

// legalMessages: turns alternate and none is empty, no text is blank, and the results of calls stand
// at the beginning of the turn that follows the calls.
func legalMessages(t *testing.T, top map[string]any, list []any, orphans bool) {
	t.Helper()
	if number(top["max_tokens"]) < 1 {
		t.Errorf("no max_tokens")
	}
	before, calls := "", map[string]bool{}
	for i, v := range list {
		m := object(v)
		role := text(m["role"])
		if role == before || role != "user" && role != "assistant" {
			t.Errorf("messages[%d] is from %q after %q", i, role, before)
		}
		before = role
		blocks, ok := m["content"].([]any)
		if !ok && strings.TrimSpace(text(m["content"])) == "" || ok && len(blocks) == 0 {
			t.Errorf("messages[%d] is empty", i)
		}
		seen, next := false, map[string]bool{}
		for k, v := range blocks {
			b := object(v)
			switch b["type"] {
			case "text":
				if strings.TrimSpace(text(b["text"])) == "" {
					t.Errorf("messages[%d].content[%d] is blank", i, k)
				}
			case "tool_use":
				next[text(b["id"])] = true
				if !plainID.MatchString(text(b["id"])) || object(b["input"]) == nil {
					t.Errorf("messages[%d].content[%d] is no legal call", i, k)
				}
			case "tool_result":
				if seen || role != "user" {
					t.Errorf("messages[%d].content[%d]: a result after something else", i, k)
				}
				if !orphans && !calls[text(b["tool_use_id"])] {
					t.Errorf("messages[%d].content[%d]: a result that does not follow its call", i, k)
				}
				continue
			}
			seen = true
		}
		calls = next
	}
}

// legalChat: results stand straight after the message with their calls, only users show media, and the
// limit has one name.
func legalChat(t *testing.T, top map[string]any, list []any, orphans bool) {
	t.Helper()
	if top["max_tokens"] != nil {
		t.Errorf("max_tokens for a model that takes max_completion_tokens only")
	}
	calls := map[string]bool{}
	for i, v := range list {
		m := object(v)
		role := text(m["role"])
		if role == "tool" {
			if !orphans && !calls[text(m["tool_call_id"])] {
				t.Errorf("messages[%d]: a result that does not follow its call", i)
			}
		} else {
			calls = map[string]bool{}
		}
		made, _ := m["tool_calls"].([]any)
		for _, v := range made {
			calls[text(object(v)["id"])] = true
			if _, ok := object(v, "function")["arguments"].(string); !ok || object(v)["type"] != "function" {
				t.Errorf("messages[%d]: no legal call: %v", i, v)
			}
		}
		if m["content"] == nil && len(made) == 0 && m["refusal"] == nil {
			t.Errorf("messages[%d] has no content", i)
		}
		parts, _ := m["content"].([]any)
		for k, v := range parts {
			if typ := text(object(v)["type"]); typ != "text" && role != "user" {
				t.Errorf("messages[%d].content[%d]: %s from %s", i, k, typ, role)
			}
		}
	}
}
