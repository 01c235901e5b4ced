package observe

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/llm"
)

func randomRecord(rng *rand.Rand) *pipeline.Record {
	words := []string{"", "a", "gpt-4o", "üñí\u2028", "quote\" and \\ back", "line\nbreak\t", "<&>", "bad\xffbyte", "\x00\x1f", "日本"}
	word := func() string { return words[rng.IntN(len(words))] }
	span := func() time.Duration { return time.Duration(rng.Int64N(1 << uint(1+rng.IntN(40)))) }
	r := &pipeline.Record{
		RequestID: word(), Session: word(), Turn: rng.IntN(9), Surface: llm.OpenAIChat, Status: pipeline.StatusSuccess, Provider: word(),
		Model: word(), RequestedModel: word(), KeyID: word(), UsageSource: word(), Latency: span(), FirstToken: span(), Overhead: span(),
		Finish: llm.FinishReason(word()), Stream: rng.IntN(2) == 0, Cache: word(), ErrorKind: llm.Kind(word()), ErrorMessage: word(),
		CostUSD:  []float64{0, 1e-9, 0.000123, 1.5, 1e22}[rng.IntN(5)],
		Usage:    llm.Usage{Input: rng.Int64N(1e12), Output: rng.Int64N(100), CacheRead: rng.Int64N(100), Reasoning: rng.Int64N(100)},
		Attempts: make([]llm.Attempt, rng.IntN(3)),
	}
	if rng.IntN(2) == 0 {
		r.Tags = map[string]string{"team": word(), word(): "x", "é": word()}
	}
	return r
}

var timeField = regexp.MustCompile(`"time":"[^"]*"`)

// TestJSONHandlerAgrees: a call's line has the bytes that slog's own handler writes, the escapes of
// HTML's characters and of U+2028 aside, which JSON does not need.
func TestJSONHandlerAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		r := randomRecord(rng)
		var fast, plain bytes.Buffer
		line(context.Background(), slog.New(NewJSONHandler(&fast, nil)), r)
		line(context.Background(), slog.New(slog.NewJSONHandler(&plain, nil)), r)
		a, b := timeField.ReplaceAll(fast.Bytes(), nil), timeField.ReplaceAll(plain.Bytes(), nil)
		for from, to := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&", `\u2028`: "\u2028", `\ufffd`: "\ufffd", `\u0008`: `\b`, `\u000c`: `\f`} {
			a, b = bytes.ReplaceAll(a, []byte(from), []byte(to)), bytes.ReplaceAll(b, []byte(from), []byte(to))
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("\n%s\n%s", a, b)
		}
	}
}

// TestJSONHandlerLeavesTheRest: other lines, levels, and attributes of the logger itself.
func TestJSONHandlerLeavesTheRest(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	log.Info("unseen")
	line(context.Background(), log, &pipeline.Record{Status: pipeline.StatusSuccess})
	if out.Len() != 0 {
		t.Errorf("%s", &out)
	}
	log.Warn("seen", "n", 1)
	line(context.Background(), log.With("host", "h"), &pipeline.Record{Status: pipeline.StatusError})
	if !bytes.Contains(out.Bytes(), []byte(`"msg":"seen","n":1}`)) || !bytes.Contains(out.Bytes(), []byte(`"host":"h","request_id":""`)) {
		t.Errorf("%s", &out)
	}
}

func BenchmarkLine(b *testing.B) {
	r := randomRecord(rand.New(rand.NewPCG(1, 2)))
	for name, h := range map[string]slog.Handler{"record": NewJSONHandler(io.Discard, nil), "slog": slog.NewJSONHandler(io.Discard, nil)} {
		b.Run(name, func(b *testing.B) {
			log := slog.New(h)
			b.ReportAllocs()
			for b.Loop() {
				line(context.Background(), log, r)
			}
		})
	}
}
