package persistence

import (
	"cmp"
	"slices"
	"time"
)

// The steward keeps the right nodes voting: it gives level ones a vote and takes
// dead ones out. What to do is decided here, from data alone; who does it, and
// when, is in stewardship.go.

// seat is a node of the configuration as the leader sees it.
type seat struct {
	node    string
	address string // that is stored
	now     string // where it is now, as far as known
	voter   bool
	self    bool // the leader
	live    bool
	level   bool          // it has all but the very newest entries
	silent  time.Duration // for how long it has not been heard of
	gone    bool          // another node has its address, or it was removed: it will not be back
}

// stewardAction is one change of the configuration.
type stewardAction struct {
	kind    actionKind
	node    string
	address string // of actionMove
}

type actionKind int

const (
	actionNone actionKind = iota
	actionMove            // store a node's new address
	actionPromote
	actionRemove
)

// plan decides on the next change. There is one at a time, so that each is seen
// to have worked before the next:
//
//   - a dead node without a vote goes;
//   - a dead voter goes if at least three voters stay and a majority of those
//     lives; where fewer would stay, a level node gets a vote first;
//   - level nodes get votes up to the limit, but never only one more where that
//     makes an even number of four or more: it would need one more voter for
//     every write and survive no more losses. Two voters are better than one:
//     nothing that was acknowledged is lost with either.
func plan(seats []seat, limit int, removeAfter time.Duration) stewardAction {
	seats = slices.SortedFunc(slices.Values(seats), func(a, b seat) int { return cmp.Compare(a.node, b.node) })
	var dead []seat
	voters, live, waiting := 0, 0, []seat(nil)
	for _, s := range seats {
		isDead := !s.self && !s.live && (s.gone || s.silent >= removeAfter)
		switch {
		case s.live && s.now != "" && s.now != s.address:
			return stewardAction{kind: actionMove, node: s.node, address: s.now}
		case !s.voter && isDead:
			return stewardAction{kind: actionRemove, node: s.node}
		case !s.voter && s.live && s.level && !s.gone:
			waiting = append(waiting, s)
		case s.voter && isDead:
			dead = append(dead, s)
		}
		if s.voter {
			voters++
		}
		if s.voter && (s.live || s.self) {
			live++
		}
	}
	if len(dead) > 0 && removable(voters-1, live) {
		return stewardAction{kind: actionRemove, node: dead[0].node}
	}
	if len(waiting) > 0 && wanted(voters, len(dead), len(waiting), limit) {
		return stewardAction{kind: actionPromote, node: waiting[0].node}
	}
	return stewardAction{}
}

// removable reports whether a dead voter may go: remain stay, of which so many
// live.
func removable(remain, live int) bool { return remain >= 3 && live > remain/2 }

// wanted reports whether one of the waiting nodes should get a vote. A dead
// voter's place counts as free.
func wanted(voters, dead, waiting, limit int) bool {
	useful := voters - dead
	if useful >= limit {
		return false
	}
	return dead > 0 || useful < 3 || useful%2 == 1 && waiting >= 2 && useful+2 <= limit || useful%2 == 0
}
