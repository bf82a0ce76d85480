package gateway

import (
	"math/rand/v2"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestBudgetOfAllQueues: when all queues together hold too much, those that
// hold most get nothing more, and whoever reads is served.
func TestBudgetOfAllQueues(t *testing.T) {
	t.Parallel()
	rules := outRules{soft: 1000, hard: 10_000, budget: 20_000}
	put := func(q *outQueue, n int) pushed { return q.push(outFrame{bytes: make([]byte, n)}, &rules) }
	var long, short, empty outQueue
	var others [20]outQueue
	put(&long, 9000)
	put(&short, 500)
	for i := range others {
		put(&others[i], 800)
	}
	// 25,500 of 20,000 wait, so that a queue may hold 7,250.
	if p := put(&long, 100); p != pushedSlow {
		t.Errorf("a queue of 9,000 bytes took more: %d, want slow", p)
	}
	if p := put(&short, 100); p != pushedQueued {
		t.Errorf("a queue of 500 bytes = %d, want queued", p)
	}
	for rules.queued.Load() < 2*rules.budget {
		put(new(outQueue), 900)
	}
	if p := put(&short, 1); p != pushedSlow {
		t.Errorf("a queue that holds something took more at twice the budget: %d, want slow", p)
	}
	if p := put(&empty, 900); p != pushedFlush {
		t.Errorf("an empty queue = %d, want flush", p)
	}
	if p := put(&empty, 20_000); p != pushedSlow {
		t.Errorf("more than the limit of one queue = %d, want slow", p)
	}
	long.fail(&rules)
	for i := range others {
		others[i].fail(&rules)
	}
	if p := put(&short, 100); p != pushedQueued {
		t.Errorf("with room again = %d, want queued", p)
	}
}

// TestQueuedBytesAreTheSumOfAllQueues: nothing that can happen to a queue leaves
// the books wrong, or a node would close healthy connections for ever.
func TestQueuedBytesAreTheSumOfAllQueues(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	rules := outRules{soft: 300, hard: 1500, budget: 4000}
	var queues [8]outQueue
	topics := []topic{{}, {}, {}, {kind: topicTyping}, {kind: topicUpdated, conversation: conversation.ConversationID{1}}}
	var flying [len(queues)]int
	for step := range 20_000 {
		i := random.IntN(len(queues))
		q := &queues[i]
		frame := outFrame{bytes: make([]byte, 1+random.IntN(200)), topic: topics[random.IntN(len(topics))]}
		switch random.IntN(20) {
		case 0:
			q.flushThenClose(frame, &rules)
		case 1:
			q.dropThenClose(frame, &rules)
		case 2:
			q.fail(&rules)
			*q, flying[i] = outQueue{}, 0 // another connection
		case 3, 4, 5, 6, 7, 8, 9:
			q.push(frame, &rules)
		default:
			if flying[i] == 0 {
				b, _ := q.take(nil)
				flying[i] = len(b)
			}
			n := random.IntN(flying[i] + 1)
			if flying[i] -= n; n > 0 {
				q.wrote(n, &rules)
				flying[i] = 0 // what is left is asked for again
			}
		}
		sum := 0
		for j := range queues {
			sum += queues[j].waiting()
		}
		if got := rules.queued.Load(); got != int64(sum) {
			t.Fatalf("step %d: the books say %d bytes, the queues hold %d", step, got, sum)
		}
	}
}
