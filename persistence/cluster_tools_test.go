package persistence

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestClusterOptionsNameWhatIsWrong and the profiles are right.
func TestClusterOptionsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := ClusterOptions{Network: newMemNet().at("a"), Address: "a"}
	for _, timing := range []Timing{{}, TimingFast(), TimingCareful()} {
		o := good
		o.Timing = timing
		if err := o.Validate(); err != nil {
			t.Errorf("Validate with %+v = %v", timing, err)
		}
	}
	for name, change := range map[string]func(*ClusterOptions){
		"no network":        func(o *ClusterOptions) { o.Network = nil },
		"no address":        func(o *ClusterOptions) { o.Address = "" },
		"even voters":       func(o *ClusterOptions) { o.Voters = 4 },
		"hasty removal":     func(o *ClusterOptions) { o.RemoveAfter = time.Second },
		"short heartbeat":   func(o *ClusterOptions) { o.Timing = Timing{Heartbeat: 1, Election: 1, Lease: 1} },
		"lease too long":    func(o *ClusterOptions) { o.Timing = TimingFast(); o.Timing.Lease = time.Minute },
		"election too fast": func(o *ClusterOptions) { o.Timing = TimingFast(); o.Timing.Election = time.Millisecond },
	} {
		o := good
		change(&o)
		if err := o.Validate(); err == nil {
			t.Errorf("%s: Validate = nil", name)
		}
	}
}

// TestToolsOpenADirectoryOnTheDisk looks at the directory of a node alone.
func TestToolsOpenADirectoryOnTheDisk(t *testing.T) {
	t.Parallel()
	o := testOptions(vfs.Default)
	o.Dir = t.TempDir() + "/journal"
	s := openTest(t, o)
	fill(t, s, 3)
	servers, err := s.ServersWithHash(t.Context())
	if err != nil || len(servers) != 1 || !servers[0].Leader || servers[0].StateHash == "" {
		t.Fatalf("ServersWithHash = %+v, %v", servers, err)
	}
	if _, err := OpenArchive(o.Dir); !errors.Is(err, ErrLocked) {
		t.Errorf("OpenArchive of a directory in use = %v, want %v", err, ErrLocked)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenArchive(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := a.StateHash(t.Context())
	if err != nil || h.Sum != servers[0].StateHash || a.Identity().Node != s.identity.Node {
		t.Errorf("archive = %+v, %v, want %+v", h, err, servers[0])
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	r, err := Inspect(o.Dir)
	if err != nil || r.Node != s.identity.Node || len(r.Dropped) != 0 || r.Last < r.Applied {
		t.Errorf("Inspect = %+v, %v", r, err)
	}
	if _, err := Recover(o.Dir); !errors.Is(err, ErrNothingToRecover) {
		t.Errorf("Recover of a node alone = %v, want %v", err, ErrNothingToRecover)
	}
}
