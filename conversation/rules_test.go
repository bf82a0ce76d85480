package conversation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// secret stands in every text of the random runs. It must never turn up in a
// refusal, because refusals are logged.
const secret = "sesame"

// TestRulesHold plays random commands of several agents, a visitor, a bot and
// a courier against one conversation, and checks after each of them what must
// hold always.
func TestRulesHold(t *testing.T) {
	t.Parallel()
	for run := range 4 {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			if run > 0 && testing.Short() {
				t.Skip("one run is enough for a look")
			}
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld(t)
				actions := w.actions()
				actions[""] = w.check
				t.Repeat(actions)
				w.finish(t)
			})
		})
	}
}

// TestActionsCoverEveryCommand keeps the random runs complete.
func TestActionsCoverEveryCommand(t *testing.T) {
	t.Parallel()
	w := &world{}
	for _, name := range declaredWith(t, "command.go", "command") {
		if _, ok := w.actions()[name]; !ok {
			t.Errorf("no random run ever sends %s", name)
		}
	}
}

// world is a conversation under random commands, and what the test remembers
// of it to compare with.
type world struct {
	*shell
	origin Origin

	refs     map[Ref]Seq // where each sender's id was stored first
	messages []Seq       // visitor messages, replies and notes
	marks    [3]Seq      // read by the visitor, by agents, delivered
	from     *State      // a snapshot from somewhere on the way, kept up by the entries after it
	snapAt   Seq
}

func newWorld(t *rapid.T) *world {
	w := &world{shell: newShell(ConversationID{1}), refs: map[Ref]Seq{}}
	w.origin = Origin{
		ID: w.state.ID, Inbox: "shop", Contact: ContactID{2}, Peer: "77",
		Channel:       rapid.SampledFrom([]ChannelKind{ChannelWeb, ChannelTelegram}).Draw(t, "channel"),
		Bot:           rapid.Bool().Draw(t, "bot"),
		ReopenToHuman: rapid.Bool().Draw(t, "to human"),
		ReopenWindow:  rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "window"),
	}
	w.snapAt = Seq(rapid.IntRange(1, 40).Draw(t, "snapshot at"))
	return w
}

// send decides, checks what must hold of every decision, and commits.
func (w *world) send(t *rapid.T, c Command) {
	before := w.state.Clone()
	first, err := Decide(w.state, c, w.now)
	second, err2 := Decide(w.state, c, w.now)
	if !reflect.DeepEqual(before, w.state) {
		t.Fatalf("Decide(%T) changed the state:\n%s", c, cmp.Diff(before, w.state))
	}
	if !reflect.DeepEqual(first, second) || !reflect.DeepEqual(err, err2) {
		t.Fatalf("Decide(%T) twice:\n%s", c, cmp.Diff(first, second))
	}
	w.checkRefusal(t, first, err)
	w.checkRef(t, c, first, err)
	st, fault := w.run(c)
	if fault != nil {
		t.Fatalf("%T: %v", c, fault)
	}
	w.checkStep(t, before, st)
	if len(st.entries) > 0 && !repeatable(c) {
		if again, _ := Decide(w.state, c, w.now); len(again.Events) > 0 {
			t.Fatalf("%+v repeated gives events again: %+v", c, again.Events)
		}
	}
}

// repeatable commands say something new each time.
func repeatable(c Command) bool {
	switch c := c.(type) {
	case AcceptMessage:
		return c.Ref == ""
	case ReplyAsAgent:
		return c.Ref == ""
	case AddNote:
		return c.Ref == ""
	case CompleteTurn:
		return c.Turn == 0
	}
	return false
}

// checkRefusal: a refusal has a code of the table, comes without events, tells
// the way out, and holds nothing that a person wrote.
func (w *world) checkRefusal(t *rapid.T, d Decision, err error) {
	if err == nil {
		return
	}
	var e *Error
	if !errors.As(err, &e) || e.Code.Row().Code != e.Code || e.Code == CodeInternal {
		t.Fatalf("refused with %v", err)
	}
	if len(d.Events) > 0 || d.Duplicate != 0 {
		t.Fatalf("refused with %v and decided %+v", err, d)
	}
	if strings.Contains(err.Error(), secret) {
		t.Fatalf("a refusal holds text: %v", err)
	}
	if e.Code == CodeInvalidTransition && !slices.Equal(e.Allowed, w.state.Status.Transitions()) {
		t.Fatalf("allowed %v in %s", e.Allowed, w.state.Status)
	}
}

// checkRef: an id that was stored before yields the first seq, whatever else
// the command holds and wherever the conversation stands.
func (w *world) checkRef(t *rapid.T, c Command, d Decision, err error) {
	var ref Ref
	switch c := c.(type) {
	case AcceptMessage:
		ref = c.Ref
		if c.Known != 0 {
			return
		}
	case ReplyAsAgent:
		ref = c.Ref.of(c.Agent)
	case AddNote:
		ref = c.Ref.of(c.Agent)
	default:
		return
	}
	want := w.refs[ref]
	if want != 0 && err != nil {
		t.Fatalf("%T with a known ref refused: %v", c, err)
	}
	if d.Duplicate != want || want != 0 && len(d.Events) > 0 {
		t.Fatalf("%T with ref %q: duplicate of %d, want %d", c, ref, d.Duplicate, want)
	}
}

