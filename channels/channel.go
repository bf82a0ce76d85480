package channels

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/colloquyhq/colloquy/conversation"
)

// Deliver hands an event in. It returns nil only when the event is durable,
// and it returns when ctx ends.
type Deliver func(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error)

const (
	maxDeliveries = 64   // of one account at a time
	maxSends      = 8    // of one account at a time
	maxWaiting    = 256  // sends that wait for one of those
	maxEvents     = 1000 // in one delivery
)

// Channel is one account of a provider: a driver together with everything that
// is the same for all drivers. It is also the [http.Handler] of the account's
// deliveries.
//
// Concurrency: all methods may run together.
type Channel struct {
	driver  Driver
	limits  Limits
	account conversation.InboxID
	shared  *shared
	logger  *slog.Logger

	deliveries chan struct{} // a slot is taken by each delivery that is being handed in
	sends      chan struct{} // a slot is taken by each call to the provider
	waiting    chan struct{} // a slot is taken by each send that waits for one of sends
	pace       *pace
	breaker    breaker
	gate       gate
	progress   progress
	pulling    chan struct{} // taken by who fetches
	replies    replies
	letters    letterRate
	health     health
}

// shared is what the channels of a registry have in common.
type shared struct {
	inbox      func(conversation.InboxID) (conversation.Inbox, error)
	paused     func(conversation.ChannelKind, conversation.InboxID) bool
	deliver    Deliver
	tell       func(context.Context, conversation.ConversationID, conversation.Command) error
	contact    func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID
	cursors    Cursors
	files      Files         // nil = none are kept
	spool      Spool         // nil = none are fetched
	spooled    chan struct{} // a file is to be fetched; room for one
	letters    Letters
	turnstiles Turnstiles // nil = this node is alone
	metrics    *metrics
	bodies     atomic.Int64 // bytes of deliveries in memory
}

// fetches reports whether files can be fetched after a delivery.
func (s *shared) fetches() bool { return s.files != nil && s.spool != nil && s.tell != nil }

func newChannel(d Driver, account conversation.InboxID, s *shared, logger *slog.Logger) *Channel {
	limits := d.Limits().filled()
	c := &Channel{
		driver: d, limits: limits, account: account, shared: s,
		logger:     logger.With("channel", string(d.Kind()), "inbox", string(account)),
		deliveries: make(chan struct{}, maxDeliveries),
		sends:      make(chan struct{}, maxSends),
		waiting:    make(chan struct{}, maxWaiting),
		pace:       newPace(limits),
		pulling:    make(chan struct{}, 1),
	}
	c.gate.asking = make(chan struct{}, 1)
	c.progress.mu.parts = make(map[string]sent)
	return c
}

// Kind names the driver that the channel speaks through.
func (c *Channel) Kind() conversation.ChannelKind { return c.driver.Kind() }

// Limits gives the driver's limits with the defaults filled in.
func (c *Channel) Limits() Limits { return c.limits }

// Account names the inbox that the channel belongs to.
func (c *Channel) Account() conversation.InboxID { return c.account }
