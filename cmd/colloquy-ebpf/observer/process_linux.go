package observer

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

const (
	// ticksPerSecond is the unit of times in /proc: USER_HZ, 100 on every system
	// that Go runs on.
	ticksPerSecond = 100
	// startField is the place of the start time in /proc/pid/stat, behind the name.
	startField = 19
)

// processGone reports whether the process that began something, in ns since boot,
// has ended: there is none of its number, or one that started later.
func processGone(pid uint32, began uint64) bool {
	stat, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(pid), 10) + "/stat")
	if err != nil {
		return os.IsNotExist(err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // a name may hold anything
	if len(fields) <= startField {
		return false
	}
	if state := fields[0][0]; state == 'Z' || state == 'X' {
		return true // nobody has asked for its end yet
	}
	ticks, err := strconv.ParseUint(string(fields[startField]), 10, 64)
	return err == nil && ticks*uint64(time.Second/ticksPerSecond) > began
}
