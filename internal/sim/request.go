package sim

import (
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// ask is what a request asks for, in words that all protocols share.
type ask struct {
	model        string
	stream       bool
	includeUsage bool   // OpenAI: a usage chunk at the stream's end
	user         string // the last user text
	tools        []offeredTool
	forced       string // "": no tool need be called; "*": any; else a name
	schema       string // JSON schema the answer must satisfy, raw
	jsonMode     bool   // any JSON object
	maxTokens    int    // -1: no limit
	stop         []string
	choices      int // 1 unless OpenAI's n says more
	input        int // estimated input tokens
}

type offeredTool struct {
	name   string
	schema string // raw JSON schema of the arguments
}

// readBody reads a request body of at most MaxBody bytes.
func readBody(r *http.Request) ([]byte, *failure) {
	if r.Body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return b, &failure{kind: failInvalid, message: "the request body could not be read"}
	}
	if len(b) > MaxBody {
		return b[:0], &failure{kind: failTooLarge, message: "Request exceeds the maximum size"}
	}
	return b, nil
}

// inputTokens adds up the estimate over all texts of the conversation and the
// tool definitions: every string but roles, types, ids and binary data.
func inputTokens(parts ...gjson.Result) int {
	var c counter
	for _, p := range parts {
		countText(&c, p, "")
	}
	return max(1, (c.runes+3)/4)
}

func countText(c *counter, v gjson.Result, key string) {
	switch {
	case v.IsObject():
		v.ForEach(func(k, e gjson.Result) bool {
			countText(c, e, k.Str)
			return true
		})
	case v.IsArray():
		v.ForEach(func(_, e gjson.Result) bool {
			countText(c, e, key)
			return true
		})
	case v.Type == gjson.String:
		switch key {
		case "role", "type", "id", "tool_call_id", "tool_use_id", "data", "url", "signature", "media_type", "file_data":
		default:
			c.add(v.Str)
		}
	}
}

// textOf is the text of a message's content: a string, or a list of parts of
// which the text ones are joined.
func textOf(content gjson.Result) string {
	if content.Type == gjson.String {
		return content.Str
	}
	var sb strings.Builder
	content.ForEach(func(_, p gjson.Result) bool {
		if p.Get("type").Str == "text" {
			if sb.Len() > 0 {
				sb.WriteByte('\n')
			}
			sb.WriteString(p.Get("text").Str)
		}
		return true
	})
	return sb.String()
}

// lastUserText is the text of the last message from the user that has any.
func lastUserText(messages gjson.Result) string {
	list := messages.Array()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Get("role").Str == "user" {
			if t := textOf(list[i].Get("content")); t != "" {
				return t
			}
		}
	}
	return ""
}

func stringList(v gjson.Result) []string {
	if v.Type == gjson.String {
		return []string{v.Str}
	}
	var out []string
	v.ForEach(func(_, e gjson.Result) bool {
		if e.Type == gjson.String && e.Str != "" {
			out = append(out, e.Str)
		}
		return true
	})
	return out
}
