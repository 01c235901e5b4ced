package anthropic

import "github.com/breakwater-llm/breakwater/llm"

// usageOf reads a usage object. The API counts uncached input, cache reads and
// cache writes apart, so nothing has to be subtracted. Of the writes, what
// cache_creation does not tell apart counts as written for 5 minutes. Passes
// that compacted the conversation are billed, but stand only in iterations:
// they are added. (The tokens of a consulted second model, iterations of type
// advisor_message, are not: they have another price.)
func usageOf(raw []byte) llm.Usage {
	u, _ := readUsage(raw)
	return u
}

// readUsage also tells whether the report takes its cache writes apart.
func readUsage(raw []byte) (u llm.Usage, split bool) {
	if kindOf(raw) != '{' {
		return u, false
	}
	var written, short, long int64
	var iterations []byte
	for c := walk(raw); ; {
		name, v, ok := c.next()
		if !ok {
			break
		}
		switch string(name) {
		case "input_tokens":
			u.Input = intOf(v)
		case "cache_read_input_tokens":
			u.CacheRead = intOf(v)
		case "cache_creation_input_tokens":
			written = intOf(v)
		case "cache_creation":
			split = kindOf(v) == '{'
			short = intOf(member(v, "ephemeral_5m_input_tokens"))
			long = intOf(member(v, "ephemeral_1h_input_tokens"))
		case "output_tokens":
			u.Output = intOf(v)
		case "output_tokens_details":
			u.Reasoning = intOf(member(v, "thinking_tokens"))
		case "iterations":
			iterations = v
		}
	}
	u.CacheWrite1h = long
	u.CacheWrite = max(short, written-long)
	u.Reported = true
	addCompactions(&u, iterations)
	return u, split
}

func addCompactions(u *llm.Usage, iterations []byte) {
	if kindOf(iterations) != '[' {
		return
	}
	for c := walk(iterations); ; {
		_, v, ok := c.next()
		if !ok {
			return
		}
		if !isString(member(v, "type"), "compaction") {
			continue
		}
		one := usageOf(v)
		u.Input += one.Input
		u.CacheRead += one.CacheRead
		u.CacheWrite += one.CacheWrite
		u.CacheWrite1h += one.CacheWrite1h
		u.Output += one.Output
	}
}

// wireUsage is a usage object as this package writes it.
type wireUsage struct {
	InputTokens   int64          `json:"input_tokens"`
	CacheCreation int64          `json:"cache_creation_input_tokens"`
	CacheRead     int64          `json:"cache_read_input_tokens"`
	Split         *cacheCreation `json:"cache_creation,omitzero"`
	OutputTokens  int64          `json:"output_tokens"`
	Details       *outputDetails `json:"output_tokens_details,omitzero"`
	ServiceTier   string         `json:"service_tier,omitzero"`
}

type cacheCreation struct {
	Short int64 `json:"ephemeral_5m_input_tokens"`
	Long  int64 `json:"ephemeral_1h_input_tokens"`
}

type outputDetails struct {
	Thinking int64 `json:"thinking_tokens"`
}

func encodeUsage(u llm.Usage, tier string) wireUsage {
	w := wireUsage{
		InputTokens:   u.Input,
		CacheCreation: u.CacheWrite + u.CacheWrite1h,
		CacheRead:     u.CacheRead,
		Split:         &cacheCreation{Short: u.CacheWrite, Long: u.CacheWrite1h},
		OutputTokens:  u.Output,
		ServiceTier:   encodeTier(tier),
	}
	if u.Reasoning > 0 {
		w.Details = &outputDetails{Thinking: u.Reasoning}
	}
	return w
}

// encodeTier turns the tier that served a call into this protocol's word.
func encodeTier(tier string) string {
	switch tier {
	case "standard", "priority", "batch":
		return tier
	case "default":
		return "standard"
	}
	return ""
}
