package intent

import (
	"slices"
	"strings"
	"time"
)

// Origin says where a pack lies.
type Origin string

// The origins of packs.
const (
	OriginBuiltin Origin = "built-in" // in the program
	OriginFile    Origin = "file"     // in the operator's folder, on this node
	OriginSaved   Origin = "saved"    // in the journal, on all nodes
)

// PackState says how far the newest version of a pack has got on this node.
type PackState string

// The states of packs.
const (
	PackLive     PackState = "live"     // every model that holds it is of this version
	PackTraining PackState = "training" // a model that holds it is being trained; the earlier one serves
	PackIdle     PackState = "idle"     // no inbox has asked for it yet
	PackHidden   PackState = "hidden"   // a file of the same name stands instead of it
	PackFailed   PackState = "failed"   // the newest version is not in use, the error says why
)

// PackInfo describes one pack for people.
type PackInfo struct {
	Name       string
	Version    string // hash of its files
	Intents    int    // with those of the packs it extends
	Questions  int
	Langs      []string
	LoadedAt   time.Time
	Source     string // "built-in", or a file or folder of the operator, or the name of a saved pack
	Origin     Origin
	Saved      uint64 // of a saved pack: the version that is loaded
	State      PackState
	Calibrated bool        // every model that holds it has a calibrator of its own
	Models     []ModelInfo // that hold it
	Err        string
}

// ModelInfo describes the model of a combination of packs.
type ModelInfo struct {
	Packs      []string
	Hash       string // of the model that is wanted
	Live       string // of the model that serves; empty = none was asked for yet
	Calibrated bool   // the serving one has its own calibrator
	Err        string // why the wanted one does not serve
}

// Packs lists what is loaded, by name.
func (l *Library) Packs() []PackInfo {
	g := l.now.Load()
	models := g.modelInfos()
	var out []PackInfo
	for _, s := range g.catalog.sources {
		info := g.describe(s, models)
		l.compare(&info)
		out = append(out, info)
	}
	out = append(out, l.notLoaded(g.catalog)...)
	slices.SortStableFunc(out, func(a, b PackInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// compare notes when the journal has another version of a saved pack than the
// one that is loaded: it is about to be.
func (l *Library) compare(info *PackInfo) {
	if info.Origin != OriginSaved || info.State == PackHidden || info.State == PackFailed {
		return
	}
	if p, err := l.storedPack(info.Name); err == nil && p.Version != info.Saved {
		info.State, info.Calibrated = PackTraining, false
	}
}

// notLoaded lists the saved packs that are about to be loaded for the first
// time.
func (l *Library) notLoaded(c *catalog) []PackInfo {
	if l.options.Store == nil {
		return nil
	}
	var out []PackInfo
	for _, p := range l.options.Store.StoredPacks() {
		if c.source(storedFile(p.Name), originStored) == nil {
			out = append(out, PackInfo{Name: p.Name, Source: "saved", Origin: OriginSaved, State: PackTraining})
		}
	}
	return out
}

// wantedModel is a model with what the catalog wants of it.
type wantedModel struct {
	ModelInfo

	layers []*pack // of the one that serves, and of the wanted one
}

func (g *generation) modelInfos() []wantedModel {
	out := make([]wantedModel, 0, len(g.models))
	for _, m := range g.models {
		w := wantedModel{
			ModelInfo: ModelInfo{Packs: m.bundle.packs, Live: m.bundle.hash, Calibrated: m.calibrate.ready.Load() != nil},
			layers:    slices.Clone(m.bundle.layers),
		}
		layers, err := g.catalog.layers(m.bundle.packs)
		if err == nil {
			w.Hash, w.layers = hashOf(layers), append(w.layers, layers...)
			err = g.trouble[keyOf(m.bundle.packs)]
		}
		if err != nil {
			w.Err = err.Error()
		}
		out = append(out, w)
	}
	return out
}

func (g *generation) describe(s *source, models []wantedModel) PackInfo {
	info := PackInfo{Name: strings.TrimSuffix(s.name, ".yaml"), Source: s.name, LoadedAt: s.loaded, Origin: OriginFile, Saved: s.saved, State: PackIdle}
	switch s.origin {
	case originBuiltin:
		info.Source, info.Origin = builtinSource, OriginBuiltin
	case originStored:
		info.Name, info.Source, info.Origin = strings.TrimPrefix(s.name, storedFile("")), "saved", OriginSaved
	case originOperator:
	}
	if s.err != nil {
		info.Err = s.err.Error()
	}
	if s.pack != nil {
		info.Name, info.Version = s.pack.name, s.pack.version
		info.count(g.catalog.bundles[s.pack.name])
		info.progress(s.pack, models)
	}
	switch {
	case info.Err != "":
		info.State = PackFailed
	case s.hidden != "":
		info.State, info.Err = PackHidden, ""
	}
	return info
}

// progress says how far the models that hold the pack have got.
func (p *PackInfo) progress(k *pack, models []wantedModel) {
	for _, w := range models {
		if !slices.Contains(w.layers, k) {
			continue
		}
		p.Models = append(p.Models, w.ModelInfo)
		if len(p.Models) == 1 {
			p.State, p.Calibrated = PackLive, true
		}
		p.Calibrated = p.Calibrated && w.Calibrated && w.Hash == w.Live
		switch {
		case w.Err != "":
			p.State, p.Err = PackFailed, w.Err
		case w.Hash != w.Live && p.State != PackFailed:
			p.State = PackTraining
		}
	}
}

func (p *PackInfo) count(b *bundle) {
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
