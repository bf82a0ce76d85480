package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// kindToken is the kind of the grains that hold access tokens. Their id is the
// place of the account.
const kindToken = "token"

const (
	tokenAskWithin = 12 * time.Second // then a node gets a token by itself
	tokenGetWithin = 10 * time.Second // one round with the provider
	tokenIdle      = 3 * time.Hour    // longer than any token lives
	tokenAskers    = 128              // that wait for one token
	tokenJobs      = 64               // tokens that wait to be got
)

// tokenKeeper is the way to the grains that hold the access tokens of accounts,
// and gets the tokens of those that live on this node.
//
// owns: the goroutines of its jobs · bound: tokenJobs · when full: the grain
// answers overloaded · how it ends: the context of Run.
type tokenKeeper struct {
	account func(kind conversation.ChannelKind) channels.Accounts
	driver  func(kind conversation.ChannelKind) (channels.Configurable, error)
	request func(ctx context.Context, id cluster.GrainID, msg any) (any, error)
	system  *actor.ActorSystem
	jobs    chan func(context.Context)
}

func newTokenKeeper(e *Engine) *tokenKeeper {
	return &tokenKeeper{
		account: e.accounts.of, driver: e.accounts.driver, system: e.system, jobs: make(chan func(context.Context), tokenJobs),
		request: func(ctx context.Context, id cluster.GrainID, msg any) (any, error) {
			return e.actors.Request(ctx, id, msg)
		},
	}
}

// kind is the grains' kind.
func (k *tokenKeeper) kind() cluster.Kind {
	return cluster.Kind{
		Name: kindToken, Idle: tokenIdle, Codec: tokenCodec(),
		New: func(id string) actor.Actor { return &tokenGrain{keeper: k, place: id} },
	}
}

// Run gets tokens until ctx ends.
func (k *tokenKeeper) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-k.jobs:
			running.Go(func() { job(ctx) })
		}
	}
}

// token asks the grain of an account; it is a [channels.Tokens].
func (k *tokenKeeper) token(ctx context.Context, a channels.Account, refused string) (channels.HeldToken, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenAskWithin)
	defer cancel()
	place := placeOfAccount(a.ID())
	got, err := k.request(ctx, cluster.GrainID{Kind: kindToken, ID: place}, &tokenAsk{State: channels.TokenMark(a.ID()), Refused: refused})
	if err != nil {
		return channels.HeldToken{}, err
	}
	given, ok := got.(*tokenGiven)
	if !ok {
		return channels.HeldToken{}, conversation.Refuse(conversation.CodeInternal, "the token's holder gave none")
	}
	if given.Class != "" {
		return channels.HeldToken{}, &channels.SendError{Class: given.Class, Scope: given.Scope, Code: given.Code, After: given.After}
	}
	return channels.HeldToken{Text: given.Text, Until: given.Until}, nil
}

// The messages of a token grain.
type (
	// tokenAsk asks for a token.
	tokenAsk struct {
		State   string `json:"state"`             // mark of the state that the account has where it is asked
		Refused string `json:"refused,omitempty"` // mark of the token that the provider did not take there
	}
	// tokenGiven is the answer: a token, or why the provider gives none.
	tokenGiven struct {
		Text  string         `json:"text,omitempty"`
		Until time.Time      `json:"until,omitzero"`
		Class channels.Class `json:"class,omitempty"`
		Scope channels.Scope `json:"scope,omitempty"`
		Code  string         `json:"code,omitempty"`
		After time.Duration  `json:"after,omitempty"`
	}
	// tokenGot is what came of a round with the provider.
	tokenGot struct {
		state string
		held  channels.HeldToken
		err   error
	}
)

// Internal implements [cluster.Internal].
func (*tokenGot) Internal() {}

// tokenGrain holds the access token of one account for all nodes, so that one of
// them gets it, and ends the old one only once when it is refused.
//
// owns: the token · accepts: tokenAsk, tokenGot · emits: tokenGiven · bound:
// tokenAskers · on panic and on restart: the token is got again, which gives the
// same one as long as the provider takes it.
type tokenGrain struct {
	keeper *tokenKeeper
	place  string

	// touched by Receive only

	self    *actor.PID
	state   string // of the account that the token belongs to
	held    channels.HeldToken
	getting bool
	waiting []*actor.PID
}

