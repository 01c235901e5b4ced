// Package llm is the common vocabulary: requests, messages, parts, tools,
// events, usage and errors, in the words that all providers' protocols share.
//
// It is the hub of every translation (each wire format converts to and from
// these types once) and what users of the Go library hold in their hands. It
// knows no protocol's spelling, no network, no clock and no configuration.
//
// Invariants: token counts are split once, here (see [Usage]), so nothing is
// billed twice; every failure is an [*Error] with a [Kind]; raw JSON held in
// these types is valid JSON, kept byte for byte as it came.
package llm
