package persistence

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestWatchGivesCommitsInOrder(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	mustAppend(t, s, step(conv(0), 0, 1))
	sub := s.Watch(1000)
	other := s.Watch(1000)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range conversation.Seq(20) {
				mustAppend(t, s, step(conv(w+1), 2*i, 2))
			}
		})
	}
	writers.Wait()
	next := make(map[conversation.ConversationID]conversation.Seq)
	var order []string
	for range 8 * 20 {
		c := <-sub.C()
		if len(c.Entries) != 2 || c.Entries[0].Seq != next[c.ID]+1 || c.Head.Version != c.Entries[1].Seq {
			t.Fatalf("%s: commit of %d entries from %d after %d", c.ID, len(c.Entries), c.Entries[0].Seq, next[c.ID])
		}
		next[c.ID] += 2
		order = append(order, fmt.Sprint(c.ID, c.Entries[0].Seq))
	}
	for _, want := range order {
		c := <-other.C()
		if got := fmt.Sprint(c.ID, c.Entries[0].Seq); got != want {
			t.Fatalf("two watchers see different orders: %s, %s", want, got)
		}
	}
	// What is stored already, and what is no append, is not told.
	mustAppend(t, s, step(conv(1), 0, 2))
	if _, err := s.Claim(t.Context(), conv(1)); err != nil {
		t.Fatal(err)
	}
	sub.Close()
	sub.Close()
	if c, ok := <-sub.C(); ok || sub.Lost() {
		t.Errorf("after Close: commit %v, lost %v", c.ID, sub.Lost())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := <-other.C(); ok || other.Lost() {
		t.Error("a subscription outlives its store, or calls it loss")
	}
	if _, ok := <-s.Watch(1).C(); ok {
		t.Error("a closed store gives commits")
	}
}

func TestSlowWatcherIsCutOff(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	slow, fast := s.Watch(3), s.Watch(100)
	for i := range conversation.Seq(10) {
		mustAppend(t, s, step(conv(1), i, 1))
	}
	n := 0
	for range slow.C() {
		n++
	}
	if n != 3 || !slow.Lost() {
		t.Errorf("the slow watcher got %d commits, lost = %v; want 3 and true", n, slow.Lost())
	}
	for i := range conversation.Seq(10) {
		if c := <-fast.C(); c.Head.Version != i+1 {
			t.Errorf("the fast watcher got version %d, want %d", c.Head.Version, i+1)
		}
	}
	if fast.Lost() {
		t.Error("the fast watcher is cut off too")
	}
}

// TestForeignCommitsAreDecoded compares a commit that is read from the log with
// the one that its own process passes on.
func TestForeignCommitsAreDecoded(t *testing.T) {
	t.Parallel()
	a := step(conv(1), 0, 2)
	a.Contact, a.NextDue = contact(1), testStart
	a.Refs = []conversation.RefRow{{Ref: "r", Seq: 1}}
	a.Outbox = []conversation.Outbound{{Conversation: a.ID, Message: 2, Text: "<b>", At: testStart}}
	a.Settled = []conversation.Seq{1, 300}
	a.State = &conversation.State{ID: a.ID, Version: 2}
	op, err := newEncoders().encodeAppend(nil, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeCommit(&reader{b: op[1:]})
	if err != nil {
		t.Fatal(err)
	}
	want := conversation.Commit{ID: a.ID, Entries: a.Entries, Head: a.Head, Outbox: a.Outbox, Settled: a.Settled, NextDue: a.NextDue}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("commit differs (-want +got):\n%s", d)
	}
}
