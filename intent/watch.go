package intent

import (
	"context"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// Run calibrates new models and takes up changes of the packs until ctx ends:
// of the journal at once, of the operator's folder once it has stood still for
// one look, so that a half-written file is not read. A change that comes while
// an earlier one is trained takes its place.
func (l *Library) Run(ctx context.Context) error {
	r := &refresher{library: l, log: l.options.Logger.With(slog.String("component", "intent")), done: make(chan struct{}, 1)}
	defer r.stop()
	var stored <-chan struct{}
	if l.options.Store != nil {
		stored = l.options.Store.PackChanges()
	}
	tick := time.NewTicker(l.options.Poll)
	defer tick.Stop()
	loaded := l.look()
	last := loaded
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.done:
			r.finished(ctx)
		case <-l.wake:
			r.calibrate(ctx)
		case <-stored:
			r.reload(ctx)
		case <-tick.C:
			seen := l.look()
			if seen != loaded && seen == last {
				loaded = seen
				r.reload(ctx)
			}
			last = seen
		}
	}
}

// refresher does one piece of work at a time beside [Library.Run]. It belongs
// to Run's goroutine.
type refresher struct {
	library *Library
	log     *slog.Logger
	cancel  context.CancelFunc // of the work under way; nil = none is
	working sync.WaitGroup
	done    chan struct{} // the work has ended
	want    struct{ reload, calibrate bool }
}

// reload takes up what has changed; work on an older state ends.
func (r *refresher) reload(ctx context.Context) {
	r.want.reload = true
	if r.cancel != nil {
		r.cancel()
		return // finished goes on
	}
	r.begin(ctx)
}

func (r *refresher) calibrate(ctx context.Context) {
	r.want.calibrate = true
	if r.cancel == nil {
		r.begin(ctx)
	}
}

func (r *refresher) finished(ctx context.Context) {
	r.cancel()
	r.cancel = nil
	if r.want.reload || r.want.calibrate {
		r.begin(ctx)
	}
}

func (r *refresher) begin(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	reload := r.want.reload
	r.want.reload, r.want.calibrate = false, false
	r.working.Go(func() {
		if reload {
			r.library.reloadAndTell(ctx, r.log)
		}
		r.library.calibrateAll(ctx, r.log)
		r.done <- struct{}{}
	})
}

func (r *refresher) stop() {
	if r.cancel != nil {
		r.cancel()
	}
	r.working.Wait()
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
