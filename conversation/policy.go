package conversation

// Policy is when an inbox's bot speaks and when it stops. The zero value is a
// usable policy.
type Policy struct {
	Auto        float32 `json:"auto,omitempty"`         // answer at or above; zero = the pack's threshold
	Suggest     float32 `json:"suggest,omitempty"`      // offer candidates at or above; zero = the pack's threshold
	MaxAbstains int     `json:"max_abstains,omitempty"` // turns in a row not understood before handover; zero = 2
	MaxAsks     int     `json:"max_asks,omitempty"`     // times a slot is asked for before handover; zero = 2
	Silent      bool    `json:"silent,omitempty"`       // predict, never answer: every turn goes to humans
	Answers     Answers `json:"answers,omitempty"`      // whether the bot answers by itself; empty = proven
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
		return s.pressed()
	case AnswersProven:
	}
	return pred == nil || !pred.Unproven || s.pressed()
}

// The defaults of a zero [Policy].
const (
	defaultMaxAbstains = 2
	defaultMaxAsks     = 2
)

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
}

// maxOffer is how many intents a clarifying question offers.
const maxOffer = 3

// IntentTalkToHuman is the label on which a handover follows without any look
// at thresholds above suggest: a visitor who asks for a human gets one.
const IntentTalkToHuman = "talk_to_human"

// Choose decides what a turn comes to, from the prediction and from what the
// dialogue knows. filled says whether the slot that was asked for has been
// found in the utterance.
func (p Policy) Choose(s *State, pred *Prediction, filled SlotResult) Choice {
	best := pred.Best()
	auto, suggest := p.thresholds(pred)
	switch {
	case p.Silent:
		return Choice{Action: ActionHandover, Reason: HandoverPolicy, Intent: best.Intent, Confidence: best.Confidence}
	case best.Intent == IntentTalkToHuman && best.Confidence >= suggest:
		return Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: best.Intent, Confidence: best.Confidence}
	case s.Dialogue.Ask != "" && filled == SlotFilled:
		// The answer to a question is understood by the question, not by the
		// classifier: "2023" alone is no intent at all.
		return Choice{Action: ActionContinue, Intent: s.Dialogue.Intent, Confidence: 1}
	case best.Confidence >= auto && best.Intent != "" && p.mayAnswer(s, pred):
		return Choice{Action: ActionAnswer, Intent: best.Intent, Confidence: best.Confidence}
	case s.Dialogue.Ask != "":
		if s.Dialogue.Asked >= p.maxAsks() {
			return Choice{Action: ActionHandover, Reason: HandoverMissingSlot, Intent: s.Dialogue.Intent}
		}
		return Choice{Action: ActionContinue, Intent: s.Dialogue.Intent, Confidence: best.Confidence}
	case s.Dialogue.Abstains+1 >= p.maxAbstains():
		return Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: best.Intent, Confidence: best.Confidence}
	}
	if offer := offerable(pred, suggest); len(offer) > 0 {
		return Choice{Action: ActionClarify, Offer: offer}
	}
	return Choice{Action: ActionFallback, Confidence: best.Confidence}
}

// SlotResult says whether the slot that was asked for came.
type SlotResult uint8

// The slot results.
const (
	SlotNotAsked SlotResult = iota
	SlotFilled
	SlotMissing
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

// offerable picks the candidates worth asking about: the best must reach
// suggest, the others a third of the best.
func offerable(pred *Prediction, suggest float32) []Candidate {
	best := pred.Best()
	if best.Intent == "" || best.Confidence < suggest {
		return nil
	}
	var out []Candidate
	for _, c := range pred.Candidates {
		if len(out) == maxOffer || c.Confidence < best.Confidence/3 {
			break
		}
		out = append(out, c)
	}
	return out
}
