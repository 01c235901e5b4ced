package wire

import "github.com/breakwater-llm/breakwater/llm"

// AttemptOut is an attempt as the error of a call that failed everywhere tells it, in every dialect.
type AttemptOut struct {
	Provider  string   `json:"provider"`
	Model     string   `json:"model"`
	Status    *int     `json:"status"` // null: no answer came
	Error     llm.Kind `json:"error"`
	LatencyMS int64    `json:"latency_ms"`
	Skipped   bool     `json:"skipped,omitzero"`
	Reason    string   `json:"reason,omitzero"` // why it was made: first, retry, fallback, ...
}

// Attempts puts attempts into that form.
func Attempts(list []llm.Attempt) []AttemptOut {
	var out []AttemptOut
	for _, a := range list {
		one := AttemptOut{
			Provider: a.Provider, Model: a.Model, Error: a.Kind, LatencyMS: a.Latency.Milliseconds(),
			Skipped: a.Skipped, Reason: a.Reason,
		}
		if a.Status != 0 {
			one.Status = &a.Status
		}
		out = append(out, one)
	}
	return out
}
