package actors

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The sweep for visitors who wait too long.
const (
	overdueEvery = 30 * time.Second
	overduePage  = 256
	overduePages = 64 // in one sweep; the next goes on where it ended
	overdueTold  = 64 // conversations that one sweep starts to write it down
	overdueSince = 7 * 24 * time.Hour
)

// watchOverdue looks through the lists for visitors of this node who have waited
// longer than their inbox means to let anybody wait. It is the second witness
// beside the clocks of the grains: it sees those that rest, and those that hang.
func (e *Engine) watchOverdue(ctx context.Context) {
	tick := time.NewTicker(overdueEvery)
	defer tick.Stop()
	cursor := ""
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			e.book.expire(now)
			cursor = e.sweepOverdue(ctx, now, cursor)
		}
	}
}

// sweepOverdue looks from a cursor on and gives where it ended; empty = at the
// end.
func (e *Engine) sweepOverdue(ctx context.Context, now time.Time, cursor string) string {
	told := 0
	for range overduePages {
		heads, next, err := e.o.Lists.Heads(ctx, HeadsQuery{
			Status: []conversation.Status{conversation.StatusPending, conversation.StatusOpen},
			Since:  now.Add(-overdueSince), Only: e.has, Cursor: cursor, Limit: overduePage,
		})
		if err != nil {
			if ctx.Err() == nil {
				e.log.Warn("waiting visitors not read", "err", err)
			}
			return ""
		}
		for i := range heads {
			if e.overdue(&heads[i], now, told < overdueTold) {
				told++
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	return cursor
}

// overdue enters a conversation whose visitor waits too long, and if there is
// room has it write that down, unless it has. It reports whether it did.
func (e *Engine) overdue(h *conversation.Head, now time.Time, room bool) bool { //nolint:revive // the sweep's bound, not a mode
	inbox, err := e.o.Directory.Inbox(h.Inbox)
	if err != nil || !h.Overdue(inbox.Policy.Anomalies.Objective(), now) {
		return false
	}
	cmd := inbox.Policy.Anomalies.Report(stuck(h, &inbox, now))
	if cmd == nil {
		return false
	}
	e.book.found(h.ID, conversation.AnomalyStuck, now)
	if h.StuckTold() || !room {
		return false
	}
	e.tellConversation(h.ID, cmd)
	return true
}
