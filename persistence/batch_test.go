package persistence

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestBatchIsLikeWritingInOrder compares a batch, which sorts and leaves out
// what is overwritten, with the same writes one after the other.
func TestBatchIsLikeWritingInOrder(t *testing.T) {
	t.Parallel()
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: pebbleLogger{logger: withDefaults(Options{}).Logger}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	want := make(map[string]string)
	rapid.Check(t, func(r *rapid.T) {
		var b rowBatch
		key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
		for range rapid.IntRange(1, 20).Draw(r, "writes") {
			k := key.Draw(r, "key")
			switch rapid.IntRange(0, 9).Draw(r, "kind") {
			case 0:
				to := key.Draw(r, "to")
				if to <= k {
					continue
				}
				b.dropRange([]byte(k), []byte(to))
				for old := range want {
					if old >= k && old < to {
						delete(want, old)
					}
				}
			case 1, 2, 3:
				b.drop([]byte(k))
				delete(want, k)
			default:
				want[k] = rapid.StringN(0, 3, -1).Draw(r, "value")
				b.set([]byte(k), []byte(want[k]))
			}
		}
		if err := b.apply(db); err != nil {
			r.Fatal(err)
		}
		got := make(map[string]string)
		err := scan(db, nil, func(k, v []byte) (bool, error) {
			got[string(k)] = string(v)
			return true, nil
		})
		if err != nil {
			r.Fatal(err)
		}
		if len(got) != len(want) {
			r.Fatalf("rows %q, want %q", got, want)
		}
		for k, v := range want {
			if got[k] != v {
				r.Fatalf("rows %q, want %q", got, want)
			}
		}
	})
}
