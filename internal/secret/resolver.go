package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxFile bounds a secret's file, in bytes: more is a wrong path, not a secret.
const maxFile = 1 << 20

// Options are a [Resolver]'s ways to the outside. Nil fields mean the process's
// own environment and file system.
type Options struct {
	Getenv   func(name string) (string, bool)
	ReadFile func(path string) ([]byte, error)
}

// Resolver fetches what references name. It keeps no copy. It is safe for
// concurrent use if its options are.
type Resolver struct{ o Options }

// NewResolver returns a resolver.
func NewResolver(o Options) *Resolver {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	return &Resolver{o: o}
}

// Resolve returns the secret that ref names. One newline at the end of a file is
// cut off, as editors and `echo` put it there. A missing or empty secret is an
// error that names the reference; a manager that this build cannot ask gives
// [ErrUnsupported].
func (r *Resolver) Resolve(ref Ref) (Value, error) {
	if ref.Literal {
		return ref.value, nil
	}
	var text string
	switch ref.Scheme {
	case SchemeEnv:
		s, ok := r.o.Getenv(ref.Name)
		if !ok {
			return Value{}, fmt.Errorf("%s: the environment variable %s is not set", ref, ref.Name)
		}
		text = s
	case SchemeFile:
		b, err := r.o.ReadFile(ref.Name)
		if err != nil {
			return Value{}, fmt.Errorf("%s: %w", ref, withoutPath(err))
		}
		if len(b) > maxFile {
			return Value{}, fmt.Errorf("%s: the file is over 1 MiB", ref)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	case "":
		return Value{}, errors.New("no reference")
	default:
		return Value{}, fmt.Errorf("%s: %w", ref, ErrUnsupported)
	}
	if strings.TrimSpace(text) == "" {
		return Value{}, fmt.Errorf("%s: the secret is empty", ref)
	}
	return New(text), nil
}

// withoutPath drops the path from a file error: the reference names it already.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
