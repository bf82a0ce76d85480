package cluster

import (
	"cmp"
	"slices"
	"time"
)

// NodeID names one run of a node. It is new with every start: gossip, placement
// and tombstones speak of runs, the journal speaks of disks.
type NodeID string

// Member is a node as the cluster sees it.
type Member struct {
	ID       NodeID
	Address  string    // host:port of the node link; empty on a single node, which listens to nobody
	Gossip   string    // host:port of the gossip
	Grains   string    // host:port of the grains
	HTTP     string    // host:port of the API, as its node has told
	Journal  string    // identity on the node's disk; empty until its store is open
	Cluster  string    // identity of the cluster on that disk
	Version  string    // of the program
	Started  time.Time // when this run began
	Serving  bool      // is ready to own grains
	Draining bool      // takes no new grains
	Suspect  bool      // does not answer the gossip at the moment; it stays a member until a majority says otherwise

	candidate NodeID
}

// View is who belongs to the cluster, at one moment. It is immutable.
type View struct {
	self    NodeID
	members []Member // sorted by id
	hashes  []uint64 // of the members that may own grains, parallel to owners
	owners  []int
}

// NewView makes a view. self must be one of the members.
//
// Those own grains who serve and do not drain. If nobody serves, such as while
// a cluster starts, everybody who does not drain does.
func NewView(self NodeID, members ...Member) *View {
	v := &View{self: self, members: slices.Clone(members)}
	slices.SortFunc(v.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for _, takes := range []func(Member) bool{
		func(m Member) bool { return m.Serving && !m.Draining },
		func(m Member) bool { return !m.Draining },
	} {
		for i, m := range v.members {
			if takes(m) {
				v.owners = append(v.owners, i)
				v.hashes = append(v.hashes, hash(string(m.ID)))
			}
		}
		if len(v.owners) > 0 {
			break
		}
	}
	return v
}

// SingleNode is the view of a node that is alone.
func SingleNode(self NodeID) *View { return NewView(self, Member{ID: self}) }

// Self names this node.
func (v *View) Self() NodeID { return v.self }

// Members lists everybody, sorted by id. The slice is shared: read only.
func (v *View) Members() []Member { return v.members }

// Member finds a member.
func (v *View) Member(id NodeID) (Member, bool) {
	i, ok := slices.BinarySearchFunc(v.members, id, func(m Member, id NodeID) int { return cmp.Compare(m.ID, id) })
	if !ok {
		return Member{}, false
	}
	return v.members[i], true
}

// Owner says which member a grain belongs to: the one whose mixed hash with the
// grain's name is the highest, so that a change of members moves only the
// grains of those who came or went. It returns false when nobody takes grains.
func (v *View) Owner(g GrainID) (Member, bool) {
	if i := v.owner(g); i >= 0 {
		return v.members[i], true
	}
	return Member{}, false
}

// owns reports whether a grain belongs to this node.
func (v *View) owns(g GrainID) bool {
	i := v.owner(g)
	return i >= 0 && v.members[i].ID == v.self
}

// takesGrains reports whether this node was ready for grains together with
// others.
func (v *View) takesGrains() bool {
	return len(v.owners) > 1 && slices.ContainsFunc(v.owners, func(i int) bool { return v.members[i].ID == v.self })
}

// owner gives the place of a grain's owner among the members, or -1.
func (v *View) owner(g GrainID) int {
	if len(v.owners) == 1 {
		return v.owners[0]
	}
	name := hash(g.Kind) ^ mix(hash(g.ID))
	best, at := uint64(0), -1
	for i, h := range v.hashes {
		if w := mix(name ^ h); at < 0 || w > best {
			best, at = w, v.owners[i]
		}
	}
	return at
}

// equal reports whether two views say the same.
func (v *View) equal(w *View) bool { return v.self == w.self && slices.Equal(v.members, w.members) }

// hash is FNV-1a. Alone it is badly spread for names that differ in the last
// character only, hence mix.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): every input bit
// reaches every output bit.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
