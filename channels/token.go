package channels

import (
	"context"
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

// maxTokenLife is as long as any of the providers lets a token live.
const maxTokenLife = 2 * time.Hour

// TokenLife is the life that a provider states in seconds, within what can be
// true.
func TokenLife(seconds int64) time.Duration {
	return time.Duration(min(max(seconds, 0), int64(maxTokenLife/time.Second))) * time.Second
}

// tokens keeps access tokens in memory, one for each account, and has one
// caller at a time get a new one while the others wait for it. Each node keeps
// its own: the providers that need it give every node the same token as long as
// that is valid.
type tokens struct {
	mu struct {
		sync.Mutex

		of map[string]*token
	}
}

type token struct {
	busy chan struct{} // room for one: who holds it may read and change the rest

	text   string
	until  time.Time
	forced time.Time // when the last one was got by force
	force  TokenForce
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

// Token gives an account's access token, got by fetch when there is none that
// lives for another while. Errors: those of fetch; one that leaves open what was
// done is worth another try, since it was no message that was sent.
func (p *Provider) Token(ctx context.Context, a Account, fetch FetchToken) (string, error) {
	k := p.tokens.find(a.id)
	if err := k.hold(ctx); err != nil {
		return "", err
	}
	defer func() { <-k.busy }()
	now := time.Now()
	if k.text != "" && now.Before(k.until) {
		return k.text, nil
	}
	force := k.force
	text, life, err := fetch(ctx, force)
	if failure := classified(err); failure != nil {
		if failure.Class == Unknown {
			failure = &SendError{Class: Retry, Scope: failure.Scope, Code: failure.Code, After: failure.After, Err: failure.Err}
		}
		return "", failure
	}
	k.text, k.until, k.force = text, now.Add(life-min(tokenMargin, life/2)), false
	if force {
		k.forced = now
	}
	return text, nil
}

// Refused says that the provider did not take a token: the next one is got by
// force, unless that has just been done. Then the account itself is wrong, and
// forcing again would only use up the provider's patience.
func (p *Provider) Refused(ctx context.Context, a Account, text string) {
	k := p.tokens.find(a.id)
	if k.hold(ctx) != nil {
		return
	}
	defer func() { <-k.busy }()
	if k.text != text {
		return // renewed already
	}
	k.text = ""
	k.force = TokenForce(time.Since(k.forced) > tokenForced)
}

// Judged gives the outcome of a call that was made with a token back, and has the
// token renewed if it was that which was not taken.
func (p *Provider) Judged(ctx context.Context, a Account, text string, err error) error {
	if ClassOf(err) == Auth {
		p.Refused(ctx, a, text)
	}
	return err
}
