package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
)

// rig is an engine among fakes, with a real actor system and gate.
type rig struct {
	tb        testing.TB
	journal   *memory
	script    *script
	shelf     *shelf
	directory *directory
	post      *post
	reg       *prometheus.Registry
	system    *actor.ActorSystem
	engine    *Engine
	options   func(*Options)

	running sync.WaitGroup
	cancel  context.CancelFunc
	ended   bool
}

// inBubble runs a test on fake time: clocks move only when everybody waits.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Registered first, runs last: the actor library's throttle of dead
		// letters ends a second of fake time after the last of them.
		t.Cleanup(func() { time.Sleep(2 * time.Second) })
		test(t)
	})
}

func newRig(tb testing.TB, options func(*Options)) *rig {
	tb.Helper()
	r := &rig{
		tb: tb, journal: newMemory(), script: newScript(), shelf: newShelf(), directory: newDirectory(),
		post: &post{}, options: options,
	}
	r.start()
	tb.Cleanup(r.stop)
	return r
}

// start makes an engine on the rig's journal.
func (r *rig) start() {
	r.tb.Helper()
	log := slog.New(slog.DiscardHandler)
	r.system, r.reg, r.ended = cluster.NewSystem(log), prometheus.NewRegistry(), false
	o := Options{
		System: r.system, Journal: r.journal, Index: r.journal, Lists: r.journal, Directory: r.directory,
		Classifier: r.script, Library: r.shelf, Sender: r.post, HTTP: http.DefaultClient, Key: make([]byte, 32),
		Logger: log, Registerer: r.reg,
	}
	if r.options != nil {
		r.options(&o)
	}
	var err error
	if r.engine, err = New(o); err != nil {
		r.tb.Fatal(err)
	}
	r.journal.mu.Lock()
	r.journal.watch = r.engine.Committed
	r.journal.mu.Unlock()
}

// run starts the engine's own work: clocks, courier, recovery.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	e := r.engine
	r.running.Go(func() { _ = e.Run(ctx) })
}

// stop puts the engine to rest in an orderly way.
func (r *rig) stop() {
	if r.ended {
		return
	}
	r.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.engine.Stop(ctx); err != nil {
		r.tb.Errorf("Stop = %v", err)
	}
	r.end()
}

func (r *rig) end() {
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
	r.running.Wait()
	r.system.Shutdown()
}

// restart makes another engine on the same journal, after an orderly stop.
func (r *rig) restart() {
	r.tb.Helper()
	r.stop()
	r.start()
}

// anna is a visitor of the inbox "shop".
func anna(text string) conversation.Inbound {
	return conversation.Inbound{
		Inbox: "shop", Channel: conversation.ChannelWeb, Contact: conversation.ContactID{1, 15: 7}, Text: conversation.Text(text),
	}
}

// with gives an inbound message a ref and a wait.
func with(in conversation.Inbound, ref string, wait time.Duration) conversation.Inbound {
	in.Ref, in.Wait = conversation.Ref(ref), wait
	return in
}

// say delivers a message that must be accepted, and waits for the reply.
func (r *rig) say(text string) conversation.Receipt {
	r.tb.Helper()
	return r.deliver(with(anna(text), "", time.Minute))
}

func (r *rig) deliver(in conversation.Inbound) conversation.Receipt {
	r.tb.Helper()
	got, err := r.engine.Deliver(context.Background(), in)
	if err != nil {
		r.tb.Fatalf("Deliver(%q) = %v", in.Text, err)
	}
	return got
}

// do gives a command that must be accepted.
func (r *rig) do(id conversation.ConversationID, cmd conversation.Command) conversation.Receipt {
	r.tb.Helper()
	got, err := r.engine.Do(context.Background(), id, cmd)
	if err != nil {
		r.tb.Fatalf("Do(%T) = %v", cmd, err)
	}
	return got
}

// texts gives what was replied.
func texts(receipt conversation.Receipt) []string {
	var out []string
	for _, m := range receipt.Replies {
		out = append(out, string(m.Text))
	}
	return out
}

// said checks the replies of a receipt.
func said(tb testing.TB, receipt conversation.Receipt, want ...string) {
	tb.Helper()
	if got := texts(receipt); strings.Join(got, "|") != strings.Join(want, "|") {
		tb.Errorf("replies = %q, want %q", got, want)
	}
}

