package email

import (
	"context"
	"strconv"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	mostRate   = 100_000 // mails in an hour
	burstShare = 60      // an account may send a minute's worth at once, and no more
	mostBurst  = 20
)

func validRate(s string) bool {
	_, ok := number(s, 1, 1, mostRate)
	return ok
}

// Pace implements [channels.Paced]: providers count the mails of a mailbox by the
// hour or the day, and each in its own way.
func (d *Driver) Pace(ctx context.Context, inbox conversation.InboxID) (channels.Rate, bool) {
	a, err := d.o.Accounts(ctx, inbox)
	if err != nil {
		return channels.Rate{}, false
	}
	n, err := strconv.Atoi(a.Value(settingRate))
	if err != nil || n < 1 || n > mostRate {
		return channels.Rate{}, false
	}
	return channels.Rate{PerSec: float64(n) / 3600, Burst: min(max(n/burstShare, 1), mostBurst)}, true
}
