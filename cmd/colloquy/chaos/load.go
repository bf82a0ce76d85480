package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// settleTime is how long the clients may take, at the end, to get the last
// answers and to catch up with the journal.
const settleTime = 60 * time.Second

// load is all clients of a run.
type load struct {
	ledger   *ledger
	visitors []*visitor
	agents   []*agent
	senders  []*sender
	quiet    chan struct{}
	ended    chan struct{}
}

// invite makes the clients; each has random choices of its own.
func invite(ctx context.Context, o *Options, l *ledger, r *roster, keys *lab.Keys) (*load, error) {
	out := &load{ledger: l, quiet: make(chan struct{}), ended: make(chan struct{})}
	next := uint64(1)
	newClient := func(as role, number int) client {
		next++
		return client{
			author: author{as, number}, ledger: l, roster: r, think: o.Think,
			random: rand.New(rand.NewPCG(o.Seed, next)), //nolint:gosec // repeatable choices, not secrets
		}
	}
	for i := range o.Visitors {
		v := &visitor{client: newClient(visitorRole, i)}
		token, err := lab.VisitorToken(ctx, r.pick(v.random, ""), lab.Inbox)
		if err != nil {
			return nil, fmt.Errorf("token of visitor %d: %w", i, err)
		}
		v.token = token
		out.visitors = append(out.visitors, v)
	}
	for i := range o.Agents {
		out.agents = append(out.agents, &agent{client: newClient(agentRole, i), id: keys.Agents[i].ID, token: keys.Agents[i].Token})
	}
	for i := range o.Webhooks {
		out.senders = append(out.senders, &sender{client: newClient(webhookRole, i), token: keys.Ingress, http: newHTTPClient()})
	}
	return out, nil
}

func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}}
}

// start lets the clients write.
func (l *load) start(ctx context.Context) {
	var all sync.WaitGroup
	for _, v := range l.visitors {
		all.Go(func() { v.run(ctx, l.quiet) })
	}
	for _, a := range l.agents {
		all.Go(func() { a.run(ctx, l.quiet) })
	}
	for _, s := range l.senders {
		all.Go(func() { s.run(ctx, l.quiet) })
	}
	go func() {
		all.Wait()
		close(l.ended)
	}()
}

// settle tells the clients to write nothing new and waits until they have their
// answers. It reports false when that takes too long.
func (l *load) settle(ctx context.Context) bool {
	close(l.quiet)
	limit := time.NewTimer(settleTime)
	defer limit.Stop()
	select {
	case <-l.ended:
		return true
	case <-limit.C:
	case <-ctx.Done():
	}
	return false
}

// views gives what every client was shown.
func (l *load) views() []*view {
	var out []*view
	for _, v := range l.visitors {
		out = append(out, v.views...)
		if v.view != nil {
			out = append(out, v.view)
		}
	}
	for _, a := range l.agents {
		out = append(out, a.views...)
	}
	return out
}

// counts adds up what the clients counted.
func (l *load) counts() (reconnects, resets int, refusals map[conversation.Code]int) {
	refusals = map[conversation.Code]int{}
	add := func(c *client) {
		reconnects += c.reconnects
		for code, n := range c.refusals {
			refusals[code] += n
		}
	}
	for _, v := range l.visitors {
		add(&v.client)
		resets += v.resets
	}
	for _, a := range l.agents {
		add(&a.client)
		resets += a.resets
	}
	for _, s := range l.senders {
		add(&s.client)
	}
	return reconnects, resets, refusals
}

// refusalList writes refusals as code: count, in the order of the codes.
func refusalList(refusals map[conversation.Code]int) []string {
	var out []string
	for _, code := range slices.Sorted(maps.Keys(refusals)) {
		out = append(out, fmt.Sprintf("%s: %d", code, refusals[code]))
	}
	return out
}
