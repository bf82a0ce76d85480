package channels

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"net/http"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// ProviderOptions says what the driver of a provider is made of.
type ProviderOptions struct {
	// Client makes the calls. Accounts may name addresses, so it must refuse to
	// dial into private networks. Redirects are not followed, whatever it says.
	// Required.
	Client *http.Client
	// Dial connects where a driver keeps a connection of its own, under the same
	// rule; nil = none can.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Accounts finds an inbox's account. Required.
	Accounts Accounts
	// Tokens gives the access tokens that all nodes share; nil = this node is alone
	// and gets its own.
	Tokens Tokens
}

// Provider is what the drivers of providers have in common: the accounts of
// inboxes, calls, and access tokens.
//
// Concurrency: all methods may run together.
type Provider struct {
	client   http.Client
	fetcher  http.Client // the same, but for redirects
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	accounts Accounts
	tokens   tokens
	holder   Tokens // nil = none
}

// NewProvider checks the options.
func NewProvider(o ProviderOptions) (*Provider, error) {
	if o.Client == nil || o.Accounts == nil {
		return nil, errors.New("provider options: Client and Accounts are required")
	}
	p := &Provider{client: *o.Client, dial: o.Dial, accounts: o.Accounts, holder: o.Tokens}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client.Jar = nil
	p.fetcher = p.client
	p.fetcher.CheckRedirect = fewRedirects
	return p, nil
}

// Call makes a call; see [Do].
func (p *Provider) Call(ctx context.Context, c Call) (Reply, error) { return Do(ctx, &p.client, c) }

// FetchCall opens the answer of a call, however large it is; see [Open].
func (p *Provider) FetchCall(ctx context.Context, c Call) (Fetched, error) {
	return Open(ctx, &p.fetcher, c)
}

// Dial connects to a provider for more than a call. Errors: [*SendError].
func (p *Provider) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.dial == nil {
		return nil, &SendError{Class: Permanent, Scope: ScopeAccount, Code: "no_dialer"}
	}
	c, err := p.dial(ctx, network, address)
	if err != nil {
		return nil, &SendError{Class: Retry, Code: "transport", Err: err}
	}
	return c, nil
}

// Receiving gives the account that a delivery is checked with. Errors: class
// ErrUnauthenticated when there is none, in the same words as for a wrong
// signature: who has no secret learns nothing about which inboxes exist.
func (p *Provider) Receiving(ctx context.Context, inbox conversation.InboxID) (Account, error) {
	a, err := p.accounts(ctx, inbox)
	switch {
	case errors.Is(err, conversation.ErrNotFound):
		return a, NotSigned()
	case err != nil:
		return a, &conversation.Error{Code: conversation.CodeUnavailable, Detail: "the account cannot be read now", Err: err}
	}
	return a, nil
}

// Sending gives the account that a call is made with. Errors: [*SendError].
func (p *Provider) Sending(ctx context.Context, inbox conversation.InboxID) (Account, error) {
	return p.accounts.Sending(ctx, inbox)
}

// Sending gives the account that something is sent or fetched with. Errors:
// [*SendError].
func (f Accounts) Sending(ctx context.Context, inbox conversation.InboxID) (Account, error) {
	a, err := f(ctx, inbox)
	switch {
	case errors.Is(err, conversation.ErrNotFound):
		return a, &SendError{Class: Permanent, Scope: ScopeAccount, Code: "no_account"}
	case err != nil:
		return a, &SendError{Class: Retry, Scope: ScopeAccount, Code: "account_unavailable", Err: err}
	}
	return a, nil
}

// ErrAddressRefused is the cause of a connection that was not made because the
// address lies in a network that accounts may not reach.
var ErrAddressRefused = errors.New("the address is inside a private or special network")

// NotSigned refuses a delivery whose signature or secret is missing or wrong.
func NotSigned() error {
	return conversation.Refuse(conversation.CodeUnauthenticated, "the delivery is not signed with this account's secret")
}

// HMAC is the HMAC-SHA256 of the parts, one after the other.
func HMAC(secret string, parts ...string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, p := range parts {
		_, _ = io.WriteString(mac, p)
	}
	return mac.Sum(nil)
}

// Same compares a secret with what was given, in constant time. An empty secret
// is nobody's.
func Same(secret, given string) bool {
	return secret != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(given)) == 1
}

// MetadataRaw is the metadata key under which what the provider said is kept
// when it could not be shown.
const MetadataRaw = "raw"

// maxRaw leaves room for the rest of a message's metadata.
const maxRaw = 2 << 10

// Keep marks an event as one of a kind that has no text here, and keeps what the
// provider said about it if that is short enough.
func (e *Event) Keep(kind string, raw []byte) {
	e.Unsupported = kind
	if len(raw) == 0 || len(raw) > maxRaw || !utf8.Valid(raw) {
		return
	}
	if e.Metadata == nil {
		e.Metadata = make(map[string]string, 1)
	}
	e.Metadata[MetadataRaw] = string(raw)
}
