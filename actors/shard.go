package actors

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of the gateway shards.
const (
	maxSuccessors  = 16    // closed conversations that one message walks past
	maxLocated     = 8_192 // contacts a shard remembers the conversation of
	shardTickEvery = 250 * time.Millisecond
)

// request is what an entrance wants from a conversation.
type request struct {
	in   *conversation.Inbound       // a visitor's message, or nil
	id   conversation.ConversationID // for commands; for messages once it is known
	cmd  conversation.Command
	done func(conversation.Receipt, error)
	ends time.Time

	previous   conversation.ConversationID
	successors int
}

// shardTick lets a shard look for requests that are out of time.
type shardTick struct{ now time.Time }

// shard is a gateway actor: it stands between the sockets of a node and the
// grains, so that no socket blocks on a conversation and no grain knows a
// socket.
//
// owns: the requests that wait for a grain's answer, their deadlines · accepts:
// request, answers of grains, ticks · emits: deliver and do to grains, results
// to the entrances' functions · bound: Options.Requests over all shards; when
// full, Deliver and Do refuse at once · on panic: requests time out.
type shard struct {
	e    *Engine
	self *actor.PID

	// touched by Receive only

	next    uint64
	pending map[uint64]*request
	located map[conversation.ContactKey]conversation.ConversationID
}

// Receive implements [actor.Actor].
func (s *shard) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.self = ctx.Self()
	case *request:
		s.onRequest(m)
	case *answer:
		s.onAnswer(m.token, m.receipt, m.err)
	case *cluster.Parked:
		if token, ok := tokenOf(m.Message); ok {
			s.onAnswer(token, conversation.Receipt{}, m)
		}
	case *cluster.Undelivered:
		if token, ok := tokenOf(m.Message); ok {
			s.onAnswer(token, conversation.Receipt{}, m)
		}
	case *shardTick:
		s.onTick(m.now)
	}
}

func (s *shard) onRequest(r *request) {
	if r.in != nil && r.id.IsZero() {
		id, err := s.locate(r.in)
		if err != nil {
			s.finish(r, conversation.Receipt{}, err)
			return
		}
		r.id = id
	}
	s.send(r)
}

// locate finds the conversation of a message. What was found is remembered: a
// conversation that has been closed since sends the message on to its successor.
func (s *shard) locate(in *conversation.Inbound) (conversation.ConversationID, error) {
	key := conversation.ContactKey{Inbox: in.Inbox, Contact: in.Contact}
	if id, ok := s.located[key]; ok {
		return id, nil
	}
	id, err := s.e.locate(key)
	if err == nil {
		if len(s.located) >= maxLocated {
			clear(s.located)
		}
		s.located[key] = id
	}
	return id, err
}

func (s *shard) send(r *request) {
	s.next++
	token := s.next
	var msg any
	if r.in != nil {
		origin, err := s.e.origin(r)
		if err != nil {
			s.finish(r, conversation.Receipt{}, err)
			return
		}
		msg = &deliver{token: token, in: *r.in, origin: origin}
	} else {
		msg = &do{token: token, cmd: r.cmd}
	}
	s.pending[token] = r
	if err := s.e.gate.Tell(conversationID(r.id), msg, s.self); err != nil {
		delete(s.pending, token)
		s.finish(r, conversation.Receipt{}, err)
	}
}

func (s *shard) onAnswer(token uint64, receipt conversation.Receipt, err error) {
	r := s.pending[token]
	if r == nil {
		return // out of time, and told so
	}
	delete(s.pending, token)
	if r.in != nil && err != nil && conversation.CodeOf(err) == conversation.CodeConversationClosed && r.successors < maxSuccessors {
		s.onClosed(r)
		return
	}
	s.finish(r, receipt, err)
}

// onClosed takes a visitor's message to the successor of a conversation that is
// over. A resolved one whose window has passed is archived on the way.
func (s *shard) onClosed(r *request) {
	s.e.tellConversation(r.id, conversation.Close{})
	r.previous, r.id = r.id, s.e.ids.successor(r.id)
	r.successors++
	s.located[conversation.ContactKey{Inbox: r.in.Inbox, Contact: r.in.Contact}] = r.id
	s.send(r)
}

func (s *shard) onTick(now time.Time) {
	for token, r := range s.pending {
		if now.After(r.ends) {
			delete(s.pending, token)
			s.finish(r, conversation.Receipt{}, conversation.Refuse(conversation.CodeUnknownOutcome, "no answer in time; send it again with the same id"))
		}
	}
}

func (s *shard) finish(r *request, receipt conversation.Receipt, err error) {
	s.e.metrics.requests.Set(float64(s.e.shards.inflight.Add(-1)))
	var parked *cluster.Parked
	if errors.As(err, &parked) {
		err = conversation.Refuse(conversation.CodeInternal, "the message could not be handled and was set aside")
	}
	s.tell(r, receipt, err)
}

// tell calls the entrance's function, which is not the shard's own code.
func (s *shard) tell(r *request, receipt conversation.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.e.log.Error("callback panicked", "err", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	r.done(receipt, err)
}

// shards is the node's set of gateway actors.
type shards struct {
	system   *actor.ActorSystem
	pids     []*actor.PID
	limit    int64
	inflight atomic.Int64
	closed   atomic.Bool
}

func newShards(e *Engine, n, limit int) *shards {
	s := &shards{system: e.o.System, limit: int64(limit)}
	for range n {
		s.pids = append(s.pids, e.o.System.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
			return &shard{e: e, pending: map[uint64]*request{}, located: map[conversation.ContactKey]conversation.ConversationID{}}
		}, actor.WithDispatcher(e.workers))))
	}
	return s
}

// submit hands a request to the shard of its key, so that what one sender sends
// one after the other stays in order.
func (s *shards) submit(key byte, r *request) {
	if s.closed.Load() {
		r.done(conversation.Receipt{}, conversation.Refuse(conversation.CodeShuttingDown, "the node takes no more requests"))
		return
	}
	if s.inflight.Add(1) > s.limit {
		s.inflight.Add(-1)
		r.done(conversation.Receipt{}, conversation.Refuse(conversation.CodeOverloaded, "too many requests wait for conversations"))
		return
	}
	s.system.Root.Send(s.pids[int(key)%len(s.pids)], r)
}

func (s *shards) tick(now time.Time) {
	for _, pid := range s.pids {
		s.system.Root.Send(pid, &shardTick{now})
	}
}

// close refuses new requests; the ones under way go on.
func (s *shards) close() { s.closed.Store(true) }

// stop ends the shards once they have handed on the answers that they have.
func (s *shards) stop() {
	for _, pid := range s.pids {
		_ = s.system.Root.PoisonFuture(pid).Wait() // an error means that it has ended already
	}
}

// conversationID names the grain of a conversation.
func conversationID(id conversation.ConversationID) cluster.GrainID {
	return cluster.GrainID{Kind: KindConversation, ID: id.String()}
}
