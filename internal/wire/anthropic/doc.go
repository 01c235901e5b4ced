// Package anthropic is the wire format of Anthropic's Messages API
// (POST /v1/messages, version 2023-06-01), in both directions: requests,
// answers, streams, errors and rate-limit headers, to and from package llm.
//
// It is for translation and for reading facts off bodies that pass through. It
// is not for sending: no network, clock, logger or configuration is in here,
// and bodies of the same protocol on both sides are never rebuilt with it. What
// maps to what, what is left out and what is refused is written down in
// docs/translation-anthropic.md.
//
// Invariants: an encoded stream has at most one content block open, with
// indices growing by one from 0, and ends in message_delta and message_stop or
// does not end at all; token counts are taken apart once, in usageOf; tool ids
// written by this package are legal for the API and read back as what they were.
package anthropic
