package learning

import (
	"hash/fnv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Weights of the signs that an answer was right or wrong. What somebody says
// counts most; that nothing is said counts least.
const (
	weightAgent   = 1.0
	weightVisitor = 0.8
	weightSign    = 0.5 // thanks, a pressed button, a denial, a human wanted right after
	weightSilence = 0.25
)

// quietFor is how long a visitor has to be silent after an answer for that to be
// a sign that it was right.
const quietFor = 30 * time.Minute

// Answer is what became of one answer of the bot, or of a question back.
type Answer struct {
	Conversation conversation.ConversationID `json:"c"`
	Seq          conversation.Seq            `json:"s"` // of the bot's message
	At           time.Time                   `json:"t"`
	Confidence   float32                     `json:"p"` // plain probability
	Right        bool                        `json:"r,omitempty"`
	Weight       float64                     `json:"w"`
	Packs        string                      `json:"k,omitempty"` // the inbox's packs then
}

// Missed is a visitor's text that the bot had no right answer for.
type Missed struct {
	Conversation conversation.ConversationID `json:"c"`
	Seq          conversation.Seq            `json:"s"` // of the visitor's message
	At           time.Time                   `json:"t"`
	Visitor      uint64                      `json:"v"` // hash of the contact, to count different ones
	Text         string                      `json:"x"` // masked
	Lang         string                      `json:"l,omitempty"`
	Reason       conversation.MissedReason   `json:"y"`
	Taken        string                      `json:"i,omitempty"`
	Right        string                      `json:"n,omitempty"`
	Answer       string                      `json:"a,omitempty"` // an agent's, masked
}

// exchange is a visitor's message with what followed until the next one.
type exchange struct {
	seq      conversation.Seq
	at       time.Time
	text     string
	turn     conversation.TurnCompleted
	answer   conversation.Seq // the bot's last message about it
	said     conversation.Provenance
	buttons  []conversation.Button
	saidAt   time.Time
	verdicts []conversation.AnswerJudged
	handover conversation.HandoverReason
	agent    string // an agent's first reply
}

// read draws from a conversation's log what can be learned from it. It is a
// function of the log and, for silence, of the time.
func read(id conversation.ConversationID, contact conversation.ContactID, log []conversation.Entry, now time.Time) ([]Answer, []Missed) {
	exchanges := exchangesOf(log)
	var answers []Answer
	var missed []Missed
	for i := range exchanges {
		x := &exchanges[i]
		var next *exchange
		if i+1 < len(exchanges) {
			next = &exchanges[i+1]
		}
		if right, weight := x.judge(next, now); weight > 0 {
			answers = append(answers, Answer{
				Conversation: id, Seq: x.answer, At: x.saidAt, Confidence: x.said.Plain(), Right: right, Weight: weight,
			})
		}
		before := i > 0 && exchanges[i-1].offers(x.text) >= 0
		if reason := x.missed(next); reason != "" && !before && x.text != "" {
			m := Missed{
				Conversation: id, Seq: x.seq, At: x.at, Visitor: hashOf(contact[:]), Text: mask(x.text), Lang: x.turn.Lang,
				Reason: reason, Taken: x.said.Intent, Answer: mask(x.agent),
			}
			if v := x.verdict(); v != nil {
				m.Right = v.Intent
			}
			missed = append(missed, m)
		}
	}
	return answers, missed
}

func exchangesOf(log []conversation.Entry) []exchange {
	var all []exchange
	at := func(turn conversation.Seq) *exchange {
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].seq == turn {
				return &all[i]
			}
		}
		return &exchange{} // before what was read: nobody looks at it
	}
	for _, e := range log {
		switch ev := e.Event.(type) { //nolint:gochecksumtype // the rest says nothing about answers
		case conversation.MessageAccepted:
			all = append(all, exchange{seq: e.Seq, at: e.At, text: strings.TrimSpace(string(ev.Text))})
		case conversation.TurnCompleted:
			at(ev.Turn).turn = ev
		case conversation.ReplyComposed:
			x := at(ev.InReplyTo)
			x.answer, x.said, x.buttons, x.saidAt = e.Seq, ev.Bot, ev.Buttons, e.At
		case conversation.AnswerJudged:
			x := at(ev.Turn)
			x.verdicts = append(x.verdicts, ev)
		case conversation.HandoverRequested:
			if len(all) > 0 {
				all[len(all)-1].handover = ev.Reason
			}
		case conversation.AgentReplied:
			answered(all, string(ev.Text))
		}
	}
	return all
}

// answered notes an agent's reply at the messages since the last one of an agent.
func answered(all []exchange, text string) {
	for i := len(all) - 1; i >= 0 && all[i].agent == ""; i-- {
		all[i].agent = text
	}
}

