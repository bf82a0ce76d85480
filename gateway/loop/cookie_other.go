//go:build !linux

package loop

// Cookie gives 0: no other system has such numbers.
func Cookie(Conn) uint64 { return 0 }
