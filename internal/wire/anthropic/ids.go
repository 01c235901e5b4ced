package anthropic

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// idPrefix marks an id that was not legal here and is carried in base64url.
const idPrefix = "bwid_"

// legalID reports whether the API takes s as the id of a tool call.
func legalID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

// encodeID turns any id into a legal one, always the same; decodeID undoes it.
func encodeID(id string) string {
	if legalID(id) && !strings.HasPrefix(id, idPrefix) {
		return id
	}
	return idPrefix + base64.RawURLEncoding.EncodeToString([]byte(id))
}

func decodeID(id string) string {
	text, ok := strings.CutPrefix(id, idPrefix)
	if !ok {
		return id
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || encodeID(string(raw)) != id {
		return id
	}
	return string(raw)
}

// answerToolID is the id of a call in an answer: a provider that names none
// gets one made of the message's id and the block's place.
func answerToolID(id, message string, index int) string {
	if id == "" {
		return "toolu_" + strings.TrimPrefix(message, "msg_") + "_" + strconv.Itoa(index)
	}
	return encodeID(id)
}

// messageID gives an answer's id this protocol's prefix.
func messageID(id string) string {
	if strings.HasPrefix(id, "msg_") && legalID(id) {
		return id
	}
	if id == "" {
		return "msg_none"
	}
	safe := []byte(id)
	for i, c := range safe {
		if !legalID(string(c)) {
			safe[i] = '_'
		}
	}
	return "msg_" + string(safe)
}
