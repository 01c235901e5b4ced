package config

import (
	"slices"

	"github.com/breakwater-llm/breakwater/internal/secret"
)

// Map is a mapping in the order of the file.
type Map[T any] []Entry[T]

// Entry is one name and its value.
type Entry[T any] struct {
	Name  string
	Value T
}

// Get returns the named value, nil if there is none.
func (m Map[T]) Get(name string) *T {
	if i := m.index(name); i >= 0 {
		return &m[i].Value
	}
	return nil
}

// Has reports whether the name is there.
func (m Map[T]) Has(name string) bool { return m.index(name) >= 0 }

// Names returns the names in order.
func (m Map[T]) Names() []string {
	names := make([]string, len(m))
	for i := range m {
		names[i] = m[i].Name
	}
	return names
}

// Set puts a value in, at the end if the name is new.
func (m *Map[T]) Set(name string, v T) {
	if p := m.Get(name); p != nil {
		*p = v
		return
	}
	*m = append(*m, Entry[T]{name, v})
}

// JSONSchemaAlias tells the schema generator what a Map looks like in the file.
func (Map[T]) JSONSchemaAlias() any { return map[string]T(nil) }

func (m Map[T]) index(name string) int {
	return slices.IndexFunc(m, func(e Entry[T]) bool { return e.Name == name })
}

// APIKeys are a provider's keys: none, one or several.
type APIKeys struct {
	// None: `api_key: none`, the provider wants no key.
	None bool
	Refs []secret.Ref
}

// IsZero reports whether nothing was said about keys.
func (k APIKeys) IsZero() bool { return !k.None && len(k.Refs) == 0 }
