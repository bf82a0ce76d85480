//go:build !race

// Each start of the actor library's remote writes gRPC's global logger, so that
// several nodes in one process race there, and nowhere in what is ours.

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent"
)

// clusterOptions are those of a node that joins by the addresses given.
func clusterOptions(t *testing.T, key string, join ...string) Options {
	t.Helper()
	o := quietOptions(t, io.Discard)
	o.Config.Cluster.Listen, o.Config.Cluster.Key, o.Config.Cluster.Join = "127.0.0.1:0", key, join
	return o
}

func status(t *testing.T, e *Engine) gateway.ClusterStatus {
	t.Helper()
	s, err := operator{e}.Status(t.Context(), gateway.StatusPlain)
	if err != nil {
		t.Fatalf("Status = %v", err)
	}
	return s
}

// Three nodes are one service: what is written at one is acknowledged by all,
// and is there when the one that had it is gone.
func TestThreeNodesAreOneService(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three nodes")
	}
	key := cluster.NewKey()
	first, stopFirst := serving(t, clusterOptions(t, key))
	seed := first.node.GossipAddress()
	second, _ := serving(t, clusterOptions(t, key, seed))
	third, _ := serving(t, clusterOptions(t, key, seed))
	nodes := []*Engine{first, second, third}

	eventually(t, "three voters that all know of each other", func() bool {
		for _, e := range nodes {
			if s := status(t, e); s.Voters != 3 || s.LiveVoters != 3 || !s.Quorum {
				return false
			}
			if len(e.gate.View().Members()) != 3 {
				return false
			}
		}
		return true
	})
	if code, body := ask(t, "http://"+third.OpsAddr()+"/cluster"); code != http.StatusOK || !strings.Contains(body, `"live_voters":3`) {
		t.Errorf("/cluster on the operations listener = %d %s", code, body)
	}
	if _, err := first.store.PutInbox(t.Context(), conversation.Inbox{ID: "desk", Name: "desk", Origins: []string{"self"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the inbox on every node", func() bool {
		for _, e := range nodes {
			if _, err := e.store.Inbox("desk"); err != nil {
				return false
			}
		}
		return true
	})

	receipts := map[conversation.Ref]conversation.Receipt{}
	for i := range 30 {
		in := conversation.Inbound{
			Inbox: "desk", Channel: conversation.ChannelWeb, Contact: conversation.ContactID{byte(i % 10), 1}, Peer: "peer",
			Ref: conversation.Ref(fmt.Sprintf("m%d", i)), Text: "hello",
		}
		deliver := func(at *Engine) conversation.Receipt {
			return acknowledged(t, "Deliver", func() (conversation.Receipt, error) { return at.actors.Deliver(t.Context(), in) })
		}
		r := deliver(nodes[i%3])
		receipts[in.Ref] = r
		if again := deliver(nodes[(i+1)%3]); again.Seq != r.Seq || !again.Duplicate {
			t.Fatalf("the same message at another node = %+v; want the receipt of seq %d", again, r.Seq)
		}
	}

	for i, e := range nodes {
		// The receipt leaves before the mailbox's run has ended.
		eventually(t, fmt.Sprintf("the cost of a conversation, asked at node %d", i), func() bool {
			cost, err := e.actors.Cost(t.Context(), receipts["m0"].Conversation)
			return err == nil && cost.CPU > 0
		})
	}

	if err := (operator{second}).Drain(t.Context(), "nobody"); !errors.Is(err, conversation.ErrNotFound) {
		t.Errorf("Drain of an unknown node = %v, want class not found", err)
	}
	eventually(t, "a node that is alive is not removed", func() bool {
		err := (operator{second}).Remove(t.Context(), third.store.Identity().Node, gateway.RemoveIfSafe)
		if err == nil {
			t.Fatal("a node that is alive was removed")
		}
		return errors.Is(err, conversation.ErrConflict) // and not because the lead is moving
	})
	if err := stopFirst(); err != nil {
		t.Errorf("Run of a node that was stopped = %v", err)
	}
	eventually(t, "the first node gone from the view", func() bool { return len(second.gate.View().Members()) == 2 })
	for ref, r := range receipts {
		for _, e := range nodes[1:] {
			var entries []conversation.Entry
			eventually(t, "the message at a node that is left", func() (there bool) {
				var err error
				entries, err = e.store.Entries(t.Context(), r.Conversation, r.Seq-1, 1)
				return err == nil && len(entries) == 1
			})
			if m, ok := entries[0].Event.(conversation.MessageAccepted); !ok || m.Ref != ref {
				t.Errorf("seq %d holds %T, want the message %s", r.Seq, entries[0].Event, ref)
			}
		}
	}
	in := conversation.Inbound{Inbox: "desk", Channel: conversation.ChannelWeb, Contact: conversation.ContactID{1, 1}, Peer: "peer", Ref: "later", Text: "still there?"}
	acknowledged(t, "Deliver with two of three nodes", func() (conversation.Receipt, error) { return third.actors.Deliver(t.Context(), in) })
}

