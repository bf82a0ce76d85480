package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestRowBufferIsLikeWritingInOrder compares a buffer in front of a database, read
// in every way, with the same writes one after the other. Some hashes are the same,
// which no test would see otherwise.
func TestRowBufferIsLikeWritingInOrder(t *testing.T) {
	t.Parallel()
	for name, hash := range map[string]func([]byte) uint64{
		"hashes":       nil,
		"equal hashes": func(key []byte) uint64 { return uint64(key[len(key)-1] % 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRowBuffer(memDatabase(t), 200)
			if hash != nil {
				b.hash = hash
			}
			want := make(map[string]string)
			rapid.Check(t, func(r *rapid.T) { bufferBursts(r, b, want) })
		})
	}
}

// bufferKeys have common beginnings of every length that the order looks at, and
// such as differ behind it.
func bufferKeys() []string {
	keys := []string{"a\x00\x00", "m\x00\x00", "m\x00\x00\x01", "h\x00\x00\x01"}
	for _, tail := range []string{"1", "2", "3", "11", ""} {
		keys = append(keys, "m\x00\x00conversation-0123"+tail, "m\x00\x00conversation-012\x00\x00\x00\x00\x00\x00\x00"+(tail + "0")[:1], "h\x00\x00convers"+tail)
	}
	return keys
}

func bufferBursts(r *rapid.T, b *rowBuffer, want map[string]string) {
	for range rapid.IntRange(1, 6).Draw(r, "bursts") {
		batch := drawBurst(r, bufferKeys(), want)
		if err := b.put(&batch); err != nil {
			r.Fatal(err)
		}
		if len(batch.ops) != 0 || batch.ranges {
			r.Fatal("the burst is not empty")
		}
		wantRows(r, want, b.value)
		wantRows(r, want, b.lookup)
	}
	if rapid.Bool().Draw(r, "settle") {
		if err := b.settle(); err != nil {
			r.Fatal(err)
		}
		wantRows(r, want, valuesOf(b.db))
	}
}

// wantRows reads every key there is, and those that there are not.
func wantRows(r *rapid.T, want map[string]string, read valuer) {
	for _, k := range bufferKeys() {
		var got []byte
		found, err := read([]byte(k), func(v []byte) error {
			got = bytes.Clone(v)
			return nil
		})
		if v, ok := want[k]; err != nil || found != ok || string(got) != v {
			r.Fatalf("row %q = %q, %v, %v, want %q, %v", k, got, found, err, v, ok)
		}
	}
}

// A conversation is the same wherever its rows are: in the database, waiting, or in
// part one and in part the other, with a snapshot on either side.
func TestConversationsAreReadWhereverTheyAre(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		id := conv(n)
		var want []conversation.Entry
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			at := conversation.Seq(len(want))
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0:
				if err := s.buffer.settle(); err != nil {
					r.Fatal(err)
				}
			case 1:
				if at == 0 {
					continue
				}
				state, err := s.Load(t.Context(), id)
				if err == nil {
					err = s.SaveState(t.Context(), state, 0)
				}
				if err != nil {
					r.Fatal(err)
				}
			default:
				a := step(id, at, rapid.IntRange(1, 3).Draw(r, "entries"))
				if err := s.Append(t.Context(), a); err != nil {
					r.Fatal(err)
				}
				want = append(want, a.Entries...)
			}
			if err := sameConversation(t.Context(), s, id, want); err != nil {
				r.Fatal(err)
			}
			after := rapid.IntRange(0, len(want)).Draw(r, "after")
			limit := rapid.IntRange(1, 4).Draw(r, "limit")
			got, err := s.Entries(t.Context(), id, conversation.Seq(after), limit)
			if d := cmp.Diff(want[after:min(after+limit, len(want))], got, cmpopts.EquateEmpty()); err != nil || d != "" {
				r.Fatalf("Entries after %d, limit %d = %v (-want +got):\n%s", after, limit, err, d)
			}
		}
	})
}

// sameConversation reads what there is of a conversation.
func sameConversation(ctx context.Context, s *Store, id conversation.ConversationID, want []conversation.Entry) error {
	version := conversation.Seq(len(want))
	state, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	known, err := s.Exists(ctx, id)
	if err != nil {
		return err
	}
	if state.Version != version || known != (version > 0) {
		return fmt.Errorf("version %d, exists: %v; want version %d", state.Version, known, version)
	}
	if h, err := s.Head(ctx, id); known && (err != nil || h.Version != version) {
		return errors.Join(err, fmt.Errorf("head of version %d, want %d", h.Version, version))
	}
	return nil
}

// What is read while rows come and are handed over is of one moment: no entry is
// missing between two others, and nobody sees less than was acknowledged before.
func TestReadingWhileRowsAreHandedOver(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.NewMem())
	o.rowBuffer = 2 << 10
	s := openTest(t, o)
	const conversations, appends = 8, 150
	var acked [conversations]struct {
		sync.Mutex
		version conversation.Seq
	}
	version := func(c int) conversation.Seq {
		acked[c].Lock()
		defer acked[c].Unlock()
		return acked[c].version
	}
	ctx, written := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	for c := range conversations {
		writers.Go(func() {
			for i := range conversation.Seq(appends) {
				if err := s.Append(t.Context(), step(conv(c), 2*i, 2)); err != nil {
					t.Error(err)
					return
				}
				acked[c].Lock()
				acked[c].version = 2*i + 2
				acked[c].Unlock()
			}
		})
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := readWhole(t.Context(), s, conv(c), version(c)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	readers.Go(func() {
		for ctx.Err() == nil {
			if _, _, err := s.List(t.Context(), ListQuery{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	writers.Wait()
	written()
	readers.Wait()
	checkInvariants(t, s)
}

// readWhole reads a conversation whose entries come in pairs.
func readWhole(ctx context.Context, s *Store, id conversation.ConversationID, least conversation.Seq) error {
	state, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if state.Version < least || state.Version%2 != 0 {
		return fmt.Errorf("Load gives version %d, %d were acknowledged", state.Version, least)
	}
	entries, err := s.Entries(ctx, id, 0, 0)
	if err != nil {
		return err
	}
	if conversation.Seq(len(entries)) < state.Version || len(entries)%2 != 0 {
		return fmt.Errorf("%d entries after version %d", len(entries), state.Version)
	}
	for i, e := range entries {
		if e.Seq != conversation.Seq(i)+1 {
			return fmt.Errorf("entry %d stands at %d", e.Seq, i)
		}
	}
	return nil
}
