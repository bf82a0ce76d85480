package conversation

import "cmp"

// Policy is when an inbox's bot speaks and when it stops. The zero value is a
// usable policy.
type Policy struct {
	Auto        float32 `json:"auto,omitempty"`         // answer at or above; zero = the pack's threshold
	Suggest     float32 `json:"suggest,omitempty"`      // offer candidates at or above; zero = the pack's threshold
	MaxAbstains int     `json:"max_abstains,omitempty"` // turns in a row not understood before handover; zero = 2
	MaxAsks     int     `json:"max_asks,omitempty"`     // times a slot is asked for before handover; zero = 2
	Silent      bool    `json:"silent,omitempty"`       // predict, never answer: every turn goes to humans
	Answers     Answers `json:"answers,omitempty"`      // whether the bot answers by itself; empty = proven

	Anger         AngerPolicy `json:"anger,omitempty"`          // what an angry visitor changes; empty = escalate
	AngerPriority Priority    `json:"anger_priority,omitempty"` // of an angry visitor's conversation; empty = high, none = leave

	Files FilePolicy `json:"files,omitempty"` // what the bot does about a file without words; empty = handover

	Anomalies AnomalyRules `json:"anomalies,omitzero"` // what else is told of conversations unlike others, and what that changes
}

// Answers says whether an inbox's bot answers by itself, or only asks back and
// leaves the answer to humans.
type Answers string

// The values of [Answers].
const (
	AnswersProven Answers = "proven" // once the packs have shown that they are as precise as they say
	AnswersOn     Answers = "on"     // an operator says so
	AnswersOff    Answers = "off"    // never
)

// Valid reports whether a is one of them, or empty.
func (a Answers) Valid() bool {
	return a == "" || a == AnswersProven || a == AnswersOn || a == AnswersOff
}

// mayAnswer reports whether the bot may answer a message of which it is sure.
// What a visitor has confirmed by pressing a button needs no proof.
func (p Policy) mayAnswer(s *State, pred *Prediction) bool {
	switch p.Answers {
	case AnswersOn:
		return true
	case AnswersOff:
		return s.confirmed()
	case AnswersProven:
	}
	return pred == nil || !pred.Unproven || s.confirmed()
}

// AngerPolicy says what the bot does about an angry visitor. Agents see the
// mood whatever it says.
type AngerPolicy string

// The policies, from the least to the most.
const (
	AngerIgnore   AngerPolicy = "ignore"   // answers as always, and leaves the priority
	AngerSoften   AngerPolicy = "soften"   // apologizes once before the answer, and raises the priority
	AngerEscalate AngerPolicy = "escalate" // the same, and gives to humans when anger stays or threatens and the bot has nothing certain to say
	AngerHandover AngerPolicy = "handover" // the same, and gives to humans at once
)

// Known reports whether a is one of the policies or empty.
func (a AngerPolicy) Known() bool {
	switch a {
	case "", AngerIgnore, AngerSoften, AngerEscalate, AngerHandover:
		return true
	}
	return false
}

// defaultAngerPriority is the priority of an angry visitor's conversation.
const defaultAngerPriority = PriorityHigh

// The defaults of a zero [Policy].
const (
	defaultMaxAbstains = 2
	defaultMaxAsks     = 2
)

// FilePolicy says what the bot, which reads words only, does about a message that
// is files and nothing else.
type FilePolicy string

// The policies.
const (
	FilesHandover FilePolicy = "handover" // gives it to humans at once
	FilesAsk      FilePolicy = "ask"      // asks for words, which counts as a turn that was not understood
)

// Known reports whether f is one of the policies or empty.
func (f FilePolicy) Known() bool { return f == "" || f == FilesHandover || f == FilesAsk }

// Unread decides what a message of files without words comes to.
func (p Policy) Unread(s *State) Choice {
	if p.Files != FilesAsk || s.Dialogue.Abstains+1 >= p.maxAbstains() {
		return Choice{Action: ActionHandover, Reason: HandoverAttachment, Intent: s.Dialogue.Intent}
	}
	return Choice{Action: ActionFallback}
}

// Action is what a policy chose for a turn.
type Action string

// The actions.
const (
	ActionAnswer   Action = "answer"   // let the intent's behavior answer
	ActionContinue Action = "continue" // the turn answers the slot that was asked for
	ActionClarify  Action = "clarify"  // offer the nearest intents as buttons
	ActionFallback Action = "fallback" // say that it was not understood
	ActionHandover Action = "handover" // give to humans
)

