package observe

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
)

// line writes the call's log line. Names and meaning of the fields are part of
// the public surface; all are always there.
func line(ctx context.Context, log *slog.Logger, r *pipeline.Record) {
	level := slog.LevelInfo
	if r.Status == pipeline.StatusError {
		level = slog.LevelWarn
	}
	if !log.Enabled(ctx, level) {
		return
	}
	turnID := ""
	if r.Session != "" {
		turnID = r.Session + ":" + strconv.Itoa(r.Turn)
	}
	log.LogAttrs(ctx, level, "llm_call",
		slog.String("request_id", r.RequestID),
		slog.String("session_id", r.Session),
		slog.Int("turn", r.Turn),
		slog.String("turn_id", turnID),
		slog.String("surface", string(r.Surface)),
		slog.String("status", string(r.Status)),
		slog.String("provider", r.Provider),
		slog.String("model", r.Model),
		slog.String("requested_model", r.RequestedModel),
		slog.String("key_id", r.KeyID),
		slog.Any("tags", object(r.Tags)),
		slog.Int64("input_tokens", r.Usage.TotalInput()),
		slog.Int64("output_tokens", r.Usage.Output),
		slog.Int64("cached_tokens", r.Usage.CacheRead),
		slog.Int64("reasoning_tokens", r.Usage.Reasoning),
		slog.String("usage_source", r.UsageSource),
		slog.Float64("cost_usd", r.CostUSD),
		slog.Float64("latency_ms", float64(r.Latency.Microseconds())/1000),
		slog.Float64("ttft_ms", float64(r.FirstToken.Microseconds())/1000),
		slog.Int64("overhead_us", r.Overhead.Microseconds()),
		slog.String("finish_reason", string(r.Finish)),
		slog.Bool("stream", r.Stream),
		slog.Int("attempts", sent(r)),
		slog.String("cache", r.Cache),
		slog.Any("guard", emptyObject),
		slog.String("error_type", string(r.ErrorKind)),
		slog.String("error_message", r.ErrorMessage),
	)
}

// sent counts the attempts that reached for a provider.
func sent(r *pipeline.Record) (n int) {
	for i := range r.Attempts {
		if !r.Attempts[i].Skipped {
			n++
		}
	}
	return n
}

// object shows a map as a JSON object, an empty one too.
func object(m map[string]string) any {
	if len(m) == 0 {
		return emptyObject
	}
	return m
}

var emptyObject = json.RawMessage("{}")
