package intent

import "context"

// Warm trains the model of a combination of packs without calibrating it, which
// takes several times as long; [Library.Run] does that soon after. Until then a
// provisional calibrator speaks, which doubts more. Errors: as for
// [Library.Prepare].
func (l *Library) Warm(ctx context.Context, packs []string) error {
	_, err := l.model(ctx, packs)
	return err
}
