package intent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// catalog is every pack that is known at one moment. It is read only.
type catalog struct {
	sources  []*source
	builtin  map[string]*pack
	operator map[string]*pack
	bundles  map[string]*bundle // of each pack with what it extends
}

// loader makes catalogs.
type loader struct {
	builtin  fs.FS
	operator fs.FS // nil when there is no folder
	store    Store // nil when there is none
	norm     *normalizer

	// draft is what the newest save was laid out in, until it is loaded: what has
	// been parsed for the answer to a save need not be parsed once more.
	draft atomic.Pointer[catalog]
}

// load reads everything. The catalog it gives is always whole: sources whose
// new content is bad stand with their earlier pack. The error joins what is
// wrong; with no earlier catalog the caller should give up on it.
func (l *loader) load(ctx context.Context, before *catalog, now time.Time) (*catalog, error) {
	var sources []*source
	for _, dir := range []struct {
		fs     fs.FS
		origin origin
	}{{l.builtin, originBuiltin}, {l.operator, originOperator}} {
		if dir.fs == nil {
			continue
		}
		if dir.origin == originBuiltin && before != nil {
			sources = append(sources, before.builtinSources()...) // they do not change while the program runs
			continue
		}
		names, files, err := listSources(dir.fs)
		if err != nil {
			return before, err
		}
		for _, name := range names {
			s := readSource(dir.fs, before.source(name, dir.origin), source{name: name, origin: dir.origin}, files[name], l.norm)
			if s.loaded.IsZero() {
				s.loaded = now
			}
			sources = append(sources, s)
		}
	}
	draft := l.draft.Swap(nil)
	return l.settle(before, draft, append(sources, l.loadStored(ctx, before, draft, now)...))
}

func (c *catalog) builtinSources() (out []*source) {
	for _, s := range c.sources {
		if s.origin == originBuiltin {
			own := *s
			out = append(out, &own)
		}
	}
	return out
}

func (c *catalog) source(name string, from origin) *source {
	if c == nil {
		return nil
	}
	for _, s := range c.sources {
		if s.name == name && s.origin == from {
			return s
		}
	}
	return nil
}

// settle builds the bundles. A pack that does not fit with the others goes
// back to its earlier version; where it has not changed, those that it extends
// do. When that does not help either, the whole earlier catalog stays.
func (l *loader) settle(before, draft *catalog, sources []*source) (*catalog, error) {
	for {
		c := &catalog{sources: sources, builtin: map[string]*pack{}, operator: map[string]*pack{}, bundles: map[string]*bundle{}}
		c.index()
		bad := c.makeBundles(l.norm, before, draft)
		if len(bad) == 0 {
			return c, c.err()
		}
		if !revert(before, sources, bad) && !revert(before, sources, c.beneath(bad)) {
			if before == nil {
				c = c.withErrors(bad)
				return c, c.err()
			}
			return before.withErrors(bad), errors.Join(c.err(), errors.Join(slices.Collect(maps.Values(bad))...))
		}
	}
}

// beneath gives the packs that bad ones extend, with the problems of those
// above.
func (c *catalog) beneath(bad map[string]error) map[string]error {
	out := map[string]error{}
	for _, name := range langs(bad) {
		k := c.find(name, nil)
		for below := range c.within(k) {
			if below != k {
				out[below.name] = errors.Join(out[below.name], bad[name])
			}
		}
	}
	return out
}

// index sorts the packs of the sources by name; of two operator's packs of one
// name the first stands. A file stands before a stored pack, which is no
// mistake: whoever has the folder may say so.
func (c *catalog) index() {
	for _, s := range c.sources {
		if s.pack == nil {
			continue
		}
		into := c.operator
		if s.origin == originBuiltin {
			into = c.builtin
		}
		s.hidden = ""
		if first, ok := into[s.pack.name]; ok && s.origin == originStored {
			s.hidden = first.source
			continue
		} else if ok {
			s.err = &PackError{Pack: s.pack.name, File: s.name, Reason: fmt.Sprintf("pack %s already comes from %s", s.pack.name, first.source)}
			continue
		}
		into[s.pack.name] = s.pack
	}
}

// makeBundles lays out every pack alone and gives the problems by pack name. What
// other catalogs, some of which may be nil, have laid out of the same packs is taken
// over.
func (c *catalog) makeBundles(norm *normalizer, others ...*catalog) map[string]error {
	bad := map[string]error{}
	for _, name := range c.names() {
		b, err := c.bundleLike(name, norm, others)
		if err != nil {
			bad[name] = err
			continue
		}
		c.bundles[name] = b
	}
	return bad
}

