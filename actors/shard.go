package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// The limits of the gateway shards.
const (
	maxSuccessors = 16    // closed conversations that one message walks past
	maxLocated    = 8_192 // contacts a shard remembers the conversation of
	retryAfter    = 25 * time.Millisecond

	// An election takes less, and whoever waits through one need not ask again.
	maxLeaderless = 3 * time.Second
)

// request is what an entrance wants from a conversation.
type request struct {
	in   *conversation.Inbound       // a visitor's message, or nil
	msg  deliver                     // what is sent first, in points into it; one allocation instead of three
	id   conversation.ConversationID // for commands; for messages once it is known
	cmd  conversation.Command
	done func(conversation.Receipt, error)
	ends time.Time

	previous   conversation.ConversationID
	successors int

	root, away flight.Span // of a message: its trace here, its way to another node and back
	owner      string      // that node
}

// overtaken brings a request back to its shard: the conversation is closed, and
// its successor is to be asked.
type overtaken struct{ r *request }

// retry brings a request back to its shard that has certainly not been done,
// because the conversation was moving.
type retry struct{ r *request }

// shard is a gateway actor: it stands between the sockets of a node and the
// grains, so that no socket blocks on a conversation and no grain knows a
// socket. Answers go from the gate to the entrances' functions; only those that
// a shard has to act on come back to it.
//
// What needs no look into the journal does not take the way through its mailbox,
// unless something is in there that may have to come first.
//
// owns: which conversation a contact was last found in · accepts: request,
// overtaken, retry · emits: deliver and do to grains · bound: Options.Requests
// over all shards; when full, Deliver and Do refuse at once · on panic: requests
// time out.
type shard struct {
	e       *Engine
	self    *actor.PID
	waiting atomic.Int64 // requests and overtaken in the mailbox, or being handled

	mu struct {
		sync.Mutex
		located map[conversation.ContactKey]conversation.ConversationID
	}
}

// Receive implements [actor.Actor].
func (s *shard) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *request:
		defer s.waiting.Add(-1)
		s.onRequest(m)
	case *overtaken:
		defer s.waiting.Add(-1)
		s.onOvertaken(m.r)
	case *retry:
		s.send(m.r)
	}
}

// post puts a request, or one that was overtaken, into the mailbox.
func (s *shard) post(msg any) {
	s.waiting.Add(1)
	s.e.o.System.Root.Send(s.self, msg)
}

// take hands a request on, at once if it can: on the goroutine of its entrance.
// Whoever sends one after the other finds the earlier one in the mailbox, or
// handed on.
func (s *shard) take(r *request) {
	if s.waiting.Load() == 0 {
		if r.in != nil && r.id.IsZero() {
			r.id = s.known(contactKey(r.in))
		}
		if !r.id.IsZero() {
			s.onRequest(r)
			return
		}
	}
	s.post(r)
}

func (s *shard) onRequest(r *request) {
	err := r.name(len(s.e.gate.View().Members()) > 1)
	if err == nil && r.in != nil && r.id.IsZero() {
		r.id, err = s.locate(contactKey(r.in))
	}
	if err != nil {
		s.e.shards.finish(r, conversation.Receipt{}, err)
		return
	}
	s.send(r)
}

func contactKey(in *conversation.Inbound) conversation.ContactKey {
	return conversation.ContactKey{Inbox: in.Inbox, Contact: in.Contact}
}

// name gives a message that has no id of its sender's one of ours, if it may
// cross the way between nodes: there it may have to be sent again, and must be
// recognized.
func (r *request) name(crosses bool) error { //nolint:revive // a fact about the way
	var ref *conversation.Ref
	switch cmd := r.cmd.(type) {
	case nil:
		ref = &r.in.Ref
	case conversation.ReplyAsAgent:
		ref = &cmd.Ref
		defer func() { r.cmd = cmd }()
	case conversation.AddNote:
		ref = &cmd.Ref
		defer func() { r.cmd = cmd }()
	default:
		return nil
	}
	if err := ref.CheckSent(); err != nil {
		return err
	}
	if *ref == "" && crosses {
		*ref = conversation.NewRef()
	}
	return nil
}

// locate finds the conversation of a message. What was found is remembered: a
// conversation that has been closed since sends the message on to its successor.
func (s *shard) locate(key conversation.ContactKey) (conversation.ConversationID, error) {
	if id := s.known(key); !id.IsZero() {
		return id, nil
	}
	id, err := s.e.locate(key)
	if err == nil {
		s.remember(key, id)
	}
	return id, err
}

// known gives the conversation that a contact was last found in; zero = it was
// not, or that was forgotten.
func (s *shard) known(key conversation.ContactKey) conversation.ConversationID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.located[key]
}

