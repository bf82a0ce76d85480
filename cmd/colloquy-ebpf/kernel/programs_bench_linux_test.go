package kernel

import (
	"os"
	"testing"

	"github.com/colloquyhq/colloquy/telemetry/probe"
)

// What a turn pays for its marks while somebody is attached, by either way, and after
// they have left.
func BenchmarkMarks(b *testing.B) {
	for _, c := range []struct {
		name string
		load func(testing.TB) *Programs
	}{{"attached=link", loadedForLinks}, {"attached=events", loadedForEvents}} {
		b.Run(c.name, func(b *testing.B) {
			attached(b, c.load(b), "/proc/self/exe", os.Getpid())
			benchmarkTurns(b)
		})
	}
	b.Run("attached=no", func(b *testing.B) {
		if err := attached(b, loadedForLinks(b), "/proc/self/exe", os.Getpid()).Close(); err != nil {
			b.Fatal(err)
		}
		benchmarkTurns(b)
	})
}

func benchmarkTurns(b *testing.B) {
	b.Helper()
	b.ReportAllocs()
	id, attempt := [16]byte{1}, uint64(0)
	probe.ConnJoin(id, 0) // the linker leaves out a mark that nobody calls, and then there is no program to attach to
	for b.Loop() {
		attempt++
		probe.TurnBegin(id, attempt)
		probe.TurnEnd(id, attempt, probe.Done)
	}
}
