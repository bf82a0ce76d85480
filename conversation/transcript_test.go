package conversation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestTranscripts plays the stories under testdata/conversations: who did what,
// and which entries, refusals and effects it came to. With -rewrite the stories
// are written anew; the diff is what a reviewer reads.
//
// Lines of a result: "7 kind {…}" is an entry, "refused …" a refusal,
// "duplicate of 3" and "nothing" what they say, "→ …" an effect.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/conversations", func(t *testing.T, path string) {
		p := &play{shell: newShell(ConversationID{1})}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			t.Helper()
			return p.line(t, td)
		})
	})
}

// play is one story: a conversation, its clock, and the inbox it came in by.
type play struct {
	*shell
	origin Origin
}

func (p *play) line(t *testing.T, td *datadriven.TestData) string {
	t.Helper()
	l := line{t: t, td: td}
	switch td.Cmd {
	case "start":
		return p.start(l)
	case "advance":
		p.now = p.now.Add(l.duration(0))
		return p.now.Format(time.DateTime) + "\n"
	case "state":
		return describe(p.state)
	case "recover":
		return p.recover(t)
	case "visible":
		return p.visible()
	case "inline":
		return p.inline(l)
	case "table":
		return transitionTable()
	case "matrix":
		return outcomeMatrix(t)
	}
	c := p.command(l)
	if c == nil {
		td.Fatalf(t, "unknown verb %q", td.Cmd)
	}
	st, err := p.run(c)
	if err != nil {
		td.Fatalf(t, "%v", err)
	}
	return render(t, st)
}

// start sets the inbox. The conversation begins with the first message.
func (p *play) start(l line) string {
	p.origin = Origin{
		ID: p.state.ID, Inbox: InboxID(l.opt("inbox", "shop")), Channel: ChannelKind(l.opt("channel", "web")),
		Contact: ContactID{2}, Peer: l.opt("peer", ""), Bot: !l.has("no_bot"), ReopenToHuman: l.has("reopen_to_human"),
	}
	if w := l.opt("reopen", ""); w != "" {
		p.origin.ReopenWindow = l.parseDuration(w)
	}
	return ""
}

// recover forgets the state and reads it back, in turn from a snapshot and
// from the log, as a restart does.
func (p *play) recover(t *testing.T) string {
	t.Helper()
	snapshot, err := recovered(p.state)
	if err != nil {
		t.Fatal(err)
	}
	folded := refold(p.state.ID, p.log)
	if a, b := describe(snapshot), describe(folded); a != b {
		t.Fatalf("snapshot:\n%s\nlog:\n%s", a, b)
	}
	p.state = folded
	return fmt.Sprintf("%d entries\n", len(p.log))
}

func (p *play) visible() string {
	var b strings.Builder
	for _, e := range p.log {
		side := "agents only"
		if VisibleToVisitor(e.Event) {
			side = "visitor"
		}
		fmt.Fprintf(&b, "%d %s: %s\n", e.Seq, e.Event.Kind(), side)
	}
	return b.String()
}

// inline takes a message and its turn in one append, with the reply riding on
// the response.
func (p *play) inline(l line) string {
	accept := AcceptMessage{Origin: p.origin, Ref: Ref(l.word(0)), Text: Text(l.opt("said", ""))}
	st, err := p.together(
		func(*State) Command { return accept },
		func(s *State) Command {
			c := l.turn(s, p.now)
			c.Inline = true
			return c
		})
	if err != nil {
		l.td.Fatalf(l.t, "%v", err)
	}
	return render(l.t, st)
}

func (p *play) command(l line) Command {
	by := AgentID(l.opt("by", ""))
	switch l.td.Cmd {
	case "visitor":
		return AcceptMessage{
			Origin: p.origin, Ref: Ref(l.word(0)), Text: Text(l.opt("text", "")), Metadata: l.pairs("meta"), Known: l.seq("known", 0),
			Tone:  Tone{Anger: l.number("anger"), Abuse: l.number("abuse"), Threat: l.number("threat"), Deny: l.number("deny")},
			Raise: Priority(l.opt("raise", "")),
		}
	case "turn":
		return l.turn(p.state, p.now)
	case "agent":
		return ReplyAsAgent{Agent: AgentID(l.word(0)), Ref: Ref(l.word(1)), Text: Text(l.opt("text", ""))}
	case "note":
		return AddNote{Agent: AgentID(l.word(0)), Ref: Ref(l.word(1)), Text: Text(l.opt("text", ""))}
	case "handover":
		return RequestHandover{Reason: HandoverReason(l.opt("reason", "")), Detail: l.opt("detail", ""), By: by}
	case "claim":
		return Claim{Agent: AgentID(l.word(0))}
	case "assign":
		return Assign{To: AgentID(l.word(0)), By: by}
	case "unassign":
		return Unassign{By: by, Reason: l.opt("reason", "")}
	case "return_to_bot":
		return ReturnToBot{By: by}
	case "snooze":
		return Snooze{By: by, Until: p.now.Add(l.duration(0))}
	case "wake":
		return Wake{By: by}
	case "resolve":
		return Resolve{By: by, Reason: l.opt("reason", "")}
	case "reopen":
		return Reopen{By: by}
	case "close":
		return Close{By: by}
	}
	return p.mark(l, by)
}

