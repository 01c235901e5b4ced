package pipeline

import (
	"context"
	"errors"

	"github.com/breakwater-llm/breakwater/llm"
)

// Cause is the *llm.Error that a context was cancelled with, copied; a plain
// cancellation means that the caller left. Nil while the context lives.
func Cause(ctx context.Context) *llm.Error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	var le *llm.Error
	if errors.As(cause, &le) {
		cp := *le
		return &cp
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return llm.Wrap(llm.KindTimeout, cause, "the call's time limit passed")
	}
	return llm.Wrap(llm.KindClientClosed, cause, "the client closed the connection")
}
