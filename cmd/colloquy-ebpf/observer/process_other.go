//go:build !linux

package observer

func processGone(uint32, uint64) bool { return false }