// mark covers the commands that leave the status alone.
func (p *play) mark(l line, by AgentID) Command {
	switch l.td.Cmd {
	case "read":
		return MarkRead{By: Party(l.word(0)), Agent: by, UpTo: l.seq("upto", p.state.Version)}
	case "delivered":
		return MarkDelivered{UpTo: l.seq("upto", p.state.Version)}
	case "tags":
		return ChangeTags{By: by, Add: l.all("add"), Remove: l.all("remove")}
	case "priority":
		return ChangePriority{By: by, To: Priority(l.word(0))}
	case "outcome":
		return RecordDelivery{
			Message: l.seq("message", 0), Result: Delivery(l.word(0)), ProviderID: l.opt("id", ""), Detail: l.opt("detail", ""),
		}
	case "timer":
		return FireTimer{ID: l.word(0)}
	case "anomaly":
		return l.anomaly()
	}
	return nil
}

// render shows what came of a line.
func render(t *testing.T, st step) string {
	t.Helper()
	var b strings.Builder
	for _, e := range st.entries {
		data, err := json.Marshal(e.Event)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%d %s %s\n", e.Seq, e.Event.Kind(), data)
	}
	for _, f := range st.effects {
		fmt.Fprintf(&b, "→ %s\n", effectLine(f))
	}
	switch {
	case st.err != nil:
		fmt.Fprintf(&b, "refused %v\n", st.err)
		for _, a := range allowed(st.err) {
			fmt.Fprintf(&b, "  allowed: %s\n", a)
		}
	case st.duplicate != 0:
		fmt.Fprintf(&b, "duplicate of %d\n", st.duplicate)
	case len(st.entries) == 0:
		b.WriteString("nothing\n")
	}
	return b.String()
}

func effectLine(f Effect) string {
	switch f := f.(type) {
	case ClassifyUtterance:
		return fmt.Sprintf("classify turn %d", f.Turn)
	case RunTimer:
		return "run timer " + f.ID
	case SendOutbound:
		m := f.Message
		line := fmt.Sprintf("send %d over %s to %s from %s: %s", m.Message, m.Channel, m.Peer, m.From, string(m.Text))
		if m.InReplyTo != 0 {
			line += fmt.Sprintf(" (in reply to %d)", m.InReplyTo)
		}
		return line
	case EnqueueConversation:
		return fmt.Sprintf("enqueue in %s, priority %s, since %s", f.Inbox, f.Priority, f.Since.Format(time.TimeOnly))
	case DequeueConversation:
		return fmt.Sprintf("dequeue from %s", f.Inbox)
	case OccupyAgent:
		return "occupy " + string(f.Agent)
	case ReleaseAgent:
		return "release " + string(f.Agent)
	}
	return fmt.Sprintf("%T", f)
}

// describe gives the fields of a state that a story is about, without those
// that are at rest.
func describe(s *State) string {
	var b strings.Builder
	put := func(name string, v any) {
		switch fmt.Sprint(v) {
		case "", "0", "[]", "map[]", string(QueueNone), fmt.Sprint(time.Time{}), "<nil>":
		default:
			fmt.Fprintf(&b, "%s=%v\n", name, v)
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			put(name, t.Format(time.DateTime))
		}
	}
	fmt.Fprintf(&b, "version=%d status=%s handler=%s\n", s.Version, s.Status, s.Handler)
	put("assignee", s.Assignee)
	put("queue", s.Queue)
	at("queued_at", s.QueuedAt)
	at("waiting_since", s.WaitingSince)
	at("snoozed_until", s.SnoozedUntil)
	at("next_due", s.NextDue())
	put("priority", s.Priority)
	put("tags", s.Tags)
	if s.Handover != nil {
		put("handover", s.Handover.Reason)
		put("summary", s.Handover.Summary)
	}
	put("intent", s.Dialogue.Intent)
	put("ask", s.Dialogue.Ask)
	put("asked", s.Dialogue.Asked)
	put("abstains", s.Dialogue.Abstains)
	put("slots", s.Dialogue.Slots)
	put("mood", s.Mood.Temper)
	put("mood_reasons", s.Mood.Reasons)
	put("heat", s.Mood.Heat)
	put("hot", s.Mood.Hot)
	if s.Mood.Softened {
		put("softened", true)
	}
	for _, a := range s.Anomalies {
		at("anomaly_"+string(a.Kind), a.At)
	}
	put("last_turn", s.LastTurn)
	put("read_visitor", s.ReadVisitor)
	put("read_agent", s.ReadAgent)
	put("delivered", s.Delivered)
	put("unsent", s.Unsent)
	h := s.Head()
	fmt.Fprintf(&b, "preview=%s: %s\n", h.PreviewFrom, string(h.Preview))
	return b.String()
}

