package intent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
)

// errSuperseded says that a model was trained from packs that have changed
// again meanwhile.
var errSuperseded = errors.New("the packs have changed again")

// retraining holds the models that are being trained: one at a time of each
// combination of packs. A newer state of the packs ends the training of an
// older one.
type retraining struct {
	mu   sync.Mutex
	jobs map[string]*job
}

// job is a model in the making. What it comes to is set before done is closed.
type job struct {
	hash   string
	cancel context.CancelFunc
	done   chan struct{}
	model  *model
	err    error
}

// keyOf names a combination of packs.
func keyOf(packs []string) string { return strings.Join(packs, "\x00") }

// change replaces what readers see. The function gets the present state and
// gives the next one; it must be quick.
func (l *Library) change(next func(generation) generation) {
	l.changing.Lock()
	defer l.changing.Unlock()
	g := next(*l.now.Load())
	l.now.Store(&g)
}

// model finds the model of a combination of packs, or makes it. A model that
// is there is given at once, also while its successor is trained.
func (l *Library) model(ctx context.Context, packs []string) (*model, error) {
	for {
		g := l.now.Load()
		if m := g.model(packs); m != nil {
			return m, nil
		}
		b, err := g.catalog.bundleOf(packs, l.loader.norm)
		if err != nil {
			return nil, err
		}
		m, err := l.trained(ctx, b, nil)
		if err == nil {
			err = l.install(m)
		}
		if !errors.Is(err, errSuperseded) {
			return m, err
		}
	}
}

