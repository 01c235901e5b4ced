//go:build !unix

package h1

import "net"

// tryRead cannot read without waiting here.
func tryRead(net.Conn, *reader) func() (int, error) { return nil }

// alive cannot tell here: a dead connection shows with its first use.
func alive(net.Conn) bool { return true }
