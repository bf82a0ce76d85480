package intent

import (
	"maps"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// Flows lists the look-ups of a combination of packs, by name: where they go,
// without what they say.
// Errors: class [conversation.ErrNotFound] for a pack that is not loaded.
func (l *Library) Flows(packs []string) ([]conversation.Flow, error) {
	b, err := l.now.Load().catalog.bundleOf(packs, l.loader.norm)
	if err != nil {
		return nil, err
	}
	var out []conversation.Flow
	for _, name := range slices.Sorted(maps.Keys(b.flows)) {
		f := b.flows[name]
		out = append(out, conversation.Flow{Name: f.name, Method: f.method, URL: f.url, Timeout: f.timeout})
	}
	return out, nil
}
