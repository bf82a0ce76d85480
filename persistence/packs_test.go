package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

func putPack(t testing.TB, s *Store, name string, expect uint64, text string) conversation.StoredPack {
	t.Helper()
	p, err := s.PutPack(t.Context(), name, expect, conversation.PackVersion{Hash: fmt.Sprintf("%x", len(text)), By: "anna"}, []byte(text))
	if err != nil {
		t.Fatalf("PutPack(%s, %d) = %v", name, expect, err)
	}
	return p
}

// packTexts lists what texts are stored.
func packTexts(t testing.TB, s *Store, name string) []string {
	t.Helper()
	ids, err := s.docIDs(t.Context(), docPackText, packTextPrefix(name))
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestPackKeepsItsVersions(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	const saves = conversation.MaxPackVersions + 7
	putPack(t, s, "shop.eu", 0, "another")
	for n := range saves {
		putPack(t, s, "shop", uint64(n), strings.Repeat("x", n+1))
	}
	s = reopen(t, s)
	p, err := s.StoredPack("shop")
	if err != nil || p.Version != saves || len(p.Versions) != conversation.MaxPackVersions || p.Current().Number != saves || p.Current().By != "anna" {
		t.Fatalf("StoredPack = %+v, %v", p, err)
	}
	for _, v := range p.Versions {
		if text, err := s.PackText(t.Context(), "shop", v); err != nil || len(text) != int(v.Number) {
			t.Errorf("text of version %d = %d bytes, %v", v.Number, len(text), err)
		}
	}
	if n := len(packTexts(t, s, "shop")); n != conversation.MaxPackVersions {
		t.Errorf("%d texts are stored, want those of %d versions", n, conversation.MaxPackVersions)
	}
	if _, err := s.PackText(t.Context(), "shop", conversation.PackVersion{Number: 1, Hash: "1", Bytes: 1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("text of a dropped version: %v", err)
	}
	if err := s.DeletePack(t.Context(), "shop", saves-1); !errors.Is(err, ErrConflict) {
		t.Errorf("DeletePack of an older version: %v", err)
	}
	if err := s.DeletePack(t.Context(), "shop", saves); err != nil {
		t.Fatal(err)
	}
	if got := s.StoredPacks(); len(got) != 1 || got[0].Name != "shop.eu" {
		t.Errorf("after the deletion StoredPacks = %+v", got)
	}
	if gone, stays := packTexts(t, s, "shop"), packTexts(t, s, "shop.eu"); len(gone) != 0 || len(stays) != 1 {
		t.Errorf("after the deletion the texts are %v and %v", gone, stays)
	}
	if p := putPack(t, s, "shop", 0, "again"); p.Version != 1 {
		t.Errorf("the version after a deletion is %d, want 1", p.Version)
	}
}

func TestPackSaveThatDidNotEnd(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	ctx := t.Context()
	putPack(t, s, "shop", 0, "a")
	// Two texts whose version was never listed: one of the next, one of long ago.
	for _, v := range []conversation.PackVersion{{Number: 2, Hash: "lost"}, {Number: 1, Hash: "older"}} {
		if err := s.putPackText(ctx, "shop", &v, []byte("lost")); err != nil {
			t.Fatal(err)
		}
	}
	v := conversation.PackVersion{Hash: "lost"}
	p, err := s.PutPack(ctx, "shop", 1, v, []byte("good"))
	if err != nil {
		t.Fatalf("PutPack over a text that was left = %v", err)
	}
	if text, err := s.PackText(ctx, "shop", p.Current()); err != nil || string(text) != "good" {
		t.Errorf("text = %q, %v", text, err)
	}
	if ids := packTexts(t, s, "shop"); len(ids) != 2 {
		t.Errorf("the texts are %v, want those of two versions", ids)
	}
}

func TestPackSaversTakeTurns(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	putPack(t, s, "shop", 0, "start")
	var all sync.WaitGroup
	won := make(chan string, 16)
	for n := range 16 {
		all.Go(func() {
			hash := fmt.Sprintf("hash%d", n%4) // some save the same
			_, err := s.PutPack(t.Context(), "shop", 1, conversation.PackVersion{Hash: hash}, []byte(hash))
			switch {
			case err == nil:
				won <- hash
			case !errors.Is(err, ErrConflict):
				t.Errorf("PutPack = %v", err)
			}
		})
	}
	all.Wait()
	close(won)
	p, err := s.StoredPack("shop")
	if err != nil {
		t.Fatal(err)
	}
	hashes := map[string]bool{}
	for hash := range won {
		hashes[hash] = true
	}
	text, err := s.PackText(t.Context(), "shop", p.Current())
	if err != nil || p.Version != 2 || len(hashes) != 1 || !hashes[string(text)] {
		t.Errorf("%d won, version %d is %q, %v", len(hashes), p.Version, text, err)
	}
}

func TestPackLimits(t *testing.T) {
	t.Parallel()
	s := openTest(t, testOptions(vfs.NewMem()))
	noise := make([]byte, 4<<20) // does not compress
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	p := putPack(t, s, "noise", 0, string(noise))
	if text, err := s.PackText(t.Context(), "noise", p.Current()); err != nil || !bytes.Equal(text, noise) {
		t.Errorf("the largest text came back as %d bytes, %v", len(text), err)
	}
	noise = append(noise, noise[:1<<20]...)
	if _, err := s.PutPack(t.Context(), "more", 0, conversation.PackVersion{Hash: "h"}, noise); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("PutPack of %d bytes = %v", len(noise), err)
	}
	for _, name := range []string{"", "a/b", strings.Repeat("x", 65)} {
		if _, err := s.PutPack(t.Context(), name, 0, conversation.PackVersion{Hash: "h"}, nil); !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("PutPack(%q) = %v", name, err)
		}
	}
	for n := len(s.StoredPacks()); n < maxStoredPacks; n++ {
		putPack(t, s, fmt.Sprintf("p%d", n), 0, "x")
	}
	if _, err := s.PutPack(t.Context(), "onemore", 0, conversation.PackVersion{Hash: "h"}, nil); !errors.Is(err, conversation.ErrTooLarge) {
		t.Errorf("PutPack over the limit = %v", err)
	}
	putPack(t, s, "p7", 1, "but a new version of one")
}

func TestPackChangesReachEveryNode(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	nodes := c.grow(3)
	p := putPack(t, nodes[0].store, "shop", 0, "everywhere")
	for _, n := range nodes {
		for {
			// A word may have been of before; another one follows the change.
			<-n.store.PackChanges()
			if got, err := n.store.StoredPack("shop"); err == nil {
				text, err := n.store.PackText(t.Context(), "shop", got.Current())
				if err != nil || string(text) != "everywhere" || got.Version != p.Version {
					t.Errorf("%s: %q, %v of %+v", n.address, text, err, got)
				}
				break
			}
		}
	}
}
