package channels

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

// Options says what a registry is made of.
type Options struct {
	// Drivers by kind. Required.
	Drivers map[conversation.ChannelKind]Driver
	// Bridge is the kind whose driver also carries replies to kinds that have
	// no driver of their own, or with which the inbox has no account: somebody
	// else's bridge then speaks to the provider. Empty means that such replies
	// fail.
	Bridge conversation.ChannelKind
	// HasAccount reports whether an inbox has an account of a [Configurable]
	// driver's kind; nil = every inbox has.
	HasAccount func(conversation.ChannelKind, conversation.InboxID) bool
	// Paused reports whether an admin has stopped an inbox's account of a kind;
	// nil = nobody ever does. It is asked at every delivery and send and must be
	// fast.
	Paused func(conversation.ChannelKind, conversation.InboxID) bool
	// Inbox finds an inbox; class ErrNotFound when there is none. It is asked
	// at every delivery and must be fast. Required.
	Inbox func(conversation.InboxID) (conversation.Inbox, error)
	// Deliver hands events in. Required.
	Deliver Deliver
	// Tell hands in what became of a message that was sent, and returns when that
	// is durable; nil = such news is dropped.
	Tell func(context.Context, conversation.ConversationID, conversation.Command) error
	// Contact names the visitor behind a provider's name, always the same for
	// the same arguments. Required.
	Contact func(inbox conversation.InboxID, kind conversation.ChannelKind, peer string) conversation.ContactID
	// Cursors keeps how far events were fetched; nil = in memory only.
	Cursors Cursors
	// Files keeps the bytes of attachments; nil = none are kept, and messages show
	// theirs as unavailable.
	Files Files
	// Spool keeps which files are still to be fetched; nil = none are fetched.
	Spool Spool
	// Letters keeps what could not be handed in; nil = nobody does.
	Letters Letters
	// Turnstiles holds the sends of all nodes to an account's rate; nil = this node
	// is alone.
	Turnstiles Turnstiles
	// Logger; nil = none.
	Logger *slog.Logger
	// Registerer of the metrics; nil = not exported.
	Registerer prometheus.Registerer
}

// Validate reports everything that is missing or contradicts itself.
func (o *Options) Validate() error {
	var errs []error
	if o.Inbox == nil || o.Deliver == nil || o.Contact == nil {
		errs = append(errs, errors.New("the options Inbox, Deliver and Contact are required"))
	}
	if _, ok := o.Drivers[o.Bridge]; o.Bridge != "" && !ok {
		errs = append(errs, fmt.Errorf("the bridge %q is not among the drivers", o.Bridge))
	}
	for kind, d := range o.Drivers {
		if d == nil {
			errs = append(errs, fmt.Errorf("the driver of %q is nil", kind))
			continue
		}
		if d.Kind() != kind || !kind.Known() {
			errs = append(errs, fmt.Errorf("the driver listed as %q is of kind %q", kind, d.Kind()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("channel options: %w", err)
	}
	return nil
}

// Registry finds the channel of a kind and an inbox. Channels are made when
// they are first asked for and live as long as the registry.
type Registry struct {
	drivers map[conversation.ChannelKind]Driver
	bridge  conversation.ChannelKind
	account func(conversation.ChannelKind, conversation.InboxID) bool
	shared  *shared
	logger  *slog.Logger

	mu struct {
		sync.Mutex

		channels map[place]*Channel
	}
}

// place is where a channel stands.
type place struct {
	kind  conversation.ChannelKind
	inbox conversation.InboxID
}

// NewRegistry joins drivers, directory and conversations.
func NewRegistry(o Options) (*Registry, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	r := &Registry{
		drivers: maps.Clone(o.Drivers),
		bridge:  o.Bridge,
		account: o.HasAccount,
		shared: &shared{
			inbox: o.Inbox, paused: o.Paused, deliver: o.Deliver, tell: o.Tell, contact: o.Contact, cursors: o.Cursors, files: o.Files, letters: o.Letters,
			turnstiles: o.Turnstiles, spool: o.Spool, spooled: make(chan struct{}, 1),
			metrics: newMetrics(o.Registerer, slices.Collect(maps.Keys(o.Drivers))),
		},
		logger: logger.With("component", "channels"),
	}
	if r.shared.paused == nil {
		r.shared.paused = func(conversation.ChannelKind, conversation.InboxID) bool { return false }
	}
	if r.shared.cursors == nil {
		r.shared.cursors = &memoryCursors{}
	}
	r.mu.channels = make(map[place]*Channel)
	return r, nil
}

// For finds the channel that carries messages of a kind for an inbox: the
// kind's own driver if the inbox has what that needs, else the bridge. It gives false when there is neither, or
// no such inbox.
func (r *Registry) For(kind conversation.ChannelKind, inbox conversation.InboxID) (*Channel, bool) {
	c, err := r.find(kind, inbox)
	return c, err == nil
}

// Entrance finds the handler of deliveries to an inbox by the kind's own
// driver. It gives false when the kind has none, or the inbox does not exist
// or does not serve it.
func (r *Registry) Entrance(kind conversation.ChannelKind, inbox conversation.InboxID) (http.Handler, bool) {
	c, ok := r.Own(kind, inbox)
	if !ok {
		return nil, false // not a handler that is a nil channel
	}
	return c, true
}

// Own finds the channel of the kind's own driver; false as in [Registry.Entrance].
func (r *Registry) Own(kind conversation.ChannelKind, inbox conversation.InboxID) (*Channel, bool) {
	d, ok := r.drivers[kind]
	if !ok {
		return nil, false
	}
	box, err := r.shared.inbox(inbox)
	if err != nil || !box.Serves(kind) {
		return nil, false
	}
	return r.channel(d, inbox), true
}

// Configurable gives the drivers that need accounts, by kind.
func (r *Registry) Configurable() map[conversation.ChannelKind]Configurable {
	out := make(map[conversation.ChannelKind]Configurable)
	for kind, d := range r.drivers {
		if c, ok := d.(Configurable); ok {
			out[kind] = c
		}
	}
	return out
}

// find is For with the reason. Errors: class ErrNotFound for an inbox that
// does not exist, ErrInvalid for a kind that nothing carries.
func (r *Registry) find(kind conversation.ChannelKind, inbox conversation.InboxID) (*Channel, error) {
	d, ok := r.drivers[kind]
	if r.bridge != "" && kind.Known() && (!ok || r.lacksAccount(d, inbox)) {
		d, ok = r.drivers[r.bridge]
	}
	if !ok {
		return nil, conversation.Refuse(conversation.CodeUnknownChannel, "nothing carries this kind of channel")
	}
	// Only inboxes that exist get a channel, so the map is bounded by them.
	if _, err := r.shared.inbox(inbox); err != nil {
		return nil, fmt.Errorf("find inbox %s: %w", inbox, err)
	}
	return r.channel(d, inbox), nil
}

func (r *Registry) lacksAccount(d Driver, inbox conversation.InboxID) bool {
	_, needs := d.(Configurable)
	return needs && r.account != nil && !r.account(d.Kind(), inbox)
}

func (r *Registry) channel(d Driver, inbox conversation.InboxID) *Channel {
	at := place{kind: d.Kind(), inbox: inbox}
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.mu.channels[at]
	if !ok {
		c = newChannel(d, inbox, r.shared, r.logger)
		r.mu.channels[at] = c
	}
	return c
}
