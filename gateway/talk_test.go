package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// TestVisitorTalks walks from the first message to a repeated one.
func TestVisitorTalks(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.bot = func(conversation.Inbound) *conversation.ReplyComposed {
		return &conversation.ReplyComposed{Text: "hi", Bot: conversation.Provenance{Intent: "greet", Confidence: 0.9}}
	}
	me := conversation.ContactID{1}
	c := h.visitor(me, hello)
	w := c.expect("welcome")
	if w.str("contact") != me.String() || w.at("conversation") != nil {
		t.Errorf("welcome %v", w)
	}
	c.say(`{"t":"message.send","client_id":"m1","text":"你好"}`)
	var ack, started, mine, bots message
	for ack == nil || bots == nil {
		switch m := c.next(); m.str("t") + " " + m.str("type") {
		case "ack ":
			ack = m
		case "event conversation.started":
			started = m
		case "event message.accepted":
			mine = m
		case "event message.composed":
			bots = m
		default:
			t.Fatalf("frame %v", m)
		}
	}
	if ack.str("client_id") != "m1" || ack.num("seq") != 2 || ack.at("durable") != true || ack.at("duplicate") != false {
		t.Errorf("ack %v", ack)
	}
	if started == nil || mine.str("data", "client_id") != "m1" || mine.str("data", "id") != ack.str("message_id") {
		t.Errorf("started %v, own message %v", started, mine)
	}
	if bots.str("data", "text") != "hi" || bots.num("data", "in_reply_to_seq") != 2 || bots.at("data", "bot") != nil {
		t.Errorf("the bot's message %v; its reasons are not for visitors", bots)
	}
	c.say(`{"t":"message.send","client_id":"m1","text":"你好"}`)
	if again := c.expect("ack"); again.num("seq") != 2 || again.at("duplicate") != true {
		t.Errorf("second ack %v", again)
	}
	c.say(`{"t":"read","ref":"r","conversation_id":"` + ack.str("conversation_id") + `","seq":3}`)
	if d := c.expect("done"); d.str("ref") != "r" {
		t.Errorf("done %v", d)
	}
	c.say(`{"t":"handover","ref":"h"}`)
	if d := c.expect("done"); d.str("ref") != "h" || d.str("conversation_id") != ack.str("conversation_id") {
		t.Errorf("done %v", d)
	}
}

// TestFrameErrors: a refused frame is answered and the connection goes on.
func TestFrameErrors(t *testing.T) {
	t.Parallel()
	h := start(t)
	theirs := h.store.start("shop", conversation.ContactID{99}).String()
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	tests := []struct {
		name, say string
		code      conversation.Code
		ref       string
	}{
		{"type as number", `{"type":1}`, conversation.CodeBadFrame, ""},
		{"not an object", `[]`, conversation.CodeBadFrame, ""},
		{"an agent's command", `{"t":"claim","ref":"a","conversation_id":"` + theirs + `"}`, conversation.CodeForbidden, "a"},
		{"a note", `{"t":"note.add","client_id":"n","conversation_id":"` + theirs + `","text":"x"}`, conversation.CodeForbidden, "n"},
		{"subscribe to another's", `{"t":"subscribe","ref":"b","conversation_id":"` + theirs + `"}`, conversation.CodeForbidden, "b"},
		{"read another's", `{"t":"read","ref":"c","conversation_id":"` + theirs + `","seq":1}`, conversation.CodeNotFound, "c"},
		{"read what does not exist", `{"t":"read","ref":"d","conversation_id":"` + (conversation.ConversationID{0xaa}).String() + `","seq":1}`, conversation.CodeNotFound, "d"},
		{"write into another's", `{"t":"message.send","client_id":"e","conversation_id":"` + theirs + `","text":"x"}`, conversation.CodeNotFound, "e"},
		{"handover without a conversation", `{"t":"handover","ref":"f"}`, conversation.CodeNotFound, "f"},
		{"NUL in the text", `{"t":"message.send","client_id":"g","text":"a\u0000b"}`, conversation.CodeBadText, "g"},
		{"blank text", `{"t":"message.send","client_id":"h","text":" \n "}`, conversation.CodeEmptyText, "h"},
		{"sender forged", `{"t":"kefu","ref":"i"}`, conversation.CodeBadFrame, "i"},
	}
	var details []string
	for _, tc := range tests {
		c.say(tc.say)
		m := c.next()
		if m.str("t") != "error" || m.str("problem", "code") != string(tc.code) || m.str("ref") != tc.ref {
			t.Errorf("%s: answer %v, want %s for %q", tc.name, m, tc.code, tc.ref)
		}
		if tc.ref == "c" || tc.ref == "d" {
			details = append(details, m.str("problem", "detail"))
		}
	}
	if details[0] != details[1] {
		t.Errorf("foreign and unknown can be told apart: %q", details)
	}
	if len(h.store.inbounds)+len(h.store.commands) != 0 {
		t.Error("a refused frame reached a conversation")
	}
}

