// Package sim is a simulated LLM provider: an http.Handler that answers as
// OpenAI's Chat Completions and Anthropic's Messages APIs do, from a script,
// from recorded traffic or by itself, with the timing and the failures that it
// is told to show. It is the engine of the mock command, of the mock provider
// type and of the public package breakwatertest.
//
// It is an independent second implementation of the two protocols, on purpose:
// it shares no code with the codecs that it serves to test. It is not a model
// (texts are scripted or echoed), and it is not a tokenizer (see
// [EstimateTokens]).
//
// Invariants:
//
//   - One seed and one order of requests give the same answers, ids, jitter and
//     faults: what happens to a request depends on the seed, the request and its
//     number, never on what runs beside it.
//   - Usage numbers are in every answer, and [Server.Billed] adds up what a
//     provider would charge: the tokens produced, of answers that broke off too.
//   - All waiting goes through package time's timers and ends with the request's
//     context or [Server.Close], so the whole runs under testing/synctest.
//   - No goroutine outlives its request, and there is no state outside a Server.
package sim
