package persistence

import (
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// What a peer needs after the state that it is being sent stays in the log,
// however often that is cut meanwhile.
func TestLogStaysForWhoGetsAState(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	o.SnapshotEvery = 1 << 40 // cut by the test only
	s := openTest(t, o)
	filled := conversation.Seq(0)
	fill := func() {
		for i := range 2 * trailingEntries {
			mustAppend(t, s, step(conv(i), filled, 1))
		}
		filled++
	}
	cut := func() (first uint64) {
		t.Helper()
		if err := s.truncateLog(trailingEntries); err != nil {
			t.Fatal(err)
		}
		first, _ = s.logs.FirstIndex()
		return first
	}
	fill()
	cut()
	metas, err := s.snapshots.List()
	if err != nil || len(metas) != 1 {
		t.Fatalf("List = %v, %v", metas, err)
	}
	meta, stream, err := s.snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	fill()
	if first := cut(); first > meta.Index {
		t.Errorf("while the state up to %d is sent, the log begins at %d", meta.Index, first)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	fill()
	if first := cut(); first > meta.Index {
		t.Errorf("just after the state up to %d was sent, the log begins at %d", meta.Index, first)
	}
	for h := range s.logs.kept.mu.holds {
		h.until = time.Now().Add(-time.Second) // as if it were later
	}
	fill()
	last, _ := s.logs.LastIndex()
	if first := cut(); first < last-2*trailingEntries {
		t.Errorf("long after it the log of %d entries begins at %d", last, first)
	}
}

// A peer that never gets its state must not fill the disk.
func TestHeldLogIsBounded(t *testing.T) {
	t.Parallel()
	var sizes logSizes
	sizes.add(1, 100, heldBytesLeast/2)
	h := newLogHolds(1)
	h.hold(50)
	if got := h.spare(90, &sizes); got != 49 {
		t.Errorf("spare(90) = %d, want 49", got)
	}
	if got := h.spare(40, &sizes); got != 40 {
		t.Errorf("spare(40) = %d, want all of it", got)
	}
	sizes.add(101, 200, heldBytesLeast)
	if got := h.spare(190, &sizes); got != 190 {
		t.Errorf("spare(190) = %d when too much would be held, want all of it", got)
	}
}
