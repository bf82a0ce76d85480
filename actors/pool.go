package actors

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
)

// pool is the pooled scoring: a few actors that understand utterances, side by
// side, behind one bounded queue.
//
// bound: Options.ScoringQueue utterances in all; when full, submit refuses and
// the turn goes on without a prediction · on panic: the utterance is answered
// with an error · on restart: nothing is kept.
type pool struct {
	system  *actor.ActorSystem
	workers []*actor.PID
	metrics *metrics
	limit   int64

	next     atomic.Uint32
	inflight atomic.Int64
}

// score asks for one utterance to be understood.
type score struct {
	utterance conversation.Utterance
	attempt   uint64
	deadline  time.Time
	replyTo   *actor.PID
}

// newPool starts the scoring actors. One processor is left to the rest: a
// machine that only scores is late with everything else.
func newPool(system *actor.ActorSystem, c Classifier, limit int, m *metrics) *pool {
	p := &pool{system: system, metrics: m, limit: int64(limit)}
	for range max(1, runtime.GOMAXPROCS(0)-1) {
		p.workers = append(p.workers, system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
			return &scorer{pool: p, classifier: c}
		})))
	}
	return p
}

// submit queues an utterance. Errors: class overloaded when the queue is full.
func (p *pool) submit(s *score) error {
	if n := p.inflight.Add(1); n > p.limit {
		p.inflight.Add(-1)
		p.metrics.scoringFull.Inc()
		return conversation.Refuse(conversation.CodeOverloaded, "the scoring queue is full")
	}
	worker := p.workers[int(p.next.Add(1))%len(p.workers)]
	p.system.Root.Send(worker, s)
	return nil
}

func (p *pool) stop() {
	for _, w := range p.workers {
		p.system.Root.Poison(w)
	}
}

// scorer is one scoring actor.
type scorer struct {
	pool       *pool
	classifier Classifier
}

// Receive implements [actor.Actor].
func (s *scorer) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*score); ok {
		s.onScore(ctx, m)
	}
}

func (s *scorer) onScore(ctx actor.Context, m *score) {
	n := s.pool.inflight.Add(-1)
	s.pool.metrics.scoring.Set(float64(n))
	if time.Now().After(m.deadline) {
		ctx.Send(m.replyTo, &classified{attempt: m.attempt, err: conversation.Refuse(conversation.CodeOverloaded, "scored too late")})
		return
	}
	pred, err := s.predict(m)
	ctx.Send(m.replyTo, &classified{attempt: m.attempt, pred: pred, err: err})
}

// predict keeps a classifier's panic, which may be anybody's, to the utterance.
func (s *scorer) predict(m *score) (pred *conversation.Prediction, err error) {
	defer func() {
		if r := recover(); r != nil {
			pred, err = nil, conversation.Refuse(conversation.CodeInternal, fmt.Sprintf("the classifier panicked with a %T", r))
		}
	}()
	pred = &conversation.Prediction{}
	if err := s.classifier.Predict(context.Background(), &m.utterance, pred); err != nil {
		return nil, err
	}
	return pred, nil
}
