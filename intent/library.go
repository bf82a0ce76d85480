package intent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxModels bounds how many combinations of packs have a model at a time; the
// oldest makes room.
const maxModels = 32

// Library holds the packs and their models.
//
// Methods may run together. Reading never waits for loading or training, but
// for the first use of a combination of packs; [Library.Prepare] takes that
// out of the way.
type Library struct {
	options Options
	loader  *loader
	metrics *metrics
	base    *analyzer // what all models share
	plain   *analyzer // base without any pack's entities
	scratch sync.Pool
	wake    chan struct{} // tells Run that a model waits for its calibrator

	// now is what readers see. It is replaced as a whole.
	now atomic.Pointer[generation]

	// lives is what is known of inboxes from their conversations. It is replaced
	// as a whole, under the lock.
	lives    atomic.Pointer[map[conversation.InboxID]*live]
	learning sync.Mutex

	build struct {
		sync.Mutex // serializes loading and training
	}
}

// generation is the catalog and the models made from it.
type generation struct {
	catalog *catalog
	models  []*model
}

// PackInfo describes one pack for people.
type PackInfo struct {
	Name      string    `json:"name"`
	Version   string    `json:"version"` // hash of its files
	Intents   int       `json:"intents"` // with those of the packs it extends
	Questions int       `json:"questions"`
	Langs     []string  `json:"langs"`
	LoadedAt  time.Time `json:"loaded_at"`
	Source    string    `json:"source"` // "built-in", or a file or folder of the operator
	Err       string    `json:"error,omitempty"`
}

// Report says what a reload did.
type Report struct {
	Packs   []PackInfo `json:"packs"`
	Changed []string   `json:"changed,omitempty"` // packs whose content is new
	Models  int        `json:"models"`            // models trained again
}

// Open reads all packs. It trains nothing yet: that happens at the first use
// of a combination of packs, or by [Library.Prepare].
//
// Errors: class [conversation.ErrInvalid], naming file, line and reason of
// each problem; a library is given only when there is none.
func Open(o Options) (*Library, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	mean, err := newMeanings()
	if err != nil {
		return nil, err
	}
	l := &Library{
		options: o, metrics: newMetrics(o.Registerer), wake: make(chan struct{}, 1), base: &analyzer{norm: newNormalizer(), mean: mean},
	}
	l.plain = &analyzer{norm: l.base.norm, mean: mean, extract: newExtractor(nil, l.base.norm)}
	l.scratch.New = func() any { return &scratch{} }
	l.loader = &loader{builtin: o.Builtin, norm: l.base.norm}
	if o.Dir != "" {
		l.loader.operator = dirFS(o.Dir)
	}
	c, err := l.loader.load(nil, o.Now())
	if err != nil {
		return nil, err
	}
	l.now.Store(&generation{catalog: c})
	l.metrics.packsAre(l.Packs())
	return l, nil
}

func dirFS(dir string) fs.FS { return os.DirFS(dir) }

