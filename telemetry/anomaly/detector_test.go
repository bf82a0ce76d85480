package anomaly

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const web = "web"

// warm teaches a detector what is usual: turns of 120 ms and 2 ms of processor
// time, messages 20 s apart.
func warm(d *Detector, r *rand.Rand) {
	for range 200 {
		s := &Session{}
		at := time.Unix(1_700_000_000, 0)
		for range 20 {
			at = at.Add(someGap(r))
			d.Message(s, web, at, 0)
			d.Turn(s, web, someTook(r), someCost(r))
		}
	}
}

func lognormal(r *rand.Rand, median time.Duration, spread float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(spread*r.NormFloat64()))
}

func someTook(r *rand.Rand) time.Duration { return lognormal(r, 120*time.Millisecond, 0.5) }

func someCost(r *rand.Rand) time.Duration { return lognormal(r, 2*time.Millisecond, 0.5) }

// someGap is how people write: mostly answers after a while, now and then several
// short messages in a row.
func someGap(r *rand.Rand) time.Duration {
	if r.IntN(4) == 0 {
		return lognormal(r, 2*time.Second, 0.4)
	}
	return lognormal(r, 20*time.Second, 0.9)
}

func newWarm() (*Detector, *rand.Rand) {
	d, r := New(Options{}), rand.New(rand.NewPCG(7, 8))
	warm(d, r)
	return d, r
}

func TestFindingsCarryTheirFigures(t *testing.T) {
	t.Parallel()
	d, _ := newWarm()
	s := &Session{}
	var found []conversation.AnomalyFound
	for range 3 {
		found = append(found, d.Turn(s, web, 960*time.Millisecond, 32*time.Millisecond)...)
	}
	if len(found) != 2 {
		t.Fatalf("found %+v, want slow and costly", found)
	}
	for i, want := range []struct {
		kind  conversation.AnomalyKind
		ratio float64
	}{{conversation.AnomalySlow, 8}, {conversation.AnomalyCostly, 16}} {
		f := found[i]
		near(t, string(want.kind), float64(f.Measured)/float64(f.Usual), want.ratio, want.ratio/8)
		if f.Anomaly != want.kind || f.Count != 3 {
			t.Errorf("found %+v, want %s in 3 turns", f, want.kind)
		}
	}
}

// TestLittleIsNothing: below what is worth telling nothing is found, however
// unusual.
func TestLittleIsNothing(t *testing.T) {
	t.Parallel()
	d := New(Options{})
	for range 50 {
		s := &Session{}
		for range 20 {
			d.Turn(s, web, time.Millisecond, 100*time.Microsecond)
		}
	}
	s := &Session{}
	for range 40 {
		if found := d.Turn(s, web, 49*time.Millisecond, 4900*time.Microsecond); found != nil {
			t.Fatalf("found %+v", found)
		}
	}
	strict := New(Options{SlowFrom: time.Millisecond})
	for range enough {
		strict.Turn(&Session{}, web, time.Millisecond, 0)
	}
	for i := 0; ; i++ {
		if found := strict.Turn(s, web, 49*time.Millisecond, 0); len(found) == 1 {
			break
		}
		if i > 5 {
			t.Fatal("49 times the usual is not found, where it is worth telling")
		}
	}
}

func TestNothingIsJudgedBeforeEnoughIsKnown(t *testing.T) {
	t.Parallel()
	d := New(Options{})
	for i := range enough {
		if found := d.Turn(&Session{}, web, time.Hour, time.Hour); found != nil {
			t.Fatalf("after %d turns: %+v", i, found)
		}
	}
}

// TestChannelsAreApart: what is slow in one is usual in another.
func TestChannelsAreApart(t *testing.T) {
	t.Parallel()
	d, r := newWarm()
	for range 50 {
		s := &Session{}
		for range 20 {
			if found := d.Turn(s, "email", 100*someTook(r), 0); found != nil {
				t.Fatalf("found %+v", found)
			}
		}
	}
	for i := range 2 * maxChannels {
		d.Turn(&Session{}, fmt.Sprint("made up ", i), time.Second, 0)
	}
	if n := len(d.mu.channels); n > maxChannels+1 {
		t.Errorf("%d channels are kept", n)
	}
}

