package conversation

import (
	"slices"
	"strings"
)

// The bounds of what a dialogue remembers.
const (
	maxTopics   = 3
	maxMatters  = 2 // topics whose texts a classifier gets
	maxDenied   = 8
	maxOffered  = MaxButtons
	maxAround   = 4 // runes around the name of a button that still press it
	pendingLife = 3 // turns after which a question that was left is forgotten
)

// Topic is a matter that was talked about.
type Topic struct {
	Intent string `json:"intent"`
	Turn   Seq    `json:"turn"` // the visitor's message that brought it up
}

// Pending is a question for a slot that the visitor has left for another topic.
type Pending struct {
	Intent string `json:"intent"`
	Ask    string `json:"ask"`
	Asked  int    `json:"asked,omitempty"`
	Turns  int    `json:"turns,omitempty"` // that have gone by since
}

// Heard is what a text does in the dialogue, apart from what it is about.
type Heard struct {
	Slot   SlotResult
	Read   Text    // what a classifier should read; the text, or what is left of it
	Rest   bool    // after a denial, or saying that there is nothing to look up, the text goes on
	Values []Value // numbers and codes
	Pick   string  // the intent that was picked among those offered

	Denies   bool // "that's not what I asked", about the last answer
	Corrects bool // "sorry, I meant …"
	Other    bool // "the other one"
	Lacks    bool // "I don't have it", about the slot that was asked for
	Seeks    bool // "where do I find it", about the slot that was asked for
	Follows  bool // "and who pays for that?"
	Outside  bool // "I am not enrolled yet": there is nothing to look up
	Agrees   bool // yes, and nothing else
	Refuses  bool // no or none of them, and nothing else
	Bare     bool // values, and no word that says anything of its own
}

// Wording is a text with what its words say by themselves, before a state gives
// them a meaning. Reading it takes most of the time of hearing it.
//
// It is not changed by hearing it, so one may be heard by several.
type Wording struct {
	text   Text
	cues   cues
	values []Value
	empty  bool // but for the values it says nothing
}

// ReadWording reads a text.
func ReadWording(text Text) *Wording {
	folded := foldText(text)
	w := &Wording{text: text, cues: readCues(folded), values: readValues(text, folded)}
	w.empty = len(w.values) > 0 && carriesNothing(text, w.values)
	return w
}

// Hear is [State.HearWording] of a text.
func (s *State) Hear(text Text) Heard { return s.HearWording(ReadWording(text)) }

// HearWording takes a text in the light of the state: what a yes, a number or
// "not that one" means depends on what was said before. It does not look at the
// slot, which takes the packs' rules. The values are those of the wording.
func (s *State) HearWording(w *Wording) Heard {
	text, c, d := w.text, &w.cues, &s.Dialogue
	h := Heard{
		Read: text, Values: w.values, Corrects: c.corrects, Other: c.other, Follows: c.follows, Outside: c.outside,
		Agrees: c.agrees, Refuses: c.refuses, Bare: w.empty,
	}
	asked := d.Ask != ""
	h.Lacks, h.Seeks = asked && c.lacks(), asked && c.seeks()
	h.Pick = s.picked(text, c)
	h.Denies = c.denies || c.refuses && !c.lacks() && d.Answered != "" && len(d.Offered) == 0 && firmly(c.bare)
	h.Rest = c.outside && questioning(c.whole)
	if c.lead > 0 {
		h.Rest = true
		h.Read = blank(text, c.lead)
	}
	if h.Denies && !h.Rest && d.Answered != "" {
		// Nothing new was said: the earlier text is read again, without what was denied.
		if m := s.matters(1); len(m) > 0 {
			h.Read = m[0].Text
		}
	}
	return h
}

// firmly tells "that is wrong" from a no that may answer "anything else?".
func firmly(bare string) bool { return bare == "不是" || bare == "不对" || bare == "不是的" }

// blank puts spaces in place of the first n runes, so that offsets stay.
func blank(text Text, n int) Text {
	at := 0
	for i := range string(text) {
		if n == 0 {
			at = i
			break
		}
		n--
	}
	return Text(strings.Repeat(" ", at)) + text[at:]
}

// picked gives the offered intent that a text chooses: by its button, its place,
// or a yes to the only one.
func (s *State) picked(text Text, c *cues) string {
	offered := s.Dialogue.Offered
	if len(offered) == 0 {
		return ""
	}
	if i := s.pressed(text); i >= 0 && i < len(offered) {
		return offered[i]
	}
	switch {
	case c.ordinal < 0:
		return offered[len(offered)-1]
	case c.ordinal > 0 && c.ordinal <= len(offered):
		return offered[c.ordinal-1]
	case c.agrees && len(offered) == 1:
		return offered[0]
	}
	return ""
}

// pressed gives the place of the button that a text presses or repeats, -1 for
// none. The buttons are those of the bot's newest message that has any.
func (s *State) pressed(text Text) int {
	said := squeeze(string(foldText(text)))
	for _, m := range slices.Backward(s.Recent) {
		if m.From != PartyBot || len(m.Buttons) == 0 {
			continue
		}
		at, named := -1, 0
		for i, b := range m.Buttons {
			label := squeeze(string(foldText(Text(b.Text))))
			if label == said {
				return i
			}
			if label != "" && strings.Contains(said, label) {
				named++
				if len([]rune(said)) <= len([]rune(label))+maxAround {
					at = i
				}
			}
		}
		if named > 1 {
			return -1
		}
		return at
	}
	return -1
}

