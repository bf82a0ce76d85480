package conversation

import (
	"fmt"
	"math"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// actions are the random commands, by the name of their type, and what else
// happens in a world.
func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"AcceptMessage": func(t *rapid.T) { w.send(t, w.accept(t)) },
		"CompleteTurn":  func(t *rapid.T) { w.send(t, w.turn(t)) },
		"ReplyAsAgent": func(t *rapid.T) {
			w.send(t, ReplyAsAgent{Agent: someAgent(t), Ref: someRef(t), Text: someText(t), Attachments: someFiles(t)})
		},
		"AddNote": func(t *rapid.T) { w.send(t, AddNote{Agent: someAgent(t), Ref: someRef(t), Text: someText(t)}) },
		"RequestHandover": func(t *rapid.T) {
			w.send(t, RequestHandover{Reason: HandoverByAgent, Detail: secret, By: someAgent(t)})
		},
		"Claim":          func(t *rapid.T) { w.send(t, Claim{Agent: someAgent(t)}) },
		"Assign":         func(t *rapid.T) { w.send(t, Assign{To: someAgent(t), By: someAgent(t)}) },
		"Unassign":       func(t *rapid.T) { w.send(t, Unassign{By: someAgent(t), Reason: "break"}) },
		"ReturnToBot":    func(t *rapid.T) { w.send(t, ReturnToBot{By: someAgent(t)}) },
		"Snooze":         func(t *rapid.T) { w.send(t, Snooze{By: someAgent(t), Until: w.now.Add(someDuration(t))}) },
		"Wake":           func(t *rapid.T) { w.send(t, Wake{By: someAgent(t)}) },
		"Resolve":        func(t *rapid.T) { w.send(t, Resolve{By: someAgent(t), Reason: "solved"}) },
		"Reopen":         func(t *rapid.T) { w.send(t, Reopen{By: someAgent(t)}) },
		"Close":          func(t *rapid.T) { w.send(t, Close{By: someAgent(t)}) },
		"MarkRead":       func(t *rapid.T) { w.send(t, MarkRead{By: someParty(t), Agent: someAgent(t), UpTo: w.someSeq(t)}) },
		"MarkDelivered":  func(t *rapid.T) { w.send(t, MarkDelivered{UpTo: w.someSeq(t)}) },
		"ChangeTags":     func(t *rapid.T) { w.send(t, ChangeTags{By: someAgent(t), Add: someTags(t), Remove: someTags(t)}) },
		"ChangePriority": func(t *rapid.T) { w.send(t, ChangePriority{By: someAgent(t), To: somePriority(t)}) },
		"RecordDelivery": func(t *rapid.T) { w.send(t, w.delivery(t)) },
		"SendAgain":      func(t *rapid.T) { w.send(t, SendAgain{Message: w.someSeq(t), By: someAgent(t)}) },
		"send again":     w.sendsAgain,
		"FireTimer":      func(t *rapid.T) { w.send(t, FireTimer{ID: someTimer(t)}) },
		"RecordAttachment": func(t *rapid.T) {
			w.send(t, RecordAttachment{Message: w.someSeq(t), Attachment: someFile(t)})
		},
		"JudgeAnswer": func(t *rapid.T) {
			w.send(t, JudgeAnswer{By: someParty(t), Agent: someAgent(t), Answer: w.someSeq(t), Verdict: someVerdict(t), Intent: someIntent(t)})
		},
		"time passes":   func(t *rapid.T) { w.now = w.now.Add(max(someDuration(t), 0)) },
		"a turn":        func(t *rapid.T) { w.send(t, w.turn(t)) },
		"a good turn":   func(t *rapid.T) { w.send(t, w.goodTurn(t)) },
		"the next turn": func(t *rapid.T) { w.send(t, w.accept(t)); w.send(t, w.goodTurn(t)) },
		"one append":    w.oneAppend,
		"talks a lot":   w.talksALot,
	}
}

// someShare is what a scorer, which may be anybody's, gives.
func someShare(t *rapid.T) float32 {
	return rapid.SampledFrom([]float32{0, 0.3, 0.5, 0.8, 1, -1, 7, float32(math.NaN()), float32(math.Inf(1))}).Draw(t, "share")
}

// oneAppend is a message and its turn together, as with a quick classifier.
func (w *world) oneAppend(t *rapid.T) {
	before := w.state.Clone()
	accept := w.accept(t)
	turn := w.turn(t)
	st, err := w.together(
		func(*State) Command { return accept },
		func(s *State) Command {
			turn.Turn = s.LastVisitor
			return turn
		})
	if err != nil {
		t.Fatal(err)
	}
	w.checkStep(t, before, st)
}

