package intent

import (
	"math/rand/v2"
	"testing"
)

// TestVocabularyNumbersInOrder: features keep their numbers while it grows and when it is
// sealed, and what was never added is not found, however much of its hash is known.
func TestVocabularyNumbersInOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(23, 29))
	hashes := []uint64{0, 1, 1<<64 - 1, 1<<64 - 2}
	for len(hashes) < 5000 {
		hashes = append(hashes, random.Uint64())
	}
	v := newVocabulary(10)
	check := func(when string) {
		t.Helper()
		for want, h := range hashes {
			if got := v.id(h); got != int32(want) {
				t.Fatalf("%s: feature %x has the number %d, want %d", when, h, got, want)
			}
			if got := v.id(h ^ 0x5bd1<<16); got != -1 {
				t.Fatalf("%s: the number %d for a feature that is not there", when, got)
			}
		}
	}
	for want, h := range hashes {
		for range 2 {
			if got := v.add(h); got != int32(want) {
				t.Fatalf("add(%x) = %d, want %d", h, got, want)
			}
		}
	}
	check("growing")
	v.seal()
	check("sealed")
	if got := v.add(hashes[7]); got != 7 {
		t.Errorf("a sealed one gives the number %d, want 7", got)
	}
	if got := v.add(0x5bd1 << 16); got != -1 {
		t.Errorf("a sealed one gives a new feature the number %d", got)
	}
	check("asked for more")
	if len(v.slots) > 2*len(hashes) {
		t.Errorf("%d slots for %d features", len(v.slots), len(hashes))
	}
}

// TestEmptyVocabulary: packs may hold nothing that can be read.
func TestEmptyVocabulary(t *testing.T) {
	t.Parallel()
	v := newVocabulary(0)
	v.seal()
	if got := v.id(42); got != -1 {
		t.Errorf("id = %d, want -1", got)
	}
}
