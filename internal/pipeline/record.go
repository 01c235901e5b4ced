package pipeline

import (
	"context"
	"time"

	"github.com/breakwater-llm/breakwater/internal/wire"
	"github.com/breakwater-llm/breakwater/llm"
)

// Status is how a call ended.
type Status string

// The ways a call ends.
const (
	StatusSuccess   Status = "success"
	StatusError     Status = "error"
	StatusBlocked   Status = "blocked"
	StatusCancelled Status = "cancelled" // the client left
)

// Record is what is kept of a call: the log line's and the ledger's columns, and
// never content. It is filled as the call goes and is complete when handed to a
// [Recorder].
type Record struct {
	RequestID      string
	Session        string
	Turn           int
	Surface        llm.Protocol
	Op             Op
	Status         Status
	Provider       string // who answered, or was tried last
	Model          string // the model asked of that provider
	RequestedModel string
	KeyID          string
	Tags           map[string]string
	Usage          llm.Usage // of all attempts
	UsageSource    string    // reported, estimated, or "" when there was none
	CostUSD        float64
	Start          time.Time
	Latency        time.Duration // until the answer's end
	FirstToken     time.Duration // 0: no content came
	Overhead       time.Duration // Latency less what was spent waiting for providers
	Finish         llm.FinishReason
	Stream         bool
	Attempts       []llm.Attempt
	Cache          string // hit, miss, semantic, bypass
	ErrorKind      llm.Kind
	ErrorMessage   string // scrubbed

	// UpstreamID is the provider's own id for the answer's request.
	UpstreamID string
	// Dropped names the request members that the provider's protocol has no
	// counterpart for and that were left out.
	Dropped []string
	// Limits are the rate limits that the answering provider told.
	Limits []wire.Limit
	// Waited is the time spent waiting for providers, for Overhead.
	Waited time.Duration
}

// Recorder keeps records. Record returns when the row is as durable as it will
// be; an error means that the answer must not be given.
type Recorder interface {
	Record(ctx context.Context, r *Record) error
}