// talksALot fills what is bounded.
func (w *world) talksALot(t *rapid.T) {
	for range 2*recentMessages + 1 {
		w.origin.Bot = true
		if st, err := w.run(AcceptMessage{Origin: w.origin, Text: secret}); err != nil {
			t.Fatal(err)
		} else if st.err != nil {
			return
		} else {
			for _, e := range st.entries {
				if _, ok := e.Event.(MessageAccepted); ok {
					w.remember("", e.Seq)
				}
			}
		}
	}
}

func (w *world) accept(t *rapid.T) AcceptMessage {
	c := AcceptMessage{Origin: w.origin, Ref: someRef(t), Text: someText(t)}
	if rapid.IntRange(0, 9).Draw(t, "metadata") == 0 {
		c.Metadata = map[string]string{"page": secret}
	}
	c.Attachments = someFiles(t)
	if rapid.IntRange(0, 2).Draw(t, "toned") == 0 {
		c.Tone, c.Raise = Tone{Anger: someShare(t), Abuse: someShare(t), Threat: someShare(t), Deny: someShare(t)}, somePriority(t)
	}
	return c
}

// someFiles are mostly none.
func someFiles(t *rapid.T) []Attachment {
	var out []Attachment
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2, MaxAttachments + 1}).Draw(t, "files") {
		out = append(out, someFile(t))
	}
	return out
}

func someFile(t *rapid.T) Attachment {
	a := storedFile(rapid.Byte().Draw(t, "file"))
	switch rapid.IntRange(0, 4).Draw(t, "how it is") {
	case 0:
		a.State, a.Blob = AttachmentPending, ""
	case 1:
		a.State, a.Blob, a.Reason = AttachmentUnavailable, "", "gone"
	case 2:
		a.Name = secret + rapid.SampledFrom([]string{".png", "/..", "\n"}).Draw(t, "name")
	}
	return a
}

func (w *world) turn(t *rapid.T) CompleteTurn {
	s := w.state
	c := CompleteTurn{
		Turn:     rapid.SampledFrom([]Seq{s.LastVisitor, s.LastVisitor, s.LastVisitor, 0, s.LastVisitor + 1, s.LastTurn}).Draw(t, "turn"),
		Behavior: "faq", Inline: rapid.Bool().Draw(t, "inline"),
	}
	if rapid.Bool().Draw(t, "predicted") {
		c.Prediction = &Prediction{Lang: "en", Model: "m1", Candidates: []Candidate{{
			Intent:     "faq",
			Confidence: rapid.SampledFrom([]float32{0.5, 1, 0, 1.5, -1, float32(math.NaN()), float32(math.Inf(1))}).Draw(t, "confidence"),
		}}}
	}
	c.Outcome = w.outcome(t)
	return c
}

// goodTurn is one that passes the checks, so that runs get somewhere.
func (w *world) goodTurn(t *rapid.T) CompleteTurn {
	c := CompleteTurn{Turn: w.state.LastVisitor, Behavior: "faq"}
	c.Outcome.Intent = "parcel"
	c.Outcome.Ask = rapid.SampledFrom([]string{"", "order"}).Draw(t, "ask")
	c.Outcome.Replies = []Reply{{Text: secret}}
	for range rapid.SampledFrom([]int{0, 1, 32}).Draw(t, "slots") {
		if c.Outcome.Slots == nil {
			c.Outcome.Slots = map[string]string{}
		}
		c.Outcome.Slots[fmt.Sprintf("slot%d", rapid.IntRange(0, 60).Draw(t, "slot"))] = rapid.SampledFrom([]string{"v", secret}).Draw(t, "value")
	}
	if rapid.Bool().Draw(t, "reminds") {
		c.Outcome.Timers = []Timer{{ID: rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(t, "timer"), Due: w.now.Add(time.Hour)}}
	}
	return c
}

func (w *world) outcome(t *rapid.T) Outcome {
	o := Outcome{
		Intent:   rapid.SampledFrom([]string{"", "faq", "parcel"}).Draw(t, "intent"),
		Ask:      rapid.SampledFrom([]string{"", "", "order"}).Draw(t, "ask"),
		Forget:   rapid.IntRange(0, 9).Draw(t, "forget") == 0,
		Abstain:  rapid.Bool().Draw(t, "abstain"),
		Handover: rapid.SampledFrom([]HandoverReason{"", "", "", HandoverAbstained}).Draw(t, "handover"),
		Resolve:  rapid.IntRange(0, 5).Draw(t, "resolve") == 0,
		Summary:  secret,
	}
	for range rapid.IntRange(0, 2).Draw(t, "replies") {
		o.Replies = append(o.Replies, Reply{Text: someText(t), Buttons: []Button{{Label: "yes", Text: "yes"}}})
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 30}).Draw(t, "slots") {
		if o.Slots == nil {
			o.Slots = map[string]string{}
		}
		value := rapid.SampledFrom([]string{secret, "", "\xff", strings.Repeat("x", MaxSlotBytes+1)}).Filter(func(v string) bool {
			return v == secret || len(o.Slots) == 0
		})
		o.Slots[fmt.Sprintf("slot%d", rapid.IntRange(0, 60).Draw(t, "slot"))] = value.Draw(t, "value")
	}
	for range rapid.IntRange(0, 2).Draw(t, "timers") {
		o.Timers = append(o.Timers, Timer{ID: someTimer(t), Due: w.now.Add(someDuration(t))})
	}
	if rapid.IntRange(0, 4).Draw(t, "tagged") == 0 {
		o.Tags = someTags(t)
	}
	if rapid.IntRange(0, 4).Draw(t, "raised") == 0 {
		o.Priority = somePriority(t)
	}
	return o
}

