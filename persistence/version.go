package persistence

import (
	"strconv"
	"strings"
)

// compatible reports whether two versions of the program may work in one
// cluster: of the same major version, and at most one minor version apart. What
// is no version, as that of a build in between, goes with everything.
func compatible(a, b string) bool {
	majorA, minorA, okA := majorMinor(a)
	majorB, minorB, okB := majorMinor(b)
	if !okA || !okB {
		return true
	}
	return majorA == majorB && max(minorA, minorB)-min(minorA, minorB) <= 1
}

func majorMinor(v string) (major, minor int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	if len(parts) < 3 {
		return 0, 0, false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return 0, 0, false
	}
	minor, err = strconv.Atoi(parts[1])
	return major, minor, err == nil
}