// bundleLike gives the bundle that another catalog has of a pack, if it is of the same
// layers, or lays it out.
func (c *catalog) bundleLike(name string, norm *normalizer, others []*catalog) (*bundle, error) {
	layers, err := c.layers([]string{name})
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		if o == nil {
			continue
		}
		if b := o.bundles[name]; b != nil && slices.Equal(b.layers, layers) {
			return b, nil
		}
	}
	return newBundle([]string{name}, layers, c.within, norm)
}

// revert puts bad packs back to their earlier version and reports whether that
// changed anything.
func revert(before *catalog, sources []*source, bad map[string]error) bool {
	changed := false
	for _, s := range sources {
		if s.pack == nil || bad[s.pack.name] == nil || s.hidden != "" {
			continue
		}
		old := before.source(s.name, s.origin)
		switch {
		case before == nil && s.origin != originStored, old != nil && old.pack == s.pack:
		case old == nil || old.pack == nil:
			// New, and bad from the start.
			s.err, s.pack, changed = bad[s.pack.name], nil, true
		default:
			s.err = bad[s.pack.name]
			s.pack, s.loaded, changed = old.pack, old.loaded, true
		}
	}
	return changed
}

// withErrors gives a copy of c that reports what is wrong with its packs, or
// with those that were to replace them.
func (c *catalog) withErrors(bad map[string]error) *catalog {
	next := *c
	next.sources = nil
	for _, s := range c.sources {
		own := *s
		if own.pack != nil && bad[own.pack.name] != nil {
			own.err = bad[own.pack.name]
		}
		next.sources = append(next.sources, &own)
	}
	return &next
}

// names lists the packs that can be asked for.
func (c *catalog) names() []string {
	all := map[string]bool{}
	for name := range c.builtin {
		all[name] = true
	}
	for name := range c.operator {
		all[name] = true
	}
	return langs(all)
}

// err joins what is wrong with the sources.
func (c *catalog) err() error { return c.errOf(originBuiltin, originOperator, originStored) }

// errOf joins what is wrong with the sources of some origins.
func (c *catalog) errOf(origins ...origin) error {
	var errs []error
	for _, s := range c.sources {
		if slices.Contains(origins, s.origin) {
			errs = append(errs, s.err)
		}
	}
	return errors.Join(errs...)
}

// bundle lays out a list of packs with what they extend.
func (c *catalog) bundle(names []string, norm *normalizer) (*bundle, error) {
	layers, err := c.layers(names)
	if err != nil {
		return nil, err
	}
	return newBundle(names, layers, c.within, norm)
}

// layers gives the packs of a list and those that they extend, lowest first.
func (c *catalog) layers(names []string) ([]*pack, error) {
	w := &walk{catalog: c, state: map[*pack]walkState{}}
	for _, name := range names {
		k := c.find(name, nil)
		if k == nil {
			return nil, conversation.Refusef(conversation.CodeNotFound, "pack %q is not loaded", name)
		}
		if err := w.visit(k); err != nil {
			return nil, err
		}
	}
	return w.layers, nil
}

// find gives the pack of a name as seen from another pack: the operator's
// before the built-in one, except that a pack which extends its own name means
// the built-in one below it.
func (c *catalog) find(name string, from *pack) *pack {
	if k := c.operator[name]; k != nil && k != from {
		return k
	}
	if k := c.builtin[name]; k != nil && k != from {
		return k
	}
	return nil
}

// walk follows extends, lowest pack first.
type walk struct {
	catalog *catalog
	state   map[*pack]walkState
	layers  []*pack
	path    []string
}

type walkState uint8

const (
	walkNew walkState = iota
	walkOpen
	walkDone
)

func (w *walk) visit(k *pack) error {
	switch w.state[k] {
	case walkDone:
		return nil
	case walkOpen:
		return &PackError{
			Pack: k.name, File: k.extendsAt.file, Line: k.extendsAt.line,
			Reason: "extends goes in a circle: " + strings.Join(append(w.path, k.name), " → "),
		}
	case walkNew:
	}
	w.state[k] = walkOpen
	w.path = append(w.path, k.name)
	for _, name := range k.extends {
		below := w.catalog.find(name, k)
		if below == nil {
			return &PackError{
				Pack: k.name, File: k.extendsAt.file, Line: k.extendsAt.line, Reason: fmt.Sprintf("extends %s, which is not loaded", name),
			}
		}
		if err := w.visit(below); err != nil {
			return err
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.state[k] = walkDone
	w.layers = append(w.layers, k)
	return nil
}

// within gives the packs that k holds, itself and through extends.
func (c *catalog) within(k *pack) map[*pack]bool {
	out := map[*pack]bool{}
	var add func(k *pack)
	add = func(k *pack) {
		if k == nil || out[k] {
			return
		}
		out[k] = true
		for _, name := range k.extends {
			add(c.find(name, k))
		}
	}
	add(k)
	return out
}
