// Package webhook is the driver for everything that speaks HTTP and JSON: a
// customer's own server, or a bridge to a provider that has no driver here.
//
// Both directions are signed as Standard Webhooks 1.0.0 says. In: the body is
// a message {user, text, metadata, id} or an array of them, and the answer may
// carry the bot's reply. Out: each message is posted to the inbox's callback
// address as an event of type message.created; its webhook-id is the message's
// id, so a receiver can drop repetitions.
package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// ackWithin lies under the 15 s after which senders usually give up.
	ackWithin   = 10 * time.Second
	sendTimeout = 15 * time.Second
	// defaultWait applies when a reply could not be sent in any other way.
	defaultWait = 5 * time.Second
)

// headerChannel names the kind of channel at the unified entrance. Here the
// body must, because headers are not signed.
const headerChannel = "X-Channel-Type"

// Account is what the driver needs to know of an inbox.
type Account struct {
	CallbackURL string   // where messages are posted; empty = nowhere
	Secrets     []Secret // newest first; two while one is being replaced
}

// Options says what a driver is made of.
type Options struct {
	// Client posts to addresses that customers configured, so it must refuse to
	// dial into private networks. Redirects are not followed, whatever it says.
	// Required.
	Client *http.Client
	// Accounts finds an inbox's account. It is asked at every delivery and
	// send, so a change is effective at once. Required.
	Accounts func(context.Context, conversation.InboxID) (Account, error)
	// UserAgent of the posts; empty = "colloquy".
	UserAgent string
}

// Driver implements [channels.Driver] and [channels.Media].
type Driver struct {
	client   http.Client
	fetcher  *http.Client // the same, but for redirects
	accounts func(context.Context, conversation.InboxID) (Account, error)
	agent    string
}

// New makes a driver.
func New(o Options) (*Driver, error) {
	if o.Client == nil || o.Accounts == nil {
		return nil, errors.New("webhook options: Client and Accounts are required")
	}
	d := &Driver{client: *o.Client, accounts: o.Accounts, agent: o.UserAgent}
	if d.agent == "" {
		d.agent = "colloquy"
	}
	// A redirect could lead the message, and its signature, anywhere.
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	d.client.Jar = nil
	d.fetcher = channels.NewFetcher(&d.client)
	return d, nil
}

// Kind implements [channels.Driver].
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelWebhook }

// Limits implements [channels.Driver].
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		MaxBody: 2 << 20, AckWithin: ackWithin, SendTimeout: sendTimeout,
		MaxText: conversation.MaxTextBytes, Unit: channels.UnitBytes, Buttons: conversation.MaxButtons,
		Account:    channels.Rate{PerSec: 50, Burst: 100},
		Idempotent: true,
	}
}

// Receive implements [channels.Driver].
func (d *Driver) Receive(ctx context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	account, err := d.accounts(ctx, r.Account)
	if errors.Is(err, conversation.ErrNotFound) {
		// The same words as for a wrong signature: who has no secret learns
		// nothing about which inboxes exist.
		return nil, channels.Ack{}, refused("no signature in webhook-signature fits; sign the raw bytes of the body")
	}
	if err != nil {
		return nil, channels.Ack{}, &conversation.Error{
			Code: conversation.CodeUnavailable, Detail: "the account cannot be read now", Err: err,
		}
	}
	id, err := Verify(account.Secrets, r.Header, body, r.At)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	in, err := parse(body, id)
	if err != nil {
		return nil, channels.Ack{}, err
	}
	if err := agree(r.Header.Get(headerChannel), in.events); err != nil {
		return nil, channels.Ack{}, err
	}
	ack := channels.Ack{Wait: in.wait, Compose: composeOne}
	if in.batch {
		ack.Compose = composeBatch
	}
	if !in.stated && account.CallbackURL == "" {
		ack.Wait = defaultWait
	}
	return in.events, ack, nil
}

// agree refuses a kind in the header that the signed body does not confirm.
func agree(header string, events []channels.Event) error {
	if header == "" {
		return nil
	}
	for i := range events {
		kind := events[i].Channel
		if kind == "" {
			kind = conversation.ChannelWebhook
		}
		if string(kind) != header {
			return conversation.Refuse(conversation.CodeUnknownChannel,
				"X-Channel-Type differs from the body; name the kind as \"channel\" in the body, headers are not signed")
		}
	}
	return nil
}
