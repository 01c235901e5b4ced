package breakwater

import (
	"context"
	"errors"
	"strconv"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/route"
	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// Estimates of a prompt's size where no provider behind the model counts tokens:
// rules of thumb for text, and what one image costs at about a megapixel.
const (
	bytesPerToken   = 4
	tokensPerTurn   = 4
	tokensPerMedium = 1500
)

// estimateCounts answers token counts that no provider behind the model offers with
// an estimate, marked as such in the record.
func estimateCounts(next pipeline.Handler) pipeline.Handler {
	return pipeline.HandlerFunc(func(ctx context.Context, c *pipeline.Call) (pipeline.Answer, error) {
		ans, err := next.Handle(ctx, c)
		if c.Op != pipeline.OpCountTokens || !errors.Is(err, route.ErrNotOffered) {
			return ans, err
		}
		r, err := c.Request()
		if err != nil {
			return nil, err
		}
		n := estimateTokens(r)
		c.Record.Provider, c.Record.Model = "breakwater", "estimate"
		body := append(strconv.AppendInt([]byte(`{"input_tokens":`), int64(n), 10), '}')
		return pipeline.Whole(pipeline.Event{Data: body, Facts: wire.Facts{Content: true}}), nil
	})
}

func estimateTokens(r *llm.Request) int {
	n, size := 0, 0
	for _, m := range r.Messages {
		n += tokensPerTurn
		for _, p := range m.Parts {
			a, b := estimatePart(p)
			n, size = n+a, size+b
		}
	}
	for _, t := range r.Tools {
		n += tokensPerTurn
		size += len(t.Name) + len(t.Description) + len(t.Schema) + len(t.Raw)
	}
	return n + (size+bytesPerToken-1)/bytesPerToken
}

// estimatePart tells a part's tokens and, apart from those, its bytes of text.
func estimatePart(p llm.Part) (tokens, size int) {
	size = len(p.Text) + len(p.Raw)
	if p.Media != nil {
		tokens, size = tokensPerMedium, size+len(p.Media.Text)
	}
	if p.ToolCall != nil {
		size += len(p.ToolCall.Name) + len(p.ToolCall.Arguments)
	}
	if p.ToolResult != nil {
		for _, q := range p.ToolResult.Parts {
			t, s := estimatePart(q)
			tokens, size = tokens+t, size+s
		}
	}
	return tokens, size
}