func TestStoreErrorsReachTheSender(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.fail = &conversation.Error{Code: conversation.CodeUnavailable, Detail: "disk of node 3", After: 2 * time.Second}
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	c.say(`{"t":"message.send","client_id":"m","text":"x"}`)
	m := c.next()
	if m.str("problem", "code") != "unavailable" || m.at("problem", "retry") != true || m.num("problem", "retry_after_ms") != 2000 {
		t.Errorf("answer %v", m)
	}
	if strings.Contains(fmt.Sprint(m), "disk") {
		t.Errorf("what went wrong inside came out: %v", m)
	}
}

// TestInFlightBound: commands without an answer are counted.
func TestInFlightBound(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.InFlight = 4 })
	h.store.hold = make(chan struct{})
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	for i := range 5 {
		c.say(fmt.Sprintf(`{"t":"message.send","client_id":"m%d","text":"x"}`, i))
	}
	if m := c.next(); m.str("ref") != "m4" || m.str("problem", "code") != "overloaded" {
		t.Errorf("answer to the fifth %v, want overloaded", m)
	}
	close(h.store.hold)
	for range 4 {
		c.expect("ack")
	}
	c.say(`{"t":"message.send","client_id":"m5","text":"x"}`)
	c.expect("ack")
}

// TestAgentWorks: subscriptions, commands, views, and what an agent may not see.
func TestAgentWorks(t *testing.T) {
	t.Parallel()
	h := start(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	mei, bob, visitor := h.agent("mei"), h.agent("bob"), h.visitor(me, hello)
	visitor.expect("welcome")
	say := func(c *rawClient, kind, rest string) {
		c.say(fmt.Sprintf(`{"t":%q,"conversation_id":%q%s}`, kind, id, rest))
	}
	for _, kind := range []string{"subscribe", "claim", "resolve", "reopen", "snooze", "handover"} {
		say(bob, kind, `,"ref":"x"`)
		if m := bob.expect("error"); m.str("problem", "code") != "not_found" {
			t.Errorf("%s of another inbox = %v", kind, m)
		}
	}
	bob.say(`{"t":"subscribe","ref":"i","inbox":"shop"}`)
	if m := bob.expect("error"); m.str("problem", "code") != "not_found" {
		t.Errorf("subscribe to another inbox = %v", m)
	}
	mei.say(`{"t":"subscribe","ref":"i","inbox":"shop"}`)
	mei.expect("done")
	say(mei, "subscribe", `,"ref":"s","after":0`)
	if m := mei.next(); m.str("type") != "conversation.started" || m.str("data", "channel") != "web" {
		t.Errorf("first event %v", m)
	}
	mei.expect("done")
	say(mei, "claim", `,"ref":"c"`)
	waitFor(t, mei, "conversation.assigned", "conversation.updated", "done")
	if m := visitor.expect("event"); m.str("data", "name") != "Mei" || m.at("data", "agent") != nil {
		t.Errorf("the visitor learns of the agent as %v", m)
	}
	say(mei, "note.add", `,"client_id":"n1","text":"secret"`)
	waitFor(t, mei, "ack", "note.added", "conversation.updated")
	say(mei, "message.send", `,"client_id":"m1","text":"hello from Mei"`)
	waitFor(t, mei, "ack", "message.replied", "conversation.updated")
	if m := visitor.expect("event"); m.str("data", "text") != "hello from Mei" || m.str("data", "name") != "Mei" || m.at("data", "client_id") != nil {
		t.Errorf("the visitor reads %v", m)
	}
	say(mei, "assign", `,"ref":"a","to":"bob"`)
	if m := mei.expect("error"); m.str("problem", "code") != "not_found" {
		t.Errorf("assign to an agent of another inbox = %v", m)
	}
	say(mei, "assign", `,"ref":"a","to":"ada"`)
	waitFor(t, mei, "done", "conversation.assigned", "conversation.updated")
	say(mei, "unsubscribe", `,"ref":"u"`)
	mei.expect("done")
	h.store.append(id, conversation.MessageAccepted{Text: "later"})
	if m := mei.next(); m.str("type") != "conversation.updated" {
		t.Errorf("after unsubscribe %v, want only the inbox's summary", m)
	}
}

// waitFor reads frames until every kind has come, whatever the order.
func waitFor(t *testing.T, c *rawClient, kinds ...string) {
	t.Helper()
	open := make(map[string]bool)
	for _, k := range kinds {
		open[k] = true
	}
	for len(open) > 0 {
		m := c.next()
		kind := m.str("t")
		if kind == "event" {
			kind = m.str("type")
		}
		if !open[kind] {
			t.Fatalf("frame %v while waiting for %v", m, open)
		}
		delete(open, kind)
	}
}

func TestTyping(t *testing.T) {
	t.Parallel()
	h := start(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	visitor, mei, ada := h.visitor(me, hello), h.agent("mei"), h.agent("ada")
	visitor.expect("welcome")
	mei.say(`{"t":"typing","conversation_id":"` + id.String() + `","on":true}`) // not followed: ignored
	for _, c := range []*rawClient{mei, ada} {
		c.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
		c.expect("done")
	}
	visitor.say(`{"t":"typing","on":true}`)
	for _, c := range []*rawClient{mei, ada} {
		if m := c.expect("typing"); m.str("from") != "visitor" || m.at("on") != true {
			t.Errorf("typing %v", m)
		}
	}
	for range 20 { // thinned out
		mei.say(`{"t":"typing","conversation_id":"` + id.String() + `","on":true}`)
	}
	mei.say(`{"t":"typing","conversation_id":"` + id.String() + `","on":false}`)
	for _, c := range []*rawClient{visitor, ada} {
		if m := c.expect("typing"); m.str("name") != "Mei" || m.at("on") != true {
			t.Errorf("typing %v", m)
		}
		if m := c.expect("typing"); m.at("on") != false {
			t.Errorf("second typing %v, want that it stopped", m)
		}
	}
	h.gw.Hub().QueuePosition(conversation.ContactKey{Inbox: "shop", Contact: me}, id, 3)
	if m := visitor.expect("queue.position"); m.num("position") != 3 {
		t.Errorf("queue position %v", m)
	}
	h.gw.Hub().Typing(TypingChange{Conversation: id, Inbox: "shop", Contact: me, From: conversation.PartyVisitor, On: true})
	ada.expect("typing")
}

// TestResumeRace reconnects and resumes while commits are being made, again
// and again. Over all connections every seq comes exactly once and in order.
func TestResumeRace(t *testing.T) { //nolint:tparallel // one after the other, against one stream
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.Missed, o.Limits.HardQueueBytes = 100_000, 8<<20 })
	const total = 3000
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	token := h.agentToken("mei")
	go func() {
		for i := range total {
			if i%3 == 0 {
				h.store.append(id, conversation.MessageAccepted{Text: "a"}, conversation.NoteAdded{Text: "n"}, conversation.ReplyComposed{Text: "b"})
			} else {
				h.store.append(id, conversation.MessageAccepted{Text: "x"})
			}
			if i%50 == 0 {
				<-time.After(time.Millisecond)
			}
		}
	}()
	last := conversation.Seq(1 + total + 2*total/3)
	hello := func(cursor int) string {
		return fmt.Sprintf(`{"t":"hello","v":1,"token":%q,"resume":{"epoch":"e1","cursors":{%q:%d}}}`, "%s", id, cursor)
	}
	t.Run("agent", func(t *testing.T) {
		for cursor := 0; cursor < int(last); {
			c := dialRaw(t, h.addr, "/v1/ws")
			c.say(fmt.Sprintf(hello(cursor), token))
			cursor = readOn(t, c, cursor, 1)
			_ = c.conn.Close()
		}
	})
	t.Run("visitor", func(t *testing.T) {
		for cursor := 0; cursor < int(last); {
			c := dialRaw(t, h.addr, "/v1/widget/ws")
			c.say(fmt.Sprintf(hello(cursor), h.visitorToken("shop", me)))
			cursor = readOn(t, c, cursor, 2)
			_ = c.conn.Close()
		}
	})
}

