//go:build unix

package h1

import (
	"net"
	"syscall"
)

// tryRead makes the function that reads from c into b without waiting.
func tryRead(c net.Conn, b *reader) func() (int, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var n int
	var readErr error
	read := func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), b.buf[b.w:])
		return true
	}
	return func() (int, error) {
		if err := raw.Read(read); err != nil {
			return 0, err
		}
		return n, readErr
	}
}

// alive reports whether an idle connection can be used: neither closed by the other side
// nor holding bytes that nobody asked for. It does not wait.
func alive(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	live := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, rerr := syscall.Read(int(fd), b[:]) // the socket does not block
		live = rerr == syscall.EAGAIN || rerr == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && live
}
