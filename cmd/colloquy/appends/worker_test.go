package appends

import "testing"

// TestVoters: a worker that waited for more votes than are given would wait for
// ever.
func TestVoters(t *testing.T) {
	t.Parallel()
	for nodes, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3, 5: 5, 6: 5, 7: 5} {
		if got := voters(nodes); got != want {
			t.Errorf("voters(%d) = %d, want %d", nodes, got, want)
		}
	}
}
