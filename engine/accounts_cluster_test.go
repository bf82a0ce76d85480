//go:build !race

// Several nodes in one process race in a library; see cluster_test.go.

package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels/wxcrypt"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// threeNodes runs a cluster that keeps accounts, with the inbox house.
func threeNodes(t *testing.T) (nodes []*Engine, stops []func() error) {
	t.Helper()
	key := cluster.NewKey()
	var seeds []string
	for range 3 {
		o := clusterOptions(t, key, seeds...)
		o.Config.Channels.Key = channelKey
		o.Config.Egress.AllowedCIDRs = []string{"127.0.0.0/8"}
		e, stop := serving(t, o)
		nodes, stops = append(nodes, e), append(stops, stop)
		seeds = []string{nodes[0].node.GossipAddress()}
	}
	eventually(t, "three voters that all know of each other", func() bool {
		for _, e := range nodes {
			if s := status(t, e); s.LiveVoters != 3 || len(e.gate.View().Members()) != 3 {
				return false
			}
		}
		return true
	})
	putInbox(t, nodes[0], conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	return nodes, stops
}

// everywhere stores an account and waits until all nodes have it.
func everywhere(t *testing.T, nodes []*Engine, kind string, settings map[string]string) gateway.AccountView {
	t.Helper()
	var v gateway.AccountView
	newAPI(t, nodes[0], conversation.RoleAdmin).want(http.StatusCreated, call{
		method: "PUT", path: "/v1/inboxes/house/channels/" + kind, body: map[string]any{"settings": settings},
	}, &v)
	eventually(t, "the account on every node", func() bool {
		for _, e := range nodes {
			_, err := e.store.Account(conversation.ChannelKind(kind), "house")
			if _, inboxErr := e.store.Inbox("house"); err != nil || inboxErr != nil {
				return false
			}
		}
		return true
	})
	return v
}

// The same delivery, many times at once and at all nodes: one message is stored,
// and every delivery gets the same answer, with the bot's one reply in it.
func TestADeliveryIsStoredOnceInTheCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	nodes, _ := threeNodes(t)
	v := everywhere(t, nodes, "wechat", map[string]string{"app_id": "wx1", "token": "t0ken"})
	now := strconv.FormatInt(time.Now().Unix(), 10)
	q := url.Values{"timestamp": {now}, "nonce": {"n"}, "signature": {wxcrypt.Signature("t0ken", now, "n")}}
	const body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>openid-1</FromUserName><CreateTime>1348831860</CreateTime>" +
		"<MsgType>text</MsgType><Content>when are you open</Content><MsgId>1234567890123456</MsgId></xml>"
	answers := make([]string, 150) // 50 at each node
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for end := time.Now().Add(deadline); time.Now().Before(end); {
				answers[i] = deliverTo(t, "http://"+nodes[i%3].Addr()+v.Path+"?"+q.Encode(), body)
				// Where the reply takes longer than the provider waits, it is told that the
				// message is stored, and delivers again.
				if strings.Contains(answers[i], "<xml>") {
					return
				}
			}
		})
	}
	wg.Wait()
	for i, a := range answers {
		if !strings.HasPrefix(a, "200 <xml>") || !strings.Contains(a, "We are open from nine to five.") || a != answers[0] {
			t.Errorf("delivery %d: %s, the first %s", i, a, answers[0])
		}
	}
	contact := nodes[0].gateway.ContactOf("house", conversation.ChannelWeChat, "openid-1")
	var id conversation.ConversationID
	eventually(t, "the conversation is in the first node's copy", func() bool {
		var err error
		id, err = nodes[0].store.Current(t.Context(), conversation.ContactKey{Inbox: "house", Contact: contact})
		if err != nil {
			t.Fatal(err)
		}
		return !id.IsZero()
	})
	messages, replies := 0, 0
	eventually(t, "message and reply are in the first node's copy", func() bool {
		entries, err := nodes[0].store.Entries(t.Context(), id, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		messages, replies = 0, 0
		for _, e := range entries {
			switch e.Event.(type) {
			case conversation.MessageAccepted:
				messages++
			case conversation.ReplyComposed:
				replies++
			}
		}
		return messages > 0 && replies > 0
	})
	if messages != 1 || replies != 1 {
		t.Errorf("%d messages and %d replies stored, want one of each", messages, replies)
	}
}

// deliverTo posts a body and gives the answer, or why there is none.
func deliverTo(t *testing.T, address, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return fmt.Sprintf("%d %s %v", res.StatusCode, b, err)
}

