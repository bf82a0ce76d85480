package gateway

import (
	"bytes"
	"context"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// wireTo is a relay that hands everything to another gateway.
type wireTo struct {
	name string
	mu   struct {
		sync.Mutex
		to *Gateway
	}
}

// Broadcast implements [Relay].
func (w *wireTo) Broadcast(topic string, payload []byte) {
	w.mu.Lock()
	to := w.mu.to
	w.mu.Unlock()
	if to != nil {
		to.Relayed(w.name, topic, payload)
	}
}

func (w *wireTo) connect(to *Gateway) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.to = to
}

// twoNodes are two gateways that hear each other.
func twoNodes(t *testing.T) (one, two *harness, cut func()) {
	t.Helper()
	from1, from2 := &wireTo{name: "n1"}, &wireTo{name: "n2"}
	one = start(t, func(o *Options) { o.Relay = from1 })
	two = start(t, func(o *Options) { o.Relay = from2 })
	from1.connect(two.gw)
	from2.connect(one.gw)
	return one, two, func() {
		from1.connect(nil)
		from2.connect(nil)
	}
}

func TestTypingCrossesNodes(t *testing.T) {
	t.Parallel()
	one, two, _ := twoNodes(t)
	me := conversation.ContactID{1}
	id := one.store.start("shop", me)
	if two.store.start("shop", me) != id {
		t.Fatal("the two stores differ")
	}
	mei := two.agent("mei")
	mei.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
	mei.expect("done")
	visitor := one.visitor(me, hello)
	visitor.expect("welcome")
	visitor.say(`{"t":"typing","on":true,"conversation_id":"` + id.String() + `"}`)
	if m := mei.expect("typing"); m.str("from") != "visitor" || m.at("on") != true || m.str("conversation_id") != id.String() {
		t.Errorf("typing %v", m)
	}
	mei.say(`{"t":"typing","on":true,"conversation_id":"` + id.String() + `"}`)
	m := visitor.next()
	for m.str("t") != "typing" {
		m = visitor.next()
	}
	if m.str("from") != "agent" || m.str("name") != "Mei" {
		t.Errorf("typing %v", m)
	}
}

func TestPresenceIsThatOfAllNodes(t *testing.T) {
	t.Parallel()
	one, two, cut := twoNodes(t)
	ada := one.agent("ada")
	ada.skip = ""
	seen := func(state string) {
		t.Helper()
		for {
			if m := ada.expect("presence"); m.str("agent") == "mei" && m.str("state") == state {
				return
			}
		}
	}
	listed := func(want string) {
		t.Helper()
		eventually(t, "mei is listed as "+want, func() bool {
			a := one.do(call{method: "GET", path: "/v1/agents", headers: bearerOf(one.agentToken("ada"))})
			return a.status == http.StatusOK && strings.Contains(string(a.body), `"id":"mei"`) && presenceOf(t, a, "mei") == want
		})
	}
	listed("offline")
	mei := two.agent("mei")
	seen("online")
	listed("online")
	mei.say(`{"t":"presence","ref":"p","state":"away"}`)
	mei.expect("done")
	seen("away")
	listed("away")
	// On the other node she is what she chose here, and a choice there counts here.
	here := one.agent("mei")
	if c := one.presence.last(); c.Agent != "mei" || c.Presence != conversation.PresenceAway || c.Chosen.IsZero() {
		t.Errorf("the queue was told %+v, want away", c)
	}
	here.say(`{"t":"presence","ref":"p","state":"online"}`)
	here.expect("done")
	eventually(t, "the other node adopts the choice", func() bool { return two.presence.last().Presence == conversation.PresenceOnline })
	seen("online")
	_ = here.conn.Close()
	eventually(t, "one connection is left", func() bool { return len(one.gw.snapshot()) == 1 })
	one.gw.presences.sweep(one.gw, time.Now().Add(presenceGrace+time.Second))
	if c := one.presence.last(); c.Presence != conversation.PresenceOffline {
		t.Errorf("this node's queue was told %+v, want offline", c)
	}
	listed("online") // the other node has her
	cut()
	one.gw.SetMembers([]string{"n1"})
	one.gw.presences.sweep(one.gw, time.Now().Add(presenceGrace/2))
	listed("online")
	one.gw.presences.sweep(one.gw, time.Now().Add(presenceGrace+time.Second))
	seen("offline")
	listed("offline")
}

func presenceOf(t *testing.T, a answered, id string) string {
	t.Helper()
	items, _ := a.json(t).at("data").([]any)
	for _, i := range items {
		if m, ok := i.(map[string]any); ok && m["id"] == id {
			s, _ := m["presence"].(string)
			return s
		}
	}
	return ""
}

