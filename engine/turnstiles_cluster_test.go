//go:build !race

// Several nodes in one process race in a library; see cluster_test.go.

package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// sendUntil has eight senders of each node send until the provider has taken so many,
// and gives how long that took.
func sendUntil(t *testing.T, nodes []*Engine, api *tokenAPI, sent int) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var wg sync.WaitGroup
	for n, e := range nodes {
		c, ok := e.channels.For(conversation.ChannelWeChat, "house")
		if !ok {
			t.Fatal("no channel")
		}
		for i := range 8 {
			wg.Go(func() {
				for seq := conversation.Seq(1); api.count().Sent < sent && ctx.Err() == nil; seq++ {
					_, err := c.Send(ctx, conversation.Outbound{
						Inbox: "house", Channel: conversation.ChannelWeChat, Peer: fmt.Sprintf("openid-%d-%d", n, i), Message: seq, Text: "hello",
					})
					if class := channels.ClassOf(err); err != nil && class != channels.Limited && ctx.Err() == nil {
						t.Errorf("node %d: %v", n, err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if got := api.count().Sent; got < sent {
		t.Fatalf("%d messages taken in %s, want %d", got, time.Since(began), sent)
	}
	return time.Since(began)
}

// Three nodes that send all they can for one account keep to its rate together, and
// go on when the node that lets them through is gone.
func TestThreeNodesKeepAnAccountsRate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	var provider tokenAPI
	srv, _ := inside(t, provider.ServeHTTP)
	nodes, stops := threeNodes(t)
	everywhere(t, nodes, "wechat", wechatSettings(srv.URL))
	c, _ := nodes[0].channels.For(conversation.ChannelWeChat, "house")
	rate := c.Limits().Account
	// may is how many are allowed in a time, with those that were under way at its end.
	may := func(d time.Duration) int { return int(rate.PerSec*d.Seconds()) + rate.Burst + len(nodes)*8 }

	const first = 250
	took := sendUntil(t, nodes, &provider, first)
	if got := provider.count().Sent; got > may(took) {
		t.Errorf("%d messages in %s, want at most %d", got, took, may(took))
	}

	id := turnstileOf(conversation.ChannelWeChat, "house")
	holder := slices.IndexFunc(nodes, func(e *Engine) bool { return e.gate.Owns(id) })
	if holder < 0 {
		t.Fatal("no node has the turnstile")
	}
	if err := stops[holder](); err != nil {
		t.Errorf("Run of a node that was stopped = %v", err)
	}
	rest := slices.Delete(slices.Clone(nodes), holder, holder+1)
	eventually(t, "another node has the turnstile", func() bool {
		return slices.ContainsFunc(rest, func(e *Engine) bool { return e.gate.Owns(id) })
	})
	before := provider.count().Sent
	took = sendUntil(t, rest, &provider, before+first)
	if got := provider.count().Sent - before; got > may(took) {
		t.Errorf("%d messages of the two that are left in %s, want at most %d", got, took, may(took))
	}
}