// verdict gives what counts of what was said about the answer: an agent before
// the visitor, wrong before right, the later before the earlier.
func (x *exchange) verdict() *conversation.AnswerJudged {
	latest := map[conversation.AgentID]*conversation.AnswerJudged{}
	for i := range x.verdicts {
		if v := &x.verdicts[i]; v.Answer == x.answer || x.answer == 0 {
			latest[v.Agent] = v // the visitor's has no agent
		}
	}
	var best *conversation.AnswerJudged
	for i := range x.verdicts {
		v := &x.verdicts[i]
		if latest[v.Agent] != v {
			continue
		}
		if best == nil || rank(v) >= rank(best) {
			best = v
		}
	}
	return best
}

func rank(v *conversation.AnswerJudged) int {
	r := 0
	if v.By == conversation.PartyAgent {
		r = 4
	}
	if v.Verdict == conversation.VerdictWrong {
		r += 2
	}
	if v.Intent != "" {
		r++
	}
	return r
}

// judge says whether what the bot made of a message was right, and how much that
// counts; nothing is known with a weight of zero.
func (x *exchange) judge(next *exchange, now time.Time) (right bool, weight float64) {
	if x.answer == 0 {
		return false, 0
	}
	if x.said.Intent == "" {
		return x.judgeOffer(next)
	}
	if v := x.verdict(); v != nil {
		weight = weightVisitor
		if v.By == conversation.PartyAgent {
			weight = weightAgent
		}
		return v.Verdict == conversation.VerdictRight, weight
	}
	if isSmallTalk(x.said.Intent) || x.handover != "" || x.turn.Ask != "" {
		return false, 0 // it settles nothing, so that nothing can be told from what follows
	}
	switch {
	case next == nil && now.Sub(x.saidAt) >= quietFor:
		return true, weightSilence
	case next == nil:
		return false, 0
	case denies(next.text), wantsHuman(next):
		return false, weightSign
	case next.turn.Intent == "thanks" || next.turn.Intent == "goodbye":
		return true, weightSign
	}
	return false, 0
}

// judgeOffer looks at which button was pressed: the first is what the message
// was most likely taken for.
func (x *exchange) judgeOffer(next *exchange) (right bool, weight float64) {
	if next == nil {
		return false, 0
	}
	i := x.offers(next.text)
	if i < 0 {
		return false, 0
	}
	return i == 0, weightSign
}

// offers gives which button of the bot's message a text presses, or -1.
func (x *exchange) offers(text string) int {
	for i, b := range x.buttons {
		if b.Text == text {
			return i
		}
	}
	return -1
}

func wantsHuman(next *exchange) bool {
	return next.handover == conversation.HandoverAsked || next.handover == conversation.HandoverAbstained
}

// missed says why a message counts as a missing question; empty when it does not.
func (x *exchange) missed(next *exchange) conversation.MissedReason {
	if v := x.verdict(); v != nil {
		if v.Verdict == conversation.VerdictRight {
			return ""
		}
		return conversation.MissedWrong
	}
	switch {
	case isSmallTalk(x.turn.Intent) || x.handover == conversation.HandoverAsked:
		return ""
	case x.said.Intent == "" && next != nil && x.offers(next.text) == 0:
		return "" // asked back, and it was what was thought
	case denies(x.text):
		return "" // says nothing by itself
	case x.turn.Abstained || x.handover == conversation.HandoverAbstained:
		return conversation.MissedNotUnderstood
	case x.said.Intent != "" && next != nil && denies(next.text):
		return conversation.MissedDenied
	case x.said.Intent != "" && x.turn.Ask == "" && x.handover == "" && next != nil && wantsHuman(next):
		return conversation.MissedHandedOver
	}
	return ""
}

// isSmallTalk reports intents that no question is about.
func isSmallTalk(intent string) bool {
	switch intent {
	case "greeting", "thanks", "goodbye", "affirm", "deny", conversation.IntentTalkToHuman:
		return true
	}
	return false
}

// denials are how visitors say that they were answered something else.
func denials() []string {
	return []string{
		"不是我想问", "不是我要问", "不是我问的", "不是问这个", "没问这个", "我问的不是", "答非所问", "不是这个意思", "没回答我", "你没听懂", "没看懂我",
		"not what i asked", "not what i meant", "not my question", "didn't ask that", "did not ask that", "wrong answer",
		"doesn't answer", "does not answer", "not what i'm asking", "that's not it", "you misunderstood",
	}
}

// denies reports whether a text says that the answer before was not to what had
// been asked.
func denies(text string) bool {
	text = strings.ReplaceAll(strings.ToLower(text), "’", "'")
	for _, d := range denials() {
		if strings.Contains(text, d) {
			return true
		}
	}
	return false
}

func hashOf(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}
