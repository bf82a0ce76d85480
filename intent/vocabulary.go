package intent

// vocabulary numbers features by hash: open addressing, no deletion. Once it is
// sealed it is read only, and as small as it gets.
//
// A slot holds half of a hash beside the number; the other half says about where the
// slot is. One feature is taken for another once in some hundred million.
type vocabulary struct {
	slots  []slot
	hashes []uint64 // by number; nil once sealed
	n      int
}

// slot is one entry: the lower half of a hash, and its number plus one. Zero means
// that it is free.
type slot struct {
	low    uint32
	number int32
}

// Of so many slots so many may be taken while features are added, and in the end.
const (
	growingSlots = 2   // per feature, at least
	sealedSlots  = 1.5 // per feature
)

func newVocabulary(capacity int) *vocabulary {
	return &vocabulary{slots: make([]slot, max(1024, capacity*growingSlots)), hashes: make([]uint64, 0, capacity)}
}

// find gives the slot of a feature, or the free one where it would be.
func (v *vocabulary) find(h uint64) int {
	i := int((h >> 32) * uint64(len(v.slots)) >> 32)
	for {
		if s := v.slots[i]; s.number == 0 || s.low == uint32(h) { //nolint:gosec // the lower half is meant
			return i
		}
		if i++; i == len(v.slots) {
			i = 0
		}
	}
}

// id finds a feature, or -1.
func (v *vocabulary) id(h uint64) int32 { return v.slots[v.find(h)].number - 1 }

// add numbers a feature. Of one that has a number it only reads, and of one that has
// none when the vocabulary is sealed: that gives -1. It happens to what was taken for
// another feature before, whose slot may lie elsewhere now.
func (v *vocabulary) add(h uint64) int32 {
	i := v.find(h)
	if number := v.slots[i].number; number != 0 || v.hashes == nil {
		return number - 1
	}
	if v.n++; v.n*growingSlots > len(v.slots) {
		v.resize(len(v.slots) * 2)
		i = v.find(h)
	}
	v.slots[i] = slot{low: uint32(h), number: int32(v.n)} //nolint:gosec // bounded by maxQuestions × maxTokens
	v.hashes = append(v.hashes, h)
	return int32(v.n - 1) //nolint:gosec // as above
}

// seal ends the adding of features.
func (v *vocabulary) seal() {
	v.resize(int(float64(v.n)*sealedSlots) + 1)
	v.hashes = nil
}

func (v *vocabulary) resize(size int) {
	v.slots = make([]slot, size)
	for i, h := range v.hashes {
		v.slots[v.find(h)] = slot{low: uint32(h), number: int32(i + 1)} //nolint:gosec // as in add
	}
}