func TestLoops(t *testing.T) {
	t.Parallel()
	d := New(Options{Unattended: 10})
	at := time.Unix(1_700_000_000, 0)
	say := func(s *Session, gists ...uint32) (found []conversation.AnomalyFound) {
		for _, g := range gists {
			at = at.Add(time.Minute)
			found = append(found, d.Message(s, web, at, g)...)
		}
		return found
	}
	for name, tc := range map[string]struct {
		gists []uint32
		want  int
	}{
		"the same":              {[]uint32{5, 5, 5, 5}, 1},
		"four of six":           {[]uint32{5, 5, 1, 5, 2, 5}, 1},
		"four of seven":         {[]uint32{5, 1, 5, 2, 5, 3, 5}, 0},
		"two in turn":           {[]uint32{5, 6, 5, 6, 5, 6}, 0},
		"two in turn, for long": {[]uint32{5, 6, 5, 6, 5, 6, 5, 6, 5, 6}, 0},
		"short ones":            {[]uint32{0, 0, 0, 0, 0, 0}, 0},
		"told once":             {[]uint32{5, 5, 5, 5, 5, 5, 5}, 1},
	} {
		found := say(&Session{}, tc.gists...)
		if len(found) != tc.want {
			t.Errorf("%s: found %+v, want %d", name, found, tc.want)
		}
	}
	if found := say(&Session{}, 1, 5, 5, 5, 5); len(found) != 1 || found[0].Same != 4 || found[0].Count != 5 {
		t.Errorf("found %+v, want 4 of 5", found)
	}
	s := &Session{}
	turns := func(n int) (found []conversation.AnomalyFound) {
		for range n {
			found = append(found, d.Turn(s, web, time.Millisecond, 0)...)
		}
		return found
	}
	if found := turns(10); found != nil {
		t.Errorf("ten turns: %+v", found)
	}
	if found := turns(1); len(found) != 1 || found[0].Anomaly != conversation.AnomalyLoop || found[0].Count != 11 || found[0].Same != 0 {
		t.Errorf("eleven turns: %+v", found)
	}
	turns(6)
	s.Attended()
	if found := turns(6); found != nil {
		t.Errorf("a human had a part: %+v", found)
	}
	say(s, 1)
	at = at.Add(pause + time.Second)
	if say(s, 2); turns(6) != nil {
		t.Error("turns of another day count")
	}
}

// TestAFloodStaysOne: a visitor who floods for long does not make floods usual.
func TestAFloodStaysOne(t *testing.T) {
	t.Parallel()
	d, r := newWarm()
	at := time.Unix(1_700_000_000, 0)
	flood := func(n int) (found []conversation.AnomalyFound) {
		s := &Session{}
		for range n {
			at = at.Add(lognormal(r, 200*time.Millisecond, 0.3))
			found = append(found, d.Message(s, web, at, 0)...)
		}
		return found
	}
	flood(20_000)
	found := flood(30)
	if len(found) == 0 || found[0].Anomaly != conversation.AnomalyFlood {
		t.Fatalf("after a long flood: %+v", found)
	}
	if f := found[0]; f.Measured < 100*time.Millisecond || f.Measured > 400*time.Millisecond || f.Usual < 5*time.Second || f.Count > 15 {
		t.Errorf("found %+v", f)
	}
}

// TestNothingWrongCostsNothing but time: no memory.
func TestNothingWrongCostsNothing(t *testing.T) {
	d, r := newWarm()
	s := &Session{}
	at := time.Unix(1_700_000_000, 0)
	n := testing.AllocsPerRun(1000, func() {
		at = at.Add(someGap(r))
		d.Message(s, web, at, uint32(at.Unix()))
		d.Turn(s, web, 100*time.Millisecond, time.Millisecond)
		s.Attended()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestASessionIsSmall: there may be a quarter of a million in memory.
func TestASessionIsSmall(t *testing.T) {
	t.Parallel()
	if n := reflect.TypeFor[Session]().Size(); n > 200 {
		t.Errorf("a session takes %d bytes", n)
	}
}

func BenchmarkTurn(b *testing.B) {
	d, r := newWarm()
	s := &Session{}
	took := make([]time.Duration, 1024)
	for i := range took {
		took[i] = someTook(r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.Turn(s, web, took[i%len(took)], took[i%len(took)]/60)
		s.Attended()
	}
}

func BenchmarkMessage(b *testing.B) {
	d, r := newWarm()
	s := &Session{}
	at := time.Unix(1_700_000_000, 0)
	gaps := make([]time.Duration, 1024)
	for i := range gaps {
		gaps[i] = someGap(r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at = at.Add(gaps[i%len(gaps)])
		d.Message(s, web, at, uint32(i))
	}
}