// trained gives the model of a bundle, from whoever trains it. The model
// before it lends it its calibrator; nil = there is none. Errors:
// [errSuperseded].
func (l *Library) trained(ctx context.Context, b *bundle, before *model) (*model, error) {
	key := keyOf(b.packs)
	for {
		l.training.mu.Lock()
		j := l.training.jobs[key]
		if j == nil || j.hash != b.hash {
			if j != nil {
				j.cancel()
			}
			own, cancel := context.WithCancel(ctx)
			j = &job{hash: b.hash, cancel: cancel, done: make(chan struct{})}
			l.training.jobs[key] = j
			l.training.mu.Unlock()
			l.work(own, j, b, before)
			cancel()
			if j.err != nil && ctx.Err() == nil && errors.Is(j.err, context.Canceled) {
				return nil, errSuperseded
			}
			return j.model, j.err
		}
		l.training.mu.Unlock()
		select {
		case <-j.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !errors.Is(j.err, context.Canceled) {
			return j.model, j.err
		}
		// Whoever trained it has given up; it falls to somebody else.
	}
}

// work trains the model of a job.
func (l *Library) work(ctx context.Context, j *job, b *bundle, before *model) {
	start := l.options.Now()
	j.model, j.err = l.train(ctx, b, before)
	if j.err == nil {
		l.metrics.training.Observe(l.options.Now().Sub(start).Seconds())
	}
	l.training.mu.Lock()
	if key := keyOf(b.packs); l.training.jobs[key] == j {
		delete(l.training.jobs, key)
	}
	l.training.mu.Unlock()
	close(j.done)
}

// train makes a model, with the calibrator of an earlier run if there is one.
func (l *Library) train(ctx context.Context, b *bundle, before *model) (*model, error) {
	if m := l.tried.Load(); m != nil && m.bundle.hash == b.hash && slices.Equal(m.bundle.packs, b.packs) && l.tried.CompareAndSwap(m, nil) {
		return m, nil
	}
	m, err := newModel(ctx, b, l.base, l.trainers(b))
	if err != nil {
		return nil, err
	}
	m.cache = l.options.Cache
	m.follow(before)
	m.recall()
	m.prove()
	m.inherit(before)
	return m, nil
}

// quickQuestions is how many questions are trained within a few tenths of a second.
const quickQuestions = 5000

// trainers is how many goroutines train the model of a bundle. Somebody waits for it,
// so all processors take part if it is quick; else one is left to those who talk.
func (l *Library) trainers(b *bundle) int {
	if b.questions() <= quickQuestions {
		return l.quick
	}
	return l.options.Workers
}

// install lets a model serve, unless the packs have changed since. Errors:
// [errSuperseded].
func (l *Library) install(m *model) error {
	installed := false
	l.change(func(g generation) generation {
		layers, err := g.catalog.layers(m.bundle.packs)
		if installed = err == nil && hashOf(layers) == m.bundle.hash; installed {
			g = g.with(m)
		}
		return g
	})
	if !installed {
		return errSuperseded
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// with gives the generation with a model in place of the one of the same
// packs, or beside the others.
func (g *generation) with(m *model) generation {
	next := g.troubled(m.bundle.packs, nil)
	next.models = slices.Clone(g.models)
	if i := slices.IndexFunc(next.models, func(o *model) bool { return slices.Equal(o.bundle.packs, m.bundle.packs) }); i >= 0 {
		next.models[i] = m
	} else if next.models = append(next.models, m); len(next.models) > maxModels {
		next.models = next.models[1:]
	}
	return next
}

// troubled notes why the model of a combination of packs does not get on; nil
// = it does.
func (g *generation) troubled(packs []string, err error) generation {
	next := *g
	next.trouble = maps.Clone(g.trouble)
	if err == nil {
		delete(next.trouble, keyOf(packs))
		return next
	}
	if next.trouble == nil {
		next.trouble = map[string]error{}
	}
	next.trouble[keyOf(packs)] = err
	return next
}

// Reload reads all packs again and trains the models whose packs have changed.
// A model serves until its successor is trained; then that one takes its place
// and is calibrated, with the calibrator of the earlier one until it has its
// own. A bad pack keeps its earlier version; the error then names file, line
// and reason, and the report is still valid.
//
// Errors: those of ctx, after which packs may be loaded and their models not
// yet trained; the next call goes on from there.
func (l *Library) Reload(ctx context.Context) (Report, error) {
	changed, loadErr := l.load(ctx)
	report := Report{Changed: changed}
	errs := []error{loadErr}
	var fresh []*model
	for _, m := range l.now.Load().models {
		next, err := l.refresh(ctx, m.bundle.packs)
		errs = append(errs, err)
		if next != nil && next != m {
			report.Models++
			fresh = append(fresh, next)
		}
	}
	for _, m := range fresh {
		errs = append(errs, m.calibrated(ctx, l.options.Workers))
	}
	report.Packs = l.Packs()
	err := errors.Join(errs...)
	if ctx.Err() == nil {
		l.metrics.reloaded(err)
	}
	l.metrics.packsAre(report.Packs)
	return report, err
}

// load reads all packs and gives the names of those that have changed.
func (l *Library) load(ctx context.Context) ([]string, error) {
	l.loading.Lock()
	defer l.loading.Unlock()
	before := l.now.Load().catalog
	c, err := l.loader.load(ctx, before, l.options.Now())
	l.change(func(g generation) generation {
		g.catalog = c
		return g
	})
	return c.changed(before), err
}

// refresh brings the model of a combination of packs up to the catalog, and
// gives the one that serves then: the same as before when nothing in it has
// changed, or when the new one cannot be made.
func (l *Library) refresh(ctx context.Context, packs []string) (*model, error) {
	g := l.now.Load()
	m := g.model(packs)
	layers, err := g.catalog.layers(packs)
	if err == nil && m != nil && hashOf(layers) == m.bundle.hash {
		l.change(func(g generation) generation { return g.troubled(packs, nil) })
		return m, nil
	}
	var b *bundle
	if err == nil {
		b, err = g.catalog.bundleOf(packs, l.loader.norm)
	}
	var next *model
	if err == nil {
		next, err = l.trained(ctx, b, m)
	}
	if err == nil {
		err = l.install(next)
	}
	switch {
	case err == nil:
		return next, nil
	case errors.Is(err, errSuperseded):
		return m, nil // whoever changed the packs goes on
	case ctx.Err() == nil:
		l.change(func(g generation) generation { return g.troubled(packs, err) })
	}
	return m, err
}

// changed lists the packs that are new or have other content than before.
func (c *catalog) changed(before *catalog) []string {
	out := map[string]bool{}
	for _, s := range c.sources {
		old := before.source(s.name, s.origin)
		if s.pack != nil && (old == nil || old.pack != s.pack) {
			out[s.pack.name] = true
		}
	}
	for _, s := range before.sources {
		if s.pack != nil && c.source(s.name, s.origin) == nil {
			out[s.pack.name] = true
		}
	}
	return langs(out)
}

// errNoPack says that there is no pack of a name.
func errNoPack(name string) error {
	return conversation.Refusef(conversation.CodeNotFound, "there is no pack %q", name)
}
