package intent

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// model answers for one combination of packs.
type model struct {
	*analyzer
	bundle    *bundle
	corpus    *corpus
	head      *head
	hash      string                // of a calibrated model
	early     string                // hash while the provisional calibrator is in use
	cache     string                // folder of stored calibrators; empty = none
	interim   *calibrator           // speaks until the model's own is trained
	proof     atomic.Pointer[proof] // what cross-validation said; nil = not known yet
	calibrate struct {
		sync.Mutex // guards the features of the corpus as well
		ready      atomic.Pointer[calibrator]
	}
}

// newModel trains the head; the calibrator follows by calibrated.
func newModel(ctx context.Context, b *bundle, base *analyzer, workers int) (*model, error) {
	m := &model{
		analyzer: &analyzer{norm: base.norm, mean: base.mean, readings: base.readings, extract: newExtractor(b.entities, base.norm)}, bundle: b, hash: b.hash, early: b.hash + "-provisional",
		interim: provisional(),
	}
	var err error
	if m.corpus, err = newCorpus(ctx, b, m.analyzer, workers); err != nil {
		return nil, err
	}
	o := defaultHeadOptions()
	o.workers = workers
	if m.head, err = fit(ctx, m.corpus, m.corpus.rows(func(int, *example) bool { return true }), o); err != nil {
		return nil, fmt.Errorf("train %v: %w", b.packs, err)
	}
	return m, nil
}

// calibrated makes sure that the calibrator is trained.
func (m *model) calibrated(ctx context.Context, workers int) error {
	m.calibrate.Lock()
	defer m.calibrate.Unlock()
	if m.calibrate.ready.Load() != nil {
		return nil
	}
	if m.recall() {
		return nil
	}
	held, err := m.crossFit(ctx, workers)
	if err != nil {
		return fmt.Errorf("calibrate %v: %w", m.bundle.packs, err)
	}
	k := m.learn(held)
	m.calibrate.ready.Store(k)
	e := m.evaluate(held)
	m.proof.Store(&proof{evaluation: e})
	if err := m.keep(k, &e); err != nil {
		return fmt.Errorf("keep the calibrator of %v: %w", m.bundle.packs, err)
	}
	return nil
}

// crossFit predicts every question by heads that have not seen it. The caller
// holds the lock of calibrate.
func (m *model) crossFit(ctx context.Context, workers int) ([]heldOut, error) {
	if err := m.corpus.recollect(ctx, m.analyzer, workers); err != nil {
		return nil, err
	}
	defer m.corpus.forget()
	o := defaultHeadOptions()
	o.workers = workers
	return crossFit(ctx, m.corpus, o)
}

// learn trains a calibrator from held-out predictions, where there are enough.
func (m *model) learn(held []heldOut) *calibrator {
	s := m.corpus.samples(held)
	if len(s) < minSamples {
		return provisional()
	}
	return trainCalibrator(s)
}

// speaking gives the calibrator that speaks now, and the hash that predictions
// carry.
func (m *model) speaking() (*calibrator, string) {
	if k := m.calibrate.ready.Load(); k != nil {
		return k, m.hash
	}
	return m.interim, m.early
}

// follow lets the calibrator of the model before speak until the own one is
// trained: it was trained on almost the same packs.
func (m *model) follow(before *model) {
	if before != nil {
		m.interim, _ = before.speaking()
	}
}

// inherit takes over what was proven of the model before, which stays so until
// the new questions have been measured.
func (m *model) inherit(before *model) {
	if before == nil {
		return
	}
	if p := before.proof.Load(); p != nil {
		m.proof.CompareAndSwap(nil, &proof{evaluation: p.evaluation, earlier: true})
	}
}

// minSamples is how many held-out predictions a calibrator needs; packs with
// fewer questions keep the provisional one.
const minSamples = 60

// provisional gives the calibrator that speaks until the packs' own is
// trained. Its numbers are those of the built-in packs, which hardly differ
// among themselves, shifted towards doubt.
func provisional() *calibrator {
	return &calibrator{
		weights: evidence{-2.2, -2.2, 2.45, -1.1, 0.02, 0.4, -0.06, 0.08, 0.37, 0.08, 0.07, 0.42, -0.35, 1.28, 2.55, 0.7},
		mean:    evidence{0.32, 0.87, 0.72, 1, 0.42, 0.36, 0.52, 0.21, 2.01, 0.072, -1.54, 0.337, 0.044, 0.498, 1.25, 1},
		scale:   evidence{1.59, 1.42, 3.4, 1.01, 6.7, 5.6, 2, 5.03, 2.09, 3.86, 1.12, 6.5, 7.1, 1.26, 0.566, 1},
	}
}
