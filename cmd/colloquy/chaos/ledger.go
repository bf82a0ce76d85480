package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxAttempts is how many attempts to send one message are remembered.
const maxAttempts = 16

// role is what kind of client wrote something.
type role byte

// The roles; their letters start the ids of the messages.
const (
	visitorRole role = 'v'
	agentRole   role = 'a'
	webhookRole role = 'w'
)

// author is a client of the run.
type author struct {
	role   role
	number int
}

// ref is the id of an author's message.
func (a author) ref(number int) string { return fmt.Sprintf("%c%d-%d", a.role, a.number, number) }

// parseRef takes the id of a message apart; false when no client of a run has
// made it.
func parseRef(ref string) (author, int, bool) {
	var a author
	who, nth, ok := strings.Cut(ref, "-")
	if !ok || who == "" {
		return a, 0, false
	}
	a.role = role(who[0])
	var err1, err2 error
	a.number, err1 = strconv.Atoi(who[1:])
	number, err2 := strconv.Atoi(nth)
	return a, number, err1 == nil && err2 == nil && a.ref(number) == ref
}

// place is where a message was stored, according to an acknowledgement.
type place struct {
	id  conversation.ConversationID
	seq conversation.Seq
}

// operation is one message, from the moment its author wanted it sent until the
// first acknowledgement. Times are since the start of the run, on a clock that
// only goes forward.
type operation struct {
	author author
	number int // of the author's messages
	text   string
	saw    place // the newest event that its author had been shown

	due      time.Duration // when it was written
	attempts []attempt     // how it was sent
	acked    time.Duration // when the first acknowledgement came; zero = never
	place    place         // what that said
	given    bool          // given up: its author no longer waits for an answer
	conflict []place       // what later acknowledgements said that differs
}

// attempt is one time that a message was sent.
type attempt struct {
	At   time.Duration `json:"at"`
	Node string        `json:"node"` // address
}

func (o *operation) ref() string { return o.author.ref(o.number) }

// ledger is what this process, outside of the cluster, knows was promised.
type ledger struct {
	began time.Time
	mu    struct {
		sync.Mutex
		operations []*operation
	}
}

func newLedger(now time.Time) *ledger { return &ledger{began: now} }

// since is a moment on the ledger's clock.
func (l *ledger) since(t time.Time) time.Duration { return max(t.Sub(l.began), 1) }

// enter writes a message down before it is sent.
func (l *ledger) enter(o *operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.operations = append(l.mu.operations, o)
}

// sent writes down an attempt.
func (l *ledger) sent(o *operation, to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(o.attempts) < maxAttempts {
		o.attempts = append(o.attempts, attempt{l.since(time.Now()), to})
	}
}

// acknowledge writes down what an acknowledgement said.
func (l *ledger) acknowledge(o *operation, at time.Time, p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case o.acked == 0:
		o.acked, o.place = l.since(at), p
	case o.place != p && !slices.Contains(o.conflict, p):
		o.conflict = append(o.conflict, p)
	}
}

// giveUp writes down that nobody waits for an answer any more.
func (l *ledger) giveUp(o *operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o.given = true
}

// progress counts what was written and what was acknowledged so far.
func (l *ledger) progress() (sent, acked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.mu.operations {
		if o.acked > 0 {
			acked++
		}
	}
	return len(l.mu.operations), acked
}

// all gives every operation. It is called when the clients have ended.
func (l *ledger) all() []*operation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.mu.operations)
}
