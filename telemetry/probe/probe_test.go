package probe_test

import (
	"testing"

	"github.com/colloquyhq/colloquy/telemetry/probe"
)

// mark is a turn and a connection's message as a node marks them.
func mark(id [16]byte, attempt uint64) {
	probe.TurnBegin(id, attempt)
	if probe.ConnJoinWatched() {
		probe.ConnJoin(id, attempt)
	}
	probe.TurnEnd(id, attempt, probe.Done)
}

func TestMarksAllocateNothing(t *testing.T) {
	id := [16]byte{1, 2, 3}
	if n := testing.AllocsPerRun(1000, func() { mark(id, 7) }); n != 0 {
		t.Errorf("marking a turn allocates %v times, want 0", n)
	}
}

// Nobody is attached to a test, and calling the marks leaves its stack in order.
func TestNobodyIsAttached(t *testing.T) {
	t.Parallel()
	before, id := [4]uint64{1, 2, 3, 4}, [16]byte{15: 9}
	now := before
	for attempt := range uint64(100) {
		mark(id, attempt)
		probe.ConnJoin(id, attempt)
	}
	if probe.ConnJoinWatched() {
		t.Error("somebody is said to be attached")
	}
	if now != before || id != ([16]byte{15: 9}) {
		t.Errorf("calling the marks changed %v to %v, %v", before, now, id)
	}
}

// What a turn of the bot pays for its marks, nobody attached.
func BenchmarkMarks(b *testing.B) {
	b.ReportAllocs()
	id := [16]byte{1, 2, 3}
	for b.Loop() {
		mark(id, 7)
	}
}
