package history

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// one is a journal with a single conversation.
type one struct {
	list   []conversation.Entry
	spoilt bool
}

var id = conversation.ConversationID{15: 1}

func (j *one) List(context.Context, persistence.ListQuery) ([]conversation.Head, string, error) {
	return []conversation.Head{{ID: id, Inbox: "shop"}}, "", nil
}

func (j *one) Entries(_ context.Context, which conversation.ConversationID, after conversation.Seq, _ int) ([]conversation.Entry, error) {
	if which != id {
		return nil, nil
	}
	return j.list[min(int(after), len(j.list)):], nil
}

func (j *one) Load(context.Context, conversation.ConversationID) (*conversation.State, error) {
	s := &conversation.State{ID: id}
	for _, e := range j.list {
		s.Apply(e)
	}
	s.ID = id
	if j.spoilt {
		s.Priority = conversation.PriorityUrgent
	}
	return s, nil
}

func (j *one) Inbox(id conversation.InboxID) (conversation.Inbox, error) {
	if id != "shop" {
		return conversation.Inbox{}, conversation.ErrNotFound
	}
	return conversation.Inbox{ID: id, Packs: []string{"shop"}}, nil
}

// talk gives events their places.
func talk(events ...conversation.Event) *one {
	j := &one{}
	for i, e := range append([]conversation.Event{
		conversation.ConversationStarted{Inbox: "shop", Channel: conversation.ChannelWeb, Status: conversation.StatusPending, Handler: conversation.HandlerBot},
		conversation.MessageAccepted{Text: "where is my parcel"},
	}, events...) {
		j.list = append(j.list, conversation.Entry{Seq: conversation.Seq(i + 1), At: time.Unix(1_700_000_000+int64(i), 0).UTC(), Event: e})
	}
	return j
}

// said is a turn that the bot answered, at the seq of the visitor's message.
func said(turn conversation.Seq, intent string) []conversation.Event {
	return []conversation.Event{
		conversation.TurnCompleted{Turn: turn, Intent: intent, Confidence: 0.9, Behavior: builtin},
		conversation.ReplyComposed{InReplyTo: turn, Text: conversation.Text("about " + intent)},
	}
}

// bot always says the same.
type bot struct {
	v    actors.Verdict
	met  []conversation.Seq
	fail error
}

func (b *bot) Verdict(_ context.Context, inbox *conversation.Inbox, s *conversation.State, m *conversation.Message) (actors.Verdict, error) {
	if inbox.ID != "shop" || s.Version != m.Seq {
		return b.v, errors.New("not met in the state after the message")
	}
	b.met = append(b.met, m.Seq)
	return b.v, b.fail
}

func answers(intent string) actors.Verdict {
	return actors.Verdict{Action: conversation.ActionAnswer, Intent: intent}
}

func TestChangesAreJudgedByWhatPeopleDid(t *testing.T) {
	t.Parallel()
	after := func(intent string, more ...conversation.Event) *one { return talk(append(said(2, intent), more...)...) }
	wrong := func(really string) conversation.Event {
		return conversation.AnswerJudged{By: conversation.PartyAgent, Answer: 4, Turn: 2, Verdict: conversation.VerdictWrong, Intent: really, Taken: "refund"}
	}
	right := conversation.AnswerJudged{By: conversation.PartyVisitor, Answer: 4, Turn: 2, Verdict: conversation.VerdictRight, Taken: "refund"}
	fallback := actors.Verdict{Action: conversation.ActionFallback}
	again := conversation.MessageAccepted{Text: "no"}
	resolved := conversation.StatusChanged{From: conversation.StatusPending, To: conversation.StatusResolved}
	for name, tc := range map[string]struct {
		journal *one
		now     actors.Verdict
		want    Change
	}{
		"the same answer":                       {after("refund"), answers("refund"), Same},
		"nobody knows":                          {after("refund"), answers("track"), Unclear},
		"judged wrong, now what was asked":      {after("refund", wrong("track")), answers("track"), Better},
		"judged wrong, now wrong otherwise":     {after("refund", wrong("track")), answers("invoice"), Unclear},
		"judged wrong, now silent":              {after("refund", wrong("")), fallback, Better},
		"judged right, now another":             {after("refund", right), answers("track"), Worse},
		"judged right, now silent":              {after("refund", right), fallback, Worse},
		"an agent's verdict before a visitor's": {after("refund", wrong("track"), right), answers("track"), Better},
		"denied by the visitor":                 {after("refund", again, conversation.TurnCompleted{Turn: 5, Denied: "refund", Abstained: true, Behavior: "own"}), fallback, Better},
		"the visitor asks for people":           {after("refund", again, conversation.HandoverRequested{Reason: conversation.HandoverAsked}), fallback, Better},
		"people much later":                     {after("refund", again, again, conversation.HandoverRequested{Reason: conversation.HandoverAsked}), fallback, Unclear},
		"resolved by the bot alone":             {after("refund", resolved), answers("track"), Worse},
		"resolved by an agent":                  {after("refund", conversation.AgentReplied{Agent: "a", Text: "x"}, resolved), answers("track"), Unclear},
		"handed over, now answered": {
			talk(conversation.TurnCompleted{Turn: 2, Behavior: builtin, Abstained: true}, conversation.HandoverRequested{Reason: conversation.HandoverAbstained}), answers("track"), Unclear,
		},
		"handed over, labelled, now that": {
			talk(conversation.TurnCompleted{Turn: 2, Behavior: builtin, Abstained: true}, conversation.HandoverRequested{Reason: conversation.HandoverAbstained}, wrong("track")), answers("track"), Better,
		},
	} {
		b := &bot{v: tc.now}
		r, err := Diff(t.Context(), tc.journal, b, Options{Rows: 10})
		if err != nil || r.Changes[tc.want] != 1 || r.Turns != 1 {
			t.Errorf("%s: %+v, %v, want one turn that is %s", name, r, err, tc.want)
			continue
		}
		if (tc.want == Same) != (len(r.Rows) == 0) {
			t.Errorf("%s: %d rows", name, len(r.Rows))
		}
	}
}

func TestWhatIsComparedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	own := []conversation.Event{conversation.TurnCompleted{Turn: 2, Behavior: "mine"}, conversation.ReplyComposed{InReplyTo: 2, Text: "x"}}
	b := &bot{v: answers("track")}
	r, err := Diff(t.Context(), talk(own...), b, Options{})
	if err != nil || r.Skipped != 1 || r.Turns != 0 || len(b.met) != 0 {
		t.Errorf("a turn of an own behavior: %+v, %v", r, err)
	}
	many := said(2, "refund")
	for i := range 3 {
		seq := conversation.Seq(len(many) + 3)
		many = append(many, conversation.MessageAccepted{Text: "and"})
		many = append(many, said(seq, []string{"refund", "track", "track"}[i])...)
	}
	r, err = Diff(t.Context(), talk(many...), b, Options{Rows: 1})
	if err != nil || r.Turns != 4 || r.Changes[Same] != 2 || r.Changes[Unclear] != 2 || len(r.Rows) != 1 || r.Left != 1 || r.Answered != 4 || r.WouldAnswer != 4 {
		t.Errorf("four turns: %+v, %v", r, err)
	}
	if row := r.Rows[0]; row.Old.Text != "about refund" || row.Text != "where is my parcel" || row.Seq != 2 {
		t.Errorf("the row is %+v", row)
	}
	r, err = Diff(t.Context(), talk(many...), b, Options{Since: time.Unix(1_700_000_005, 0)})
	if err != nil || r.Turns != 3 {
		t.Errorf("since the second turn: %+v, %v", r, err)
	}
	b.fail = errors.New("no model")
	if _, err = Diff(t.Context(), talk(many...), b, Options{}); !errors.Is(err, b.fail) {
		t.Errorf("a classifier that fails = %v", err)
	}
}

func TestStepsEndInTheStoredState(t *testing.T) {
	t.Parallel()
	j := talk(said(2, "refund")...)
	var seen []conversation.Seq
	err := Steps(t.Context(), j, id, func(s Step) error {
		if s.State.Version != s.Entry.Seq {
			t.Errorf("after entry %d the state is of version %d", s.Entry.Seq, s.State.Version)
		}
		seen = append(seen, s.Entry.Seq)
		return nil
	})
	if err != nil || len(seen) != 4 {
		t.Errorf("%d steps, %v", len(seen), err)
	}
	none := func(Step) error { return nil }
	j.spoilt = true
	if err := Steps(t.Context(), j, id, none); !errors.Is(err, ErrDiffers) {
		t.Errorf("another stored state = %v", err)
	}
	if err := Steps(t.Context(), j, conversation.ConversationID{1}, none); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown conversation = %v", err)
	}
}

func TestCheckNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	j := talk(said(2, "refund")...)
	r, err := Check(t.Context(), j, "")
	if err != nil || r.Conversations != 1 || r.Events != 4 || r.Differ != 0 || len(r.Named) != 0 {
		t.Errorf("a sound journal gives %+v, %v", r, err)
	}
	j.spoilt = true
	r, err = Check(t.Context(), j, "shop")
	if err != nil || r.Differ != 1 || len(r.Named) != 1 || r.Named[0].Conversation != id {
		t.Errorf("another stored state gives %+v, %v", r, err)
	}
	j.list = nil
	if r, err = Check(t.Context(), j, ""); err != nil || r.Differ != 1 {
		t.Errorf("a conversation without events gives %+v, %v", r, err)
	}
}
