// Package pipeline holds the shapes every call goes through: a [Call] goes down
// a chain of stages to a [Handler], and an [Answer] is pulled back up, event by
// event. One type of handler serves streaming calls and whole ones: a whole
// answer is a stream of one event.
//
// It holds no policy. The order of the stages is written in the root package
// and nowhere else.
//
// Invariants: an Answer ends in exactly one way (io.EOF after an event with
// Final set, or an *llm.Error); Close may be called at any time, twice too, and
// cancels the work upstream; an event's bytes are valid until the next Next.
package pipeline
