package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// chatter is a visitor of the chaos run. Like the widget it keeps what is not
// acknowledged, sends it again after each reconnect with the same id and in the
// same order, and resumes from the newest event it has seen.
type chatter struct {
	number int
	addr   string
	token  string
	think  time.Duration

	mu struct {
		sync.Mutex
		sent       int
		waiting    []outgoing
		acked      map[string]conversation.Seq
		id         string
		epoch      string
		cursor     conversation.Seq
		shown      map[conversation.Seq]int
		reset      bool // the server refused the cursor
		again      bool
		reconnects int
		conflicts  int // acks of one message that name different seqs
	}
}

type outgoing struct{ ref, text string }

func newChatter(number int, addr, token string, think time.Duration) *chatter {
	v := &chatter{number: number, addr: addr, token: token, think: think}
	v.mu.acked, v.mu.shown = map[string]conversation.Seq{}, map[conversation.Seq]int{}
	return v
}

// chat writes until quiet is closed, and then goes on until everything is
// acknowledged and everything stored has been shown.
func (v *chatter) chat(ctx context.Context, quiet <-chan struct{}, random *rand.Rand) {
	for ctx.Err() == nil {
		if v.session(ctx, quiet, random) {
			return
		}
		v.mu.Lock()
		v.mu.reconnects++
		v.mu.Unlock()
		pause(ctx, time.Duration(50+random.IntN(200))*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// session is one connection. It reports true when the visitor is done.
func (v *chatter) session(ctx context.Context, quiet <-chan struct{}, random *rand.Rand) bool {
	news := make(chan struct{}, 1)
	l, err := dialVisitor(ctx, v.addr, v.token, v.resume(), func(f *incoming) {
		v.take(f)
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return false
	}
	defer l.close()
	if !v.resend(l) {
		return false
	}
	writing := true
	for {
		next := time.After(time.Duration(random.Int64N(int64(v.think))))
		if !writing {
			next = nil
			if v.caughtUp() {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return true
		case <-l.lost:
			return false
		case <-quiet:
			writing, quiet = false, nil
		case <-news:
			if v.mustStartOver() {
				return false
			}
		case <-next:
			if !v.write(l, random) {
				return false
			}
		case <-time.After(idleLook):
		}
	}
}

// idleLook is how often a quiet visitor looks whether it is done.
const idleLook = 200 * time.Millisecond

// resume names the newest event seen, or nothing at the first connection.
func (v *chatter) resume() any {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mu.id == "" {
		return nil
	}
	return map[string]any{"epoch": v.mu.epoch, "cursors": map[string]conversation.Seq{v.mu.id: v.mu.cursor}}
}

// take enters a frame into the ledger.
func (v *chatter) take(f *incoming) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch f.T {
	case "welcome":
		v.mu.epoch = f.Epoch
		var c struct {
			ID string `json:"id"`
		}
		if v.mu.id == "" && json.Unmarshal(f.Conversation, &c) == nil && c.ID != "" {
			// The first ack was lost with the node: read the conversation from
			// its beginning.
			v.mu.id, v.mu.again = c.ID, true
		}
	case "error":
		v.mu.again = true // what was refused is sent again, before anything newer
	case "reset":
		v.mu.reset = true
	case "ack":
		v.mu.id = f.ID
		if before, ok := v.mu.acked[f.ClientID]; ok && before != f.Seq {
			v.mu.conflicts++
		}
		v.mu.acked[f.ClientID] = f.Seq
		for i, o := range v.mu.waiting {
			if o.ref == f.ClientID {
				v.mu.waiting = append(v.mu.waiting[:i:i], v.mu.waiting[i+1:]...)
				break
			}
		}
	case "event":
		v.mu.id = f.ID
		v.mu.cursor = max(v.mu.cursor, f.Seq)
		if f.carriesMessage() {
			v.mu.shown[f.Seq]++
		}
	}
}

// mustStartOver reports whether the connection has to be made anew.
func (v *chatter) mustStartOver() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	again := v.mu.again
	v.mu.again = false
	return again || v.mu.reset
}

// write sends a new message; it is remembered before it is sent.
func (v *chatter) write(l *link, random *rand.Rand) bool {
	texts := benchTexts()
	v.mu.Lock()
	o := outgoing{ref: strconv.Itoa(v.number) + "-" + strconv.Itoa(v.mu.sent), text: texts[random.IntN(len(texts))]}
	v.mu.sent++
	v.mu.waiting = append(v.mu.waiting, o)
	v.mu.Unlock()
	return l.send(map[string]any{"t": "message.send", "client_id": o.ref, "text": o.text}) == nil
}

// resend sends what is not acknowledged, oldest first.
func (v *chatter) resend(l *link) bool {
	v.mu.Lock()
	waiting := append([]outgoing(nil), v.mu.waiting...)
	v.mu.Unlock()
	for _, o := range waiting {
		if l.send(map[string]any{"t": "message.send", "client_id": o.ref, "text": o.text}) != nil {
			return false
		}
	}
	return true
}

func (v *chatter) open() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.mu.waiting)
}

// caughtUp reports whether everything is acknowledged and shown.
func (v *chatter) caughtUp() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.mu.waiting) > 0 {
		return false
	}
	for _, seq := range v.mu.acked {
		if v.mu.shown[seq] == 0 {
			return false
		}
	}
	return true
}

// audit compares the ledger with what the journal holds.
func (v *chatter) audit(ctx context.Context, s *persistence.Store, r *chaosResult) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	r.Sent += v.mu.sent
	r.Acked += len(v.mu.acked)
	r.Reconnects += v.mu.reconnects
	if v.mu.reset {
		return fmt.Errorf("visitor %d: the server refused a cursor", v.number)
	}
	if v.mu.id == "" {
		return nil // nothing was acknowledged, so nothing can be lost
	}
	id, err := conversation.ParseConversationID(v.mu.id)
	if err != nil {
		return err
	}
	have, err := readStored(ctx, s, id, r)
	if err != nil {
		return err
	}
	r.Lost += v.mu.conflicts
	for ref, seq := range v.mu.acked {
		if have.bySeq[seq] != ref {
			r.Lost++
		}
	}
	for _, n := range have.count {
		r.Duplicated += n - 1
	}
	last := -1
	for _, ref := range have.order {
		var who, number int
		if _, err := fmt.Sscanf(ref, "%d-%d", &who, &number); err != nil {
			return fmt.Errorf("visitor %d: the journal holds the foreign ref %q", v.number, ref)
		}
		if number < last {
			r.Reordered++
		}
		last = max(last, number)
	}
	v.auditShown(have, r)
	return nil
}

// auditShown checks that each message that was stored before the client's newest
// event has been shown exactly once.
func (v *chatter) auditShown(have *stored, r *chaosResult) {
	for _, seq := range have.messages {
		switch n := v.mu.shown[seq]; {
		case n == 0 && seq <= v.mu.cursor:
			r.Missed++
		case n > 1:
			r.ShownTwice += n - 1
		}
	}
}