func (w *world) delivery(t *rapid.T) RecordDelivery {
	c := RecordDelivery{
		Message: w.someSeq(t), ProviderID: "p1",
		Result: rapid.SampledFrom([]Delivery{DeliverySent, DeliveryFailed, DeliveryUncertain, DeliveryPending, "lost"}).Draw(t, "result"),
	}
	if len(w.state.Unsent) > 0 {
		c.Message = rapid.SampledFrom(w.state.Unsent).Draw(t, "unsent")
		if row := c.Message; w.messageOf(row) != row {
			c.Message, c.Again = w.messageOf(row), row
		}
	}
	return c
}

// sendsAgain takes up one of the messages that did not arrive, or may not have.
func (w *world) sendsAgain(t *rapid.T) {
	for i := range w.state.Recent {
		if m := &w.state.Recent[i]; m.Delivery == DeliveryFailed || m.Delivery == DeliveryUncertain {
			w.send(t, SendAgain{Message: m.Seq, By: someAgent(t)})
			return
		}
	}
}

func (w *world) someSeq(t *rapid.T) Seq {
	n := uint64(w.state.Version)
	return Seq(rapid.OneOf(rapid.Uint64Range(0, n+1), rapid.Just(uint64(math.MaxUint64))).Draw(t, "seq"))
}

func someAgent(t *rapid.T) AgentID {
	return rapid.SampledFrom([]AgentID{"a1", "a1", "a2", "a3", ""}).Draw(t, "agent")
}

func someRef(t *rapid.T) Ref {
	if rapid.IntRange(0, 19).Draw(t, "odd ref") == 0 {
		return rapid.SampledFrom([]Ref{"\xff" + secret, Ref(strings.Repeat("r", MaxRefBytes+1))}).Draw(t, "bad ref")
	}
	return Ref(rapid.SampledFrom([]string{"", "r1", "r2", "r3", "r4", "r5", "r6", "r7"}).Draw(t, "ref"))
}

func someText(t *rapid.T) Text {
	if rapid.IntRange(0, 9).Draw(t, "odd text") > 0 {
		return secret
	}
	return rapid.SampledFrom([]Text{
		"", " \n\t", secret + "\x00", secret + "\xff", "你好 " + secret, Text(strings.Repeat(secret, MaxTextBytes/len(secret)+1)),
	}).Draw(t, "text")
}

func someDuration(t *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{
		-time.Second, 0, time.Nanosecond, 1500 * time.Microsecond, time.Second, time.Hour, 30 * time.Hour, 80 * time.Hour, 9000 * time.Hour,
	}).Draw(t, "duration")
}

func someTimer(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "t1", "t2", "t3"}).Draw(t, "timer")
}

func someVerdict(t *rapid.T) Verdict {
	return rapid.SampledFrom([]Verdict{VerdictRight, VerdictWrong, VerdictWrong, "maybe"}).Draw(t, "verdict")
}

func someIntent(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "refund", "order_status", "\xff"}).Draw(t, "intent")
}

func someParty(t *rapid.T) Party {
	return rapid.SampledFrom([]Party{PartyVisitor, PartyAgent, PartyBot, "nobody"}).Draw(t, "party")
}

func somePriority(t *rapid.T) Priority {
	return rapid.SampledFrom([]Priority{"", PriorityNone, PriorityLow, PriorityMedium, PriorityHigh, PriorityUrgent, "purple"}).Draw(t, "priority")
}

func someTags(t *rapid.T) []string {
	tag := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("tag%d", rapid.IntRange(0, 40).Draw(t, "tag")) })
	if rapid.IntRange(0, 19).Draw(t, "odd tag") == 0 {
		return []string{rapid.SampledFrom([]string{"", "\xff", "a\nb", strings.Repeat("t", MaxTagBytes+1)}).Draw(t, "bad tag")}
	}
	return rapid.SliceOfN(tag, 0, rapid.SampledFrom([]int{1, 3, 30}).Draw(t, "tags")).Draw(t, "tags")
}