// A node that has lost the others is not ready, says why, and is ready again when
// they are back.
func TestReadyzTellsALostMajority(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two nodes, one twice")
	}
	key := cluster.NewKey()
	options := func(join ...string) Options {
		o := clusterOptions(t, key, join...)
		o.Config.Health.Lag = 2 * time.Second
		return o
	}
	stays, _ := serving(t, options())
	other := options(stays.node.GossipAddress())
	_, stopOther := serving(t, other)
	url := "http://" + stays.OpsAddr() + "/readyz?verbose"
	eventually(t, "two voters, both ready", func() bool {
		code, _ := ask(t, url)
		return code == http.StatusOK && status(t, stays).LiveVoters == 2
	})
	if err := stopOther(); err != nil {
		t.Errorf("Run of a node that was stopped = %v", err)
	}
	eventually(t, "the reasons in /readyz", func() bool {
		code, body := ask(t, url)
		return code == http.StatusServiceUnavailable && strings.HasSuffix(body, "not ready\n") &&
			strings.Contains(body, "[-] journal: no leader takes writes: this node reaches no majority of 2 voters") &&
			strings.Contains(body, "[-] lag: nothing was heard of the leader for ")
	})
	if code, body := ask(t, "http://"+stays.OpsAddr()+"/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d %s, want 200: a restart would not help", code, body)
	}
	serving(t, other)
	eventually(t, "ready again", func() bool {
		code, _ := ask(t, url)
		return code == http.StatusOK
	})
}

// freeAddress gives an address that nobody listens on, and soon nobody else will.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", clustertest.LoopbackOfItsOwn()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// ask is [fetch] of somebody who may not listen yet; then the status is 0.
func ask(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(raw)
}

// A node that cannot open says why, and gives up when it is told to.
func TestNodeSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	o := clusterOptions(t, cluster.NewKey(), "127.0.0.1:1")
	o.Config.OpsListen = freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := NewContext(ctx, o)
		ended <- err
	}()
	eventually(t, "a reason in /readyz", func() bool {
		code, body := ask(t, "http://"+o.Config.OpsListen+"/readyz?verbose")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "looking for a cluster to join")
	})
	if code, body := ask(t, "http://"+o.Config.OpsListen+"/cluster"); code != http.StatusServiceUnavailable || !strings.Contains(body, "starting") {
		t.Errorf("/cluster = %d %s, want 503 with the reason", code, body)
	}
	if code, body := ask(t, "http://"+o.Config.OpsListen+"/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d %s, want 200: it lives", code, body)
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("NewContext = %v, want the context's error", err)
		}
	case <-time.After(deadline):
		t.Fatal("NewContext goes on after its context has ended")
	}
}

// A stranger with another key is not let in, whatever it knows of addresses.
func TestStrangersAreNotLetIn(t *testing.T) {
	t.Parallel()
	first, _ := serving(t, clusterOptions(t, cluster.NewKey()))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	e, err := NewContext(ctx, clusterOptions(t, cluster.NewKey(), first.node.GossipAddress()))
	if err == nil {
		e.Close()
		t.Fatal("a node with another key was let in")
	}
	if n := len(first.gate.View().Members()); n != 1 {
		t.Errorf("the cluster has %d members, want 1", n)
	}
	other, err := cluster.NewLinkDialer(cluster.NewKey(), "colloquy", nil)
	if err != nil {
		t.Fatal(err)
	}
	var s gateway.ClusterStatus
	call := Call{Address: first.node.LinkAddress(), Method: http.MethodGet, Path: "/v1/cluster", Answer: &s}
	if err := CallOperator(t.Context(), other, call); err == nil {
		t.Error("an operator with another key got an answer")
	}
	right, err := first.config.Cluster.Dialer()
	if err != nil {
		t.Fatal(err)
	}
	if err := CallOperator(t.Context(), right, call); err != nil || s.Self != first.store.Identity().Node {
		t.Errorf("an operator with the key got %+v, %v", s, err)
	}
	var made Setup
	call.Method, call.Path, call.Body, call.Answer = http.MethodPost, SetUpPath, map[string]string{"inbox": "shop"}, &made
	if err := CallOperator(t.Context(), right, call); err != nil || made.Token == "" || made.Ingress == "" {
		t.Errorf("set-up of a running node = %+v, %v", made, err)
	}
	call.Body = map[string]string{"inbox": "Not An Id"}
	if err := CallOperator(t.Context(), right, call); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("set-up with a bad inbox = %v, want class invalid", err)
	}
}

// A process that was put out of its cluster starts anew within itself, so that
// an engine that has ended must leave nothing behind.
func TestAnEndedEngineIsFreed(t *testing.T) {
	for name, options := range map[string]Options{"alone": quietOptions(t, io.Discard), "of a cluster": clusterOptions(t, cluster.NewKey())} {
		ended := startAndEnd(t, options)
		eventually(t, "the engine "+name+" is freed", func() bool {
			runtime.GC()
			return ended.Value() == nil
		})
	}
}