// Choice is an action with its reason.
type Choice struct {
	Action     Action
	Intent     string // for answer and continue
	Confidence float32
	Reason     HandoverReason // for handover
	Offer      []Candidate    // for clarify, best first
	Also       []Candidate    // for answer: what else the text asks, to be offered beside
	Denied     string         // the topic whose answer the text says was not what was asked
	Help       bool           // for continue: the visitor does not have the slot's value, or asks where to find it
	Leaves     bool           // for answer: a question of the bot stays open meanwhile
	Plain      bool           // for answer: without a look-up, since there is nothing to look up yet
	Soften     bool           // the visitor is angry and has heard no apology yet
}

// certain reports whether the bot knows what to say: it trusts the intent, or
// has just been given what it asked for.
func (c *Choice) certain() bool {
	return c.Action == ActionAnswer || c.Action == ActionContinue && c.Confidence == 1
}

// maxOffer is how many intents a clarifying question offers.
const maxOffer = 3

// IntentTalkToHuman is the label on which a handover follows without any look
// at thresholds above suggest: a visitor who asks for a human gets one.
const IntentTalkToHuman = "talk_to_human"

// Choose decides what a turn comes to, from the prediction, from what the text
// does in the dialogue, and from what the dialogue knows. What the state settles
// by itself, such as the answer to a question of the bot, the classifier is not
// asked about.
func (p Policy) Choose(s *State, pred *Prediction, heard Heard) Choice {
	r := p.reading(s, pred, heard)
	best := r.best
	switch {
	case p.Silent:
		return Choice{Action: ActionHandover, Reason: HandoverPolicy, Intent: best.Intent, Confidence: best.Confidence}
	case heard.Pick == IntentTalkToHuman:
		return Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: heard.Pick, Confidence: 1}
	case best.Intent == IntentTalkToHuman && best.Confidence >= r.suggest && !r.givesValue():
		return Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: best.Intent, Confidence: best.Confidence}
	case heard.Pick != "":
		return Choice{Action: ActionAnswer, Intent: heard.Pick, Confidence: 1}
	}
	for _, rule := range []func(*reading) (Choice, bool){
		(*reading).asked, (*reading).changed, (*reading).offered, (*reading).denied, (*reading).certain,
	} {
		if c, ok := rule(r); ok {
			c.Plain = c.Action == ActionAnswer && heard.Outside
			return c
		}
	}
	return r.doubtful()
}

// Ease fits a choice to the visitor's mood. book is the playbook of the chosen
// intent, or nil; what it says about anger counts before what the inbox says.
//
// Abuse alone changes nothing: people who swear still want an answer.
func (p Policy) Ease(s *State, c Choice, book *Playbook) Choice {
	how := p.Anger
	if book != nil && book.Anger != "" {
		how = book.Anger
	}
	if !s.Mood.Angry() || how == AngerIgnore || p.Silent {
		return c
	}
	c.Soften = !s.Mood.Softened
	grave := s.Mood.Threatens() || s.Mood.Stays()
	leave := how == AngerHandover || how != AngerSoften && grave && !c.certain()
	if leave && c.Action != ActionHandover {
		c = Choice{Action: ActionHandover, Reason: HandoverAnger, Intent: c.Intent, Confidence: c.Confidence, Soften: c.Soften}
	}
	return c
}

// RaiseTo gives the priority that an angry visitor's conversation is raised to;
// none when it is left.
func (p Policy) RaiseTo() Priority {
	if p.Anger == AngerIgnore {
		return PriorityNone
	}
	return cmp.Or(p.AngerPriority, defaultAngerPriority)
}

// SlotResult says whether the slot that was asked for came.
type SlotResult uint8

// The slot results.
const (
	SlotNotAsked SlotResult = iota
	SlotFilled
	SlotMissing
	SlotChanged // nothing was asked, but a value that the running matter goes by is now another one
	SlotDropped // it is not the value that is known, and the new one is not said
)

func (p Policy) thresholds(pred *Prediction) (auto, suggest float32) {
	auto, suggest = p.Auto, p.Suggest
	if pred != nil {
		if auto == 0 {
			auto = pred.Auto
		}
		if suggest == 0 {
			suggest = pred.Suggest
		}
	}
	if auto == 0 {
		auto = 0.9
	}
	if suggest == 0 {
		suggest = 0.5
	}
	return auto, min(suggest, auto)
}

func (p Policy) maxAbstains() int {
	if p.MaxAbstains <= 0 {
		return defaultMaxAbstains
	}
	return p.MaxAbstains
}

func (p Policy) maxAsks() int {
	if p.MaxAsks <= 0 {
		return defaultMaxAsks
	}
	return p.MaxAsks
}
