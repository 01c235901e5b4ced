package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// fieldError is a mistake in the field at a path, such as rules[0].match.user.
type fieldError struct {
	path string
	msg  string
}

func (e *fieldError) Error() string {
	if e.path == "" {
		return e.msg
	}
	return e.path + ": " + e.msg
}

// at is a mistake in a field; "" is the value itself.
func at(path, format string, args ...any) error {
	return &fieldError{path: path, msg: fmt.Sprintf(format, args...)}
}

// under puts a mistake below a field, or below an element of it (index >= 0).
func under(err error, field string, index int) error {
	if err == nil {
		return nil
	}
	if index >= 0 {
		field += "[" + strconv.Itoa(index) + "]"
	}
	var fe *fieldError
	if !errors.As(err, &fe) {
		return &fieldError{path: field, msg: err.Error()}
	}
	path := field
	if fe.path != "" {
		path = strings.TrimSuffix(field+"."+fe.path, ".")
	}
	return &fieldError{path: path, msg: fe.msg}
}
