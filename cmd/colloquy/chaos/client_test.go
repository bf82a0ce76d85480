package chaos

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// testWait is how long a test waits for anything.
const testWait = time.Minute

// shop is one conversation that several doors lead to: the cluster as far as the
// clients of these tests can tell.
type shop struct {
	id conversation.ConversationID
	mu struct {
		sync.Mutex
		log []string // ids of messages, by seq
	}
}

// store keeps a message once and gives its seq; fresh says that it is new.
func (s *shop) store(ref string) (seq conversation.Seq, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, known := range s.mu.log {
		if known == ref {
			return conversation.Seq(i + 1), false
		}
	}
	s.mu.log = append(s.mu.log, ref)
	return conversation.Seq(len(s.mu.log)), true
}

func (s *shop) after(cursor conversation.Seq) map[conversation.Seq]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[conversation.Seq]string{}
	for i, ref := range s.mu.log {
		if seq := conversation.Seq(i + 1); seq > cursor {
			out[seq] = ref
		}
	}
	return out
}

// door is a node of the test: it speaks the protocol and misbehaves as told.
type door struct {
	gws.BuiltinEventHandler

	shop   *shop
	misact func(ref string) mischief
}

// mischief is what a door does with a message.
type mischief int

const (
	serveWell      mischief = iota
	storeAndDie             // the acknowledgement is lost
	swallow                 // nothing ever comes
	refuseForNow            // try again
	refuseForever           // never
	acknowledgeTwo          // and names another seq the second time
)

func (d *door) OnMessage(c *gws.Conn, m *gws.Message) {
	var f struct {
		T        string `json:"t"`
		ClientID string `json:"client_id"`
		Text     string `json:"text"`
		Resume   struct {
			Cursors map[string]conversation.Seq `json:"cursors"`
		} `json:"resume"`
	}
	if json.Unmarshal(m.Bytes(), &f) != nil {
		return
	}
	_ = m.Close()
	switch f.T {
	case "hello":
		d.send(c, map[string]any{"t": "welcome", "epoch": "e"})
		cursor := f.Resume.Cursors[d.shop.id.String()]
		missed := d.shop.after(cursor)
		for seq := cursor + 1; missed[seq] != ""; seq++ {
			d.show(c, seq, missed[seq])
		}
		d.send(c, map[string]any{"t": "resumed", "complete": true})
	case "message.send":
		d.onSend(c, f.ClientID)
	}
}

func (d *door) onSend(c *gws.Conn, ref string) {
	refuse := func(status int) {
		d.send(c, map[string]any{"t": "error", "ref": ref, "problem": map[string]any{"code": "unavailable", "status": status}})
	}
	what := serveWell
	if d.misact != nil {
		what = d.misact(ref)
	}
	switch what {
	case swallow:
	case refuseForNow:
		refuse(503)
	case refuseForever:
		refuse(400)
	case storeAndDie:
		d.shop.store(ref)
		_ = c.NetConn().Close()
	case serveWell, acknowledgeTwo:
		seq, fresh := d.shop.store(ref)
		if fresh {
			d.show(c, seq, ref)
		}
		ack := map[string]any{"t": "ack", "client_id": ref, "conversation_id": d.shop.id, "seq": seq, "durable": true}
		d.send(c, ack)
		if what == acknowledgeTwo {
			ack["seq"] = seq + 1
			d.send(c, ack)
		}
	}
}

func (d *door) show(c *gws.Conn, seq conversation.Seq, ref string) {
	d.send(c, map[string]any{
		"t": "event", "conversation_id": d.shop.id, "seq": seq, "type": conversation.MessageAccepted{}.Kind(),
		"data": map[string]any{"text": "text", "client_id": ref},
	})
}

func (*door) send(c *gws.Conn, frame any) {
	raw, err := json.Marshal(frame)
	if err == nil {
		_ = c.WriteMessage(gws.OpcodeText, raw)
	}
}

