package config

import (
	"io"
	"os"
	"reflect"
)

// LoadOptions are Load's ways to the outside.
type LoadOptions struct {
	// ReadFile reads the file; nil means the process's own file system.
	ReadFile func(path string) ([]byte, error)
}

// Load reads, checks and completes a configuration file. The error is [Errors]
// when the file was read: all mistakes at once. Call [Config.CheckExposure] when
// the final listen address is known.
func Load(path string, o LoadOptions) (*Config, []Warning, error) {
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	data, err := o.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return Parse(path, data, o)
}

// Parse is [Load] for a file's content; name stands for the file in messages.
func Parse(name string, data []byte, _ LoadOptions) (*Config, []Warning, error) {
	c := Default()
	c.src = &source{file: name, at: map[string]position{"": {1, 1}}}
	node, problem := parseTree(name, data)
	if problem != nil {
		return nil, nil, Errors{*problem}
	}
	d := &decoder{src: c.src}
	if node != nil {
		d.decode(node, reflect.ValueOf(c).Elem(), "")
	}
	c.src.listen = c.Listen
	c.fillIn()
	k := &checker{c: c, broken: brokenPaths(d.problems)}
	k.all()
	problems := inOrder(append(d.problems, k.problems...))
	if len(problems) > 0 {
		return nil, inOrder(k.warnings), Errors(problems)
	}
	return c, inOrder(k.warnings), nil
}

// Validate checks a configuration that was made or changed in code. Parse has
// done it for those it returns. The error is [Errors].
func (c *Config) Validate() ([]Warning, error) {
	k := &checker{c: c}
	k.all()
	return inOrder(k.warnings), Errors(inOrder(k.problems)).orNil()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}
