package config

import (
	"bytes"
	_ "embed"
)

//go:embed starter.yaml
var starter []byte

// Starter returns a commented configuration to begin with.
func Starter() []byte { return bytes.Clone(starter) }

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the configuration. A test
// generates it from the types of this package and fails when it is stale.
func Schema() []byte { return bytes.Clone(schema) }
