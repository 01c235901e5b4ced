//go:build !linux

package main

import (
	"errors"
	"time"
)

var errLinux = errors.New("CPU and memory of other processes can be measured on Linux only")

func cpuTime(int) (time.Duration, error) { return 0, errLinux }

type memory struct {
	RSS int64 `json:"rss"`
	PSS int64 `json:"pss"`
}

func memoryOf(int) (memory, error) { return memory{}, errLinux }

func machine() string { return "not Linux" }
