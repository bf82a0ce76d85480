package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// deskSockets is how many sockets of agents the commands go by: at the hundred
// frames a second that a node takes of each, far more than it could answer.
const deskSockets = 64

// deskSocket is the socket of one console, which many commands share. It goes
// to another node when it is lost or does not answer.
type deskSocket struct {
	roster *roster
	token  string

	mu struct {
		sync.Mutex
		random  *rand.Rand
		at      string
		link    *lab.Link
		next    int
		waiting map[string]chan *lab.Frame // by ref
	}
}

func newDeskSocket(r *roster, token string, seed uint64) *deskSocket {
	d := &deskSocket{roster: r, token: token}
	d.mu.random = rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // which node to ask
	d.mu.waiting = map[string]chan *lab.Frame{}
	return d
}

// read says that the agent has read the first entry of a conversation, which
// changes it, and waits for the answer.
func (d *deskSocket) read(ctx context.Context, id conversation.ConversationID) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ref, answer, link, err := d.ask(ctx)
	if err != nil {
		return err
	}
	defer d.forget(ref)
	if err := link.Send(map[string]any{"t": "read", "ref": ref, "conversation_id": id, "seq": 1}); err != nil {
		d.leave(link)
		return err
	}
	select {
	case f := <-answer:
		if f.T == "error" {
			return fmt.Errorf("refused with %s", f.Problem.Code)
		}
		return nil
	case <-link.Lost():
		d.leave(link)
		return lab.ErrLost
	case <-ctx.Done():
		d.leave(link)
		return context.Cause(ctx)
	}
}

// ask takes a place among those that wait, on a connection that stands.
func (d *deskSocket) ask(ctx context.Context) (string, chan *lab.Frame, *lab.Link, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.link == nil {
		d.mu.at = d.roster.pick(d.mu.random, d.mu.at)
		link, err := lab.Dial(ctx, lab.Hello{Addr: d.mu.at, Path: lab.AgentPath, Token: d.token, Timeout: patience}, d.onFrame)
		if err != nil {
			return "", nil, nil, err
		}
		d.mu.link = link
	}
	d.mu.next++
	ref, answer := strconv.Itoa(d.mu.next), make(chan *lab.Frame, 1)
	d.mu.waiting[ref] = answer
	return ref, answer, d.mu.link, nil
}

func (d *deskSocket) forget(ref string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.mu.waiting, ref)
}

// leave gives a connection up, if nobody has yet.
func (d *deskSocket) leave(link *lab.Link) {
	link.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.link == link {
		d.mu.link = nil
	}
}

func (d *deskSocket) onFrame(f *lab.Frame) {
	if f.T != "done" && f.T != "error" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if answer := d.mu.waiting[f.Ref]; answer != nil {
		answer <- f // it has room for the only answer there is
		delete(d.mu.waiting, f.Ref)
	}
}

func (d *deskSocket) close() {
	d.mu.Lock()
	link := d.mu.link
	d.mu.Unlock()
	if link != nil {
		d.leave(link)
	}
}
