package clustertest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
)

// LoopbackOfItsOwn gives a loopback address that nobody else is likely to use: a
// port of it that is given back can be had again, while those of 127.0.0.1 go to
// whoever asks for any. Where the system knows only that one, it is that one.
func LoopbackOfItsOwn() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // any will do
}