// checkStep: what must hold of the entries and effects of one append.
func (w *world) checkStep(t *rapid.T, before *State, st step) {
	var classify, timers, sends []Seq
	status := before.Status
	for i, e := range st.entries {
		if want := before.Version + Seq(i) + 1; e.Seq != want {
			t.Fatalf("seq %d, want %d", e.Seq, want)
		}
		switch ev := e.Event.(type) {
		case ConversationStarted:
			if e.Seq != 1 {
				t.Fatalf("started again at %d", e.Seq)
			}
			status = ev.Status
		case StatusChanged:
			if ev.From != status || !slices.Contains(transitions[ev.From][ev.Trigger], ev.To) {
				t.Fatalf("%+v in status %s is not in the table", ev, status)
			}
			status = ev.To
		case MessageAccepted:
			w.remember(ev.Ref, e.Seq)
			classify = append(classify, e.Seq)
		case ReplyComposed:
			w.remember("", e.Seq)
			if !ev.Inline && w.state.Channel != ChannelWeb {
				sends = append(sends, e.Seq)
			}
		case AgentReplied:
			w.remember(ev.Ref.of(ev.Agent), e.Seq)
			if w.state.Channel != ChannelWeb {
				sends = append(sends, e.Seq)
			}
		case NoteAdded:
			w.remember(ev.Ref.of(ev.Agent), e.Seq)
		case MessageSent:
			if ev.Result == DeliveryPending {
				sends = append(sends, e.Seq)
			}
		case TimerEnded:
			if ev.Fired {
				timers = append(timers, e.Seq)
			}
		}
		if before.Status == StatusClosed && e.Event.Kind() != (MessageSent{}).Kind() {
			t.Fatalf("a closed conversation got %s", e.Event.Kind())
		}
	}
	if status != w.state.Status {
		t.Fatalf("the entries lead to %s, the state says %s", status, w.state.Status)
	}
	if w.state.Status != StatusPending || w.state.LastTurn == w.state.LastVisitor {
		classify = nil
	}
	checkEffects(t, st.effects, map[string]int{"classify": min(len(classify), 1), "timer": len(timers), "send": len(sends)})
}

func checkEffects(t *rapid.T, effects []Effect, want map[string]int) {
	got := map[string]int{"classify": 0, "timer": 0, "send": 0}
	for _, f := range effects {
		switch f.(type) {
		case ClassifyUtterance:
			got["classify"]++
		case RunTimer:
			got["timer"]++
		case SendOutbound:
			got["send"]++
		}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("effects %v, want %v", got, want)
	}
}

func (w *world) remember(ref Ref, seq Seq) {
	w.messages = append(w.messages, seq)
	if ref != "" && w.refs[ref] == 0 {
		w.refs[ref] = seq
	}
}

// check is run between commands.
func (w *world) check(t *rapid.T) {
	w.checkRecovery(t)
	s := w.state
	if !s.Started() {
		return
	}
	for name, broken := range map[string]bool{
		"the bot has it only while pending":                      (s.Handler == HandlerBot) != (s.Status == StatusPending),
		"an assignee means that agents have it":                  (s.Assignee != "") != (s.Handler == HandlerAgent),
		"agents have it only open or snoozed":                    s.Assignee != "" && s.Status != StatusOpen && s.Status != StatusSnoozed,
		"it waits while open without assignee":                   (s.Queue == QueueQueued) != (s.Status == StatusOpen && s.Assignee == ""),
		"it is assigned while open with one":                     (s.Queue == QueueAssigned) != (s.Status == StatusOpen && s.Assignee != ""),
		"it waits since a time":                                  (s.Queue == QueueQueued) == s.QueuedAt.IsZero(),
		"a snooze has one end":                                   (s.Status == StatusSnoozed) == s.SnoozedUntil.IsZero(),
		"something is due when snoozed":                          s.Status == StatusSnoozed && s.NextDue().IsZero(),
		"nobody waits when it is over":                           !s.WaitingSince.IsZero() && s.over(),
		"no timer runs when it is over":                          len(s.Timers) > 0 && s.over(),
		"timers are bounded and have one name":                   len(s.Timers) > MaxTimers || !unique(s.Timers, func(t Timer) string { return t.ID }),
		"tags are bounded, sorted and different":                 len(s.Tags) > MaxTags || !slices.IsSorted(s.Tags) || !unique(s.Tags, func(t string) string { return t }),
		"slots are bounded":                                      len(s.Dialogue.Slots) > MaxSlots,
		"reasons of a mood are known, in order":                  !slices.Equal(inOrder(s.Mood.Reasons), s.Mood.Reasons),
		"a mood is bounded":                                      s.Mood.Heat < 0 || s.Mood.Heat > maxWeight || s.Mood.Angry() && s.Mood.Heat <= calmHeat,
		"only the angry keep count":                              !s.Mood.Angry() && (s.Mood.Hot > 0 || s.Mood.Softened),
		"what is over has no mood":                               s.over() && s.Mood.Angry(),
		"recent messages are bounded":                            len(s.Recent) > 2*recentMessages,
		"refs are bounded":                                       len(s.Refs) > 2*recentRefs,
		"turns do not outrun messages":                           s.LastTurn > s.LastVisitor || s.LastVisitor > s.Version,
		"what is unsent went out":                                slices.ContainsFunc(s.Unsent, func(q Seq) bool { return !slices.Contains(w.messages, w.messageOf(q)) }),
		"a handover is known when agents have it without asking": s.Queue == QueueQueued && s.Handover == nil && !w.tookOver(),
	} {
		if broken {
			t.Fatalf("%s: not so in\n%s", name, describe(s))
		}
	}
	marks := [3]Seq{s.ReadVisitor, s.ReadAgent, s.Delivered}
	for i, m := range marks {
		if m < w.marks[i] || m > s.Version {
			t.Fatalf("marks went from %v to %v at version %d", w.marks, marks, s.Version)
		}
	}
	w.marks = marks
	w.checkViews(t)
}