// metric adds up a metric family, over the children whose labels hold all of
// the wanted values.
func (r *rig) metric(name string, labels ...string) float64 {
	r.tb.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := map[string]bool{}
			for _, l := range m.GetLabel() {
				have[l.GetValue()] = true
			}
			all := true
			for _, l := range labels {
				all = all && have[l]
			}
			if all {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

// script is a classifier that knows what each text means.
type script struct {
	mu     sync.Mutex
	scenes map[conversation.Text]*scene
	asked  []conversation.Utterance
}

// scene is how one text is classified.
type scene struct {
	pred    conversation.Prediction
	err     error
	panics  bool
	hangs   bool          // until ctx ends
	release chan struct{} // blocks until closed, when set
}

func newScript() *script { return &script{scenes: map[conversation.Text]*scene{}} }

// on says what a text means.
func (s *script) on(text string, sc scene) *scene {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scenes[conversation.Text(text)] = &sc
	return &sc
}

// means makes a text understood as an intent, with entities as name, value pairs.
func (s *script) means(text, intent string, entities ...string) {
	p := conversation.Prediction{Lang: "en", Model: "m1", Candidates: []conversation.Candidate{{Intent: intent, Confidence: 0.97}}}
	for i := 0; i+1 < len(entities); i += 2 {
		p.Entities = append(p.Entities, conversation.Entity{Name: entities[i], Value: entities[i+1]})
	}
	s.on(text, scene{pred: p})
}

// blocks makes a text understood as an intent, but only once the returned
// channel is closed.
func (s *script) blocks(text, intent string) chan struct{} {
	s.means(text, intent)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	s.scenes[conversation.Text(text)].release = c
	return c
}

// Predict implements [Classifier].
func (s *script) Predict(ctx context.Context, u *conversation.Utterance, p *conversation.Prediction) error {
	s.mu.Lock()
	s.asked = append(s.asked, *u)
	sc := s.scenes[u.Text]
	s.mu.Unlock()
	if sc == nil {
		p.Lang = "en"
		return nil
	}
	if sc.release != nil {
		<-sc.release
	}
	if sc.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if sc.panics {
		panic("a classifier's private matter")
	}
	*p = sc.pred
	return sc.err
}

// shelf is a library with one pack.
type shelf struct {
	mu        sync.Mutex
	playbooks map[string]*conversation.Playbook
	slots     map[string]conversation.Slot
	values    map[string]func(string) (string, bool)
	phrases   map[string]string
}

func newShelf() *shelf {
	digits := func(text string) (string, bool) {
		for word := range strings.FieldsSeq(text) {
			if strings.Trim(word, "0123456789") == "" {
				return word, true
			}
		}
		return "", false
	}
	order := conversation.Slot{Name: "order", Ask: "Which order?"}
	return &shelf{
		playbooks: map[string]*conversation.Playbook{
			"hours":  {Intent: "hours", Title: "Opening hours", Answer: "We open at {opens}.", Variables: map[string]string{"opens": "nine"}},
			"refund": {Intent: "refund", Title: "Refunds", Answer: "Refund for {order}.", Need: []conversation.Slot{order}},
			"human":  {Intent: "human", Title: "A human", Answer: "Somebody will look at it.", Handover: true, Priority: conversation.PriorityHigh},
		},
		slots:  map[string]conversation.Slot{"order": order},
		values: map[string]func(string) (string, bool){"order": digits},
		phrases: map[string]string{
			phraseFallback: "Sorry, what?", phraseClarify: "Did you mean:", phraseHandover: "I am calling a colleague.",
			phraseAskAgain: "That was no number.", phraseBotFailed: "Something broke, a human comes.", phraseNone: "None of these",
		},
	}
}

// Playbook implements [Library].
func (s *shelf) Playbook(packs []string, intent, _ string) (*conversation.Playbook, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.playbooks[intent]
	return p, ok && len(packs) > 0
}

// Slot implements [Library].
func (s *shelf) Slot(packs []string, name, _ string) (conversation.Slot, bool) {
	slot, ok := s.slots[name]
	return slot, ok && len(packs) > 0
}

// SlotValue implements [Library].
func (s *shelf) SlotValue(packs []string, name string, text conversation.Text) (string, bool) {
	read := s.values[name]
	if read == nil || len(packs) == 0 {
		return "", false
	}
	return read(string(text))
}

// Phrase implements [Library].
func (s *shelf) Phrase(_ []string, name, _ string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phrases[name]
}

// directory holds inboxes.
type directory struct {
	mu      sync.Mutex
	inboxes map[conversation.InboxID]conversation.Inbox
}

func newDirectory() *directory {
	d := &directory{inboxes: map[conversation.InboxID]conversation.Inbox{}}
	d.put(conversation.Inbox{ID: "shop", Lang: "en", Packs: []string{"base"}})
	d.put(conversation.Inbox{ID: "desk", Lang: "en"})
	return d
}

func (d *directory) put(i conversation.Inbox) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inboxes[i.ID] = i
}

// change edits an inbox.
func (d *directory) change(id conversation.InboxID, edit func(*conversation.Inbox)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.inboxes[id]
	edit(&i)
	d.inboxes[id] = i
}

// Inbox implements [Directory].
func (d *directory) Inbox(id conversation.InboxID) (conversation.Inbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.inboxes[id]
	if !ok {
		return i, conversation.Refusef(conversation.CodeNotFound, "no inbox %s", id)
	}
	return i, nil
}

// Inboxes implements [Directory].
func (d *directory) Inboxes() []conversation.Inbox {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []conversation.Inbox
	for _, i := range d.inboxes {
		out = append(out, i)
	}
	return out
}

// post is a sender that remembers what it was given.
type post struct {
	mu   sync.Mutex
	sent []posted
	send func(out conversation.Outbound, attempt int) Attempt // nil = sent

	merge func(rows []conversation.Outbound) (conversation.Outbound, int) // nil = everything goes by itself
}

type posted struct {
	out     conversation.Outbound
	attempt int
	at      time.Time
}

// by sets how sends end from now on.
func (p *post) by(send func(out conversation.Outbound, attempt int) Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send = send
}

// Send implements [Sender].
func (p *post) Send(_ context.Context, out conversation.Outbound, attempt int, _ time.Time) Attempt {
	p.mu.Lock()
	p.sent = append(p.sent, posted{out, attempt, time.Now()})
	send := p.send
	p.mu.Unlock()
	if send == nil {
		return Attempt{Result: conversation.DeliverySent, ProviderID: "p"}
	}
	return send(out, attempt)
}

// Merge implements [Sender]: everything goes by itself, unless the test says
// otherwise.
func (p *post) Merge(rows []conversation.Outbound) (conversation.Outbound, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.merge == nil {
		return rows[0], 1
	}
	return p.merge(rows)
}

// tries lists the sends so far as "text#attempt".
func (p *post) tries() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, s := range p.sent {
		out = append(out, fmt.Sprintf("%s#%d", s.out.Text, s.attempt))
	}
	return out
}

