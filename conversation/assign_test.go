package conversation

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWaitingOrder(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return testDay().Add(time.Duration(minutes) * time.Minute) }
	want := []Waiting{
		{ID: ConversationID{9}, Priority: PriorityUrgent, Since: at(9)},
		{ID: ConversationID{8}, Priority: PriorityHigh, Since: at(1)},
		{ID: ConversationID{1}, Priority: PriorityHigh, Since: at(2)},
		{ID: ConversationID{2}, Priority: PriorityHigh, Since: at(2)},
		{ID: ConversationID{3}, Priority: PriorityLow, Since: at(0)},
		{ID: ConversationID{4}, Priority: PriorityNone, Since: at(0)},
		{ID: ConversationID{5}, Since: at(1)}, // no priority is none
		{ID: ConversationID{6}, Priority: PriorityNone, Since: at(2)},
		{ID: ConversationID{0}, Priority: "purple", Since: at(0)},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareWaiting)
	if !slices.Equal(got, want) {
		t.Errorf("sorted\n%v, want\n%v", got, want)
	}
}

func compareWaiting(a, b Waiting) int {
	switch {
	case a.Before(b):
		return -1
	case b.Before(a):
		return 1
	}
	return 0
}

// TestWaitingOrderIsTotal: a heap or a sorted list on it has one order.
func TestWaitingOrderIsTotal(t *testing.T) {
	t.Parallel()
	some := rapid.Custom(func(t *rapid.T) Waiting {
		return Waiting{
			ID:       ConversationID{byte(rapid.IntRange(0, 3).Draw(t, "id"))},
			Priority: somePriority(t),
			Since:    testDay().Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "since")) * time.Hour),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := some.Draw(t, "a"), some.Draw(t, "b"), some.Draw(t, "c")
		same := a.ID == b.ID && a.Priority.Rank() == b.Priority.Rank() && a.Since.Equal(b.Since)
		if a.Before(a) || a.Before(b) && b.Before(a) || !same && !a.Before(b) && !b.Before(a) {
			t.Fatalf("%v and %v: %t, %t", a, b, a.Before(b), b.Before(a))
		}
		if a.Before(b) && b.Before(c) && !a.Before(c) {
			t.Fatalf("%v, %v, %v are in a circle", a, b, c)
		}
	})
}

func TestPick(t *testing.T) {
	t.Parallel()
	early, late := testDay(), testDay().Add(time.Hour)
	seat := func(id AgentID, load, capacity int, since time.Time) Seat {
		return Seat{Agent: id, Presence: PresenceOnline, Load: load, Capacity: capacity, Since: since}
	}
	with := func(s Seat, p Presence) Seat {
		s.Presence = p
		return s
	}
	for name, tc := range map[string]struct {
		skip  AgentID
		seats []Seat
		want  AgentID
	}{
		"nobody":                     {},
		"one":                        {seats: []Seat{seat("a", 0, 1, early)}, want: "a"},
		"full":                       {seats: []Seat{seat("a", 1, 1, early)}},
		"over full":                  {seats: []Seat{seat("a", 5, 1, early)}},
		"no capacity":                {seats: []Seat{seat("a", 0, 0, early)}},
		"away":                       {seats: []Seat{with(seat("a", 0, 1, early), PresenceAway)}},
		"offline":                    {seats: []Seat{with(seat("a", 0, 1, early), PresenceOffline)}},
		"presence not known":         {seats: []Seat{with(seat("a", 0, 1, early), "")}},
		"less busy":                  {seats: []Seat{seat("a", 2, 4, early), seat("b", 1, 4, late)}, want: "b"},
		"less busy for the capacity": {seats: []Seat{seat("a", 1, 2, early), seat("b", 3, 8, late)}, want: "b"},
		"equally busy, waits longer": {seats: []Seat{seat("a", 1, 2, late), seat("b", 2, 4, early)}, want: "b"},
		"equal, by name":             {seats: []Seat{seat("b", 0, 1, early), seat("a", 0, 1, early)}, want: "a"},
		"not to the same again":      {skip: "a", seats: []Seat{seat("a", 0, 9, early), seat("b", 8, 9, late)}, want: "b"},
		"the same if alone":          {skip: "a", seats: []Seat{seat("a", 0, 9, early), seat("b", 9, 9, late)}, want: "a"},
	} {
		got, ok := Pick(Waiting{Skip: tc.skip}, tc.seats)
		if got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: Pick = %q, %t, want %q", name, got, ok, tc.want)
		}
	}
}

// TestPickFillsFairly hands out conversations until nobody is free: nobody
// ever goes over capacity, nobody is left out, the loads stay in proportion,
// and the order of the seats plays no part.
func TestPickFillsFairly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var seats []Seat
		room := 0
		for i := range rapid.IntRange(0, 6).Draw(t, "agents") {
			s := Seat{
				Agent:    AgentID(fmt.Sprint("a", i)),
				Presence: rapid.SampledFrom([]Presence{PresenceOnline, PresenceOnline, PresenceAway, PresenceOffline}).Draw(t, "presence"),
				Capacity: rapid.IntRange(0, 5).Draw(t, "capacity"), Load: rapid.IntRange(0, 6).Draw(t, "load"),
			}
			if s.Presence == PresenceOnline {
				room += max(s.Capacity-s.Load, 0)
			}
			seats = append(seats, s)
		}
		for n := 0; ; n++ {
			w := Waiting{Skip: someAgent(t)}
			id, ok := Pick(w, seats)
			if again, okAgain := Pick(w, rapid.Permutation(seats).Draw(t, "order")); again != id || ok != okAgain {
				t.Fatalf("Pick gives %q or %q by the order of seats", id, again)
			}
			if !ok {
				if n != room {
					t.Fatalf("%d handed out, there was room for %d", n, room)
				}
				return
			}
			i := slices.IndexFunc(seats, func(s Seat) bool { return s.Agent == id })
			checkPicked(t, w, seats, i)
			seats[i].Load++
			seats[i].Since = testDay().Add(time.Duration(n) * time.Minute)
		}
	})
}

func checkPicked(t *rapid.T, w Waiting, seats []Seat, i int) {
	s := seats[i]
	if s.Presence != PresenceOnline || s.Load >= s.Capacity {
		t.Fatalf("%+v is not free", s)
	}
	for _, o := range seats {
		if !o.free() || o.Agent == w.Skip {
			continue
		}
		if s.Agent == w.Skip {
			t.Fatalf("%s gets it again while %s is free", s.Agent, o.Agent)
		}
		if cmp.Less(o.Load*s.Capacity, s.Load*o.Capacity) {
			t.Fatalf("%+v is busier than %+v", s, o)
		}
	}
}
