package intent

import (
	_ "embed"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"sync"
)

// storedCalibrator is a calibrator on disk. It belongs to exactly one model: the
// file is named for the model's hash.
type storedCalibrator struct {
	Weights evidence `json:"weights"`
	Mean    evidence `json:"mean"`
	Scale   evidence `json:"scale"`

	Stated [curvePoints]float32 `json:"stated"`

	Packs      []string    `json:"packs"`
	Evaluation *Evaluation `json:"evaluation"`
}

// calibratorSuffix ends the names of the files.
const calibratorSuffix = ".calibrator.json"

// shippedCalibrators are those of the built-in packs, by the hash of the model, so
// that a fresh node is as sure of itself from the first question on as later.
//
//go:embed calibrators.json
var shippedCalibrators []byte

var shipped = sync.OnceValue(func() map[string]*storedCalibrator { //nolint:gochecknoglobals // an immutable table, decoded once
	out := map[string]*storedCalibrator{}
	if json.Unmarshal(shippedCalibrators, &out) != nil {
		return nil
	}
	return out
})

// recall takes up the calibrator that was trained for the same model before, by
// an earlier run or by who made the program, so that this run need not, and drops
// the features that it would have been trained on. It reports whether there was
// one; a file that does not fit counts as none. Nobody else has the model yet, or
// the caller holds the lock of calibrate.
func (m *model) recall() bool {
	s := m.kept()
	if s == nil {
		s = shipped()[m.hash]
	}
	if s == nil {
		return false
	}
	m.proof.Store(&proof{evaluation: *s.Evaluation})
	m.calibrate.ready.Store(&calibrator{weights: s.Weights, mean: s.Mean, scale: s.Scale, stated: s.Stated})
	m.corpus.forget()
	return true
}

// kept gives the calibrator that an earlier run has kept.
func (m *model) kept() *storedCalibrator {
	if m.cache == "" {
		return nil
	}
	raw, err := os.ReadFile(m.calibratorFile())
	var s storedCalibrator
	if err != nil || json.Unmarshal(raw, &s) != nil || !s.usable() {
		return nil
	}
	return &s
}

// stored gives the form in which a calibrator is kept.
func (m *model) stored(k *calibrator, e *Evaluation) *storedCalibrator {
	return &storedCalibrator{Weights: k.weights, Mean: k.mean, Scale: k.scale, Stated: k.stated, Packs: m.bundle.packs, Evaluation: e}
}

// usable refuses what no training gives, such as a file of zeros.
func (s *storedCalibrator) usable() bool {
	if s.Evaluation == nil {
		return false // kept by a version that did not measure
	}
	sum := 0.0
	for i := range s.Weights {
		sum += math.Abs(s.Weights[i]) + math.Abs(s.Mean[i]) + math.Abs(s.Scale[i])
	}
	return sum > 0 && !math.IsInf(sum, 0) && !math.IsNaN(sum) && s.Scale != evidence{}
}

// keep stores the calibrator for the next run. Errors only cost that run the
// training, so they are for the log.
func (m *model) keep(k *calibrator, e *Evaluation) error {
	if m.cache == "" {
		return nil
	}
	raw, err := json.Marshal(m.stored(k, e))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.cache, 0o700); err != nil {
		return err
	}
	// Written beside and moved over, so that a crash leaves the old file or none.
	f, err := os.CreateTemp(m.cache, "calibrator-*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), m.calibratorFile())
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (m *model) calibratorFile() string {
	return filepath.Join(m.cache, filepath.Base(m.hash)+calibratorSuffix)
}