// open gives the address of a door.
func (d *door) open(t *testing.T) string {
	t.Helper()
	upgrader := gws.NewUpgrader(d, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// newTestVisitor makes a visitor who goes to the first address first.
func newTestVisitor(addrs ...string) *visitor {
	r := &roster{}
	for _, a := range addrs {
		r.add(a)
	}
	return &visitor{client: client{
		author: author{visitorRole, 1}, ledger: newLedger(time.Now()), roster: r, random: rand.New(rand.NewPCG(1, 1)),
		think: 5 * time.Millisecond, at: addrs[0],
	}}
}

// visit lets a visitor write until enough is acknowledged, and settle.
func visit(t *testing.T, v *visitor, enough int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	quiet, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		v.run(ctx, quiet)
	}()
	for {
		if _, acked := v.ledger.progress(); acked >= enough {
			break
		}
		if pause(ctx, time.Millisecond); ctx.Err() != nil {
			t.Fatal("not enough was acknowledged in time")
		}
	}
	close(quiet)
	<-ended
	if ctx.Err() != nil {
		t.Fatal("the visitor did not come to an end")
	}
}

// A visitor whose node loses an answer, says nothing or refuses for the moment
// finds another node and sends the same message again, before anything newer.
func TestVisitorFailsOver(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]mischief{"lost": storeAndDie, "silent": swallow, "refused": refuseForNow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shop{id: conversation.ConversationID{1}}
			bad := &door{shop: s, misact: func(ref string) mischief {
				if strings.HasSuffix(ref, "-3") {
					return what
				}
				return serveWell
			}}
			v := newTestVisitor(bad.open(t), (&door{shop: s}).open(t))
			visit(t, v, 10)
			var log []conversation.Entry
			for i, ref := range s.mu.log {
				if want := v.author.ref(i); ref != want {
					t.Fatalf("message %d is %s, want %s", i, ref, want)
				}
				log = append(log, conversation.Entry{Seq: conversation.Seq(i + 1), Event: conversation.MessageAccepted{Text: "text"}})
			}
			for _, o := range v.ledger.all() {
				if o.acked == 0 || o.place.seq != conversation.Seq(o.number+1) || len(o.conflict) > 0 {
					t.Errorf("operation %+v", o)
				}
			}
			if f := v.view.compare(v.view.due(log)); f != (viewFaults{}) || v.reconnects == 0 {
				t.Errorf("view %+v, %d reconnects", f, v.reconnects)
			}
		})
	}
}

// A message that is refused for good is given up, and counted.
func TestVisitorGivesUp(t *testing.T) {
	t.Parallel()
	s := &shop{id: conversation.ConversationID{1}}
	v := newTestVisitor((&door{shop: s, misact: func(ref string) mischief {
		if ref == "v1-2" {
			return refuseForever
		}
		return serveWell
	}}).open(t))
	visit(t, v, 5)
	for _, o := range v.ledger.all() {
		if (o.number == 2) != o.given || o.given == (o.acked > 0) {
			t.Errorf("operation %+v", o)
		}
	}
	if v.refusals["unavailable"] != 1 {
		t.Errorf("refusals %v", v.refusals)
	}
}

// Two answers that disagree are both in the ledger.
func TestVisitorNotesAnswersThatDisagree(t *testing.T) {
	t.Parallel()
	s := &shop{id: conversation.ConversationID{1}}
	v := newTestVisitor((&door{shop: s, misact: func(ref string) mischief {
		if ref == "v1-2" {
			return acknowledgeTwo
		}
		return serveWell
	}}).open(t))
	visit(t, v, 6)
	for _, o := range v.ledger.all() {
		if (o.number == 2) != (len(o.conflict) == 1) {
			t.Errorf("operation %+v", o)
		}
	}
}

