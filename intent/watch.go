package intent

import (
	"context"
	"io/fs"
	"log/slog"
	"time"
)

// Run calibrates new models and watches the operator's folder until ctx ends.
// A change is taken up once the folder has stood still for one look, so that a
// half-written file is not read.
func (l *Library) Run(ctx context.Context) error {
	log := l.options.Logger.With(slog.String("component", "intent"))
	tick := time.NewTicker(l.options.Poll)
	defer tick.Stop()
	loaded := l.look()
	last := loaded
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
			l.calibrateAll(ctx, log)
		case <-tick.C:
			seen := l.look()
			if seen != loaded && seen == last {
				loaded = seen
				l.reloadAndTell(ctx, log)
			}
			last = seen
		}
	}
}

// calibrateAll gives every model that lacks one its calibrator.
func (l *Library) calibrateAll(ctx context.Context, log *slog.Logger) {
	for _, m := range l.now.Load().models {
		if err := m.calibrated(ctx, l.options.Workers); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "calibration failed", slog.Any("err", err))
		}
	}
}

func (l *Library) reloadAndTell(ctx context.Context, log *slog.Logger) {
	report, err := l.Reload(ctx)
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "pack not taken up", slog.Any("err", err))
	}
	if len(report.Changed) > 0 {
		log.InfoContext(ctx, "packs reloaded", slog.Any("packs", report.Changed), slog.Int("models", report.Models))
	}
}

// look sums up names, sizes and times of the operator's pack files.
func (l *Library) look() uint64 {
	if l.loader.operator == nil {
		return 0
	}
	sum := uint64(hashSeed)
	names, files, err := listSources(l.loader.operator)
	if err != nil {
		return hashBytes(sum, []byte(err.Error()))
	}
	for _, name := range names {
		for _, file := range files[name] {
			sum = hashBytes(sum, []byte(file))
			info, err := fs.Stat(l.loader.operator, file)
			if err != nil {
				continue
			}
			sum = mix(mix(sum, uint64(info.Size())), uint64(info.ModTime().UnixNano())) //nolint:gosec // only compared
		}
	}
	return sum
}
