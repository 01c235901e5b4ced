package openai

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/breakwater-llm/breakwater/llm"
)

var errNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func header(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func TestDecodeError(t *testing.T) {
	const none = -time.Nanosecond
	for _, tc := range []struct {
		name    string
		status  int
		h       http.Header
		body    string
		kind    llm.Kind
		passed  int // Status
		message string
		code    string // PublicCode
		wait    time.Duration
		noRetry bool
	}{
		{"openai unsupported parameter", 400, nil, `{"error":{"message":"Unsupported parameter: 'stop'","type":"invalid_request_error","param":"stop","code":"unsupported_parameter"}}`,
			llm.KindInvalidRequest, 400, "Unsupported parameter: 'stop'", "unsupported_parameter", none, false},
		{"openai bad key: the text is not repeated", 401, nil, `{"error":{"message":"Incorrect API key provided: test_key.","type":"invalid_request_error","code":"invalid_api_key"}}`,
			llm.KindAuthentication, 0, "refused the API key", "invalid_api_key", none, false},
		{"openai unknown model", 404, nil, `{"error":{"message":"The model x does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}`,
			llm.KindNotFound, 404, "does not exist", "model_not_found", none, false},
		{"openai context", 400, nil, `{"error":{"message":"too long","code":"context_length_exceeded"}}`,
			llm.KindContextLength, 400, "too long", "context_length_exceeded", none, false},
		{"openai rate limit", 429, header("retry-after-ms", "6", "retry-after", "1"), `{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}`,
			llm.KindRateLimit, 0, "Rate limit", "rate_limit_exceeded", 6 * time.Millisecond, false},
		{"openai rate limit told in the text", 429, nil, `{"error":{"message":"Rate limit reached. Please try again in 1m30.5s. Visit","code":"rate_limit_exceeded"}}`,
			llm.KindRateLimit, 0, "", "rate_limit_exceeded", 90*time.Second + 500*time.Millisecond, false},
		{"openai request too large", 429, header("retry-after", "9"), `{"error":{"message":"Request too large for gpt-5-nano on tokens per min (TPM): Limit 200000, Requested 2500013.","type":"tokens","code":"rate_limit_exceeded"}}`,
			llm.KindTooLarge, 0, "Request too large", "request_too_large", none, true},
		{"openai out of money", 429, nil, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`,
			llm.KindQuota, 0, "quota", "insufficient_quota", none, false},
		{"openai spend limit", 429, nil, `{"error":{"message":"limit","code":"project_spend_limit_exceeded"}}`, llm.KindQuota, 0, "", "insufficient_quota", none, false},
		{"openai overloaded", 503, header("retry-after", "20"), `{"error":{"message":"busy","code":"server_is_overloaded"}}`, llm.KindOverloaded, 0, "busy", "server_is_overloaded", 20 * time.Second, false},
		{"openai failed", 500, header("x-should-retry", "false"), `{"error":{"message":"An error occurred","type":"server_error","code":"server_error"}}`,
			llm.KindServerError, 0, "An error", "server_error", none, true},
		{"proxy text", 503, nil, "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
			llm.KindOverloaded, 0, "upstream connect error", "overloaded", none, false},
		{"cloudflare", 502, header("content-type", "text/html; charset=UTF-8"), "<!DOCTYPE html><html><head><title>502 Bad\nGateway</title></head><body>...",
			llm.KindServerError, 0, "502 Bad Gateway", "server_error", none, false},
		{"html without a title", 500, nil, "<html>", llm.KindServerError, 0, "status 500 (Internal Server Error)", "server_error", none, false},
		{"empty", 504, nil, "", llm.KindTimeout, 0, "status 504", "timeout", none, false},
		{"azure numeric code", 429, header("retry-after", "60"), `{"error":{"code":"429","message":"Requests have exceeded token rate limit."}}`,
			llm.KindRateLimit, 0, "exceeded", "rate_limit_exceeded", time.Minute, false},
		{"azure, retry-after-ms 0", 429, header("retry-after", "1", "retry-after-ms", "0"), `{"error":{"code":"RateLimitReached","message":"x","details":"x"}}`,
			llm.KindRateLimit, 0, "x", "RateLimitReached", time.Second, false},
		{"azure text in the body", 429, nil, `{"error":{"code":"429","message":"Please retry after 60 seconds."}}`, llm.KindRateLimit, 0, "", "rate_limit_exceeded", time.Minute, false},
		{"azure filter", 400, nil, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`,
			llm.KindContentFilter, 400, "filtered", "content_filter", none, false},
		{"azure no deployment", 404, nil, `{"error":{"code":"DeploymentNotFound","message":"none"}}`, llm.KindNotFound, 404, "none", "DeploymentNotFound", none, false},
		{"azure 404", 404, nil, `{"error":{"code":"404","message": "Resource not found"}}`, llm.KindNotFound, 404, "Resource", "model_not_found", none, false},
		{"azure text 413", 413, nil, "Failed to buffer the request body: length limit exceeded", llm.KindTooLarge, 413, "Failed to buffer", "request_too_large", none, false},
		{"azure text 408", 408, nil, "upstream request timeout", llm.KindTimeout, 0, "timeout", "timeout", none, false},
		{"azure details", 500, nil, `{"error":{"message":"An error occurred","details":"Failed to reconstruct"}}`, llm.KindServerError, 0, "An error", "server_error", none, false},
		{"groq 400 length", 400, nil, `{"error":{"message":"Please reduce the length of the messages or completion.","param":"messages","type":"invalid_request_error"}}`,
			llm.KindContextLength, 400, "reduce", "context_length_exceeded", none, false},
		{"groq tool", 400, nil, `{"error":{"code":"tool_use_failed","failed_generation":"x","message":"Failed to call a function.","type":"invalid_request_error"}}`,
			llm.KindBadResponse, 0, "Failed to call", "tool_use_failed", none, false},
		{"groq flex is full", 498, nil, `{"error":{"message":"capacity exceeded"}}`, llm.KindOverloaded, 0, "capacity", "overloaded", none, false},
		{"groq seconds in the text", 429, nil, `{"error":{"code":"rate_limit_exceeded","message":"Please try again in 2.81s. Need more tokens?","type":"tokens"}}`,
			llm.KindRateLimit, 0, "", "rate_limit_exceeded", 2810 * time.Millisecond, false},
		{"mistral flat", 429, nil, `{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}`,
			llm.KindRateLimit, 0, "Rate limit exceeded", "rate_limit_exceeded", none, false},
		{"mistral 3051", 400, nil, `{"object":"error","message":"Prompt contains 150004 tokens","type":"invalid_request_invalid_args","code":"3051"}`,
			llm.KindContextLength, 400, "Prompt contains", "context_length_exceeded", none, false},
		{"mistral detail text", 401, nil, `{"detail":"Invalid API Key"}`, llm.KindAuthentication, 0, "", "invalid_api_key", none, false},
		{"mistral detail list: the input is not repeated", 422, nil, `{"detail":[{"type":"string_type","loc":["body","messages",0],"msg":"Input should be a valid string","input":"SECRET"}]}`,
			llm.KindInvalidRequest, 422, "body.messages.0: Input should be a valid string", "invalid_request", none, false},
		{"mistral message object", 422, nil, `{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"bad"}]}}`, llm.KindInvalidRequest, 422, "body.n: bad", "invalid_request", none, false},
		{"xai string error", 400, nil, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 625077 tokens."}`,
			llm.KindContextLength, 400, "maximum prompt length", "context_length_exceeded", none, false},
		{"xai bad key", 400, nil, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***yz."}`, llm.KindAuthentication, 0, "refused", "invalid_api_key", none, false},
		{"xai capacity", 503, nil, `{"code":"The service is currently unavailable","error":"The model is at capacity"}`, llm.KindOverloaded, 0, "at capacity", "overloaded", none, false},
		{"openrouter upstream limit", 429, nil, `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream.","provider_name":"WandB"}},"user_id":"u"}`,
			llm.KindRateLimit, 0, "Provider returned error: x is temporarily", "rate_limit_exceeded", none, false},
		{"openrouter upstream JSON", 400, nil, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"no\",\"code\":\"context_length_exceeded\"}}"}}}`,
			llm.KindContextLength, 400, "Provider returned error: no", "context_length_exceeded", none, false},
		{"openrouter context", 400, nil, `{"error":{"message":"This endpoint's maximum context length is 200000 tokens.","code":400}}`, llm.KindContextLength, 400, "", "context_length_exceeded", none, false},
		{"openrouter moderation", 403, nil, `{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged"}}`, llm.KindContentFilter, 0, "", "content_filter", none, false},
		{"perplexity model", 400, nil, `{"error":{"message":"Invalid model 'x'.","type":"invalid_model","code":400}}`, llm.KindNotFound, 400, "Invalid model", "model_not_found", none, false},
		{"perplexity tokens", 400, nil, `{"error":{"message":"long","type":"too_many_prompt_tokens","code":400}}`, llm.KindContextLength, 400, "long", "context_length_exceeded", none, false},
		{"cerebras flat", 429, header("retry-after-ms", "660"), `{"code":"request_quota_exceeded","message":"Requests per second limit exceeded","param":"quota","type":"too_many_requests_error"}`,
			llm.KindRateLimit, 0, "Requests per second", "request_quota_exceeded", 660 * time.Millisecond, false},
		{"z.ai", 429, nil, `{"error":{"code":"1305","message":"The service may be temporarily overloaded"}}`, llm.KindOverloaded, 0, "overloaded", "overloaded", none, false},
		{"deepseek no balance", 402, nil, `{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}`, llm.KindQuota, 0, "", "insufficient_quota", none, false},
		{"deepseek text 422", 422, header("content-type", "text/plain"), "Failed to deserialize the JSON body", llm.KindInvalidRequest, 422, "Failed to deserialize", "invalid_request", none, false},
		{"deepseek context", 400, nil, `{"error":{"message":"This model's maximum context length is 1048565 tokens.","type":"invalid_request_error","code":"invalid_request_error"}}`, llm.KindContextLength, 400, "", "context_length_exceeded", none, false},
		{"anthropic's compatible path, no credit", 400, nil, `{"error":{"code":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`, llm.KindQuota, 0, "", "insufficient_quota", none, false},
		{"gemini list, bad key", 400, nil, `[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}]`,
			llm.KindAuthentication, 0, "", "invalid_api_key", none, false},
		{"vertex with a trailing comma", 400, nil, "[{\n \"error\": {\n \"code\": 400,\n \"message\": \"Please use a valid role\",\n \"status\": \"INVALID_ARGUMENT\",\n }\n}\n]", llm.KindInvalidRequest, 400, "valid role", "invalid_request", none, false},
		{"gemini retry delay", 429, nil, `[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"RetryInfo","retryDelay":"48s"}]}}]`,
			llm.KindRateLimit, 0, "Quota", "rate_limit_exceeded", 48 * time.Second, false},
		{"gemini daily quota", 429, nil, `{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}`,
			llm.KindRateLimit, 0, "Quota", "rate_limit_exceeded", none, true},
		{"hugging face", 401, nil, `{"error":"Invalid username or password."}`, llm.KindAuthentication, 0, "", "invalid_api_key", none, false},
		{"ollama", 400, nil, `{"error":"the input length exceeds the context length"}`, llm.KindContextLength, 400, "context length", "context_length_exceeded", none, false},
		{"ollama text", 404, nil, "404 page not found", llm.KindNotFound, 404, "404 page", "model_not_found", none, false},
		{"gpustack", 401, nil, `{"code":401,"reason":"Unauthorized","message":"Invalid authentication credentials"}`, llm.KindAuthentication, 0, "", "invalid_api_key", none, false},
		{"not allowed", 403, nil, `{"error":{"message":"region"}}`, llm.KindPermission, 0, "region", "model_not_allowed", none, false},
		{"conflict", 409, nil, `{}`, llm.KindServerError, 0, "status 409", "server_error", none, false},
		{"redirect", 307, nil, "", llm.KindBadResponse, 0, "status 307", "bad_response", none, false},
		{"retry-after on a 400 does not count", 400, header("retry-after", "2"), `{"error":{"message":"try again in 20s"}}`, llm.KindInvalidRequest, 400, "", "invalid_request", none, false},
		{"invalid UTF-8", 500, nil, "\xff\x00bad", llm.KindServerError, 0, "bad", "server_error", none, false},
	} {
		h := tc.h
		if h == nil {
			h = http.Header{}
		}
		e := New().DecodeError(tc.status, h, []byte(tc.body), errNow)
		if e.Kind != tc.kind || e.Status != tc.passed || e.ProviderStatus != tc.status || e.PublicCode() != tc.code || e.NoRetry != tc.noRetry {
			t.Errorf("%s: kind %s, status %d, provider's %d, code %s, no retry %v", tc.name, e.Kind, e.Status, e.ProviderStatus, e.PublicCode(), e.NoRetry)
		}
		if (e.RetryAfter >= 0 || tc.wait >= 0) && e.RetryAfter != tc.wait {
			t.Errorf("%s: wait %v, want %v", tc.name, e.RetryAfter, tc.wait)
		}
		if !strings.Contains(e.Message, tc.message) || strings.Contains(e.Message, "SECRET") || e.Message == "" || !utf8.ValidString(e.Message) {
			t.Errorf("%s: message %q", tc.name, e.Message)
		}
		if e.Kind == llm.KindAuthentication && (e.Body != nil || strings.Contains(e.Message, "test_key")) {
			t.Errorf("%s: a refused key may be in %q or %q", tc.name, e.Message, e.Body)
		}
		checkErrorBody(t, tc.name, New().EncodeError(e, "req"))
	}
}

// checkErrorBody holds a body to what openai-go reads without failing.
func checkErrorBody(t *testing.T, name string, body []byte) {
	t.Helper()
	var out struct {
		Error *struct {
			Message *string         `json:"message"`
			Type    json.RawMessage `json:"type"`
			Param   *string         `json:"param"`
			Code    *string         `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &out); err != nil || out.Error == nil || out.Error.Message == nil {
		t.Errorf("%s: %v in %s", name, err, body)
	}
}

func TestErrorIsBounded(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	e := New().DecodeError(400, header("content-type", "application/json"), []byte(`{"error":{"message":"`+long+`"}}`), errNow)
	if len(e.Message) > maxErrorMessage || !utf8.ValidString(e.Message) || len(e.Body) > maxErrorBody || e.ContentType != "application/json" {
		t.Errorf("message %d, body %d bytes", len(e.Message), len(e.Body))
	}
	body := New().EncodeError(e, "")
	checkErrorBody(t, "cut body", body)
	if len(body) > 2*maxErrorMessage {
		t.Errorf("%d bytes", len(body))
	}
}

func TestEncodeErrorPassesTheProvidersBody(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   bool
	}{
		{400, "{\n  \"error\": {\"message\": \"m\", \"type\": null, \"param\": \"n\", \"code\": \"c\", \"innererror\": {}}}", true},
		{404, `{"error":{"message":"m"}}`, false}, // members are missing
		{400, `{"error":{"message":"m","code":400}}`, false},
		{400, `{"error":"m"}`, false},
		{400, `{"message":"m"}`, false},
		{400, `{"error":{"message":7}}`, false},
		{400, `{"error":{"message":"m"}`, false},
		{500, `{"error":{"message":"m"}}`, false},
		{401, `{"error":{"message":"m"}}`, false},
	} {
		e := New().DecodeError(tc.status, http.Header{}, []byte(tc.body), errNow)
		body := New().EncodeError(e, "")
		if same := string(body) == tc.body; same != tc.want {
			t.Errorf("%d %s: %s", tc.status, tc.body, body)
		}
		checkErrorBody(t, tc.body, body)
	}
	foreign := &llm.Error{Kind: llm.KindInvalidRequest, Message: "m", Status: 400, ProviderStatus: 400, Body: []byte(`{"error":{"message":"x"}}`), BodyProtocol: llm.AnthropicMessages}
	if body := string(New().EncodeError(foreign, "")); strings.Contains(body, `"x"`) {
		t.Errorf("another protocol's body: %s", body)
	}
}

func TestEncodeError(t *testing.T) {
	e := llm.Invalid("messages[0].role", "bad \"role\"\n")
	sameJSON(t, string(New().EncodeError(e, "r")), `{"error":{"message":"bad \"role\"\n","type":"invalid_request_error","param":"messages[0].role","code":"invalid_request"}}`)
	failed := &llm.Error{Kind: llm.KindServerError, Code: "all_providers_failed", Status: 502, Message: "all failed", Attempts: []llm.Attempt{
		{Provider: "a", Model: "m", Status: 503, Kind: llm.KindOverloaded, Latency: 1500 * time.Millisecond, Message: "hidden", Endpoint: "hidden"},
		{Provider: "b", Model: "n", Kind: llm.KindRateLimit, Skipped: true, Reason: "cooldown"},
	}}
	sameJSON(t, string(New().EncodeError(failed, "r")), `{"error":{"message":"all failed","type":"server_error","param":null,"code":"all_providers_failed","attempts":[
		{"provider":"a","model":"m","status":503,"error":"overloaded","latency_ms":1500},
		{"provider":"b","model":"n","status":null,"error":"rate_limit","latency_ms":0,"skipped":true,"reason":"cooldown"}]}}`)
	for kind, want := range map[llm.Kind]string{
		llm.KindAuthentication: "authentication_error", llm.KindPermission: "permission_error", llm.KindNotFound: "not_found_error",
		llm.KindRateLimit: "rate_limit_error", llm.KindTooLarge: "invalid_request_error", llm.KindInternal: "server_error",
		llm.KindBudget: "insufficient_quota", llm.KindConnection: "server_error", llm.KindGuard: "invalid_request_error",
	} {
		mustContain(t, string(New().EncodeError(llm.Errorf(kind, "m"), "")), `"type":"`+want+`"`)
	}
	checkErrorBody(t, "zero", New().EncodeError(&llm.Error{}, ""))
}

func TestErrorEvent(t *testing.T) {
	e := New().DecodeError(400, http.Header{}, []byte("{\n\"error\": {\"message\": \"a\\nb\"}}"), errNow)
	got := string(New().ErrorEvent(e, "r"))
	data, ok := strings.CutPrefix(got, "data: ")
	if !ok || !strings.HasSuffix(got, "}\n\n") || strings.Count(got, "\n") != 2 {
		t.Fatalf("%q", got)
	}
	checkErrorBody(t, "event", []byte(data))
	if f := New().InspectEvent(nil, []byte(strings.TrimSpace(data))); f.Err == nil {
		t.Errorf("our own error event is not seen as one: %s", data)
	}
}

func TestWaitInText(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"try again in 20s":                         20 * time.Second,
		"try again in 6ms. see":                    6 * time.Millisecond,
		"please retry in 22.375817872s.":           22375817872,
		"retry after 60 seconds.":                  time.Minute,
		"try again in 2 minutes":                   2 * time.Minute,
		"try again in 3 hours":                     3 * time.Hour,
		"try again in 8m38.4s":                     8*time.Minute + 38400*time.Millisecond,
		"try again in 999999h":                     24 * time.Hour,
		"try again in a moment":                    -1,
		"try again in 5 days":                      -1,
		"try again in -5s":                         -1,
		"try again in ":                            -1,
		"try again in soon, or retry after 5 secs": 5 * time.Second,
	} {
		if got := waitInText(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
