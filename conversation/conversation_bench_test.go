package conversation

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// afterTurns gives a conversation in which the bot has answered n messages.
func afterTurns(b *testing.B, n int) *shell {
	b.Helper()
	h := newShell(ConversationID{1})
	for i := range n {
		h.now = h.now.Add(time.Second)
		h.mustRun(b,
			AcceptMessage{Origin: origin(ChannelWeb), Ref: Ref(fmt.Sprint("r", i)), Text: "When do you open on Sundays?"},
			CompleteTurn{Turn: h.state.Version + 1 + firstOnly(h), Outcome: Outcome{Intent: "hours", Replies: []Reply{{Text: "At nine."}}}})
	}
	return h
}

// firstOnly is the entry more that the first message brings.
func firstOnly(h *shell) Seq {
	if h.state.Started() {
		return 0
	}
	return 1
}

// BenchmarkConversationDecide is a message and its answer decided and folded:
// the rules' share of a turn.
func BenchmarkConversationDecide(b *testing.B) {
	for _, turns := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("turns=", turns), func(b *testing.B) {
			h := afterTurns(b, turns)
			s, now := h.state, h.now
			accept := AcceptMessage{Origin: origin(ChannelWeb), Text: "When do you open on Sundays?"}
			turn := CompleteTurn{
				Prediction: &Prediction{Candidates: []Candidate{{"hours", 0.97}}, Lang: "en", Model: "m1"}, Behavior: "faq",
				Outcome: Outcome{Intent: "hours", Replies: []Reply{{Text: "At nine."}}},
			}
			b.ReportAllocs()
			for b.Loop() {
				accept.Ref = "" // a ref would be known the second time
				d, err := Decide(s, accept, now)
				if err != nil {
					b.Fatal(err)
				}
				before := s.Head()
				entries := fold(s, d.Events, now)
				turn.Turn = s.LastVisitor
				if d, err = Decide(s, turn, now); err != nil {
					b.Fatal(err)
				}
				entries = append(entries, fold(s, d.Events, now)...)
				Effects(s, before, entries)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func fold(s *State, events []Event, now time.Time) []Entry {
	out := make([]Entry, len(events), len(events)+4)
	for i, ev := range events {
		out[i] = Entry{Seq: s.Version + 1, At: now, Event: ev}
		s.Apply(out[i])
	}
	return out
}

// BenchmarkApply folds a stored conversation from nothing, as recovery does.
func BenchmarkApply(b *testing.B) {
	for _, turns := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint("turns=", turns), func(b *testing.B) {
			h := afterTurns(b, turns)
			b.ReportAllocs()
			for b.Loop() {
				refold(h.state.ID, h.log)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(len(h.log)), "ns/entry")
		})
	}
}

// BenchmarkSnapshot is what a snapshot costs, there and back.
func BenchmarkSnapshot(b *testing.B) {
	h := afterTurns(b, 100)
	data, err := json.Marshal(h.state)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := recovered(h.state); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFindRef is the look-up that every message begins with.
func BenchmarkFindRef(b *testing.B) {
	h := afterTurns(b, 2*recentRefs)
	b.ReportAllocs()
	for b.Loop() {
		if h.state.FindRef("not there") != 0 {
			b.Fatal("found")
		}
	}
}
