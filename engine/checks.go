package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/persistence"
	"github.com/colloquyhq/colloquy/telemetry"
)

// maxLag is how many entries a node may be behind and still call itself ready.
const maxLag = 65_536

// addServingCheck registers the check that there is from the beginning.
func (e *Engine) addServingCheck() {
	e.health.Add("serving", func(context.Context) error {
		select {
		case <-e.ready:
			if e.stopping.Load() {
				return errors.New("the node is going down")
			}
			return nil
		default:
			return errors.New(*e.opening.Load())
		}
	})
}

// addChecks registers the others that /readyz asks. Each says in one sentence what is
// wrong, so that nobody has to look into the log first.
func (e *Engine) addChecks() {
	e.health.Add("journal", func(ctx context.Context) error {
		return journalCheck(e.store.Health(ctx))
	})
	e.health.Add("lag", func(ctx context.Context) error {
		return lagCheck(e.store.Health(ctx), e.config.Health.Lag)
	})
	e.health.Add("drain", func(context.Context) error {
		if e.draining.Load() {
			return errors.New("the node gives everything away")
		}
		return nil
	})
	e.health.Add("fsync", func(ctx context.Context) error {
		if p := e.store.Health(ctx).FsyncP99; p > e.config.Health.FsyncP99 {
			return fmt.Errorf("the disk takes %v for a sync at the 99th percentile, the limit is %v", p, e.config.Health.FsyncP99)
		}
		return nil
	})
	e.health.Add("disk", func(ctx context.Context) error {
		h := e.store.Health(ctx)
		if h.DiskFreeBytes > 0 && h.DiskFreeBytes < e.config.Health.DiskFreeBytes {
			return fmt.Errorf("%d bytes of disk are free, %d are wanted", h.DiskFreeBytes, e.config.Health.DiskFreeBytes)
		}
		return nil
	})
	e.health.Add("channels", e.accountsCheck)
	e.health.Add("packs", func(context.Context) error { return packsCheck(e.library.Packs()) })
}

// journalCheck says why nothing can be stored at this node.
func journalCheck(h persistence.Health) error {
	switch {
	case h.Failed:
		return errors.New("the disk failed; the node must be restarted, or replaced")
	case !h.Quorum:
		return fmt.Errorf("no leader takes writes: this node reaches no majority of %d voters", h.Voters)
	}
	return nil
}

// lagCheck says how old what this node shows may be, if that is too old.
func lagCheck(h persistence.Health, limit time.Duration) error {
	switch {
	case h.LagTime > limit:
		return fmt.Errorf("nothing was heard of the leader for %v", h.LagTime.Round(time.Millisecond))
	case h.Lag > maxLag:
		return fmt.Errorf("%d entries are committed and not applied here, the limit is %d", h.Lag, maxLag)
	}
	return nil
}

// packsCheck says what is wrong with the packs. A saved pack is the same on all
// nodes, and a model is trained from the same packs everywhere: what fails there
// must not take them all out of the traffic.
func packsCheck(packs []intent.PackInfo) error {
	var everywhere error
	for _, p := range packs {
		if p.Err == "" {
			continue
		}
		err := fmt.Errorf("pack %s: %s (its last good version serves)", p.Name, p.Err)
		untrained := slices.ContainsFunc(p.Models, func(m intent.ModelInfo) bool { return m.Err == p.Err })
		if p.Origin != intent.OriginSaved && !untrained {
			return err
		}
		everywhere = telemetry.Degraded(err)
	}
	return everywhere
}