// Receive implements [actor.Actor].
func (g *tokenGrain) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		g.self = ctx.Self()
	case *actor.Stopping, *actor.Restarting:
		g.answer(conversation.Refuse(conversation.CodeUnavailable, "the token's holder is moving"))

	case *tokenAsk:
		g.onAsk(m, ctx.Sender())
	case *tokenGot:
		g.onGot(m)
	}
}

func (g *tokenGrain) onAsk(m *tokenAsk, sender *actor.PID) {
	if sender == nil {
		return
	}
	source, account, err := g.source()
	if err == nil && channels.TokenMark(account.ID()) != m.State {
		// Here or there the account's newest settings have not arrived yet.
		err = conversation.Refuse(conversation.CodeUnavailable, "the account is another one here")
	}
	if err == nil && len(g.waiting) >= tokenAskers {
		err = conversation.Refuse(conversation.CodeOverloaded, "too many wait for the token")
	}
	if err != nil {
		g.keeper.system.Root.Send(sender, err)
		return
	}
	if g.state != m.State {
		g.state, g.held = m.State, channels.HeldToken{}
	}
	if g.held.Good(m.Refused, time.Now()) {
		g.keeper.system.Root.Send(sender, given(g.held))
		return
	}
	g.waiting = append(g.waiting, sender)
	g.get(source, account, m.Refused)
}

// source finds the driver that gets the token, and the account as this node has it.
func (g *tokenGrain) source() (channels.TokenSource, channels.Account, error) {
	name, inbox, _ := strings.Cut(g.place, "/")
	kind := conversation.ChannelKind(name)
	d, err := g.keeper.driver(kind)
	if err != nil {
		return nil, channels.Account{}, err
	}
	source, ok := d.(channels.TokenSource)
	if !ok {
		return nil, channels.Account{}, conversation.Refuse(conversation.CodeUnknownChannel, "this kind of channel has no access tokens")
	}
	account, err := g.keeper.account(kind)(context.Background(), conversation.InboxID(inbox))
	return source, account, err
}

// get begins a round with the provider, unless one is under way.
func (g *tokenGrain) get(source channels.TokenSource, account channels.Account, refused string) {
	if g.getting {
		return
	}
	self, state, held, system := g.self, g.state, g.held, g.keeper.system
	job := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, tokenGetWithin)
		defer cancel()
		next, err := held.Next(ctx, refused, func(ctx context.Context, force channels.TokenForce) (string, time.Duration, error) {
			return source.FetchToken(ctx, account, force)
		})
		system.Root.Send(self, &tokenGot{state: state, held: next, err: err})
	}
	select {
	case g.keeper.jobs <- job:
		g.getting = true
	default:
		g.answer(conversation.Refuse(conversation.CodeOverloaded, "too many tokens are being got"))
	}
}

func (g *tokenGrain) onGot(m *tokenGot) {
	g.getting = false
	var failure *channels.SendError
	switch {
	case m.state != g.state: // the account has changed meanwhile; those who wait ask again
		g.answer(conversation.Refuse(conversation.CodeUnavailable, "the account has changed"))
	case m.err == nil:
		g.held = m.held
		g.answer(given(m.held))
	case errors.As(m.err, &failure):
		g.answer(&tokenGiven{Class: failure.Class, Scope: failure.Scope, Code: failure.Code, After: failure.After})
	default:
		g.answer(&conversation.Error{Code: conversation.CodeUnavailable, Detail: "no token was got", Err: m.err})
	}
}

// answer tells everybody who waits.
func (g *tokenGrain) answer(with any) {
	for _, sender := range g.waiting {
		g.keeper.system.Root.Send(sender, with)
	}
	g.waiting = nil
}

func given(h channels.HeldToken) *tokenGiven { return &tokenGiven{Text: h.Text, Until: h.Until} }

// tokenCodec gives the codec of token grains.
func tokenCodec() jsonCodec {
	return jsonCodec{func() any { return new(tokenAsk) }, func() any { return new(tokenGiven) }}
}
