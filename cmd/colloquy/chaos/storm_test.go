package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseKinds(t *testing.T) {
	t.Parallel()
	got, err := ParseKinds("kill, wipe,,kill,grow")
	if err != nil || !slices.Equal(got, []Kind{Kill, Wipe, Grow}) {
		t.Errorf("kinds %v, %v", got, err)
	}
	if got, err := ParseKinds("all"); err != nil || len(got) != len(Kinds()) {
		t.Errorf("all = %v, %v", got, err)
	}
	if _, err := ParseKinds("kill,flood"); err == nil || !strings.Contains(err.Error(), "flood") || !strings.Contains(err.Error(), "oneway") {
		t.Errorf("error %v", err)
	}
}

func testOptions() Options {
	return Options{
		Nodes: 3, Faults: Kinds(), Cycles: 1, Calm: time.Second, Pause: time.Second, Cut: time.Second, Skew: time.Second, Heal: time.Second,
		Loss: 30, Visitors: 1, Think: time.Second,
	}
}

func TestOptionsValidate(t *testing.T) {
	t.Parallel()
	o := testOptions()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	o = Options{Nodes: 99, Faults: []Kind{"flood"}, Loss: 100, Sabotage: "fire", UpgradeFrom: "older"}
	err := o.Validate()
	if err == nil {
		t.Fatal("nothing is wrong with that")
	}
	for _, want := range []string{"--nodes", "--visitors", "--cycles or --duration", "--calm", "--pause", "--cut", "--skew", "--heal", "--think", "--loss", "flood", "fire", "--upgrade-from"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// What cannot be had is left out, and said.
func TestApplicable(t *testing.T) {
	t.Parallel()
	o := testOptions()
	if kinds, limits := applicable(&o, &site{cell: true}); len(kinds) != len(Kinds()) || len(limits) != 0 {
		t.Errorf("in a cell: %v, %v", kinds, limits)
	}
	kinds, limits := applicable(&o, &site{})
	if !slices.Equal(kinds, []Kind{Kill, Wipe, Pause, Clock, Restart, Grow}) || len(limits) != 4 || !strings.Contains(limits[0], "partition was left out: it needs network namespaces") {
		t.Errorf("on loopback: %v, %v", kinds, limits)
	}
	o.Nodes = 1
	kinds, limits = applicable(&o, &site{cell: true})
	if !slices.Equal(kinds, []Kind{Kill, Pause, Clock, DiskFull, Restart}) || len(limits) != 5 {
		t.Errorf("alone: %v, %v", kinds, limits)
	}
}