// One node fetches for an account; when it is gone another goes on where it was.
func TestOneNodeFetchesForAnAccount(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	bot := &botAPI{sent: make(chan string, 16)}
	srv, _ := inside(t, bot.ServeHTTP)
	nodes, stops := threeNodes(t)
	everywhere(t, nodes, "telegram", map[string]string{"token": botToken, "api_url": srv.URL})
	fetching := func() (who []int) {
		for i, e := range nodes {
			if c, ok := e.channels.For(conversation.ChannelTelegram, "house"); ok && e.node != nil && c.Health().Pulling {
				who = append(who, i)
			}
		}
		return who
	}
	first := -1
	one := func() bool {
		who := fetching()
		if len(who) == 1 {
			first = who[0]
		}
		return len(who) == 1
	}
	eventually(t, "one node fetches", one)
	bot.push(botUpdate(0, "when are you open"))
	if got := next(t, bot.sent); got != "77: We are open from nine to five." {
		t.Errorf("the bot sent %q", got)
	}
	eventually(t, "the update is forgotten", func() bool { return bot.forgotten() == 1 })
	eventually(t, "one node fetches", one)
	before := first
	if err := stops[first](); err != nil {
		t.Errorf("Run of a node that was stopped = %v", err)
	}
	bot.push(botUpdate(1, "where can I park"))
	if got := next(t, bot.sent); got != "77: There is a car park behind the house." {
		t.Errorf("the bot sent %q", got)
	}
	eventually(t, "one of the other two nodes fetches", func() bool { return one() && first != before })
	select {
	case again := <-bot.sent:
		t.Errorf("the bot sent %q as well", again)
	default:
	}
}

// A merge on one node is seen on all, also when two nodes merge the same contacts
// at the same time: no circle comes of it.
func TestContactsAreMergedInTheCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	nodes, _ := threeNodes(t)
	api := newAPI(t, nodes[0], conversation.RoleAdmin)
	var ids []conversation.ContactID
	for i, peer := range []string{"anna", "bert"} {
		p := &people{t, nodes[i], api}
		ids = append(ids, p.writes(conversation.ChannelSMS, peer, "hello"))
	}
	eventually(t, "both are known everywhere", func() bool {
		for _, e := range nodes {
			for _, id := range ids {
				current, err := e.store.Current(t.Context(), conversation.ContactKey{Inbox: "house", Contact: id})
				if err != nil || current.IsZero() {
					return false
				}
			}
			if _, err := e.store.Agent("a-admin"); err != nil {
				return false
			}
		}
		return true
	})
	eventually(t, "the token works everywhere", func() bool {
		for _, e := range nodes {
			if status, _ := (packsAPI{t: t, node: e, token: api.token}).do(call{method: "GET", path: "/v1/profile"}, nil); status != http.StatusOK {
				return false
			}
		}
		return true
	})
	var both sync.WaitGroup
	for i := range 2 {
		both.Go(func() {
			at := packsAPI{t: t, node: nodes[i], token: api.token}
			path := "/v1/contacts/" + ids[i].String() + "/merge"
			if status, _ := at.do(call{method: "POST", path: path, body: map[string]any{"contact": ids[1-i]}}, nil); status != http.StatusOK && status != http.StatusConflict {
				t.Errorf("merge on node %d: status %d", i, status)
			}
		})
	}
	both.Wait()
	eventually(t, "all nodes say the same", func() bool {
		first := nodes[0].store.MergedContacts(ids[0])
		for _, e := range nodes {
			for _, id := range ids {
				if got := e.store.MergedContacts(id); len(got) != 2 || !slices.Equal(got, first) {
					return false
				}
			}
		}
		return true
	})
}

// Three nodes use one access token: it is got once, and once by force when it has
// ended. When the node that holds it is gone another one does, without force.
func TestOneTokenInTheCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	var provider tokenAPI
	srv, _ := inside(t, provider.ServeHTTP)
	nodes, stops := threeNodes(t)
	everywhere(t, nodes, "wechat", wechatSettings(srv.URL))
	oneTokenForAll(t, &provider, nodes)

	holder := slices.IndexFunc(nodes, func(e *Engine) bool {
		return e.gate.Owns(cluster.GrainID{Kind: kindToken, ID: "wechat/house"})
	})
	if holder < 0 {
		t.Fatal("no node holds the token")
	}
	if err := stops[holder](); err != nil {
		t.Errorf("Run of a node that was stopped = %v", err)
	}
	rest := slices.Delete(slices.Clone(nodes), holder, holder+1)
	eventually(t, "another node holds the token", func() bool {
		return slices.ContainsFunc(rest, func(e *Engine) bool { return e.gate.Owns(cluster.GrainID{Kind: kindToken, ID: "wechat/house"}) })
	})
	provider.ended()
	for i := range rest {
		sendByAll(t, rest[i:i+1], 1)
	}
	before := provider.count()
	if got := sendByAll(t, rest, 5); got[""] != 10 {
		t.Errorf("messages of the nodes that are left: %v", got)
	}
	// The new holder has no token that was refused: what the provider gives out is
	// newer, so nothing is ended by force.
	if after := provider.count(); after.Forced != 1 || after.Refused != before.Refused {
		t.Errorf("the provider counts %+v, before the last messages %+v", after, before)
	}
}
