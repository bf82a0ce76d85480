// Package email is the driver for mail: it reads a mailbox by IMAP and sends by a
// submission server, both of which the operator names.
//
// A mail becomes a message in these steps, one file each:
//
//	pull.go       what is new in the folder, from a cursor on
//	parse.go      MIME to text and files; headers.go, html.go, quote.go
//	verify.go     whether the sender is who the mail says
//	automatic.go  whether the bot may answer
//	bounce.go     or what became of a mail of ours
//	thread.go     which conversation it belongs to
//	translate.go  joins them
//
// and a message becomes a mail in compose.go and submit.go.
package email

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/microcosm-cc/bluemonday"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// Options says what a driver is made of. All fields but Renewed are required.
type Options struct {
	// Accounts finds an inbox's account.
	Accounts channels.Accounts
	// Dial connects to the servers that accounts name, so it must refuse private
	// networks that the operator has not allowed.
	Dial Dial
	// Load gives a conversation as it is stored; the zero state with its id when
	// there is none.
	Load func(context.Context, conversation.ConversationID) (*conversation.State, error)
	// Client asks for access tokens. It must refuse private networks as Dial does.
	Client *http.Client
	// Renewed keeps a refresh token that a provider has put in the place of the old
	// one, under the name of its setting; nil = nobody does.
	Renewed func(ctx context.Context, inbox conversation.InboxID, setting, old, now string) error
	// Key gives the secret that marks our own mails, the same on all nodes.
	Key func(context.Context) ([]byte, error)
}

// Driver implements [channels.Driver], [channels.Puller] and
// [channels.Configurable].
type Driver struct {
	o        Options
	policy   *bluemonday.Policy
	provider *channels.Provider // for access tokens

	sessions sessions
	answers  answers
	failures failures
	fetches  chan struct{}          // a slot is taken by each look that reads mails
	key      atomic.Pointer[[]byte] // nil = not asked for yet
}

// New makes a driver.
func New(o Options) (*Driver, error) {
	if o.Accounts == nil || o.Dial == nil || o.Client == nil || o.Load == nil || o.Key == nil {
		return nil, errors.New("email options: all of them but Renewed are required")
	}
	provider, err := channels.NewProvider(channels.ProviderOptions{Client: o.Client, Accounts: o.Accounts})
	if err != nil {
		return nil, err
	}
	return &Driver{o: o, policy: newPolicy(), provider: provider, fetches: make(chan struct{}, maxFetches)}, nil
}

// Kind implements [channels.Driver].
func (d *Driver) Kind() conversation.ChannelKind { return conversation.ChannelEmail }

// Limits implements [channels.Driver]. Receivers can tell a mail that comes twice
// by its Message-ID, but few do, so an outcome that is not known is not tried
// again.
func (d *Driver) Limits() channels.Limits {
	return channels.Limits{
		Encloses: maxEnclosed, Dialect: channels.DialectPlain, Account: channels.Rate{PerSec: 5, Burst: 20}, Peer: channels.Rate{PerSec: 1, Burst: 5},
	}
}

// Settings implements [channels.Configurable].
func (d *Driver) Settings() []channels.Setting { return settings() }

// Receive implements [channels.Driver]: nobody delivers mail by HTTP.
func (d *Driver) Receive(context.Context, channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
	return nil, channels.Ack{}, conversation.Refuse(conversation.CodeForbidden, "mail is fetched, not delivered here")
}

// Send implements [channels.Driver]. It gives the Message-ID.
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	box, err := d.mailbox(ctx, p.Inbox)
	if err != nil {
		return "", err
	}
	address, _ := addressOf(p.Peer)
	if !plainAddress(address) {
		return "", &channels.SendError{Class: channels.Permanent, Code: "no_address"}
	}
	state, err := d.load(ctx, p.Conversation)
	if err != nil {
		return "", err
	}
	if answered, ok := answeredBy(&p.Outbound, state); ok && p.From == conversation.PartyBot {
		if reason := answered.Metadata[metaAutomatic]; reason != "" {
			return "", &channels.SendError{Class: channels.Permanent, Code: "not_to_be_answered_" + reason}
		}
	}
	l := compose(&box, &p.Outbound, state)
	if err := l.enclose(ctx, p.Enclosed); err != nil {
		return "", err
	}
	s, err := d.submission(ctx, p.Inbox, &box)
	if err != nil {
		return "", err
	}
	defer s.close()
	return l.id, s.send(box.address.Address, address, l.write)
}

// Check implements [channels.Configurable]: it logs in at both servers.
func (d *Driver) Check(ctx context.Context, inbox conversation.InboxID) (string, error) {
	box, err := d.mailbox(ctx, inbox)
	if err != nil {
		return "", err
	}
	in, err := d.session(ctx, inbox, &box)
	if err != nil {
		return "", err
	}
	in.close()
	out, err := d.submission(ctx, inbox, &box)
	if err != nil {
		return "", err
	}
	out.close()
	return box.address.Address, nil
}

// session connects to the mailbox. Errors: [*channels.SendError].
func (d *Driver) session(ctx context.Context, inbox conversation.InboxID, box *mailbox) (s *session, err error) {
	err = d.retrying(ctx, inbox, box, func(token string) error {
		s, err = newSession(ctx, d.o.Dial, box.imap, token, box.folder)
		return err
	})
	return s, err
}

// submission connects to the server that sends. Errors: [*channels.SendError];
// nothing was sent.
func (d *Driver) submission(ctx context.Context, inbox conversation.InboxID, box *mailbox) (s *submission, err error) {
	err = d.retrying(ctx, inbox, box, func(token string) error {
		s, err = newSubmission(ctx, d.o.Dial, box.smtp, token, box.domain)
		return err
	})
	return s, err
}

// mailbox gives an inbox's account. Errors: [*channels.SendError].
func (d *Driver) mailbox(ctx context.Context, inbox conversation.InboxID) (mailbox, error) {
	a, err := d.o.Accounts.Sending(ctx, inbox)
	if err != nil {
		return mailbox{}, err
	}
	box, err := open(a)
	if err != nil {
		return box, err
	}
	key, err := d.secret(ctx)
	if err != nil {
		return box, err
	}
	box.marks = marks{key: key, inbox: inbox}
	return box, nil
}

// secret gives the key of the marks, which is asked for once. Errors:
// [*channels.SendError].
func (d *Driver) secret(ctx context.Context) ([]byte, error) {
	if known := d.key.Load(); known != nil {
		return *known, nil
	}
	key, err := d.o.Key(ctx)
	if err != nil {
		return nil, notReadable(err)
	}
	d.key.Store(&key)
	return key, nil
}

// load gives a conversation. Errors: [*channels.SendError].
func (d *Driver) load(ctx context.Context, id conversation.ConversationID) (*conversation.State, error) {
	state, err := d.o.Load(ctx, id)
	if err != nil {
		return nil, notReadable(err)
	}
	return state, nil
}

func notReadable(err error) error {
	return &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: "store_unavailable", Err: err}
}