func TestNewMembersAreToldOfAgents(t *testing.T) {
	t.Parallel()
	relay := &wireTo{name: "n1"}
	one := start(t, func(o *Options) { o.Relay = relay })
	two := start(t)
	one.agent("mei")
	eventually(t, "mei is there", func() bool { return one.gw.presences.of("mei") == conversation.PresenceOnline })
	relay.connect(two.gw)
	one.gw.SetMembers([]string{"n1", "n2"})
	if got := two.gw.presences.of("mei"); got != conversation.PresenceOnline {
		t.Errorf("mei is %q on the new node, want online", got)
	}
}

func TestJunkOfOtherNodesChangesNothing(t *testing.T) {
	t.Parallel()
	h := start(t)
	long := bytes.Repeat([]byte("x"), maxPresenceBytes+1)
	for topic, payloads := range map[string][][]byte{
		relayTyping:   {nil, {1}, make([]byte, 35), long, append([]byte{relayFormat, 1, 0, 9}, make([]byte, 40)...)},
		relayPresence: {nil, []byte("[{"), long, []byte(`[{"a":"MEI","s":"online"}]`), []byte(`[{"a":"mei","s":"asleep"}]`), []byte(`{}`)},
		"weather":     {nil},
	} {
		for _, p := range payloads {
			h.gw.Relayed("n2", topic, p)
		}
	}
	h.gw.Relayed("n2", relayPresence, []byte(`[{"a":"nobody","s":"online"}]`))
	h.gw.presences.mu.Lock()
	defer h.gw.presences.mu.Unlock()
	if h.gw.presences.mu.words != 0 || len(h.gw.presences.mu.others) != 0 {
		t.Errorf("%d words were taken", h.gw.presences.mu.words)
	}
}

func FuzzRelayed(f *testing.F) {
	f.Add(encodeTyping(TypingChange{Conversation: conversation.ConversationID{1}, Inbox: "shop", From: conversation.PartyAgent, Agent: "mei", On: true}))
	f.Add(encodePresence([]presenceRow{{Agent: "mei", State: conversation.PresenceAway, Chosen: 7}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if change, err := decodeTyping(data); err == nil {
			again, err := decodeTyping(encodeTyping(change))
			if err != nil || again != change {
				t.Errorf("%+v became %+v, %v", change, again, err)
			}
		}
		if rows, err := decodePresence(data); err == nil && len(rows) > 0 {
			again, err := decodePresence(encodePresence(rows))
			if err != nil || !reflect.DeepEqual(again, rows) {
				t.Errorf("%+v became %+v, %v", rows, again, err)
			}
		}
	})
}

// TestDrainServesUntilTheTurn: clients are sent away one after the other, and
// those whose turn has not come are served.
func TestDrainServesUntilTheTurn(t *testing.T) {
	t.Parallel()
	h := start(t)
	const clients = 20
	var all []*rawClient
	for i := range clients {
		c := h.visitor(conversation.ContactID{byte(i + 1)}, hello)
		c.expect("welcome")
		all = append(all, c)
	}
	drained := make(chan error, 1)
	began := time.Now()
	go func() { drained <- h.gw.Drain(t.Context(), 10*time.Second) }()
	sent := 0
	for i, c := range all {
		c.say(`{"t":"message.send","client_id":"m` + string(rune('a'+i)) + `","text":"x"}`)
	}
	for _, c := range all {
		for {
			f, err := c.frame()
			if err != nil {
				break // closed: what was sent without an answer is sent again elsewhere
			}
			if bytes.Contains(f.payload, []byte(`"t":"ack"`)) {
				sent++
			}
			if bytes.Contains(f.payload, []byte(`"t":"reconnect"`)) {
				break
			}
		}
		_ = c.conn.Close()
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain = %v", err)
	}
	if d := time.Since(began); d < (clients-1)*drainPause {
		t.Errorf("all were gone after %s, want them one after the other", d)
	}
	h.store.mu.Lock()
	stored := len(h.store.inbounds)
	h.store.mu.Unlock()
	if sent > stored {
		t.Errorf("%d acknowledged, %d stored", sent, stored)
	}
}

func TestSendAwayDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.hold = make(chan struct{})
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	c.say(`{"t":"message.send","client_id":"m1","text":"x"}`)
	eventually(t, "the message is under way", func() bool { return h.gw.snapshot()[0].inFlight.Load() > 0 })
	gone := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { gone <- h.gw.SendAway(ctx) }()
	if m := c.expect("reconnect"); m.num("after_ms") >= 1000 {
		t.Errorf("reconnect %v", m)
	}
	_ = c.conn.Close()
	if err := <-gone; err != nil {
		t.Errorf("SendAway = %v", err)
	}
	close(h.store.hold)
}
