package engine

import (
	"context"
	"strings"
	"time"
)

// modelLook is how often new combinations of packs are looked for.
const modelLook = time.Second

// prepareModels trains the models of all inboxes, so that no visitor waits for
// it. A combination that cannot be prepared does not keep the node from serving:
// its turns go to humans, the packs' check says why, and it is tried again: its
// pack may come from another node a moment later.
func (e *Engine) prepareModels(ctx context.Context, done map[string]bool) {
	for _, in := range e.store.Inboxes() {
		key := strings.Join(in.Packs, "\n")
		ready, tried := done[key]
		if key == "" || ready || ctx.Err() != nil {
			continue
		}
		err := e.library.Warm(ctx, in.Packs)
		if err != nil && !tried {
			e.log.Warn("model not prepared", "inbox", string(in.ID), "err", err)
		}
		done[key] = err == nil
	}
}

// watchModels prepares models for inboxes that are made while the node runs.
func (e *Engine) watchModels(ctx context.Context, done map[string]bool) error {
	tick := time.NewTicker(modelLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			e.prepareModels(ctx, done)
		}
	}
}
