//go:build amd64 || arm64

package probe

//go:noescape
func turnBegin(hi, lo, attempt uint64)

//go:noescape
func turnEnd(hi, lo, attempt, outcome uint64)

//go:noescape
func connJoin(hi, lo, cookie uint64)

func connJoinWatched() bool
