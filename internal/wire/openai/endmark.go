package openai

// EndMark closes a stream whose provider ended it without [DONE], right after the
// finish reason, as Perplexity and some self-hosted servers do.
func (codec) EndMark() []byte { return []byte("data: [DONE]\n\n") }