// carriesNothing reports whether the words around the values say nothing of
// their own: "my order number is …", 单号是….
func carriesNothing(text Text, values []Value) bool {
	var b strings.Builder
	at := 0
	for _, v := range values {
		b.WriteString(string(text[at:v.Start]))
		b.WriteByte(' ')
		at = v.End
	}
	b.WriteString(string(text[at:]))
	rest := string(foldText(Text(b.String())))
	for _, w := range []string{
		"订单编号", "订单号", "订单", "单号", "学号", "编号", "号码", "哦", "噢", "看到了", "找到了", "发你", "给你", "是的", "就是", "这个", "这是", "这单", "应该", "我的", "谢谢",
		"麻烦", "你好", "您好", "好的", "查一下", "查下", "帮我查", "帮我", "请", "吗", "呀", "啊", "呢", "吧", "了", "的", "是", "为", "号", "我", "它", "嗯",
	} {
		rest = strings.ReplaceAll(rest, w, " ")
	}
	for word := range strings.FieldsFuncSeq(rest, gap) {
		if !slices.Contains([]string{
			"order", "orders", "number", "no", "nr", "num", "id", "is", "it", "it's", "its", "my", "the", "student", "here", "you", "go", "hi", "hello", "thanks", "thank",
			"please", "ok", "okay", "oh", "ah", "got", "found", "sure", "yes", "this", "that's", "thats", "one", "sorry", "what", "i", "think", "here's", "heres", "#", "a", "for", "and",
		}, word) {
			return false
		}
	}
	return true
}

// Matter is a topic with the text that brought it up.
type Matter struct {
	Intent string // empty = the text was not understood
	Text   Text
}

// Matters gives the topics that a short text may go on with, newest last. seq is
// the one of that text. What was not understood just before is one of them.
func (s *State) Matters(seq Seq) []Matter {
	out := s.matters(maxMatters)
	if context := s.Context(seq); s.Dialogue.Abstains > 0 && len(context) > 0 {
		out = append(out, Matter{Text: context[len(context)-1]})
	}
	return out
}

func (s *State) matters(n int) []Matter {
	var out []Matter
	for _, t := range slices.Backward(s.Dialogue.Topics) {
		if m, ok := s.MessageAt(t.Turn); ok && len(out) < n {
			out = append(out, Matter{Intent: t.Intent, Text: m.Text})
		}
	}
	slices.Reverse(out)
	return out
}

// SmallTalk reports the labels that need no answer and are no topic: greetings,
// thanks, a yes or no by itself.
func SmallTalk(intent string) bool {
	switch intent {
	case "greeting", "thanks", "goodbye", "affirm", "deny":
		return true
	}
	return false
}

// turn folds what a turn means for the next one.
func (d *Dialogue) turn(ev *TurnCompleted) {
	d.leave(ev)
	if ev.Abstained {
		d.Abstains++
	} else {
		d.Abstains = 0
	}
	switch {
	case ev.Ask != "" && ev.Ask == d.Ask:
		d.Asked++
	case ev.Ask != "" && d.Pending != nil && d.Pending.Ask == ev.Ask && d.Pending.Intent == ev.Intent:
		d.Asked = d.Pending.Asked + 1
		d.Pending = nil
	case ev.Ask != "":
		d.Asked = 1
	default:
		d.Asked = 0
	}
	d.Ask = ev.Ask
	d.Offered = slices.Clone(ev.Offered[:min(len(ev.Offered), maxOffered)])
	if ev.Denied != "" {
		d.Denied = append(slices.Clone(d.Denied[max(0, len(d.Denied)-maxDenied+1):]), ev.Denied)
	}
	d.Answered = ""
	if ev.Intent == "" {
		return
	}
	if SmallTalk(ev.Intent) {
		if d.Intent == "" {
			d.Intent = ev.Intent
		}
		return
	}
	d.Intent = ev.Intent
	if ev.Abstained {
		return
	}
	if ev.Ask == "" {
		d.Answered = ev.Intent
	}
	if n := len(d.Topics); n == 0 || d.Topics[n-1].Intent != ev.Intent {
		d.Topics = append(slices.Clone(d.Topics[max(0, n-maxTopics+1):]), Topic{Intent: ev.Intent, Turn: ev.Turn})
	}
}

// leave keeps a question that this turn leaves open, and lets one go that was
// settled or is too old.
func (d *Dialogue) leave(ev *TurnCompleted) {
	if goesOn := ev.Intent == d.Intent && (ev.Ask != "" || !ev.Abstained); d.Ask != "" && !goesOn {
		d.Pending = &Pending{Intent: d.Intent, Ask: d.Ask, Asked: d.Asked}
		return
	}
	if p := d.Pending; p != nil {
		left := *p
		left.Turns++
		if d.Pending = &left; left.Turns >= pendingLife || ev.Intent == p.Intent && ev.Ask == "" && !ev.Abstained {
			d.Pending = nil
		}
	}
}
