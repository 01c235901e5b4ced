package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// cpuTime is what a process has used so far, user and system, all its threads,
// those that ended included. It reads the process's CPU clock (clock_getcpuclockid(3)),
// which is the same account as in /proc/PID/stat with nanoseconds instead of ticks
// of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	const sched = 2 // the clock that counts time run
	var ts syscall.Timespec
	clock := int32(^pid<<3 | sched)
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&ts)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(ts.Nano()), nil
}

// memory is what a process holds now, in bytes.
type memory struct {
	RSS int64 `json:"rss"` // resident pages
	PSS int64 `json:"pss"` // the same, pages shared with others counted in part
}

func memoryOf(pid int) (memory, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return memory{}, err
	}
	m := memory{RSS: kilobytes(b, "Rss:"), PSS: kilobytes(b, "Pss:")}
	if m.RSS == 0 {
		return memory{}, fmt.Errorf("process %d has no Rss in smaps_rollup", pid)
	}
	return m, nil
}

func kilobytes(b []byte, name string) int64 {
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) >= 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// machine says what the figures were taken on.
func machine() string {
	name := "unknown CPU"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name = strings.TrimSpace(v)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		name += ", Linux " + strings.TrimSpace(string(b))
	}
	return name
}