func (s *shard) remember(key conversation.ContactKey, id conversation.ConversationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.located) >= maxLocated {
		clear(s.mu.located)
	}
	s.mu.located[key] = id
}

func (s *shard) send(r *request) {
	msg, err := s.message(r)
	if err != nil {
		s.e.shards.finish(r, conversation.Receipt{}, err)
		return
	}
	s.e.gate.Ask(conversationID(r.id), msg, r.ends, func(answer any, err error) { s.e.shards.answered(s, r, answer, err) })
}

// message makes what the grain gets.
func (s *shard) message(r *request) (any, error) {
	if r.in == nil {
		return &do{cmd: r.cmd}, nil
	}
	origin, err := s.e.origin(r)
	if err != nil {
		return nil, err
	}
	m := &r.msg
	if !m.origin.ID.IsZero() {
		m = &deliver{in: *r.in} // the first one is somebody else's to read by now
	}
	m.origin = origin
	s.e.crosses(r, m)
	return m, nil
}

// onOvertaken takes a visitor's message to the successor of a conversation that
// is over. A resolved one whose window has passed is archived on the way.
func (s *shard) onOvertaken(r *request) {
	s.e.tellConversation(r.id, conversation.Close{})
	r.previous, r.id = r.id, s.e.ids.successor(r.id)
	r.successors++
	s.remember(contactKey(r.in), r.id)
	s.send(r)
}

// shards is the node's set of gateway actors.
type shards struct {
	system   *actor.ActorSystem
	log      *slog.Logger
	requests prometheus.Gauge
	// leaderless says for how long the journal has taken no writes.
	leaderless func() time.Duration
	all        []*shard
	flights    *flight.Recorder
	limit      int64
	inflight   atomic.Int64
	closed     atomic.Bool
}

func newShards(e *Engine, n, limit int) *shards {
	s := &shards{system: e.o.System, log: e.log, requests: e.metrics.requests, flights: e.o.Flights, limit: int64(limit), leaderless: e.o.Leaderless}
	for range n {
		one := &shard{e: e}
		one.mu.located = map[conversation.ContactKey]conversation.ConversationID{}
		one.self = e.o.System.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return one }, actor.WithDispatcher(e.workers)))
		s.all = append(s.all, one)
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
	if s.leaderless() > maxLeaderless {
		r.done(conversation.Receipt{}, conversation.Refuse(conversation.CodeUnavailable, "this node reaches no majority that could store it"))
		return
	}
	if s.inflight.Add(1) > s.limit {
		s.inflight.Add(-1)
		r.done(conversation.Receipt{}, conversation.Refuse(conversation.CodeOverloaded, "too many requests wait for conversations"))
		return
	}
	s.all[int(key)%len(s.all)].take(r)
}

// answered takes a grain's answer, on the goroutine of whoever brings it.
func (s *shards) answered(by *shard, r *request, answer any, err error) {
	s.back(r, err)
	if err != nil && !s.closed.Load() {
		switch code := conversation.CodeOf(err); {
		case code == conversation.CodeConversationClosed && r.in != nil && r.successors < maxSuccessors:
			by.post(&overtaken{r})
			return
		case code == conversation.CodeFenced && time.Until(r.ends) > retryAfter:
			time.AfterFunc(retryAfter, func() { s.system.Root.Send(by.self, &retry{r}) })
			return
		}
	}
	receipt, ok := answer.(*conversation.Receipt)
	if err == nil && !ok {
		err = conversation.Refuse(conversation.CodeInternal, "the conversation gave no receipt")
	}
	if err != nil {
		receipt = &conversation.Receipt{}
	}
	s.finish(r, *receipt, err)
}

// finish ends a request, on any goroutine.
func (s *shards) finish(r *request, receipt conversation.Receipt, err error) {
	s.requests.Set(float64(s.inflight.Add(-1)))
	s.exit(r, receipt, err)
	var parked *cluster.Parked
	if err != nil && errors.As(err, &parked) {
		err = conversation.Refuse(conversation.CodeInternal, "the message could not be handled and was set aside")
	}
	defer func() { // the entrance's function is not our own code
		if p := recover(); p != nil {
			s.log.Error("callback panicked", "err", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	r.done(receipt, err)
}

// close refuses new requests; the ones under way go on.
func (s *shards) close() { s.closed.Store(true) }

// stop ends the shards once they have handed on the answers that they have.
func (s *shards) stop() {
	for _, one := range s.all {
		_ = s.system.Root.PoisonFuture(one.self).Wait() // an error means that it has ended already
	}
}

// conversationID names the grain of a conversation.
func conversationID(id conversation.ConversationID) cluster.GrainID {
	return cluster.GrainID{Kind: KindConversation, ID: id.String()}
}
