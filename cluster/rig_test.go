package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
	"github.com/colloquyhq/colloquy/conversation"
)

// tally is what the tests' grains share: who is active where, and what each has
// counted.
type tally struct {
	mu      sync.Mutex
	active  map[string]map[string]int // id → machine → activations
	doubles map[string]int            // ids that were active on two machines at once
	begun   map[string]int            // id → wait messages that have come
	counts  map[string]int            // id → messages handled anywhere
	seen    map[string]int            // id/token → times handled
	starts  int
}

func newTally() *tally {
	return &tally{active: map[string]map[string]int{}, begun: map[string]int{}, doubles: map[string]int{}, counts: map[string]int{}, seen: map[string]int{}}
}

func (t *tally) start(id, machine string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active[id] == nil {
		t.active[id] = map[string]int{}
	}
	t.active[id][machine]++
	t.starts++
	n := 0
	for _, c := range t.active[id] {
		n += c
	}
	if n > 1 {
		t.doubles[id]++
	}
}

func (t *tally) stop(id, machine string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active[id][machine]--
}

func (t *tally) handle(id, token string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[id]++
	t.seen[id+"/"+token]++
	return t.counts[id]
}

func (t *tally) begin(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun[id]++
}

func (t *tally) doubled() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.doubles)
}

// The messages of the tests' grains.
type (
	count  struct{ token string }
	where  struct{}
	refuse struct{}
	wait   struct{ ms int }
)

// adder counts messages and says where it lives.
type adder struct {
	id, machine string
	tally       *tally
	slow        time.Duration // to start and to stop
	gate        chan struct{} // if not nil, wait messages wait for it
}

func (a *adder) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if a.slow > 0 {
			<-time.After(a.slow)
		}
		a.tally.start(a.id, a.machine)
	case *cluster.Passivate:
		if a.slow > 0 {
			<-time.After(a.slow)
		}
	case *actor.Stopped:
		a.tally.stop(a.id, a.machine)
	case count:
		n := a.tally.handle(a.id, m.token)
		if ctx.Sender() != nil {
			ctx.Respond(n)
		}
	case where:
		ctx.Respond(a.machine)
	case refuse:
		ctx.Respond(conversation.Refuse(conversation.CodeAlreadyClaimed, "claimed by somebody"))
	case wait:
		a.tally.begin(a.id)
		if a.gate != nil {
			<-a.gate
		} else {
			<-time.After(time.Duration(m.ms) * time.Millisecond)
		}
		ctx.Respond(a.tally.handle(a.id, "wait"))
	}
}

// plainCodec carries the tests' messages and answers.
type plainCodec struct{}

func (plainCodec) Encode(msg any) ([]byte, error) {
	switch m := msg.(type) {
	case count:
		return append([]byte{'c'}, m.token...), nil
	case where:
		return []byte{'w'}, nil
	case refuse:
		return []byte{'r'}, nil
	case wait:
		return binary.AppendUvarint([]byte{'s'}, uint64(m.ms)), nil
	case int:
		return binary.AppendUvarint([]byte{'i'}, uint64(m)), nil
	case string:
		return append([]byte{'t'}, m...), nil
	case []byte:
		return append([]byte{'b'}, m...), nil
	}
	return nil, fmt.Errorf("no code for a %T", msg)
}

func (plainCodec) Decode(b []byte) (any, error) {
	if len(b) == 0 {
		return nil, errors.New("empty")
	}
	switch rest := b[1:]; b[0] {
	case 'c':
		return count{string(rest)}, nil
	case 'w':
		return where{}, nil
	case 'r':
		return refuse{}, nil
	case 's':
		v, _ := binary.Uvarint(rest)
		return wait{int(v)}, nil
	case 'i':
		v, _ := binary.Uvarint(rest)
		return int(v), nil
	case 't':
		return string(rest), nil
	case 'b':
		return append([]byte(nil), rest...), nil
	}
	return nil, errors.New("unknown")
}

// adders are the kinds of a machine.
func adders(t *tally, slow time.Duration, gate chan struct{}) func(string) []cluster.Kind {
	return func(machine string) []cluster.Kind {
		return []cluster.Kind{
			{
				Name: "adder", Codec: plainCodec{}, Idle: -1, Mailbox: 1024,
				New: func(id string) actor.Actor {
					return &adder{id: id, machine: machine, tally: t, slow: slow, gate: gate}
				},
			},
			{
				Name: "hermit", Idle: -1,
				New: func(id string) actor.Actor { return &adder{id: id, machine: machine, tally: t} },
			},
		}
	}
}

// grain finds one that belongs to a machine in its own view.
func grain(t *testing.T, at *clustertest.Machine, kind, prefix string) cluster.GrainID {
	t.Helper()
	for i := range 10_000 {
		id := cluster.GrainID{Kind: kind, ID: fmt.Sprintf("%s%d", prefix, i)}
		if at.Gate.Owns(id) {
			return id
		}
	}
	t.Fatalf("no grain belongs to %s", at.Name)
	return cluster.GrainID{}
}

// load asks grains over and over until it is stopped, and keeps what went wrong.
type load struct {
	stop   chan struct{}
	ended  sync.WaitGroup
	asked  atomic.Int64
	failed atomic.Int64
	slow   atomic.Int64 // nanoseconds of the slowest
	mu     sync.Mutex
	errs   []error
}

func startLoad(from *clustertest.Machine, grains, workers int) *load {
	l := &load{stop: make(chan struct{})}
	for w := range workers {
		l.ended.Go(func() {
			for i := w; ; i += workers {
				select {
				case <-l.stop:
					return
				default:
				}
				id := cluster.GrainID{Kind: "adder", ID: fmt.Sprintf("load%d", i%grains)}
				ctx, cancel := context.WithTimeout(context.Background(), clustertest.Patience)
				began := time.Now()
				_, err := from.Gate.Request(ctx, id, count{fmt.Sprintf("%d-%d", w, i)})
				cancel()
				l.asked.Add(1)
				for took := int64(time.Since(began)); ; {
					old := l.slow.Load()
					if took <= old || l.slow.CompareAndSwap(old, took) {
						break
					}
				}
				if err != nil {
					l.failed.Add(1)
					l.mu.Lock()
					l.errs = append(l.errs, err)
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

// end stops the load and reports every failure.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.ended.Wait()
	t.Logf("%d requests, slowest %v", l.asked.Load(), time.Duration(l.slow.Load()))
	if l.failed.Load() > 0 {
		t.Errorf("%d of %d requests failed, the first with: %v", l.failed.Load(), l.asked.Load(), l.errs[0])
	}
}

// waits until the load has had so many answers more.
func (l *load) more(n *clustertest.Network, answers int64) {
	want := l.asked.Load() + answers
	n.Await("the load goes on", func() bool { return l.asked.Load() >= want })
}
