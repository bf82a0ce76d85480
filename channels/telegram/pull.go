package telegram

import (
	"context"
	"strconv"

	"github.com/colloquyhq/colloquy/channels"
)

const (
	pollSeconds = 10 // getUpdates waits so long for the first update
	pollLimit   = 100
)

// Pull implements [channels.Puller]. The cursor is the offset of getUpdates: with
// it Telegram forgets the updates before it, which have been stored by then.
func (d *Driver) Pull(ctx context.Context, p channels.Pull) (channels.Pulled, error) {
	a, err := d.Sending(ctx, p.Account)
	if err != nil {
		return channels.Pulled{}, err
	}
	if a.Value(settingSecret) != "" {
		return channels.Pulled{}, channels.ErrDelivered
	}
	ask := map[string]any{"timeout": pollSeconds, "limit": pollLimit}
	if offset, err := strconv.ParseInt(string(p.Cursor), 10, 64); err == nil {
		ask["offset"] = offset
	}
	var updates []update
	if err := d.call(ctx, a, "getUpdates", channels.Call{JSON: ask}, &updates); err != nil {
		return channels.Pulled{}, err
	}
	var out channels.Pulled
	for i := range updates {
		out.Events = append(out.Events, updates[i].events()...)
		out.Cursor = strconv.AppendInt(nil, updates[i].ID+1, 10)
	}
	out.More = len(updates) == pollLimit
	return out, nil
}