func TestRosterAvoids(t *testing.T) {
	t.Parallel()
	r := &roster{}
	random := rand.New(rand.NewPCG(1, 1))
	if got := r.pick(random, "x"); got != "x" {
		t.Errorf("an empty roster gives %q", got)
	}
	for _, a := range []string{"a", "b", "c", "a"} {
		r.add(a)
	}
	seen := map[string]bool{}
	for range 100 {
		seen[r.pick(random, "b")] = true
	}
	if seen["b"] || !seen["a"] || !seen["c"] {
		t.Errorf("picked %v", seen)
	}
	r.remove("a")
	r.remove("c")
	if got := r.pick(random, "b"); got != "b" {
		t.Errorf("the only one left is %q", got)
	}
}

// A sender tries nodes until one takes the message, always with the same id.
func TestSenderRepeats(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	refs := map[string]int{}
	serve := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var b struct{ ID string }
			_ = json.NewDecoder(r.Body).Decode(&b)
			mu.Lock()
			refs[b.ID]++
			mu.Unlock()
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"conversation_id": conversation.ConversationID{1}, "seq": 5, "code": "invalid"})
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	post := func(addrs ...string) (*sender, *operation) {
		v := newTestVisitor(addrs...)
		s := &sender{client: v.client, http: newHTTPClient()}
		s.author = author{webhookRole, len(addrs)}
		o := s.write(time.Now(), nil)
		ctx, cancel := context.WithTimeout(t.Context(), testWait)
		defer cancel()
		s.deliver(ctx, o)
		return s, o
	}
	if _, o := post(serve(503), serve(202)); o.acked == 0 || o.place.seq != 5 || refs[o.ref()] != 2 {
		t.Errorf("operation %+v after %v attempts", o, refs)
	}
	if s, o := post(serve(400)); o.acked != 0 || !o.given || s.refusals["invalid"] != 1 {
		t.Errorf("operation %+v, refusals %v", o, s.refusals)
	}
}

// What an agent does, frame by frame.
func TestAgentWorksThroughAConversation(t *testing.T) {
	t.Parallel()
	id := conversation.ConversationID{7}
	a := &agent{
		client: client{author: author{agentRole, 1}, ledger: newLedger(time.Now()), random: rand.New(rand.NewPCG(1, 1)), think: time.Millisecond},
		id:     "agent-1", desks: map[conversation.ConversationID]*desk{},
	}
	quiet := make(chan struct{})
	updated := &lab.Frame{T: "event", Kind: updatedKind, ID: id.String(), Seq: 5}
	updated.Data.Status, updated.Data.Queue = conversation.StatusOpen, conversation.QueueQueued
	a.take(nil, updated, quiet)
	d := a.desks[id]
	if d == nil || d.phase != claiming {
		t.Fatalf("desk %+v", d)
	}
	a.take(nil, &lab.Frame{T: "done", Ref: "claim:" + id.String(), Version: 6}, quiet)
	if d.phase != opening || d.view == nil || d.view.from != 6 {
		t.Fatalf("desk %+v after the claim", d)
	}
	a.take(nil, &lab.Frame{T: "event", Kind: "turn.completed", ID: id.String(), Seq: 7}, quiet)
	a.take(nil, &lab.Frame{T: "done", Ref: "open:" + id.String()}, quiet)
	if d.phase != talking || d.view.cursor != 7 {
		t.Fatalf("desk %+v after it was opened", d)
	}
	d.replies = 1
	d.reply = a.write(time.Now(), d.view)
	a.take(nil, &lab.Frame{T: "ack", ClientID: d.reply.ref(), ID: id.String(), Seq: 8, Arrived: time.Now()}, quiet)
	if d.phase != resolving || d.reply != nil {
		t.Fatalf("desk %+v after the reply", d)
	}
	a.take(nil, &lab.Frame{T: "done", Ref: "resolve:" + id.String()}, quiet)
	if len(a.desks) != 0 || len(a.views) != 1 || a.ledger.all()[0].place != (place{id, 8}) || a.ledger.all()[0].saw.seq != 7 {
		t.Errorf("desks %v, views %v, operation %+v", a.desks, a.views, a.ledger.all()[0])
	}
}