// readOn reads 200 events, or what there is, and gives the new cursor. step is
// how far apart two seqs may be: visitors do not get notes.
func readOn(t *testing.T, c *rawClient, cursor, step int) int {
	t.Helper()
	if m := c.next(); m.str("t") != "welcome" {
		t.Fatalf("first frame %v", m)
	}
	resumed := false
	for got := 0; got < 200; {
		m := c.next()
		switch m.str("t") {
		case "event":
			if n := m.num("seq"); n <= cursor || n > cursor+step {
				t.Fatalf("seq %d after %d", n, cursor)
			}
			cursor = m.num("seq")
			got++
		case "resumed":
			if m.at("complete") != true || resumed {
				t.Fatalf("resumed %v", m)
			}
			resumed = true
			if cursor == 5001 { // all of it
				return cursor
			}
		default:
			t.Fatalf("frame %v", m)
		}
		if cursor == 5001 && resumed {
			return cursor
		}
	}
	return cursor
}

// TestSubscribeRace does the same for subscribe, with several readers of one
// conversation on one gateway and reads of the journal that take their time.
func TestSubscribeRace(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.Missed, o.Limits.HardQueueBytes = 100_000, 8<<20 })
	id := h.store.start("shop", conversation.ContactID{1})
	h.store.mu.Lock()
	h.store.slowR = func() { <-time.After(2 * time.Millisecond) }
	h.store.mu.Unlock()
	const total = 600
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range total {
			h.store.append(id, conversation.MessageAccepted{Text: "x"})
			<-time.After(50 * time.Microsecond)
		}
	}()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := h.agent("mei")
			cursor := i % 2
			c.say(fmt.Sprintf(`{"t":"subscribe","conversation_id":%q,"after":%d}`, id, cursor))
			for want := cursor + 1; want <= total+1; want++ {
				if m := c.next(); m.num("seq") != want {
					t.Fatalf("seq %d, want %d", m.num("seq"), want)
				}
			}
		})
	}
	t.Cleanup(func() { <-done })
}

