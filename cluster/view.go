package cluster

import (
	"cmp"
	"slices"
)

// NodeID names one run of a node.
type NodeID string

// Member is a node as the cluster sees it.
type Member struct {
	ID       NodeID
	Address  string // host:port of the node link; empty on a single node, which listens to nobody
	Draining bool   // takes no new grains
}

// View is who belongs to the cluster, at one moment. It is immutable.
type View struct {
	self    NodeID
	members []Member // sorted by id
	hashes  []uint64 // of the members that may own grains, parallel to owners
	owners  []int
}

// NewView makes a view. self must be one of the members.
func NewView(self NodeID, members ...Member) *View {
	v := &View{self: self, members: slices.Clone(members)}
	slices.SortFunc(v.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for i, m := range v.members {
		if !m.Draining {
			v.owners = append(v.owners, i)
			v.hashes = append(v.hashes, hash(string(m.ID)))
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

// Owner says which member a grain belongs to: the one whose mixed hash with the
// grain's name is the highest, so that a change of members moves only the
// grains of those who came or went. It returns false when nobody takes grains.
func (v *View) Owner(g GrainID) (Member, bool) {
	if len(v.owners) == 1 {
		return v.members[v.owners[0]], true
	}
	name := hash(g.Kind) ^ mix(hash(g.ID))
	best, at := uint64(0), -1
	for i, h := range v.hashes {
		if w := mix(name ^ h); at < 0 || w > best {
			best, at = w, i
		}
	}
	if at < 0 {
		return Member{}, false
	}
	return v.members[v.owners[at]], true
}

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