// Packs lists what is loaded, by name.
func (l *Library) Packs() []PackInfo {
	c := l.now.Load().catalog
	var out []PackInfo
	for _, s := range c.sources {
		info := PackInfo{Name: strings.TrimSuffix(s.name, ".yaml"), Source: s.name, LoadedAt: s.loaded}
		if s.origin == originBuiltin {
			info.Source = "built-in"
		}
		if s.err != nil {
			info.Err = s.err.Error()
		}
		if s.pack != nil {
			info.Name, info.Version = s.pack.name, s.pack.version
			info.describe(c.bundles[s.pack.name])
		}
		out = append(out, info)
	}
	slices.SortStableFunc(out, func(a, b PackInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (p *PackInfo) describe(b *bundle) {
	if b == nil {
		return
	}
	p.Langs = b.langs
	for _, t := range b.topics {
		p.Questions += len(t.ask)
		if !t.background {
			p.Intents++
		}
	}
}

// Prepare trains and calibrates the model of a combination of packs, so that
// the first prediction does not have to.
// Errors: class [conversation.ErrNotFound] for a pack that is not loaded.
func (l *Library) Prepare(ctx context.Context, packs []string) error {
	m, err := l.model(ctx, packs)
	if err != nil {
		return err
	}
	return m.calibrated(ctx, l.options.Workers)
}

// model finds the model of a combination of packs, or makes it.
func (l *Library) model(ctx context.Context, packs []string) (*model, error) {
	if m := l.now.Load().model(packs); m != nil {
		return m, nil
	}
	l.build.Lock()
	defer l.build.Unlock()
	g := l.now.Load()
	if m := g.model(packs); m != nil {
		return m, nil
	}
	b, err := g.catalog.bundleOf(packs, l.loader.norm)
	if err != nil {
		return nil, err
	}
	m, err := l.train(ctx, b)
	if err != nil {
		return nil, err
	}
	next := &generation{catalog: g.catalog, models: append(slices.Clone(g.models), m)}
	if len(next.models) > maxModels {
		next.models = next.models[1:]
	}
	l.now.Store(next)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return m, nil
}

// train makes a model, with the calibrator of an earlier run if there is one.
func (l *Library) train(ctx context.Context, b *bundle) (*model, error) {
	m, err := newModel(ctx, b, l.base, l.options.Workers)
	if err != nil {
		return nil, err
	}
	m.cache = l.options.Cache
	m.recall()
	m.prove()
	return m, nil
}

func (g *generation) model(packs []string) *model {
	for _, m := range g.models {
		if slices.Equal(m.bundle.packs, packs) {
			return m
		}
	}
	return nil
}

// bundleOf gives the bundle of a combination, made once for single packs.
func (c *catalog) bundleOf(packs []string, norm *normalizer) (*bundle, error) {
	if len(packs) == 1 && c.bundles[packs[0]] != nil {
		return c.bundles[packs[0]], nil
	}
	return c.bundle(packs, norm)
}

// bundle finds the bundle that answers are read from: that of the model, so
// that a prediction and its playbook come from the same files.
func (l *Library) bundle(packs []string) *bundle {
	g := l.now.Load()
	if m := g.model(packs); m != nil {
		return m.bundle
	}
	b, err := g.catalog.bundleOf(packs, l.loader.norm)
	if err != nil {
		return nil
	}
	return b
}

// Playbook gives what the packs say about an intent. The value is shared and
// must not be changed.
func (l *Library) Playbook(packs []string, intent, lang string) (*conversation.Playbook, bool) {
	b := l.bundle(packs)
	if b == nil {
		return nil, false
	}
	return b.find(intent, lang)
}

// Slot gives the question that asks for an entity.
func (l *Library) Slot(packs []string, name, lang string) (conversation.Slot, bool) {
	b := l.bundle(packs)
	if b == nil || b.entity(name) == nil {
		return conversation.Slot{}, false
	}
	return b.slot(name, lang), true
}

// Extract finds every value in a text by the rules of the packs. Unlike the
// entities of a prediction, values of different entities may overlap: an
// answer to a question for an order number is one even if it could be a phone
// number.
func (l *Library) Extract(packs []string, text conversation.Text) []conversation.Entity {
	m, err := l.model(context.Background(), packs)
	if err != nil {
		return nil
	}
	s := l.borrow()
	defer l.scratch.Put(s)
	m.norm.fold(&s.folded, string(text))
	s.all = m.extract.all(s.all[:0], &s.folded)
	return m.extract.report(nil, s.all, &s.folded)
}

// borrow takes working memory from the pool.
func (l *Library) borrow() *scratch {
	s, ok := l.scratch.Get().(*scratch)
	if !ok {
		return &scratch{}
	}
	return s
}

// Phrase gives a fixed sentence, from the packs or from the built-in ones;
// empty when there is none.
func (l *Library) Phrase(packs []string, name, lang string) string {
	if b := l.bundle(packs); b != nil {
		if t, ok := b.phrases[name]; ok {
			return t.pick(lang)
		}
	}
	if b := l.now.Load().catalog.bundles[commonPack]; b != nil {
		return b.phrases[name].pick(lang)
	}
	return ""
}

// commonPack holds the phrases that every inbox can fall back on.
const commonPack = "common"

// Reload reads all packs again and trains the models whose packs have changed.
// A bad pack keeps its earlier version; the error then names file, line and
// reason, and the report is still valid.
func (l *Library) Reload(ctx context.Context) (Report, error) {
	l.build.Lock()
	defer l.build.Unlock()
	before := l.now.Load()
	c, loadErr := l.loader.load(before.catalog, l.options.Now())
	next := &generation{catalog: c}
	var report Report
	errs := []error{loadErr}
	for _, m := range before.models {
		again, err := l.retrain(ctx, c, m)
		errs = append(errs, err)
		if again != m {
			report.Models++
		}
		next.models = append(next.models, again)
	}
	l.now.Store(next)
	report.Packs = l.Packs()
	report.Changed = c.changed(before.catalog)
	err := errors.Join(errs...)
	l.metrics.reloaded(err)
	l.metrics.packsAre(report.Packs)
	return report, err
}

// retrain gives the model for the packs of m in another catalog: m itself when
// nothing in it has changed or the new one cannot be made.
func (l *Library) retrain(ctx context.Context, c *catalog, m *model) (*model, error) {
	b, err := c.bundleOf(m.bundle.packs, l.loader.norm)
	if err != nil {
		return m, err
	}
	if b.hash == m.bundle.hash {
		return m, nil
	}
	next, err := l.train(ctx, b)
	if err != nil {
		return m, err
	}
	// What was proven stays so until the new questions have been measured.
	if p := m.proof.Load(); p != nil {
		next.proof.CompareAndSwap(nil, &proof{evaluation: p.evaluation, earlier: true})
	}
	// Calibrated before it goes live: the old model serves meanwhile.
	return next, next.calibrated(ctx, l.options.Workers)
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