// TestNewConversationRace: a visitor connects while their first conversation
// begins. Whichever is first, they get it from its start.
func TestNewConversationRace(t *testing.T) {
	t.Parallel()
	h := start(t)
	for i := range 60 {
		contact := conversation.ContactID{byte(i), 77}
		token := h.visitorToken("shop", contact)
		c := dialRaw(t, h.addr, "/v1/widget/ws")
		go func() {
			_, _ = h.store.Deliver(context.Background(), conversation.Inbound{Inbox: "shop", Contact: contact, Text: "1"})
			_, _ = h.store.Deliver(context.Background(), conversation.Inbound{Inbox: "shop", Contact: contact, Text: "2"})
		}()
		c.say(`{"t":"hello","v":1,"token":"` + token + `"}`)
		w := c.expect("welcome")
		next := 1
		if w.at("conversation") != nil {
			next = w.num("conversation", "version") + 1
		}
		for ; next <= 3; next++ {
			if m := c.next(); m.num("seq") != next {
				t.Fatalf("round %d: seq %d, want %d (welcome %v)", i, m.num("seq"), next, w)
			}
		}
		_ = c.conn.Close()
	}
}

// TestOldCommitsAreNoNews: what the journal has shown before an agent subscribes
// without a cursor may still be on its way to the hub.
func TestOldCommitsAreNoNews(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	h.store.appendSilently(id, conversation.MessageAccepted{Text: "2"})
	mei := h.agent("mei")
	mei.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
	mei.expect("done")
	h.store.publishAgain(id)
	h.store.append(id, conversation.MessageAccepted{Text: "3"})
	if m := mei.expect("event"); m.num("seq") != 3 {
		t.Errorf("the first event has seq %d, want 3", m.num("seq"))
	}
}

