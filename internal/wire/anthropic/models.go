package anthropic

import "strings"

// thinkingMode says how a model is asked to think.
type thinkingMode uint8

const (
	thinkingNone     thinkingMode = iota // cannot, or not known whether it can
	thinkingBudget                       // thinking: {type: enabled, budget_tokens}
	thinkingEither                       // adaptive preferred, a budget still taken
	thinkingAdaptive                     // adaptive with output_config.effort only
)

// model is what has to be known of a model to translate a request for it.
type model struct {
	prefix    string
	maxOutput int
	thinking  thinkingMode
	// off is the thinking type that switches thinking off, "" if the model
	// does not think unasked, offNever if it cannot be switched off.
	off string
	// noXHigh: the model knows the efforts low, medium, high and max only.
	noXHigh bool
	// noSampling: temperature, top_p and top_k other than the default are refused.
	noSampling bool
	// noForcedTools: tool_choice any and tool are refused.
	noForcedTools bool
}

const offNever = "never"

// models lists what is known, longest prefix first. Output limits: max_output
// of the price list (October 2026); 8192 and 4096 for the older ones. The rest:
// Anthropic's thinking page and migration guides, October 2026.
var models = []model{
	{prefix: "claude-fable-5-1", maxOutput: 128_000, thinking: thinkingAdaptive, off: offNever, noSampling: true, noForcedTools: true},
	{prefix: "claude-fable-5", maxOutput: 128_000, thinking: thinkingAdaptive, off: offNever, noSampling: true},
	{prefix: "claude-opus-5-5", maxOutput: 128_000, thinking: thinkingAdaptive, off: offNever, noSampling: true, noForcedTools: true},
	{prefix: "claude-opus-5", maxOutput: 128_000, thinking: thinkingAdaptive, off: "disabled", noSampling: true},
	{prefix: "claude-opus-4-8", maxOutput: 128_000, thinking: thinkingAdaptive, noSampling: true},
	{prefix: "claude-opus-4-7", maxOutput: 128_000, thinking: thinkingAdaptive, noSampling: true},
	{prefix: "claude-opus-4-6", maxOutput: 128_000, thinking: thinkingEither, noXHigh: true},
	{prefix: "claude-opus-4-5", maxOutput: 64_000, thinking: thinkingBudget},
	{prefix: "claude-opus-4", maxOutput: 32_000, thinking: thinkingBudget},
	{prefix: "claude-sonnet-5-5", maxOutput: 128_000, thinking: thinkingAdaptive, off: "between_tools", noSampling: true, noForcedTools: true},
	{prefix: "claude-sonnet-5", maxOutput: 128_000, thinking: thinkingAdaptive, off: "disabled", noSampling: true},
	{prefix: "claude-sonnet-4-6", maxOutput: 64_000, thinking: thinkingEither, noXHigh: true},
	{prefix: "claude-sonnet-4", maxOutput: 64_000, thinking: thinkingBudget},
	{prefix: "claude-haiku-5-5", maxOutput: 128_000, thinking: thinkingAdaptive, off: "disabled", noSampling: true},
	{prefix: "claude-haiku-4-5", maxOutput: 64_000, thinking: thinkingBudget},
	{prefix: "claude-3-7-sonnet", maxOutput: 64_000, thinking: thinkingBudget},
	{prefix: "claude-3-5", maxOutput: 8_192},
	{prefix: "claude-3", maxOutput: 4_096},
}

// defaultMaxOutput is asked of models that are not in the table.
const defaultMaxOutput = 4_096

// lookupModel finds a model by its name, whatever stands before "claude-"
// (a cloud's or a region's prefix) and behind the known part (a date).
func lookupModel(name string) model {
	if i := strings.Index(name, "claude-"); i >= 0 {
		name = name[i:]
		for _, m := range models {
			if strings.HasPrefix(name, m.prefix) {
				return m
			}
		}
	}
	return model{maxOutput: defaultMaxOutput}
}

// minBudget is the least thinking budget that the API takes.
const minBudget = 1024

// budgets are the thinking tokens given for an effort, where the model is asked
// by budget.
var budgets = map[string]int{
	"minimal": minBudget, "low": minBudget, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 31_744,
}

// effort turns an effort into one that the model knows: the next lower one.
func (m model) effort(word string) string {
	switch word {
	case "minimal":
		return "low"
	case "xhigh":
		if m.noXHigh {
			return "high"
		}
	}
	return word
}
