package conversation

import "time"

// MaxPackVersions is how many versions of a pack the journal keeps, the one in
// force among them; the oldest make room.
const MaxPackVersions = 50

// StoredPack is a pack that is kept in the journal: on all nodes, with its
// versions. The texts of the versions lie beside it.
type StoredPack struct {
	Name     string        `json:"name"`
	Versions []PackVersion `json:"versions"` // oldest first; the last one is in force
	Version  uint64        `json:"version"`  // of the document, for If-Match
}

// PackVersion is one state of a stored pack: who saved what, when and why.
type PackVersion struct {
	Number   uint64    `json:"version"` // the version of the document that it came with
	Hash     string    `json:"hash"`    // of the text, as the intent library names it
	Bytes    int       `json:"bytes"`   // of the text
	At       time.Time `json:"at"`
	By       AgentID   `json:"by,omitempty"`
	Comment  string    `json:"comment,omitempty"`
	Restores uint64    `json:"restores,omitempty"` // the version whose text was saved again
}

// Current gives the version in force, or the zero PackVersion.
func (p *StoredPack) Current() PackVersion {
	if len(p.Versions) == 0 {
		return PackVersion{}
	}
	return p.Versions[len(p.Versions)-1]
}

// Find gives a version by its number.
func (p *StoredPack) Find(number uint64) (PackVersion, bool) {
	for _, v := range p.Versions {
		if v.Number == number {
			return v, true
		}
	}
	return PackVersion{}, false
}