// TestLostCommitIsFetched: a hole in the stream is filled from the journal.
func TestLostCommitIsFetched(t *testing.T) {
	t.Parallel()
	h := start(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	mei, visitor := h.agent("mei"), h.visitor(me, hello)
	visitor.expect("welcome")
	mei.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
	mei.expect("done")
	h.store.append(id, conversation.MessageAccepted{Text: "2"})
	h.store.appendSilently(id, conversation.MessageAccepted{Text: "3"})
	h.store.appendSilently(id, conversation.MessageAccepted{Text: "4"})
	h.store.append(id, conversation.MessageAccepted{Text: "5"})
	for _, c := range []*rawClient{mei, visitor} {
		for want := 2; want <= 5; want++ {
			if m := c.expect("event"); m.num("seq") != want {
				t.Errorf("seq %d, want %d", m.num("seq"), want)
			}
		}
	}
	h.gw.Hub().Lost()
	for _, c := range []*rawClient{mei, visitor} {
		if got := c.closeCode(); got != int(wire.CloseStale) {
			t.Errorf("closed with %d, want %d", got, wire.CloseStale)
		}
	}
}

func TestResets(t *testing.T) { //nolint:tparallel // the subtests share one gateway
	t.Parallel()
	h := start(t, func(o *Options) { o.Limits.Missed = 5 })
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	foreign := h.store.start("bank", conversation.ContactID{2})
	for range 9 {
		h.store.append(id, conversation.MessageAccepted{Text: "x"})
	}
	tests := []struct {
		name, epoch string
		id          conversation.ConversationID
		cursor      uint64
		reason      wire.ResetReason
	}{
		{"another epoch", "e0", id, 9, wire.ResetEpochChanged},
		{"too far behind", "e1", id, 1, wire.ResetTooFarBehind},
		{"from the future", "e1", id, 11, wire.ResetNotAvailable},
		{"far from the future", "e1", id, 1<<64 - 1, wire.ResetNotAvailable},
		{"foreign", "e1", foreign, 1, wire.ResetNotAvailable},
		{"unknown", "e1", conversation.ConversationID{0xee}, 1, wire.ResetNotAvailable},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			resume := fmt.Sprintf(`{"t":"hello","v":1,"resume":{"epoch":%q,"cursors":{%q:%d}}`, tc.epoch, tc.id, tc.cursor)
			agent := dialRaw(t, h.addr, "/v1/ws")
			agent.say(resume + `,"token":"` + h.agentToken("mei") + `"}`)
			for _, c := range []*rawClient{h.visitor(me, resume+"}"), agent} {
				c.expect("welcome")
				m := c.next()
				if m.str("t") != "reset" || m.str("reason") != string(tc.reason) {
					t.Errorf("%v, want reset %s", m, tc.reason)
				}
				if m := c.next(); m.str("t") != "resumed" || m.at("complete") != false {
					t.Errorf("%v, want resumed, incomplete", m)
				}
				if c != agent || tc.id == id && tc.reason == wire.ResetTooFarBehind {
					continue
				}
				agent.say(`{"t":"ping"}`)
				agent.expect("pong")
			}
		})
	}
	// Whoever was reset still gets what comes from now on.
	c := h.visitor(me, fmt.Sprintf(`{"t":"hello","v":1,"resume":{"epoch":"e1","cursors":{%q:1}}}`, id))
	c.expect("resumed")
	seq := h.store.append(id, conversation.MessageAccepted{Text: "new"})
	if m := c.expect("event"); m.num("seq") != int(seq) {
		t.Errorf("event %v, want seq %d", m, seq)
	}
}

// TestSessionsEnd: whatever takes an agent's rights away ends the connections.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		change func(*harness, string)
		code   wire.CloseCode
	}{
		"disabled": {func(h *harness, _ string) { h.changeAgent("mei", func(a *conversation.Agent) { a.Disabled = true }) }, wire.CloseForced},
		"inboxes": {func(h *harness, _ string) {
			h.changeAgent("mei", func(a *conversation.Agent) { a.Inboxes = []conversation.InboxID{"bank"} })
		}, wire.CloseStale},
		"token deleted": {func(h *harness, token string) { h.dropToken(token) }, wire.CloseForced},
		"agent is gone": {func(h *harness, _ string) { h.dir.mu.Lock(); delete(h.dir.agents, "mei"); h.dir.mu.Unlock() }, wire.CloseForced},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			token := h.agentToken("mei")
			c, other := dialRaw(t, h.addr, "/v1/ws"), h.agent("ada")
			c.say(`{"t":"hello","v":1,"token":"` + token + `"}`)
			c.expect("welcome")
			end.change(h, token)
			if got := c.closeCode(); got != int(end.code) {
				t.Errorf("closed with %d, want %d", got, end.code)
			}
			other.say(`{"t":"ping"}`)
			other.expect("pong")
		})
	}
}

