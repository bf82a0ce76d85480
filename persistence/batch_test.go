package persistence

import (
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestBatchIsLikeWritingInOrder compares a batch with the same writes one after the
// other.
func TestBatchIsLikeWritingInOrder(t *testing.T) {
	t.Parallel()
	db := memDatabase(t)
	want := make(map[string]string)
	rapid.Check(t, func(r *rapid.T) {
		b := drawBurst(r, []string{"a", "b", "c", "d", "e"}, want)
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

// memDatabase opens a database in memory.
func memDatabase(t *testing.T) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: pebbleLogger{logger: withDefaults(Options{}).Logger}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// drawBurst makes a burst of writes to some keys, and does the same to want.
func drawBurst(r *rapid.T, keys []string, want map[string]string) (b rowBatch) {
	key, least := rapid.SampledFrom(keys), 1
	if rapid.IntRange(0, 2).Draw(r, "ranges") == 0 { // most bursts have none
		least = 0
	}
	for range rapid.IntRange(1, 20).Draw(r, "writes") {
		k := key.Draw(r, "key")
		switch rapid.IntRange(least, 9).Draw(r, "kind") {
		case 0:
			to := key.Draw(r, "to")
			if to <= k {
				continue
			}
			b.dropRange([]byte(k), []byte(to))
			maps.DeleteFunc(want, func(old, _ string) bool { return old >= k && old < to })
		case 1, 2, 3:
			b.drop([]byte(k))
			delete(want, k)
		default:
			want[k] = rapid.StringN(0, 40, -1).Draw(r, "value")
			b.set([]byte(k), []byte(want[k]))
		}
	}
	return b
}
