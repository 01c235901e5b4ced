package observe

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
)

// callMessage is the msg of a call's line.
const callMessage = "llm_call"

// line writes the call's log line.
func line(ctx context.Context, log *slog.Logger, r *pipeline.Record) {
	level := slog.LevelInfo
	if r.Status == pipeline.StatusError {
		level = slog.LevelWarn
	}
	log.LogAttrs(ctx, level, callMessage, slog.Any("", lineValue{r}))
}

// lineFields are the line's fields, in their order. Names and meaning are part of the public
// surface; all are always there.
var lineFields = []struct {
	name string
	get  func(r *pipeline.Record) value
}{
	{"request_id", func(r *pipeline.Record) value { return text(r.RequestID) }},
	{"session_id", func(r *pipeline.Record) value { return text(r.Session) }},
	{"turn", func(r *pipeline.Record) value { return integer(int64(r.Turn)) }},
	{"turn_id", func(r *pipeline.Record) value { return text(turnID(r)) }},
	{"surface", func(r *pipeline.Record) value { return text(string(r.Surface)) }},
	{"status", func(r *pipeline.Record) value { return text(string(r.Status)) }},
	{"provider", func(r *pipeline.Record) value { return text(r.Provider) }},
	{"model", func(r *pipeline.Record) value { return text(r.Model) }},
	{"requested_model", func(r *pipeline.Record) value { return text(r.RequestedModel) }},
	{"key_id", func(r *pipeline.Record) value { return text(r.KeyID) }},
	{"tags", func(r *pipeline.Record) value { return value{kind: kindMap, m: r.Tags} }},
	{"input_tokens", func(r *pipeline.Record) value { return integer(r.Usage.TotalInput()) }},
	{"output_tokens", func(r *pipeline.Record) value { return integer(r.Usage.Output) }},
	{"cached_tokens", func(r *pipeline.Record) value { return integer(r.Usage.CacheRead) }},
	{"reasoning_tokens", func(r *pipeline.Record) value { return integer(r.Usage.Reasoning) }},
	{"usage_source", func(r *pipeline.Record) value { return text(r.UsageSource) }},
	{"cost_usd", func(r *pipeline.Record) value { return value{kind: kindFloat, f: r.CostUSD} }},
	{"latency_ms", func(r *pipeline.Record) value { return millis(r.Latency) }},
	{"ttft_ms", func(r *pipeline.Record) value { return millis(r.FirstToken) }},
	{"overhead_us", func(r *pipeline.Record) value { return integer(r.Overhead.Microseconds()) }},
	{"finish_reason", func(r *pipeline.Record) value { return text(string(r.Finish)) }},
	{"stream", func(r *pipeline.Record) value { return boolean(r.Stream) }},
	{"attempts", func(r *pipeline.Record) value { return integer(int64(sent(r))) }},
	{"cache", func(r *pipeline.Record) value { return text(r.Cache) }},
	{"guard", func(*pipeline.Record) value { return value{kind: kindMap} }},
	{"error_type", func(r *pipeline.Record) value { return text(string(r.ErrorKind)) }},
	{"error_message", func(r *pipeline.Record) value { return text(r.ErrorMessage) }},
}

// value is a field's value.
type value struct {
	kind kind
	s    string
	n    int64 // also a boolean: not 0
	f    float64
	m    map[string]string
}

type kind uint8

const (
	kindString kind = iota
	kindInt
	kindFloat
	kindBool
	kindMap
)

func text(s string) value   { return value{s: s} }
func integer(n int64) value { return value{kind: kindInt, n: n} }
func millis(d time.Duration) value {
	return value{kind: kindFloat, f: float64(d.Microseconds()) / 1000}
}

func boolean(b bool) value {
	v := value{kind: kindBool}
	if b {
		v.n = 1
	}
	return v
}

// attr is the value for slog's own handlers.
func (v value) attr() slog.Value {
	switch v.kind {
	case kindInt:
		return slog.Int64Value(v.n)
	case kindFloat:
		return slog.Float64Value(v.f)
	case kindBool:
		return slog.BoolValue(v.n != 0)
	case kindMap:
		if len(v.m) == 0 {
			return slog.AnyValue(json.RawMessage("{}")) // a group without members would be left out
		}
		return slog.AnyValue(v.m)
	}
	return slog.StringValue(v.s)
}

// lineValue is a call's record as the only attribute of its line. Handlers find the fields in
// it, as of a group without a name, or take the record itself.
type lineValue struct{ r *pipeline.Record }

// LogValue gives the fields.
func (l lineValue) LogValue() slog.Value {
	attrs := make([]slog.Attr, len(lineFields))
	for i, f := range lineFields {
		attrs[i] = slog.Attr{Key: f.name, Value: f.get(l.r).attr()}
	}
	return slog.GroupValue(attrs...)
}

func turnID(r *pipeline.Record) string {
	if r.Session == "" {
		return ""
	}
	return r.Session + ":" + strconv.Itoa(r.Turn)
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
