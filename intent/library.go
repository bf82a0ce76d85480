package intent

import (
	"context"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

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
	quick   int // goroutines for what takes no longer than a blink
	loader  *loader
	metrics *metrics
	base    *analyzer // what all models share
	ear     *Ear
	plain   *analyzer // base without any pack's entities
	scratch sync.Pool
	wake    chan struct{} // tells Run that a model waits for its calibrator

	// now is what readers see. It is replaced as a whole, by [Library.change].
	now atomic.Pointer[generation]

	// lives is what is known of inboxes from their conversations. It is replaced
	// as a whole, under the lock.
	lives    atomic.Pointer[map[conversation.InboxID]*live]
	learning sync.Mutex

	loading  sync.Mutex // serializes loading
	changing sync.Mutex // held while now is replaced, never while anything is read or trained
	training retraining
	tried    atomic.Pointer[model] // of the newest check, in case it is saved
	checks   struct {
		one     chan struct{} // held by the check that trains
		waiting atomic.Int32
	}
}

// generation is the catalog and the models. A model may be of an earlier
// catalog while its successor is trained.
type generation struct {
	catalog *catalog
	models  []*model
	trouble map[string]error // why a model is still of an earlier catalog, by its packs
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
// each problem; a library is given only when the files have none. Stored packs
// that do not fit are left out: who can repair them needs a node that runs.
func Open(o Options) (*Library, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	quick := o.Workers
	if quick == 0 {
		quick = runtime.GOMAXPROCS(0)
	}
	o.fill()
	mean, err := newMeanings()
	if err != nil {
		return nil, err
	}
	l := &Library{
		options: o, quick: quick, metrics: newMetrics(o.Registerer), wake: make(chan struct{}, 1), base: &analyzer{norm: newNormalizer(), mean: mean, readings: &readings{}},
	}
	if l.ear, err = newEar(l.base.norm); err != nil {
		return nil, err
	}
	l.plain = &analyzer{norm: l.base.norm, mean: mean, extract: newExtractor(nil, l.base.norm)}
	l.scratch.New = func() any { return &scratch{} }
	l.loader = &loader{builtin: o.Builtin, store: o.Store, norm: l.base.norm}
	l.training.jobs = map[string]*job{}
	l.checks.one = make(chan struct{}, 1)
	if o.Dir != "" {
		l.loader.operator = dirFS(o.Dir)
	}
	c, err := l.loader.load(context.Background(), nil, o.Now())
	if err != nil && (c == nil || c.errOf(originBuiltin, originOperator) != nil) {
		return nil, err
	}
	if err != nil {
		o.Logger.Warn("stored packs are left out", "component", "intent", "err", err)
	}
	l.now.Store(&generation{catalog: c})
	l.metrics.packsAre(l.Packs())
	return l, nil
}

func dirFS(dir string) fs.FS { return os.DirFS(dir) }

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
	return m.extract.report(nil, s.all, &s.folded, string(text))
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