// line reads the arguments of one line of a story.
type line struct {
	t  *testing.T
	td *datadriven.TestData
}

func (l line) has(key string) bool { return l.td.HasArg(key) }

// word gives the i-th argument that has no value, or "".
func (l line) word(i int) string {
	for _, a := range l.td.CmdArgs {
		if len(a.Vals) > 0 {
			continue
		}
		if i == 0 {
			return a.Key
		}
		i--
	}
	return ""
}

func (l line) opt(key, absent string) string {
	if a, ok := l.td.Arg(key); ok {
		return strings.Join(a.Vals, ", ")
	}
	return absent
}

// all gives every value of a key, also when the key is repeated.
func (l line) all(key string) []string {
	var out []string
	for _, a := range l.td.CmdArgs {
		if a.Key == key {
			out = append(out, strings.Join(a.Vals, ", "))
		}
	}
	return out
}

func (l line) pairs(key string) map[string]string {
	var out map[string]string
	for _, v := range l.all(key) {
		name, value, _ := strings.Cut(v, ":")
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out
}

func (l line) seq(key string, absent Seq) Seq {
	v := l.opt(key, "")
	if v == "" {
		return absent
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		l.td.Fatalf(l.t, "%s: %v", key, err)
	}
	return Seq(n)
}

// number gives a share; 0 when it is absent.
func (l line) number(key string) float32 {
	v := l.opt(key, "0")
	f, err := strconv.ParseFloat(v, 32)
	if err != nil {
		l.td.Fatalf(l.t, "%s: %v", key, err)
	}
	return float32(f)
}

func (l line) duration(i int) time.Duration { return l.parseDuration(l.word(i)) }

func (l line) parseDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		l.td.Fatalf(l.t, "%v", err)
	}
	return d
}

// turn reads a CompleteTurn; it answers the newest message unless turn= says
// otherwise.
func (l line) turn(s *State, now time.Time) CompleteTurn {
	c := CompleteTurn{Turn: l.seq("turn", s.LastVisitor), Behavior: l.opt("behavior", "faq"), Inline: l.has("inline")}
	c.Outcome = Outcome{
		Intent: l.opt("intent", ""), Ask: l.opt("ask", ""), Slots: l.pairs("slot"), Forget: l.has("forget"), Abstain: l.has("abstain"),
		Handover: HandoverReason(l.opt("handover", "")), Summary: l.opt("summary", ""), Priority: Priority(l.opt("priority", "")),
		Tags: l.all("tag"), Resolve: l.has("resolve"), Softened: l.has("softened"),
	}
	for _, text := range l.all("reply") {
		r := Reply{Text: Text(text)}
		for _, label := range l.all("button") {
			r.Buttons = append(r.Buttons, Button{Label: label, Text: label})
		}
		c.Outcome.Replies = append(c.Outcome.Replies, r)
	}
	for _, v := range l.all("timer") {
		id, due, _ := strings.Cut(v, ":")
		c.Outcome.Timers = append(c.Outcome.Timers, Timer{ID: id, Due: now.Add(l.parseDuration(due))})
	}
	if conf := l.opt("conf", ""); conf != "" {
		f, err := strconv.ParseFloat(conf, 32)
		if err != nil {
			l.td.Fatalf(l.t, "%v", err)
		}
		c.Prediction = &Prediction{
			Candidates: []Candidate{{Intent: l.opt("guess", c.Outcome.Intent), Confidence: float32(f)}}, Lang: "en", Model: "m1",
		}
	}
	return c
}

// anomaly reads what was found, and the policy for it.
func (l line) anomaly() Command {
	count := func(key string) int { return int(l.seq(key, 0)) }
	f := AnomalyFound{Anomaly: AnomalyKind(l.word(0)), Count: count("count"), Same: count("same")}
	if v := l.opt("measured", ""); v != "" {
		f.Measured, f.Usual = l.parseDuration(v), l.parseDuration(l.opt("usual", "0s"))
	}
	return ReportAnomaly{Found: f, Raise: Priority(l.opt("raise", "")), Handover: l.has("handover")}
}

// allowed gives the legal transitions that a refusal lists.
func allowed(err error) []string {
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	return slices.Clone(e.Allowed)
}
