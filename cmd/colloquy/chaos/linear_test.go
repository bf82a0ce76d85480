package chaos

import (
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestLinearizable(t *testing.T) {
	t.Parallel()
	type ack struct {
		due, acked time.Duration
		seq        conversation.Seq
	}
	tests := []struct {
		name string
		acks []ack
		want bool
	}{
		{"one after the other", []ack{{1, 2, 1}, {3, 4, 2}, {5, 6, 9}}, true},
		{"at the same time, in any order", []ack{{1, 10, 3}, {2, 9, 1}, {3, 8, 2}}, true},
		{"the later one has the lower seq", []ack{{1, 2, 5}, {3, 4, 4}}, false},
		{"the same seq twice", []ack{{1, 2, 5}, {1, 2, 5}}, false},
		{"one that spans the others", []ack{{1, 100, 2}, {2, 3, 1}, {4, 5, 3}}, true},
		{"one that spans the others and is between two of them the wrong way", []ack{{10, 100, 2}, {2, 3, 1}, {4, 5, 3}}, false},
		{"one that was never acknowledged", []ack{{1, 0, 0}, {2, 3, 1}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var operations []*operation
			for i, a := range tt.acks {
				operations = append(operations, &operation{
					author: author{visitorRole, i}, due: a.due, acked: a.acked, place: place{conversation.ConversationID{1}, a.seq},
				})
			}
			if got := linearizable(operations); (got == "") != tt.want {
				t.Errorf("linearizable = %q, want none: %v", got, tt.want)
			}
		})
	}
}

// Each conversation is a log of its own.
func TestLinearizableByConversation(t *testing.T) {
	t.Parallel()
	one, two := conversation.ConversationID{1}, conversation.ConversationID{2}
	operations := []*operation{{due: 1, acked: 2, place: place{one, 9}}, {due: 3, acked: 4, place: place{two, 1}}}
	if got := linearizable(operations); got != "" {
		t.Error(got)
	}
}

// A long history is checked in no time, and a single wrong answer in it is
// found.
func TestLinearizableLongHistory(t *testing.T) {
	t.Parallel()
	const many = 20_000
	var operations []*operation
	for i := range many {
		operations = append(operations, &operation{
			author: author{visitorRole, i % 7}, due: time.Duration(i * 10), acked: time.Duration(i*10 + 35),
			place: place{conversation.ConversationID{1}, conversation.Seq(i + 1)},
		})
	}
	if got := linearizable(operations); got != "" {
		t.Fatal(got)
	}
	operations[many/2].place.seq = 3
	if linearizable(operations) == "" {
		t.Error("a seq that was given before passed")
	}
}
