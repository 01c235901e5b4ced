package config

import "reflect"

// DecodeOnly reads a file without checking values, for tests of the printer.
func DecodeOnly(data []byte) (*Config, error) {
	node, problem := parseTree("test", data)
	if problem != nil {
		return nil, Errors{*problem}
	}
	c := Default()
	d := &decoder{src: &source{at: map[string]position{}}}
	d.decode(node, reflect.ValueOf(c).Elem(), "")
	return c, Errors(d.problems).orNil()
}