// errDown is a journal that takes nothing now.
var errDown = conversation.Refuse(conversation.CodeUnavailable, "down")

// errMaybe is a journal that cannot say whether it took something.
var errMaybe = conversation.Refuse(conversation.CodeUnknownOutcome, "perhaps")

func TestTheFakeJournalKeepsTheContract(t *testing.T) {
	t.Parallel()
	m, ctx := newMemory(), context.Background()
	id := conversation.ConversationID{1}
	started := conversation.ConversationStarted{Inbox: "shop", Status: conversation.StatusPending}
	one := func(epoch uint64, expect conversation.Seq) error {
		return m.Append(ctx, &conversation.Append{ID: id, Epoch: epoch, Expect: expect, Entries: []conversation.Entry{{Seq: expect + 1, Event: started}}})
	}
	first, _ := m.Claim(ctx, id)
	second, _ := m.Claim(ctx, id)
	if err := one(first, 0); conversation.CodeOf(err) != conversation.CodeFenced {
		t.Errorf("append of an older claim = %v, want fenced", err)
	}
	if err := one(second, 1); !errors.Is(err, conversation.ErrConflict) {
		t.Errorf("append at another version = %v, want class conflict", err)
	}
	if err := one(second, 0); err != nil {
		t.Fatal(err)
	}
	s, err := m.Load(ctx, id)
	if err != nil || s.Version != 1 || s.Inbox != "shop" || m.count() != 1 {
		t.Errorf("Load = %+v, %v after %d appends, want version 1", s, err, m.count())
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.say("hello")
		problems, err := testutil.GatherAndLint(r.reg)
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		for _, name := range []string{
			"colloquy_messages_accepted_total", "colloquy_turn_duration_seconds", "colloquy_handovers_total",
			"colloquy_behavior_runs_total", "colloquy_append_failures_total", "colloquy_deliveries_total",
		} {
			if n, err := testutil.GatherAndCount(r.reg, name); err != nil || n < 2 {
				t.Errorf("%s has %d series before anything happened, %v", name, n, err)
			}
		}
	})
}
