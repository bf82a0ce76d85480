package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
)

// Options say who answers.
type Options struct {
	Packs   []string
	Dir     string                // of the operator's own packs; empty = the built-in ones only
	Vars    map[string]string     // variables of the inbox
	Policy  conversation.Policy   // of the inbox
	Orders  *Orders               // what look-ups find; nil = look-ups are off, as in an inbox without an address for them
	Visitor int                   // visitors who talk at once; zero = two a processor
	Logger  *slog.Logger          // nil = nothing is logged
	House   func(*engine.Options) // changes the node before it opens; nil = nobody does. For tests
}

// The bounds of a replay.
const (
	answerWithin = 30 * time.Second // for one message; a turn that takes longer ends the replay
	stopWithin   = 2 * time.Second
	cacheBytes   = 16 << 20
	pageOfLog    = 256
)

// House is a node in this process, with one inbox for each visitor who talks at
// once, so that what their look-ups ask can be told apart. It writes only below
// a temporary folder, which Close removes.
type House struct {
	o      Options
	dir    string
	engine *engine.Engine
	ended  chan error
	cancel context.CancelFunc
	stub   *http.Server
	desks  []*desk
}

// Open starts a node with its packs trained. It must be closed.
//
// Errors: packs with mistakes or that are not there; a flow whose address is
// fixed in the pack and cannot be stubbed.
func Open(ctx context.Context, o Options) (*House, error) {
	if o.Visitor <= 0 {
		o.Visitor = 2 * runtime.GOMAXPROCS(0)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &House{o: o, ended: make(chan error, 1)}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *House) open(ctx context.Context) error {
	var err error
	if h.dir, err = os.MkdirTemp("", "colloquy-dialogues-"); err != nil {
		return err
	}
	c := engine.DefaultConfig()
	c.DataDir, c.Listen, c.OpsListen = h.dir, "127.0.0.1:0", ""
	c.Packs.Dir = h.o.Dir
	c.ShutdownGrace = stopWithin
	c.Egress.AllowedCIDRs = []string{"127.0.0.1/32"}
	c.Journal = engine.JournalConfig{CacheBytes: cacheBytes, MemTableBytes: cacheBytes}
	options := engine.Options{Config: c, Logger: h.o.Logger}
	if h.o.House != nil {
		h.o.House(&options)
	}
	if h.engine, err = engine.NewContext(ctx, options); err != nil {
		return err
	}
	if err := h.engine.Library().Prepare(ctx, h.o.Packs); err != nil {
		return err
	}
	base, err := h.serveDesks(ctx)
	if err != nil {
		return err
	}
	for i := range h.o.Visitor {
		if err := h.putInbox(ctx, i, base); err != nil {
			return err
		}
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	go func() { h.ended <- h.engine.Run(run) }()
	select {
	case <-h.engine.Ready():
		return nil
	case err := <-h.ended:
		h.ended <- nil // Close waits for it
		return fmt.Errorf("the node ended: %w", err)
	}
}

// serveDesks serves the stubbed look-ups on loopback.
func (h *House) serveDesks(ctx context.Context) (base string, err error) {
	if h.o.Orders == nil {
		return "", nil
	}
	mux := http.NewServeMux()
	for i := range h.o.Visitor {
		d := &desk{orders: h.o.Orders}
		h.desks = append(h.desks, d)
		mux.Handle(fmt.Sprintf("/%d/", i), d)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	h.stub = &http.Server{Handler: mux, ReadHeaderTimeout: answerWithin, ErrorLog: slog.NewLogLogger(h.o.Logger.Handler(), slog.LevelWarn)}
	go func() { _ = h.stub.Serve(l) }() // ends by Close
	return "http://" + l.Addr().String(), nil
}

func inboxID(visitor int) conversation.InboxID {
	return conversation.InboxID(fmt.Sprintf("replay-%d", visitor))
}

// putInbox makes the inbox of a visitor. The base address of every flow is the
// visitor's desk or, without records, empty: a replay asks nobody else.
func (h *House) putInbox(ctx context.Context, visitor int, base string) error {
	vars := map[string]string{}
	maps.Copy(vars, h.o.Vars)
	flows, err := h.engine.Library().Flows(h.o.Packs)
	if err != nil {
		return err
	}
	for _, f := range flows {
		name, _, ok := strings.Cut(strings.TrimPrefix(f.URL, "{"), "}")
		if !ok || !strings.HasPrefix(f.URL, "{") {
			return conversation.Refusef(conversation.CodeInvalid,
				"flow %s: its address is fixed in the pack, so it cannot be stubbed; let it begin with a variable, such as {shop_api}", f.Name)
		}
		vars[name] = ""
		if base != "" {
			vars[name] = fmt.Sprintf("%s/%d", base, visitor)
		}
	}
	policy := h.o.Policy
	// What the bot would say is to be measured, whatever the packs have proven.
	policy.Answers = conversation.AnswersOn
	_, err = h.engine.Store().PutInbox(ctx, conversation.Inbox{
		ID: inboxID(visitor), Name: string(inboxID(visitor)), Lang: "zh", Packs: h.o.Packs, Vars: vars, Policy: policy,
	})
	return err
}

// Close stops the node and removes its folder.
func (h *House) Close() error {
	var err error
	switch {
	case h.cancel != nil:
		h.cancel()
		err = <-h.ended
	case h.engine != nil:
		h.engine.Close()
	}
	if h.stub != nil {
		err = errors.Join(err, h.stub.Close())
	}
	if h.dir != "" {
		err = errors.Join(err, os.RemoveAll(h.dir))
	}
	return err
}

// Knows reports whether the packs have an intent.
func (h *House) Knows(intent string) bool {
	_, ok := h.engine.Library().Playbook(h.o.Packs, intent, "en")
	return ok
}

// Replay reads dialogues from r and holds them, several at once. The result is
// the same for the same packs, dialogues and records.
//
// Errors: those of [Read]; a message that is refused or not answered in time.
func (h *House) Replay(ctx context.Context, r io.Reader, domain string) (*Report, error) {
	dialogues, err := Read(r, domain, h.Knows)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	outcomes, err := h.hold(ctx, dialogues)
	if err != nil {
		return nil, err
	}
	report := newReport(outcomes)
	report.Packs, report.Seconds = h.o.Packs, time.Since(began).Seconds()
	return report, nil
}

// hold gives the outcomes in the order of the dialogues.
func (h *House) hold(ctx context.Context, dialogues []Dialogue) ([]Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]Outcome, len(dialogues))
	next := make(chan int)
	var visitors sync.WaitGroup
	for v := range h.o.Visitor {
		visitors.Go(func() {
			for i := range next {
				var err error
				if out[i], err = h.talk(ctx, v, &dialogues[i]); err != nil {
					cancel(fmt.Errorf("line %d, dialogue %s: %w", dialogues[i].line, dialogues[i].ID, err))
				}
			}
		})
	}
	for i := range dialogues {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	visitors.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

// talk holds one dialogue.
func (h *House) talk(ctx context.Context, visitor int, d *Dialogue) (Outcome, error) {
	t := &talk{h: h, inbox: inboxID(visitor), contact: conversation.NewContactID(time.Now()), state: &conversation.State{}}
	if h.desks != nil {
		t.desk = h.desks[visitor]
		t.desk.take()
	}
	out := newOutcome(d)
	for i, turn := range d.Turns {
		said, err := t.say(ctx, turn.Visitor)
		if err != nil {
			return out, fmt.Errorf("turn %d: %w", i+1, err)
		}
		out.add(&turn, said)
	}
	out.settle()
	return out, nil
}

// talk is a dialogue under way.
type talk struct {
	h       *House
	inbox   conversation.InboxID
	contact conversation.ContactID
	desk    *desk
	state   *conversation.State // as the journal tells it
}

// said is what a message led to.
type said struct {
	before, after conversation.Dialogue
	bot           bool // had the conversation when the message came
	events        []conversation.Event
	lookups       []Lookup
}

// say sends a message and reads what the journal has of its turn.
func (t *talk) say(ctx context.Context, text string) (*said, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	s := &said{before: t.state.Clone().Dialogue, bot: !t.state.Started() || t.state.Status == conversation.StatusPending}
	r, err := t.h.engine.Actors().Deliver(ctx, conversation.Inbound{
		Inbox: t.inbox, Channel: conversation.ChannelWeb, Contact: t.contact, Text: conversation.Text(text), Wait: answerWithin,
	})
	if err != nil {
		return nil, err
	}
	if r.Conversation != t.state.ID {
		t.state = &conversation.State{ID: r.Conversation}
	}
	for {
		entries, err := t.h.engine.Store().Entries(ctx, r.Conversation, t.state.Version, pageOfLog)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			t.state.Apply(e)
			s.events = append(s.events, e.Event)
		}
		if len(entries) < pageOfLog {
			break
		}
	}
	if s.bot && t.state.LastTurn < r.Seq {
		return nil, fmt.Errorf("the bot did not answer within %v", answerWithin)
	}
	s.after = t.state.Clone().Dialogue
	if t.desk != nil {
		s.lookups = t.desk.take()
	}
	return s, nil
}
