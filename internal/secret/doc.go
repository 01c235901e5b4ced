// Package secret holds credentials and where they come from: a [Value] that
// cannot print, a [Ref] that names its source, a [Resolver] that fetches it and
// a [Scrubber] that removes it from texts written by others.
//
// It keeps nothing, watches nothing and refreshes nothing: the owner of a
// resolved value decides how long it lives. It does not decide which secrets
// are good enough.
//
// Invariants: no fmt verb, encoder or logger shows a Value, at any depth of any
// struct; [Value.Reveal] is the only way to the text. No error of this package
// carries a secret's text, nor a file's content.
package secret
