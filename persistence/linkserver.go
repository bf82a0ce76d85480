package persistence

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	maxProposals   = 64 // of one peer, under way at a time; more wait in the stream
	maxQuestions   = 16 // of all peers, under way at a time
	questionTime   = 10 * time.Second
	proposalAnswer = 16
)

// linkServer answers the questions of other journals.
type linkServer struct {
	store     *Store
	listener  net.Listener
	open      *conns
	questions chan struct{} // one for each that is under way
	ended     chan struct{}
	wait      sync.WaitGroup
}

func newLinkServer(s *Store, l net.Listener) *linkServer {
	v := &linkServer{
		store: s, listener: l, open: newConns(), questions: make(chan struct{}, maxQuestions), ended: make(chan struct{}),
	}
	v.wait.Go(v.listen)
	return v
}

func (v *linkServer) listen() {
	for {
		conn, err := v.listener.Accept()
		if err != nil {
			return
		}
		if !v.open.add(conn) {
			_ = conn.Close() // there are too many; the peer tries again
			continue
		}
		v.wait.Go(func() {
			defer v.open.drop(conn)
			if g, err := meet(conn, v.store.cluster.judge); err == nil {
				v.serve(conn, &g)
			}
			_ = conn.Close() // nobody reads it any more
		})
	}
}

// close ends all streams. Proposals that are under way stay with raft.
func (v *linkServer) close() error {
	close(v.ended)
	err := v.listener.Close()
	v.open.close()
	v.wait.Wait()
	return err
}

// session is one stream of a peer.
type session struct {
	server    *linkServer
	peer      *greeting
	proposals chan pending
	mu        sync.Mutex // of writing
	w         *bufio.Writer
	conn      net.Conn
}

// pending is a proposal that is under way.
type pending struct {
	request uint64
	term    uint64 // before it went into the log
	future  raft.ApplyFuture
	refusal *answer // instead of future
}

// serve reads questions until the stream ends or something unreadable comes.
func (v *linkServer) serve(conn net.Conn, peer *greeting) {
	s := &session{
		server: v, peer: peer, conn: conn, proposals: make(chan pending, maxProposals),
		w: bufio.NewWriterSize(conn, 16<<10),
	}
	var answers sync.WaitGroup
	answers.Go(s.answerProposals)
	defer answers.Wait()
	defer close(s.proposals)
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		f, err := readFrame(r, requestLimit)
		if err != nil {
			return
		}
		if linkOp(f.code) != linkPropose {
			if !s.question(&f) {
				return
			}
			continue
		}
		// Only a peer that knows whom it talks to may write.
		if peer.to == "" || checkProposal(f.payload) != nil {
			return
		}
		s.proposals <- v.store.takeProposal(&f)
	}
}

// takeProposal hands a peer's proposal to raft.
func (s *Store) takeProposal(f *frame) pending {
	if !s.cluster.running.Load() || s.raft.State() != raft.Leader {
		return pending{request: f.request, refusal: s.cluster.again()}
	}
	s.metrics.forwardedIn.Inc()
	return pending{request: f.request, term: s.raft.CurrentTerm(), future: s.raft.Apply(f.payload, 0)}
}

// answerProposals answers proposals in the order in which they came, which is
// that of the log.
func (s *session) answerProposals() {
	for p := range s.proposals {
		a := s.outcome(&p)
		s.mu.Lock()
		err := s.write(p.request, a)
		if err == nil && len(s.proposals) == 0 {
			err = s.w.Flush()
		}
		s.mu.Unlock()
		if err != nil {
			_ = s.conn.Close() // so that reading ends too; the peer asks again
		}
	}
}

// outcome waits for a proposal. Where the entry was surely written in the
// leader's present term, the answer says so; it is a hint, see [commitHints].
func (s *session) outcome(p *pending) *answer {
	if p.refusal != nil {
		return p.refusal
	}
	err := p.future.Error()
	store := s.server.store
	switch err = outcomeOf(err); {
	case err == nil:
	case errors.Is(err, errAgain):
		return store.cluster.again()
	default:
		return &answer{status: statusUnknown}
	}
	term := p.term
	if store.raft.CurrentTerm() != term {
		term = 0
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, proposalAnswer), term)
	return &answer{payload: binary.BigEndian.AppendUint64(b, p.future.Index())}
}

// write adds an answer to the stream; the lock is held.
func (s *session) write(request uint64, a *answer) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	return writeFrame(s.w, &frame{request: request, code: byte(a.status), payload: a.payload})
}

// question answers a control question beside the others. It reports false when
// the store is closing.
func (s *session) question(f *frame) bool {
	v := s.server
	select {
	case v.questions <- struct{}{}:
	case <-v.ended:
		return false
	}
	v.wait.Go(func() {
		defer func() { <-v.questions }()
		a := s.answer(f)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.write(f.request, a); err == nil {
			_ = s.w.Flush() // a stream that is gone ends by its reader
		}
	})
	return true
}

func (s *session) answer(f *frame) *answer {
	ctx, cancel := context.WithTimeout(context.Background(), questionTime)
	defer cancel()
	c := s.server.store.cluster
	var out any
	var err error
	switch linkOp(f.code) {
	case linkJoin:
		out, err = answerTo(ctx, f.payload, c.admit)
	case linkHello:
		out, err = answerTo(ctx, f.payload, c.welcome)
	case linkStatus:
		out, err = answerTo(ctx, f.payload, c.status)
	case linkRemove:
		out, err = answerTo(ctx, f.payload, c.removeHere)
	case linkTransfer:
		out, err = answerTo(ctx, f.payload, c.transferHere)
	case linkPropose:
		err = errAgain // never comes here
	default:
		err = &RefusedError{Reason: "this version does not know the question"}
	}
	if err != nil {
		return c.refusal(err)
	}
	payload, err := json.Marshal(out)
	if err != nil || len(payload) > maxControl {
		return &answer{status: statusUnknown}
	}
	return &answer{payload: payload}
}

// answerTo reads a question and has it answered.
func answerTo[Q, A any](ctx context.Context, payload []byte, by func(context.Context, *Q) (A, error)) (any, error) {
	var q Q
	if err := json.Unmarshal(payload, &q); err != nil {
		return nil, &RefusedError{Reason: "the question cannot be read"}
	}
	return by(ctx, &q)
}

// refusal is the answer that stands for an error.
func (c *clusterNode) refusal(err error) *answer {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return &answer{status: statusRefused, payload: []byte(refused.Reason)}
	case errors.Is(err, ErrRemoved):
		return &answer{status: statusRemoved}
	case errors.Is(err, ErrOldDisk):
		return &answer{status: statusOldDisk, payload: []byte(err.Error())}
	case errors.Is(err, errAgain), errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		return c.again()
	}
	return &answer{status: statusUnknown}
}
