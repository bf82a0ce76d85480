package actors

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// pool is the pooled scoring: a few actors that understand utterances, side by
// side, behind one bounded queue.
//
// While nobody waits, what takes microseconds is understood where the conversation
// runs: see [pool.predictHere].
//
// An engine that asks somebody else is an [AsyncClassifier]: it is called here
// and answers from elsewhere, so that a slow one holds up nobody's utterance but
// its own. How many it may have under way is its own bound.
//
// bound: Options.ScoringQueue utterances in all; when full, submit refuses and
// the turn goes on without a prediction · on panic: the utterance is answered
// with an error · on restart: nothing is kept.
type pool struct {
	system  *actor.ActorSystem
	workers []*actor.PID
	metrics *metrics
	limit   int64
	instant InstantClassifier // nil = there is none

	next     atomic.Uint32
	inflight atomic.Int64
	here     atomic.Int64 // utterances that are understood outside of the scoring actors
}

// score asks for one utterance to be understood.
type score struct {
	utterance conversation.Utterance
	meter     *cpu.Meter         // of the conversation, which pays for it
	trace     conversation.Trace // where in the turn's trace this is
	attempt   uint64
	deadline  time.Time
	replyTo   *actor.PID
	shadow    bool                                  // ask the engine that answers nobody
	then      func(*conversation.Prediction, error) // in place of an answer to replyTo; must not block
}

// newPool starts the scoring actors. One processor is left to the rest: a
// machine that only scores is late with everything else.
func newPool(e *Engine, limit int) *pool {
	p := &pool{system: e.o.System, metrics: e.metrics, limit: int64(limit)}
	if instant, ok := e.o.Classifier.(InstantClassifier); ok {
		p.instant = instant
	}
	for range max(1, runtime.GOMAXPROCS(0)-1) {
		p.workers = append(p.workers, p.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
			return &scorer{pool: p, classifier: e.o.Classifier, shadow: e.o.Shadow}
		}, actor.WithDispatcher(e.workers))))
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

// predictHere understands an utterance on the caller's goroutine, if that takes no
// waiting, nobody waits already, and no more do so than there are processors. It
// reports whether it did; if not, the utterance is one for submit.
func (p *pool) predictHere(u *conversation.Utterance) (pred *conversation.Prediction, err error, done bool) {
	if p.instant == nil || p.inflight.Load() > 0 {
		return nil, nil, false
	}
	defer p.here.Add(-1)
	if p.here.Add(1) > int64(runtime.GOMAXPROCS(0)) || !p.instant.Instant(u) {
		return nil, nil, false
	}
	pred, err = predict(context.Background(), p.instant, u)
	return pred, err, true
}

// stop ends the scoring actors once they have done what they were given.
func (p *pool) stop() {
	for _, w := range p.workers {
		_ = p.system.Root.PoisonFuture(w).Wait() // an error means that it has ended already
	}
}

// scorer is one scoring actor.
type scorer struct {
	pool       *pool
	classifier Classifier
	shadow     Shadow
}

// Receive implements [actor.Actor].
func (s *scorer) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*score); ok {
		s.onScore(m)
	}
}

func (s *scorer) onScore(m *score) {
	n := s.pool.inflight.Add(-1)
	s.pool.metrics.scoring.Set(float64(n))
	if time.Now().After(m.deadline) {
		s.answer(m, nil, conversation.Refuse(conversation.CodeOverloaded, "scored too late"))
		return
	}
	if m.shadow {
		s.predictAsync(s.shadow.PredictAsync, m)
		return
	}
	if async, ok := s.classifier.(AsyncClassifier); ok {
		s.predictAsync(async.PredictAsync, m)
		return
	}
	var pred *conversation.Prediction
	var err error
	m.meter.Charged(func() {
		// The deadline matters to engines that ask somebody else; until it ends,
		// this scoring actor takes nothing new.
		ctx, cancel := context.WithDeadline(context.Background(), m.deadline)
		defer cancel()
		pred, err = predict(ctx, s.classifier, &m.utterance)
	})
	s.answer(m, pred, err)
}

func (s *scorer) answer(m *score, pred *conversation.Prediction, err error) {
	if m.then != nil {
		m.then(pred, err)
		return
	}
	s.pool.system.Root.Send(m.replyTo, &classified{attempt: m.attempt, pred: pred, err: err})
}

type predictAsync func(context.Context, *conversation.Utterance, func(*conversation.Prediction, error))

// predictAsync hands the utterance on. The grain takes the first answer of an
// attempt and drops what comes for it later.
func (s *scorer) predictAsync(predict predictAsync, m *score) {
	defer func() {
		if r := recover(); r != nil {
			s.answer(m, nil, panicked(r))
		}
	}()
	ctx, cancel := context.WithDeadline(conversation.WithTrace(context.Background(), m.trace), m.deadline)
	predict(ctx, &m.utterance, func(pred *conversation.Prediction, err error) {
		cancel()
		s.answer(m, pred, err)
	})
}

func panicked(r any) error {
	return conversation.Refuse(conversation.CodeInternal, fmt.Sprintf("the classifier panicked with a %T", r))
}

// predict keeps a classifier's panic, which may be anybody's, to the utterance.
func predict(ctx context.Context, c Classifier, u *conversation.Utterance) (pred *conversation.Prediction, err error) {
	defer func() {
		if r := recover(); r != nil {
			pred, err = nil, panicked(r)
		}
	}()
	pred = &conversation.Prediction{}
	if err := c.Predict(ctx, u, pred); err != nil {
		return nil, err
	}
	return pred, nil
}
