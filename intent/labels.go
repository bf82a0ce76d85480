package intent

// Limits are what the packs demand of an intent: at or above Auto the bot
// answers by itself, at or above Suggest it asks back, and the next best must be
// Margin below.
type Limits struct{ Auto, Suggest, Margin float32 }

// Limits gives the limits of an intent; false when an utterance of these packs
// cannot mean it.
func (l *Library) Limits(packs []string, intent string) (Limits, bool) {
	b := l.bundle(packs)
	if b == nil {
		return Limits{}, false
	}
	t := b.topic(intent)
	if t == nil || t.background {
		return Limits{}, false
	}
	return Limits{Auto: t.thresholds.auto, Suggest: t.thresholds.suggest, Margin: t.thresholds.margin}, true
}

// HasIntent reports whether an utterance of these packs can mean an intent.
func (l *Library) HasIntent(packs []string, intent string) bool {
	_, ok := l.Limits(packs, intent)
	return ok
}

// HasEntity reports whether the packs describe an entity of this name.
func (l *Library) HasEntity(packs []string, name string) bool {
	b := l.bundle(packs)
	return b != nil && b.entity(name) != nil
}

// IntentNames lists what an utterance of these packs can mean, in stable order; nil
// for packs that are not loaded.
func (l *Library) IntentNames(packs []string) []string {
	b := l.bundle(packs)
	if b == nil {
		return nil
	}
	var out []string
	for _, t := range b.topics {
		if !t.background {
			out = append(out, t.id)
		}
	}
	return out
}
