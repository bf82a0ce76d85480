package learning

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// Bounds of a book. What is over them leaves it, the oldest first.
const (
	maxAnswers = 1000
	maxMissed  = 400
	// maxBookBytes keeps a book within what a document may hold.
	maxBookBytes = 900 << 10

	answersFor = 90 * 24 * time.Hour
	missedFor  = 30 * 24 * time.Hour
)

// book is what one inbox has learned: rows, each of one message, so that the
// same conversation read again replaces what it gave before.
type book struct {
	Answers []Answer  `json:"answers,omitempty"`
	Missed  []Missed  `json:"missed,omitempty"`
	SavedAt time.Time `json:"saved_at"` // everything that happened before is in it

	changed bool // since it was written down
	fresh   bool // since the library was told
}

// replace puts the rows of a conversation in the place of those it gave before.
// Answers keep the packs that they were first seen with.
func (b *book) replace(id conversation.ConversationID, answers []Answer, missed []Missed, packs string) {
	before := map[conversation.Seq]Answer{}
	for i := range b.Answers {
		if b.Answers[i].Conversation == id {
			before[b.Answers[i].Seq] = b.Answers[i]
		}
	}
	same := len(before) == len(answers)
	for i := range answers {
		a := &answers[i]
		a.Packs = packs
		old, ok := before[a.Seq]
		if ok {
			a.Packs = old.Packs
		}
		same = same && ok && old == *a
	}
	if !same {
		b.Answers = append(slices.DeleteFunc(b.Answers, func(a Answer) bool { return a.Conversation == id }), answers...)
		slices.SortFunc(b.Answers, func(x, y Answer) int {
			return cmp.Or(x.At.Compare(y.At), slices.Compare(x.Conversation[:], y.Conversation[:]), cmp.Compare(x.Seq, y.Seq))
		})
		b.changed, b.fresh = true, true
	}
	old := 0
	same = true
	for i := range b.Missed {
		if m := &b.Missed[i]; m.Conversation == id {
			same = same && slices.Contains(missed, *m)
			old++
		}
	}
	if !same || old != len(missed) {
		b.Missed = append(slices.DeleteFunc(b.Missed, func(m Missed) bool { return m.Conversation == id }), missed...)
		slices.SortFunc(b.Missed, func(x, y Missed) int {
			return cmp.Or(x.At.Compare(y.At), slices.Compare(x.Conversation[:], y.Conversation[:]), cmp.Compare(x.Seq, y.Seq))
		})
		b.changed = true
	}
}

// forget takes out everything that a conversation gave.
func (b *book) forget(gone func(conversation.ConversationID) bool) {
	answers, missed := len(b.Answers), len(b.Missed)
	b.Answers = slices.DeleteFunc(b.Answers, func(a Answer) bool { return gone(a.Conversation) })
	b.Missed = slices.DeleteFunc(b.Missed, func(m Missed) bool { return gone(m.Conversation) })
	if len(b.Answers) != answers {
		b.changed, b.fresh = true, true
	}
	b.changed = b.changed || len(b.Missed) != missed
}

// trim drops what is too old or too much.
func (b *book) trim(now time.Time) {
	answers, missed := len(b.Answers), len(b.Missed)
	b.Answers = slices.DeleteFunc(b.Answers, func(a Answer) bool { return now.Sub(a.At) > answersFor })
	b.Missed = slices.DeleteFunc(b.Missed, func(m Missed) bool { return now.Sub(m.At) > missedFor })
	b.Answers = b.Answers[max(len(b.Answers)-maxAnswers, 0):]
	b.Missed = b.Missed[max(len(b.Missed)-maxMissed, 0):]
	if len(b.Answers) != answers {
		b.changed, b.fresh = true, true
	}
	b.changed = b.changed || len(b.Missed) != missed
}

// tally counts the answers that were given with a combination of packs.
func (b *book) tally(packs string) intent.Tally {
	var t intent.Tally
	for i := range b.Answers {
		if a := &b.Answers[i]; a.Packs == packs {
			t.Add(intent.Outcome{Confidence: a.Confidence, Right: a.Right, Weight: a.Weight})
		}
	}
	return t
}

// encode writes the book as it stood at a time. When it is too large, the oldest
// texts are left out.
func (b *book) encode(at time.Time) ([]byte, error) {
	for {
		raw, err := json.Marshal(book{Answers: b.Answers, Missed: b.Missed, SavedAt: at})
		if err != nil || len(raw) <= maxBookBytes || len(b.Missed) == 0 {
			return raw, err
		}
		b.Missed = b.Missed[len(b.Missed)/2+1:]
	}
}
