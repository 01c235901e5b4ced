package anthropic

import "github.com/breakwater-llm/breakwater/llm"

// reasoning writes thinking and output_config.effort as the model wants them.
func (e *requestWriter) reasoning() {
	r := e.r.Reasoning
	if r == nil || *r == (llm.Reasoning{}) {
		return
	}
	name := "reasoning_effort"
	if r.Mode != "" {
		name = "thinking"
	}
	if r.Mode == "disabled" || r.Mode == "" && r.Effort == "none" {
		e.thinkingOff(r, name)
		return
	}
	if _, known := budgets[r.Effort]; r.Effort != "" && !known {
		e.no(name)
		return
	}
	if e.model.thinking == thinkingNone {
		e.thinkUnknown(r, name)
		return
	}
	if r.Mode == "" && r.BudgetTokens == 0 && e.model.thinking != thinkingBudget && e.forced() {
		// Thinking and a forced tool exclude each other; the effort alone is fine.
		e.config().Effort = e.model.effort(r.Effort)
		return
	}
	if e.forced() {
		e.no(name)
		return
	}
	if e.model.thinking == thinkingAdaptive || e.model.thinking == thinkingEither && r.Mode != "enabled" {
		e.out.Thinking = &wireThinking{Type: "adaptive", Display: r.Display}
		if r.Effort != "" {
			e.config().Effort = e.model.effort(r.Effort)
		}
		return
	}
	e.thinkingBudget(r, name)
}

// thinkUnknown is for models whose abilities are not known: what is already in
// this protocol's words is passed on for the provider to judge.
func (e *requestWriter) thinkUnknown(r *llm.Reasoning, name string) {
	switch r.Mode {
	case "":
		e.no(name)
	case "enabled":
		e.thinkingBudget(r, name)
	default:
		e.out.Thinking = &wireThinking{Type: r.Mode, Display: r.Display}
		if r.Effort != "" {
			e.config().Effort = r.Effort
		}
	}
}

func (e *requestWriter) thinkingOff(r *llm.Reasoning, name string) {
	if e.model.off == offNever {
		e.no(name)
		return
	}
	if off := e.model.off; off != "" {
		e.out.Thinking = &wireThinking{Type: off}
	} else if r.Mode != "" {
		e.out.Thinking = &wireThinking{Type: "disabled"} // as the caller said it; absent means the same
	}
	if r.Effort != "" && r.Effort != "none" && e.model.thinking != thinkingBudget {
		e.config().Effort = e.model.effort(r.Effort)
	}
}

// thinkingBudget asks for thinking with a number of tokens. It never raises
// max_tokens, which is what the caller agreed to pay: it makes the budget
// smaller, and gives up where none is left.
func (e *requestWriter) thinkingBudget(r *llm.Reasoning, name string) {
	budget := r.BudgetTokens
	if budget == 0 {
		budget = budgets[r.Effort]
	}
	if budget == 0 {
		budget = budgets["medium"]
	}
	if budget >= e.out.MaxTokens {
		budget = max(e.out.MaxTokens/2, minBudget)
	}
	switch {
	case budget >= e.out.MaxTokens:
		e.no(name)
	case r.Mode == "" && e.inToolLoop():
		// Calls of this turn came without their thinking: the API refuses to
		// go on thinking behind them. It thinks again in the next turn.
	default:
		e.out.Thinking = &wireThinking{Type: "enabled", Budget: budget, Display: r.Display}
	}
}

// inToolLoop reports whether the conversation ends in results of calls whose
// turn does not begin with thinking.
func (e *requestWriter) inToolLoop() bool {
	n := len(e.turns)
	if n < 2 || len(e.turns[n-1].results) == 0 || len(e.turns[n-2].blocks) == 0 {
		return false
	}
	switch e.turns[n-2].blocks[0].(type) {
	case *thinkingBlock, *redactedBlock:
		return false
	}
	return true
}
