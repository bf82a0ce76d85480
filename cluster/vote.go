package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The limits of what is remembered about members that went.
const (
	maxTombs    = 256
	maxVotes    = 256
	tombAge     = time.Hour        // a run that comes back later is a member again, and harmless
	voteAge     = 10 * time.Second // whoever still cannot reach the member votes again
	maxNewsByte = 64 << 10
)

// Why a run has a tombstone.
const (
	tombVoted    = "voted"    // a majority could not reach it
	tombReplaced = "replaced" // another run has its address
	tombLeft     = "left"     // it said so
)

// vote is one member's word that another is gone, after a look of its own.
type vote struct {
	Target NodeID `json:"t"`
	By     NodeID `json:"b"`
	Gone   bool   `json:"g,omitempty"` // its ports refuse, so that the process has ended; else it is only silent
	Age    int64  `json:"a,omitempty"` // milliseconds; clocks of nodes are not compared

	// Where the target was to be reached. A member that has joined since never saw it,
	// and could not look for itself.
	Gossip  string `json:"p,omitempty"`
	Address string `json:"l,omitempty"`
}

// tomb says that a run will never be a member again.
type tomb struct {
	ID  NodeID `json:"i"`
	Why string `json:"w"`
	Age int64  `json:"a,omitempty"` // milliseconds
}

// news is what members tell each other beside the gossip's own messages. It is
// JSON; fields of newer versions are ignored.
type news struct {
	Votes []vote          `json:"votes,omitempty"`
	Tombs []tomb          `json:"tombs,omitempty"`
	From  NodeID          `json:"from,omitempty"` // of Says
	Says  json.RawMessage `json:"says,omitempty"` // meta, ahead of the gossip
}

func (n news) encode() []byte {
	b, _ := json.Marshal(n) // of strings and numbers
	return b
}

func decodeNews(b []byte) (news, error) {
	if len(b) > maxNewsByte {
		return news{}, fmt.Errorf("read news: %d bytes are too many", len(b))
	}
	var n news
	if err := json.Unmarshal(b, &n); err != nil {
		return news{}, fmt.Errorf("read news: %w", err)
	}
	if len(n.Votes) > maxVotes || len(n.Tombs) > maxTombs {
		return news{}, fmt.Errorf("read news: %d votes and %d tombstones are too many", len(n.Votes), len(n.Tombs))
	}
	return n, nil
}

// ballots count votes and keep tombstones. They know no clock and no network.
type ballots struct {
	votes map[NodeID]map[NodeID]ballot // target → voter
	tombs map[NodeID]burial
}

type ballot struct {
	at   time.Time
	gone bool
}

type burial struct {
	at  time.Time
	why string
}

func newBallots() *ballots {
	return &ballots{votes: map[NodeID]map[NodeID]ballot{}, tombs: map[NodeID]burial{}}
}

// vote takes a vote, and reports whether it is news.
func (b *ballots) vote(v vote, now time.Time) bool {
	at := now.Add(-time.Duration(max(v.Age, 0)) * time.Millisecond)
	if v.Target == v.By || v.Target == "" || now.Sub(at) >= voteAge || b.buried(v.Target) {
		return false
	}
	before, known := b.votes[v.Target][v.By]
	if known && !at.After(before.at) {
		return false
	}
	if b.votes[v.Target] == nil {
		if len(b.votes) >= maxVotes {
			return false
		}
		b.votes[v.Target] = map[NodeID]ballot{}
	}
	if !known && len(b.votes[v.Target]) >= maxVotes {
		return false
	}
	b.votes[v.Target][v.By] = ballot{at: at, gone: v.Gone}
	return !known || before.gone != v.Gone
}

// withdraw takes a vote back.
func (b *ballots) withdraw(target, by NodeID) { delete(b.votes[target], by) }

// bury sets a tombstone, and reports whether it is new.
func (b *ballots) bury(t tomb, now time.Time) bool {
	at := now.Add(-time.Duration(max(t.Age, 0)) * time.Millisecond)
	if t.ID == "" || now.Sub(at) >= tombAge || b.buried(t.ID) {
		return false
	}
	b.tombs[t.ID] = burial{at: at, why: t.Why}
	delete(b.votes, t.ID)
	for len(b.tombs) > maxTombs {
		b.forgetOldest()
	}
	return true
}

func (b *ballots) forgetOldest() {
	var oldest NodeID
	for id, t := range b.tombs {
		if oldest == "" || t.at.Before(b.tombs[oldest].at) {
			oldest = id
		}
	}
	delete(b.tombs, oldest)
}

func (b *ballots) buried(id NodeID) bool {
	_, ok := b.tombs[id]
	return ok
}

// age forgets what is too old.
func (b *ballots) age(now time.Time) {
	for target, by := range b.votes {
		for voter, v := range by {
			if now.Sub(v.at) >= voteAge {
				delete(by, voter)
			}
		}
		if len(by) == 0 {
			delete(b.votes, target)
		}
	}
	for id, t := range b.tombs {
		if now.Sub(t.at) >= tombAge {
			delete(b.tombs, id)
		}
	}
}

// elect names the members that a majority of all members has voted out. Two
// members have no majority without the one that is gone: there the other's word
// is enough if the ports refuse, because then no process is left that could
// think the same. A vote of another counts if it was cast after since, from when its
// voter has been heard here without a break: what nodes thought while they could not hear
// each other is no majority's opinion. Whoever still cannot reach the target votes again.
func (b *ballots) elect(self NodeID, members []NodeID, since map[NodeID]time.Time) []NodeID {
	var out []NodeID
	for target, by := range b.votes {
		if !slices.Contains(members, target) || target == self {
			continue
		}
		n := 0
		for voter, v := range by {
			from, heard := since[voter]
			if slices.Contains(members, voter) && (voter == self || heard && !v.at.Before(from)) {
				n++
			}
		}
		if n > len(members)/2 || len(members) == 2 && by[self].gone {
			out = append(out, target)
		}
	}
	slices.Sort(out)
	return out
}

// news tells everything that is known.
func (b *ballots) news(now time.Time) news {
	var n news
	for target, by := range b.votes {
		for voter, v := range by {
			if len(n.Votes) < maxVotes {
				n.Votes = append(n.Votes, vote{Target: target, By: voter, Gone: v.gone, Age: now.Sub(v.at).Milliseconds()})
			}
		}
	}
	for id, t := range b.tombs {
		n.Tombs = append(n.Tombs, tomb{ID: id, Why: t.why, Age: now.Sub(t.at).Milliseconds()})
	}
	slices.SortFunc(n.Tombs, func(a, b tomb) int { return cmp.Compare(a.ID, b.ID) })
	return n
}