func (s *State) over() bool { return s.Status == StatusResolved || s.Status == StatusClosed }

// tookOver reports whether an agent ever had the conversation.
func (w *world) tookOver() bool {
	return slices.ContainsFunc(w.log, func(e Entry) bool {
		switch ev := e.Event.(type) {
		case AgentAssigned:
			return true
		case StatusChanged:
			return ev.Trigger == TriggerReopen
		}
		return false
	})
}

func unique[T any](all []T, key func(T) string) bool {
	seen := map[string]bool{}
	for _, x := range all {
		seen[key(x)] = true
	}
	return len(seen) == len(all)
}

// checkRecovery: the log alone, and any snapshot with the log after it, give
// the state that the live conversation has.
func (w *world) checkRecovery(t *rapid.T) {
	want := asJSON(t, w.state)
	if got := asJSON(t, refold(w.state.ID, w.log)); !bytes.Equal(got, want) {
		t.Fatalf("folded from the log:\n%s\nlive:\n%s", got, want)
	}
	if w.from == nil && w.state.Version >= w.snapAt {
		var err error
		if w.from, err = recovered(w.state); err != nil {
			t.Fatal(err)
		}
	}
	if w.from == nil {
		return
	}
	for _, e := range w.log[w.from.Version:] {
		w.from.Apply(e)
	}
	if got := asJSON(t, w.from); !bytes.Equal(got, want) {
		t.Fatalf("recovered from a snapshot:\n%s\nlive:\n%s", got, want)
	}
}

// messageOf gives the message that an outbox row carries: its own, or the one
// that is sent again.
func (w *world) messageOf(row Seq) Seq {
	if ev, ok := w.log[row-1].Event.(MessageSent); ok {
		return ev.Message
	}
	return row
}

// checkViews: what is derived from the state agrees with it.
func (w *world) checkViews(t *rapid.T) {
	s, h := w.state, w.state.Head()
	if h.Version != s.Version || h.Status != s.Status || h.Queue != s.Queue || h.Assignee != s.Assignee || h.Priority != s.Priority {
		t.Fatalf("head %+v of\n%s", h, describe(s))
	}
	for _, m := range s.Recent {
		if m.Delivery == DeliveryPending && !slices.ContainsFunc(s.Unsent, func(q Seq) bool { return w.messageOf(q) == m.Seq }) {
			t.Fatalf("message %d is pending and nobody sends it", m.Seq)
		}
	}
	if i := lastPublic(s.Recent); i >= 0 && (h.PreviewFrom != s.Recent[i].From || !strings.HasPrefix(string(s.Recent[i].Plain()), string(h.Preview))) {
		t.Fatalf("preview %s: %q of\n%+v", h.PreviewFrom, string(h.Preview), s.Recent[i])
	}
	for _, m := range s.RepliesTo(s.LastVisitor) {
		if m.From != PartyBot || m.Seq <= s.LastVisitor {
			t.Fatalf("reply to %d: %+v", s.LastVisitor, m)
		}
	}
	if got := len(s.Context(s.LastVisitor)); got > contextTurns {
		t.Fatalf("%d texts of context", got)
	}
}

func lastPublic(all []Message) int {
	for i, a := range slices.Backward(all) {
		if !a.Note {
			return i
		}
	}
	return -1
}

// finish compares field by field, what JSON does not show included, and looks
// for notes on the visitor's side.
func (w *world) finish(t *rapid.T) {
	if diff := cmp.Diff(w.state, refold(w.state.ID, w.log), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("live and folded from the log:\n%s", diff)
	}
	for _, e := range w.log {
		if _, note := e.Event.(NoteAdded); note && VisibleToVisitor(e.Event) {
			t.Fatalf("entry %d shows a note to the visitor", e.Seq)
		}
	}
}

func asJSON(t *rapid.T, s *State) []byte {
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
