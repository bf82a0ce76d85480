package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestMetaFitsAndComesBack(t *testing.T) {
	t.Parallel()
	host := "colloquy-0.colloquy-headless.customer-service.svc.cluster.local"
	m := meta{
		Journal: strings.Repeat("a", 24), Cluster: strings.Repeat("b", 24), Link: host + ":7947", Grains: host + ":7948",
		HTTP: host + ":8080", Version: "1.12.3-rc.1", Started: 1_900_000_000_000, Serving: true, Draining: true,
		Candidate: newNodeID(), Seq: 1 << 20,
	}
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeMeta(b)
	if err != nil || got != m {
		t.Errorf("decodeMeta = %+v, %v, want %+v", got, err, m)
	}
	t.Logf("%d bytes", len(b))
	m.Grains = strings.Repeat("x", 500) + ":1"
	if _, err := m.encode(); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("too long: %v, want class invalid", err)
	}
	if _, err := decodeMeta([]byte(`{"l":"10.0.0.1:1","new field":[1]}`)); err != nil {
		t.Errorf("a field of a newer version: %v", err)
	}
}

func TestCompatible(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b meta
		ok   bool
	}{
		"the same":          {meta{Version: "1.4.0", Cluster: "x"}, meta{Version: "1.4.9", Cluster: "x"}, true},
		"one minor apart":   {meta{Version: "v1.4.0"}, meta{Version: "1.5.0-rc.1"}, true},
		"two minor apart":   {meta{Version: "1.4.0"}, meta{Version: "1.6.0"}, false},
		"two back":          {meta{Version: "1.6.0"}, meta{Version: "1.4.0"}, false},
		"another major":     {meta{Version: "1.4.0"}, meta{Version: "2.4.0"}, false},
		"a developer's":     {meta{Version: "1.4.0"}, meta{Version: "(devel)"}, true},
		"another cluster":   {meta{Version: "1.4.0", Cluster: "x"}, meta{Version: "1.4.0", Cluster: "y"}, false},
		"no cluster so far": {meta{Version: "1.4.0", Cluster: "x"}, meta{Version: "1.4.0"}, true},
	} {
		if got := c.a.compatible(c.b); (got == "") != c.ok {
			t.Errorf("%s: compatible = %q, want ok = %v", name, got, c.ok)
		}
	}
	old, next := meta{Version: "1.4.0"}, meta{Version: "1.6.0"}
	want := "it runs version 1.6.0 and this node 1.4.0; members are at most one minor release apart"
	if got := old.compatible(next); got != want {
		t.Errorf("compatible = %q, want %q", got, want)
	}
}

func TestReadSeeds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seeds")
	if got := readSeeds(path); got != nil {
		t.Errorf("a file that is not there: %v", got)
	}
	if err := os.WriteFile(path, []byte("# ours\n10.0.0.1:7946\n\n  db.internal:7946  # two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := readSeeds(path), []string{"10.0.0.1:7946", "db.internal:7946"}; !slices.Equal(got, want) {
		t.Errorf("readSeeds = %v, want %v", got, want)
	}
}
