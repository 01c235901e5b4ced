package openai

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// errorTypes are OpenAI's words for the kinds of error. Kinds not in here are
// "server_error" or, for statuses below 500, "invalid_request_error".
var errorTypes = map[llm.Kind]string{
	llm.KindAuthentication:   "authentication_error",
	llm.KindPermission:       "permission_error",
	llm.KindNotFound:         "not_found_error",
	llm.KindRateLimit:        "rate_limit_error",
	llm.KindConcurrencyLimit: "rate_limit_error",
	llm.KindBudget:           "insufficient_quota",
	llm.KindQuota:            "insufficient_quota",
	llm.KindTimeout:          "timeout_error",
	llm.KindOverloaded:       "overloaded_error",
}

type errorOut struct {
	Error errorObject `json:"error"`
}

type errorObject struct {
	Message  string            `json:"message"`
	Type     string            `json:"type"`
	Param    *string           `json:"param"`
	Code     *string           `json:"code"`
	Attempts []wire.AttemptOut `json:"attempts,omitzero"`
}

func (codec) EncodeError(e *llm.Error, _ string) []byte {
	if passable(e) {
		return e.Body
	}
	return errorBody(e)
}

func (codec) ErrorEvent(e *llm.Error, _ string) []byte {
	out := append([]byte("data: "), errorBody(e)...)
	return append(out, "\n\n"...)
}

func errorBody(e *llm.Error) []byte {
	out := errorObject{Message: e.Message, Type: errorType(e), Attempts: wire.Attempts(e.Attempts)}
	if out.Message == "" {
		out.Message = "the request failed"
	}
	if e.Param != "" {
		out.Param = &e.Param
	}
	if code := e.PublicCode(); code != "" {
		out.Code = &code
	}
	b, err := marshal(errorOut{out})
	if err != nil { // strings and numbers only: cannot happen
		return []byte(`{"error":{"message":"internal error","type":"server_error","param":null,"code":"internal_error"}}`)
	}
	return b
}

// errorType is OpenAI's type for the error: the provider's own word where its error is
// passed on to a client of the same protocol.
func errorType(e *llm.Error) string {
	if e.Type != "" && e.BodyProtocol == llm.OpenAIChat && e.Status != 0 && e.Status == e.ProviderStatus {
		return e.Type
	}
	t, ok := errorTypes[e.Kind]
	if ok && !(e.Status >= 500 && (e.Kind == llm.KindAuthentication || e.Kind == llm.KindPermission || e.Kind == llm.KindQuota)) {
		return t // but not what a provider has against the gateway's own account
	}
	if e.HTTPStatus() < 500 {
		return "invalid_request_error"
	}
	return "server_error"
}

// passable reports whether the provider's own body can go to the client as it came: its
// status goes too, and every member is there, with the type that OpenAI's SDKs expect.
func passable(e *llm.Error) bool {
	if e.BodyProtocol != llm.OpenAIChat || e.Status == 0 || e.Status != e.ProviderStatus || len(e.Attempts) > 0 {
		return false
	}
	body := bytes.TrimSpace(e.Body)
	if len(body) == 0 || body[0] != '{' || !jsontext.Value(body).IsValid() {
		return false
	}
	inner := gjson.GetBytes(body, "error")
	if !inner.IsObject() || inner.Get("message").Type != gjson.String {
		return false
	}
	for _, name := range []string{"type", "param", "code"} {
		if f := inner.Get(name); !f.Exists() || f.Type != gjson.String && f.Type != gjson.Null {
			return false
		}
	}
	return true
}
