// Package route is the last handler of the pipeline: it chooses targets, and is
// the only layer that tries again.
//
//	fallback over targets
//	  └ for each target: retry ─ cooldown ─ time limits ─ upstream
//
// One [Budget] of retries per provider and the fixed number of tries per target
// bound what a failing provider receives, whatever the number of callers.
//
// An answer is committed with its first content: before that a failure is
// invisible to the client and another attempt is made; after it the failure is
// the answer's end. No attempt is begun after the client left or the call's
// time limit passed.
//
// It does not encode, authenticate or write logs; what each attempt met is in
// the call's record.
package route