// startAndEnd runs an engine to its end, and keeps no strong pointer to it.
func startAndEnd(t *testing.T, o Options) weak.Pointer[Engine] {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return weak.Make(e)
}

// What a silent bot would say is shown on every node, whichever has the
// conversation.
func TestNodesTellEachOtherOfShadows(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two nodes")
	}
	key := cluster.NewKey()
	first, _ := serving(t, clusterOptions(t, key))
	second, _ := serving(t, clusterOptions(t, key, first.node.GossipAddress()))
	nodes := []*Engine{first, second}
	eventually(t, "two nodes that know of each other", func() bool {
		return len(first.gate.View().Members()) == 2 && len(second.gate.View().Members()) == 2
	})
	putInbox(t, first, conversation.Inbox{ID: "quiet", Name: "Quiet", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Silent: true, Answers: conversation.AnswersOn}})
	eventually(t, "the inbox and its model on both nodes", func() bool {
		for _, e := range nodes {
			if _, err := e.store.Inbox("quiet"); err != nil || e.library.Warm(t.Context(), []string{"house"}) != nil {
				return false
			}
		}
		return true
	})
	const many = 12
	for i := range many {
		in := visitor("quiet", "when are you open")
		in.Contact, in.Wait = conversation.ContactID{byte(i), 9}, 0
		say(t, nodes[i%2], in)
	}
	own := 0.0
	for i, e := range nodes {
		eventually(t, fmt.Sprintf("all turns on node %d", i), func() bool {
			turns, _ := e.shadows.Shadows(gateway.ShadowQuery{Limit: 2 * many, May: func(conversation.InboxID) bool { return true }})
			seen := map[conversation.ConversationID]bool{}
			for _, turn := range turns {
				seen[turn.Conversation] = strings.Contains(turn.Own.Text, "nine to five")
			}
			return len(turns) == many && len(seen) == many && seen[turns[0].Conversation]
		})
		own += counted(t, e, "colloquy_intent_shadow_turns_total")
	}
	if own != many {
		t.Errorf("%v turns counted on both nodes together, want each once", own)
	}
}

// What is saved at one node answers at all of them, also at one that joins
// later and at one that was down meanwhile.
func TestASavedPackIsLiveOnEveryNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four nodes")
	}
	key := cluster.NewKey()
	first, _ := serving(t, clusterOptions(t, key))
	seed := first.node.GossipAddress()
	second, _ := serving(t, clusterOptions(t, key, seed))
	downOptions := clusterOptions(t, key, seed)
	third, stopThird := serving(t, downOptions)
	nodes := []*Engine{first, second, third}
	eventually(t, "three voters", func() bool { return status(t, first).LiveVoters == 3 })

	save := func(at *Engine, expect uint64, text string) intent.Saved {
		t.Helper()
		saved, err := at.Library().SavePack(t.Context(), intent.PackSave{Name: "kiosk", Text: []byte(text), Expect: expect})
		if err != nil {
			t.Fatalf("SavePack: %v", err)
		}
		return saved
	}
	live := func(e *Engine, hash string) bool {
		for _, p := range e.Library().Packs() {
			if p.Name == "kiosk" {
				return p.Version == hash && p.State == intent.PackLive && p.Calibrated
			}
		}
		return false
	}
	one := save(first, 0, kiosk("Two coins."))
	putInbox(t, second, conversation.Inbox{ID: "kiosk", Name: "Kiosk", Lang: "en", Packs: []string{"kiosk"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	for i, e := range nodes {
		eventually(t, fmt.Sprintf("the pack is live on node %d", i), func() bool { return live(e, one.Hash) })
	}
	if err := stopThird(); err != nil {
		t.Fatal(err)
	}
	// Saved at another node than the first version, while one is down.
	two := save(second, 1, kiosk("Three coins."))
	downOptions.Registry = nil
	third, _ = serving(t, downOptions)
	fourth, _ := serving(t, clusterOptions(t, key, seed))
	for i, e := range []*Engine{first, second, third, fourth} {
		eventually(t, fmt.Sprintf("the second version is live on node %d", i), func() bool { return live(e, two.Hash) })
		var p conversation.Prediction
		u := conversation.Utterance{Text: "what does the newspaper cost", Packs: []string{"kiosk"}}
		if err := e.Library().Predict(t.Context(), &u, &p); err != nil {
			t.Fatal(err)
		}
		book, ok := e.Library().Playbook(u.Packs, p.Best().Intent, "en")
		if !ok || book.Answer != "Three coins." {
			t.Errorf("node %d answers %+v of %v", i, book, p.Candidates)
		}
	}
	// Both were read by the savers: one of two saves at the same time is refused.
	results := make(chan error, 2)
	for i, e := range []*Engine{first, fourth} {
		go func() {
			_, err := e.Library().SavePack(t.Context(), intent.PackSave{Name: "kiosk", Text: []byte(kiosk(fmt.Sprintf("%d coins.", i))), Expect: 2})
			results <- err
		}()
	}
	a, b := <-results, <-results
	if (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), conversation.ErrConflict) {
		t.Errorf("two saves on the same version = %v and %v, want one conflict", a, b)
	}
}