func (h *harness) changeAgent(id conversation.AgentID, change func(*conversation.Agent)) {
	h.dir.mu.Lock()
	defer h.dir.mu.Unlock()
	a := h.dir.agents[id]
	change(&a)
	a.Version++
	h.dir.agents[id] = a
}

func (h *harness) dropToken(token string) {
	id, err := h.gw.checkBearer(token, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.dir.CredentialByHash(id.token)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.dir.DeleteCredential(context.Background(), c.ID); err != nil {
		h.t.Fatal(err)
	}
}

func TestPresence(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.agent("ada")
	ada.skip = ""
	mei := h.agent("mei")
	if m := ada.expect("presence"); m.str("agent") == "ada" {
		m = ada.expect("presence")
		if m.str("agent") != "mei" || m.str("state") != "online" {
			t.Errorf("presence %v", m)
		}
	}
	mei.say(`{"t":"presence","ref":"p","state":"away"}`)
	mei.expect("done")
	if m := ada.expect("presence"); m.str("agent") != "mei" || m.str("state") != "away" || m.str("name") != "Mei" {
		t.Errorf("presence %v", m)
	}
	if c := h.presence.last(); c.Agent != "mei" || c.Presence != conversation.PresenceAway || c.Capacity != conversation.DefaultCapacity || len(c.Inboxes) != 1 {
		t.Errorf("the queue was told %+v", c)
	}
	_ = mei.conn.Close()
	eventually(t, "one connection is left", func() bool { return len(h.gw.snapshot()) == 1 })
	h.gw.presences.sweep(h.gw, time.Now().Add(time.Second))
	if c := h.presence.last(); c.Presence != conversation.PresenceAway {
		t.Errorf("offline within the grace: %+v", c)
	}
	h.gw.presences.sweep(h.gw, time.Now().Add(presenceGrace+time.Second))
	if c := h.presence.last(); c.Agent != "mei" || c.Presence != conversation.PresenceOffline {
		t.Errorf("after the grace the queue was told %+v, want offline", c)
	}
}

// TestDrain: what is under way is answered, then everybody is sent away with
// a time to come back.
func TestDrain(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.hold = make(chan struct{})
	busy, idle := h.visitor(conversation.ContactID{1}, hello), h.agent("mei")
	busy.expect("welcome")
	busy.say(`{"t":"message.send","client_id":"m1","text":"x"}`)
	eventually(t, "the message is under way", func() bool {
		for _, c := range h.gw.snapshot() {
			if c.inFlight.Load() > 0 {
				return true
			}
		}
		return false
	})
	drained := make(chan error, 1)
	go func() { drained <- h.gw.Drain(context.Background(), 20*time.Second) }()
	for _, c := range []*rawClient{busy, idle} {
		if m := c.expect("reconnect"); m.num("after_ms") < 0 || m.num("after_ms") >= 20_000 {
			t.Errorf("reconnect %v", m)
		}
	}
	if _, resp := tryDial(t, h.addr, "/v1/widget/ws"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a new connection while draining = %d, want 503", resp.StatusCode)
	}
	close(h.store.hold)
	busy.expect("ack")
	for _, c := range []*rawClient{busy, idle} {
		if got := c.closeCode(); got != int(wire.CloseDrain) {
			t.Errorf("closed with %d, want %d", got, wire.CloseDrain)
		}
		_ = c.conn.Close()
	}
	select {
	case err := <-drained:
		if err != nil {
			t.Errorf("Drain = %v", err)
		}
	case <-time.After(patience):
		t.Error("Drain does not end")
	}
	if n := len(h.gw.snapshot()); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// TestDrainCutsOff: who does not go is cut off when the time is over.
func TestDrainCutsOff(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.store.hold = make(chan struct{})
	c := h.visitor(conversation.ContactID{1}, hello)
	c.expect("welcome")
	c.say(`{"t":"message.send","client_id":"m1","text":"x"}`)
	eventually(t, "the message is under way", func() bool { return h.gw.snapshot()[0].inFlight.Load() > 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.gw.Drain(ctx, 0); err == nil {
		t.Error("Drain ended well with an answer outstanding")
	}
	c.gone()
	close(h.store.hold)
}
