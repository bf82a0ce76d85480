package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// always is what is known of voters that were heard from the beginning.
var always = map[NodeID]time.Time{"a": {}, "b": {}, "c": {}, "d": {}, "x": {}}

func TestElect(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		members []NodeID
		votes   []vote
		want    []NodeID
	}{
		"nobody voted":               {[]NodeID{"a", "b", "c"}, nil, nil},
		"one of three":               {[]NodeID{"a", "b", "c"}, []vote{{Target: "c", By: "a", Gone: true}}, nil},
		"two of three":               {[]NodeID{"a", "b", "c"}, []vote{{Target: "c", By: "a"}, {Target: "c", By: "b"}}, []NodeID{"c"}},
		"half of four":               {[]NodeID{"a", "b", "c", "d"}, []vote{{Target: "d", By: "a"}, {Target: "d", By: "b"}}, nil},
		"three of four":              {[]NodeID{"a", "b", "c", "d"}, []vote{{Target: "d", By: "a"}, {Target: "d", By: "b"}, {Target: "d", By: "c"}}, []NodeID{"d"}},
		"two: only silent":           {[]NodeID{"a", "b"}, []vote{{Target: "b", By: "a"}}, nil},
		"two: ports refuse":          {[]NodeID{"a", "b"}, []vote{{Target: "b", By: "a", Gone: true}}, []NodeID{"b"}},
		"a stranger's voice":         {[]NodeID{"a", "b", "c"}, []vote{{Target: "c", By: "a"}, {Target: "c", By: "x"}}, nil},
		"its own voice":              {[]NodeID{"a", "b", "c"}, []vote{{Target: "c", By: "a"}, {Target: "c", By: "c"}}, nil},
		"against oneself":            {[]NodeID{"a", "b", "c"}, []vote{{Target: "a", By: "b"}, {Target: "a", By: "c"}}, nil},
		"too old":                    {[]NodeID{"a", "b", "c"}, []vote{{Target: "c", By: "a"}, {Target: "c", By: "b", Age: voteAge.Milliseconds()}}, nil},
		"against who is no member":   {[]NodeID{"a", "b"}, []vote{{Target: "z", By: "a", Gone: true}}, nil},
		"repeated by the same voter": {[]NodeID{"a", "b", "c"}, []vote{{Target: "c", By: "a", Age: 5}, {Target: "c", By: "a"}}, nil},
	} {
		b := newBallots()
		for _, v := range c.votes {
			b.vote(v, now)
		}
		b.age(now)
		if got := b.elect("a", c.members, always); !slices.Equal(got, c.want) {
			t.Errorf("%s: elect = %v, want %v", name, got, c.want)
		}
	}
}

func TestVotesAreTakenBackAndAge(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := newBallots()
	b.vote(vote{Target: "c", By: "a"}, now)
	b.vote(vote{Target: "c", By: "b"}, now)
	b.withdraw("c", "a")
	if got := b.elect("a", []NodeID{"a", "b", "c"}, always); got != nil {
		t.Errorf("elect = %v after a vote was taken back", got)
	}
	b.vote(vote{Target: "c", By: "a"}, now.Add(voteAge-time.Millisecond))
	b.age(now.Add(voteAge))
	if got := b.elect("a", []NodeID{"a", "b", "c"}, always); got != nil {
		t.Errorf("elect = %v with one vote that is too old", got)
	}
}

func TestVoteCountsOnceItsVoterIsHeard(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	members, since := []NodeID{"a", "b", "c"}, map[NodeID]time.Time{"b": now}
	b := newBallots()
	b.vote(vote{Target: "c", By: "a"}, now)
	b.vote(vote{Target: "c", By: "b", Age: 1}, now)
	if got := b.elect("a", members, since); got != nil {
		t.Errorf("elect = %v with a vote from before its voter was heard", got)
	}
	b.vote(vote{Target: "c", By: "b"}, now)
	if got := b.elect("a", members, since); !slices.Equal(got, []NodeID{"c"}) {
		t.Errorf("elect = %v after the voter voted again", got)
	}
}

func TestTombstonesStayAndAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := newBallots()
	if !b.bury(tomb{ID: "x", Why: tombVoted}, now) || b.bury(tomb{ID: "x", Why: tombLeft}, now) {
		t.Error("a tombstone is new once")
	}
	if b.vote(vote{Target: "x", By: "a"}, now) {
		t.Error("a vote against the buried was taken")
	}
	for i := range 3 * maxTombs {
		b.bury(tomb{ID: NodeID(fmt.Sprint(i)), Why: tombVoted}, now.Add(time.Duration(i+1)*time.Millisecond))
	}
	if len(b.tombs) != maxTombs || b.buried("x") || !b.buried(NodeID(fmt.Sprint(3*maxTombs-1))) {
		t.Errorf("%d tombstones, the oldest there: %v", len(b.tombs), b.buried("x"))
	}
	// What comes back from others keeps its age, or it would never end.
	c := newBallots()
	for _, s := range b.news(now.Add(tombAge / 2)).Tombs {
		c.bury(s, now.Add(tombAge/2))
	}
	c.age(now.Add(tombAge + time.Second))
	if len(c.tombs) != 0 {
		t.Errorf("%d tombstones are older than %v", len(c.tombs), tombAge)
	}
}

func TestNewsOfEveryBoundFits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := newBallots()
	for range maxTombs {
		b.bury(tomb{ID: newNodeID(), Why: tombReplaced}, now)
	}
	for range maxVotes {
		b.vote(vote{Target: newNodeID(), By: newNodeID()}, now)
	}
	n, err := decodeNews(b.news(now.Add(time.Second)).encode())
	if err != nil || len(n.Tombs) != maxTombs || len(n.Votes) != maxVotes {
		t.Errorf("decodeNews = %d tombs, %d votes, %v", len(n.Tombs), len(n.Votes), err)
	}
}

func FuzzDecodeNews(f *testing.F) {
	f.Add(news{Votes: []vote{{Target: "a", By: "b", Gone: true, Age: 7}}, Tombs: []tomb{{ID: "c", Why: tombLeft}}}.encode())
	f.Add([]byte(`{"votes":[{"a":-9223372036854775808}],"tombs":[{"i":"x","a":9223372036854775807}],"says":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeNews(b)
		if err != nil {
			return
		}
		now := time.Unix(1000, 0)
		books := newBallots()
		for _, v := range n.Votes {
			books.vote(v, now)
		}
		for _, s := range n.Tombs {
			books.bury(s, now)
		}
		books.age(now)
		books.elect("a", []NodeID{"a", "b", "c"}, always)
		if _, err := decodeMeta(n.Says); err == nil && len(n.Says) == 0 {
			t.Error("nothing was read as something")
		}
	})
}
