package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/breakwater-llm/breakwater/internal/wire/jsondoc"
	"github.com/breakwater-llm/breakwater/llm"
)

// Health is the body of /health.
type Health struct {
	Status    string                    `json:"status"` // healthy, degraded, unhealthy
	Providers map[string]ProviderHealth `json:"providers"`
	Version   string                    `json:"version"`
	UptimeS   int64                     `json:"uptime_s"`
}

// ProviderHealth is what /health tells of one provider.
type ProviderHealth struct {
	Status    string   `json:"status"`
	LatencyMS *float64 `json:"latency_ms"` // null: no traffic yet
	Model     string   `json:"model"`
	Error     string   `json:"error"`
	ErrorRate float64  `json:"error_rate"` // over the last minute, 0 to 1
	Breaker   string   `json:"breaker"`
	LastCheck string   `json:"last_check"` // RFC 3339; "": none yet
	InFlight  int      `json:"in_flight"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	h := s.o.Health()
	status := http.StatusOK
	if h.Status == "unhealthy" {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, h)
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "live"})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.isDraining():
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
	case s.o.Health().Status == "unhealthy":
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "no usable provider"})
	default:
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// models lists what callers may ask for, in the dialect that the headers ask for.
func (s *Server) models(w http.ResponseWriter, r *http.Request) {
	dialect := s.dialect(route{}, r)
	id, lerr := s.o.Identify(r.Header)
	if lerr != nil {
		s.refuse(w, dialect, lerr, requestID(r.Header))
		return
	}
	ids(w.Header(), requestID(r.Header))
	var entries []any
	names := s.o.Models(id)
	for _, n := range names {
		entries = append(entries, modelEntry(dialect.Protocol(), n))
	}
	if entries == nil {
		entries = []any{}
	}
	if dialect.Protocol() == llm.AnthropicMessages {
		page := map[string]any{"data": entries, "has_more": false, "first_id": nil, "last_id": nil}
		if len(names) > 0 {
			page["first_id"], page["last_id"] = names[0], names[len(names)-1]
		}
		writeJSON(w, http.StatusOK, page)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": entries})
}

func modelEntry(p llm.Protocol, name string) any {
	if p == llm.AnthropicMessages {
		return map[string]any{"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
	}
	return map[string]any{"id": name, "object": "model", "created": 0, "owned_by": "breakwater"}
}

// modelPath is the name in /v1/models/{id}: the rest of the path in its plain spelling. Slashes in
// a name may be escaped, as SDKs do; the name is only looked up.
func modelPath(r *http.Request) (string, bool) {
	id, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/models/")
	id = escapedSlash.Replace(id)
	if !ok || id == "" || strings.Contains(id, "%") || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", false
	}
	for _, part := range strings.Split(id, "/") {
		if part == "" || part == "." || part == ".." {
			return "", false
		}
	}
	return id, true
}

var escapedSlash = strings.NewReplacer("%2F", "/", "%2f", "/")

func (s *Server) model(w http.ResponseWriter, r *http.Request, name string) {
	dialect := s.dialect(route{}, r)
	id, lerr := s.o.Identify(r.Header)
	if lerr != nil {
		s.refuse(w, dialect, lerr, requestID(r.Header))
		return
	}
	for _, n := range s.o.Models(id) {
		if n == name {
			ids(w.Header(), requestID(r.Header))
			writeJSON(w, http.StatusOK, modelEntry(dialect.Protocol(), n))
			return
		}
	}
	e := llm.Errorf(llm.KindNotFound, "no model %s", jsondoc.Quote(nil, name))
	e.Param = "model"
	s.refuse(w, dialect, e, requestID(r.Header))
}
