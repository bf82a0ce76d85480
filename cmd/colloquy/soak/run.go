package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// Options say how long, and how many.
type Options struct {
	Duration time.Duration
	Visitors int           // at a time
	Think    time.Duration // longest pause between a visitor's messages
	Sample   time.Duration // between two looks at the node
	Pack     string        // that answers
	Args     []string      // more arguments of `colloquy serve`
	Dir      string        // for the data, which is removed
	Seed     uint64
	Version  string
	Progress io.Writer // nil = silent
}

// leastSamples is how many looks a verdict on growth needs.
const leastSamples = 12

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	var errs []error
	if o.Visitors < 1 || o.Think <= 0 || o.Sample <= 0 {
		errs = append(errs, errors.New("--visitors, --think and --sample must be above zero"))
	}
	if o.Sample > 0 && o.Duration < leastSamples*o.Sample {
		errs = append(errs, fmt.Errorf("--duration has room for less than %d looks, one each %v", leastSamples, o.Sample))
	}
	return errors.Join(errs...)
}

// settings make the node reach its steady state soon: what is kept for minutes
// or until a cache is full would look like growth.
func settings() []string {
	return []string{"ops_pprof=true", "turns.idle=20s", "journal.cache_bytes=16777216", "journal.memtable_bytes=8388608"}
}

// Run soaks a node. The report is there even when it is bad; an error means that
// there is no report.
func Run(ctx context.Context, o *Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-soak-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := lab.Furnish(ctx, dir, lab.House{Pack: o.Pack}); err != nil {
		return nil, err
	}
	n, err := lab.Start(ctx, &lab.Spec{Dir: dir, Settings: settings(), Args: o.Args})
	if err != nil {
		return nil, err
	}
	r, err := soak(ctx, o, n)
	return r, errors.Join(err, n.Stop())
}

// soak lets visitors come and go while the node is looked at. An interrupt ends
// it early, with the report so far.
func soak(ctx context.Context, o *Options, n *lab.Node) (*Report, error) {
	work, stop := context.WithTimeout(context.WithoutCancel(ctx), o.Duration)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	t := &tally{}
	var visitors sync.WaitGroup
	for i := range o.Visitors {
		v := &visitor{addr: n.Addr(), think: o.Think, tally: t, random: rand.New(rand.NewPCG(o.Seed, uint64(i)))} //nolint:gosec // a seed, to be repeated
		visitors.Go(func() { v.comeAndGo(work) })
	}
	began := time.Now()
	samples, err := watch(work, o, n, t, began)
	stop()
	visitors.Wait()
	if err != nil {
		return nil, err
	}
	r := judge(samples)
	r.Seconds, r.Visitors, r.CPUs, r.Version = time.Since(began).Seconds(), o.Visitors, runtime.NumCPU(), o.Version
	t.report(r)
	return r, nil
}

// watch looks at the node until ctx ends, or the node does.
func watch(ctx context.Context, o *Options, n *lab.Node, t *tally, began time.Time) ([]Sample, error) {
	tick := time.NewTicker(o.Sample)
	defer tick.Stop()
	var samples []Sample
	for {
		select {
		case <-ctx.Done():
			return samples, nil
		case <-n.Done():
			return nil, fmt.Errorf("the node ended:\n%s", n.Log())
		case now := <-tick.C:
			s, err := look(ctx, n)
			if ctx.Err() != nil {
				return samples, nil
			}
			if err != nil {
				return nil, err
			}
			s.Seconds = now.Sub(began).Seconds()
			samples = append(samples, s)
			o.say(s, t)
		}
	}
}

func (o *Options) say(s Sample, t *tally) {
	if o.Progress != nil {
		_, _ = fmt.Fprintf(o.Progress, "%6.0f s  rss %6.1f MB  live heap %6.1f MB  %4d goroutines  %4d files  %d visits, %d messages, %d lost\n",
			s.Seconds, float64(s.RSS)/1e6, float64(s.Heap)/1e6, s.Goroutines, s.Files, t.visits.Load(), t.messages.Load(), t.lost.Load())
	}
}
