//go:build !linux

package cpu

// Method says how time is measured on this system.
const Method = "wall"

// threadTime is wall time, in ns: this system has no clock of a thread that Go
// can read.
func threadTime() int64 { return wallTime() }

// threadID names no thread: wall time needs none.
func threadID() int { return 0 }
