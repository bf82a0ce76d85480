package channels

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"
)

const (
	maxTokens   = 1024
	tokenMargin = 5 * time.Minute // a token is renewed so long before its end
	tokenForced = 30 * time.Second
)

// FetchToken gets an access token from a provider. force asks for another one
// than the last, which the provider has refused.
type FetchToken func(ctx context.Context, force TokenForce) (token string, life time.Duration, err error)

// TokenForce says whether a token that the provider still has will do.
type TokenForce bool

// TokenSource is a driver whose calls need an access token that all nodes share.
type TokenSource interface {
	Driver
	// FetchToken gets an account's access token from the provider. Errors:
	// [*SendError].
	FetchToken(ctx context.Context, a Account, force TokenForce) (token string, life time.Duration, err error)
}

// Tokens gives the access token that one holder keeps for all nodes, or has the
// holder get another one when that has the mark refused; see [TokenMark].
//
// Errors: [*SendError] when the provider gives none; any other error says that the
// holder could not be asked.
type Tokens func(ctx context.Context, a Account, refused string) (HeldToken, error)

// maxTokenLife is as long as any of the providers lets a token live.
const maxTokenLife = 2 * time.Hour

// TokenLife is the life that a provider states in seconds, within what can be
// true.
func TokenLife(seconds int64) time.Duration {
	return time.Duration(min(max(seconds, 0), int64(maxTokenLife/time.Second))) * time.Second
}

// TokenMark tells a token from others without giving it away.
func TokenMark(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// HeldToken is an account's access token as its holder remembers it. The zero
// value is none.
type HeldToken struct {
	Text  string
	Until time.Time // nobody is given it afterwards

	forced time.Time // when the last one was got by force
}

// Good reports whether the token can be used now, and is not the one with the mark
// refused; empty = none was refused.
func (h HeldToken) Good(refused string, now time.Time) bool {
	return h.Text != "" && now.Before(h.Until) && !h.marked(refused)
}

func (h HeldToken) marked(refused string) bool { return refused != "" && TokenMark(h.Text) == refused }

// Next gets the token that follows. Force is used only for a token that was
// refused, since it ends the one that others may have, and not twice within
// tokenForced: then the account itself is wrong, and forcing again would only use
// up the provider's patience.
//
// Errors: those of fetch; one that leaves open what was done is worth another try,
// since it was no message that was sent.
func (h HeldToken) Next(ctx context.Context, refused string, fetch FetchToken) (HeldToken, error) {
	may := time.Since(h.forced) > tokenForced
	force := TokenForce(may && h.marked(refused))
	text, life, err := fetch(ctx, force)
	if err == nil && may && !bool(force) && refused != "" && TokenMark(text) == refused {
		force = true // the provider still gives out what it does not take
		text, life, err = fetch(ctx, force)
	}
	if failure := classified(err); failure != nil {
		if failure.Class == Unknown {
			failure = &SendError{Class: Retry, Scope: failure.Scope, Code: failure.Code, After: failure.After, Err: failure.Err}
		}
		return h, failure
	}
	now := time.Now()
	next := HeldToken{Text: text, Until: now.Add(life - min(tokenMargin, life/2)), forced: h.forced}
	if force {
		next.forced = now
	}
	return next, nil
}

// tokens keeps access tokens in memory, one for each account, and has one
// caller at a time get a new one while the others wait for it.
type tokens struct {
	mu struct {
		sync.Mutex

		of map[string]*token
	}
}

type token struct {
	busy chan struct{} // room for one: who holds it may read and change the rest

	held    HeldToken
	refused string // mark of the token that the provider did not take; empty = it took the last one
}

func (t *tokens) find(id string) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.mu.of[id]; k != nil {
		return k
	}
	if t.mu.of == nil || len(t.mu.of) >= maxTokens {
		t.mu.of = make(map[string]*token) // those that are in use are got again
	}
	k := &token{busy: make(chan struct{}, 1)}
	t.mu.of[id] = k
	return k
}

func (k *token) hold(ctx context.Context) error {
	select {
	case k.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &SendError{Class: Retry, Code: "token_wait", Err: context.Cause(ctx)}
	}
}

// Token gives an account's access token, which this node gets by fetch and keeps in
// memory. Errors: [*SendError].
func (p *Provider) Token(ctx context.Context, a Account, fetch FetchToken) (string, error) {
	return p.kept(ctx, a, func(k *token) (HeldToken, error) { return k.held.Next(ctx, k.refused, fetch) })
}

// SharedToken gives the access token that the holder keeps for all nodes
// (ProviderOptions.Tokens). Without a holder, or when it cannot be asked, this node
// gets one from the source. Errors: [*SendError].
func (p *Provider) SharedToken(ctx context.Context, a Account, from TokenSource) (string, error) {
	fetch := func(ctx context.Context, force TokenForce) (string, time.Duration, error) {
		return from.FetchToken(ctx, a, force)
	}
	if p.holder == nil {
		return p.Token(ctx, a, fetch)
	}
	return p.kept(ctx, a, func(k *token) (HeldToken, error) {
		next, err := p.holder(ctx, a, k.refused)
		var failure *SendError
		if err == nil || errors.As(err, &failure) {
			return next, err
		}
		// Others may have got another token meanwhile; forgetting this one asks the
		// provider for that first.
		return HeldToken{forced: k.held.forced}.Next(ctx, k.refused, fetch)
	})
}

// kept gives the token in this node's memory, or the next one.
func (p *Provider) kept(ctx context.Context, a Account, next func(*token) (HeldToken, error)) (string, error) {
	k := p.tokens.find(a.id)
	if err := k.hold(ctx); err != nil {
		return "", err
	}
	defer func() { <-k.busy }()
	if k.held.Good(k.refused, time.Now()) {
		return k.held.Text, nil
	}
	held, err := next(k)
	if err != nil {
		return "", err
	}
	k.held, k.refused = held, ""
	return held.Text, nil
}

// Refused says that the provider did not take a token, so that another one is got
// for the next call.
func (p *Provider) Refused(ctx context.Context, a Account, text string) {
	k := p.tokens.find(a.id)
	if k.hold(ctx) != nil {
		return
	}
	defer func() { <-k.busy }()
	if k.held.Text == text { // else it was renewed already
		k.refused = TokenMark(text)
	}
}

// Judged gives the outcome of a call that was made with a token back, and has the
// token renewed if it was that which was not taken.
func (p *Provider) Judged(ctx context.Context, a Account, text string, err error) error {
	if ClassOf(err) == Auth {
		p.Refused(ctx, a, text)
	}
	return err
}
