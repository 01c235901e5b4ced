// Package config reads breakwater.yaml into a typed, checked [Config], and the
// environment when there is no file.
//
// It decodes strictly onto defaults, then checks everything and reports all
// mistakes at once, each with file, line, column and what to do. It resolves
// secret references only when asked ([Config.ResolveSecrets]); it opens no
// connection, starts nothing and watches no file.
//
// Invariants: a Config that Parse returns has every default filled in and has
// passed every check but [Config.CheckExposure], which waits for the final
// listen address; it is not changed afterwards. Problems never repeat the text
// of a secret. [Print]'s output reads back as the same configuration, unless a
// secret was written in the file itself.
//
// To add a key: a field with its comment in types*.go (the comment is the text
// of the schema and of the reference page), a default in defaults.go, a rule in
// validate*.go, and, until the feature exists, a line in inactive.go. Then run
// the tests with -update.
package config
