package conversation

import "slices"

// reading is a turn as the rules of [Policy.Choose] see it.
type reading struct {
	p             Policy
	d             *Dialogue
	pred          *Prediction
	heard         Heard
	best          Candidate
	auto, suggest float32
	may           bool // the bot may answer by itself
}

// minOffered is what a candidate needs to be offered in place of an answer that
// was denied: the visitor has said that something else is meant.
const minOffered = 0.03

func (p Policy) reading(s *State, pred *Prediction, heard Heard) *reading {
	r := &reading{p: p, d: &s.Dialogue, pred: pred, heard: heard, best: pred.Best()}
	r.auto, r.suggest = p.thresholds(pred)
	r.may = p.mayAnswer(s, pred)
	return r
}

// sure reports whether the classifier is certain of a matter, and not of small
// talk, and may be believed.
func (r *reading) sure() bool { return r.may && r.serious() && r.best.Confidence >= r.auto }

// smallTalk reports whether the classifier is certain of small talk, which takes
// no proof to answer.
func (r *reading) smallTalk() bool { return SmallTalk(r.best.Intent) && r.best.Confidence >= r.auto }

func (r *reading) serious() bool { return r.best.Intent != "" && !SmallTalk(r.best.Intent) }

// givesValue reports a text that is a value, or the correction of one, and of
// which the classifier is not certain that it is anything else.
func (r *reading) givesValue() bool {
	return (r.heard.Slot == SlotFilled || r.heard.Slot == SlotChanged) && (r.heard.Bare || r.heard.Corrects) && r.best.Confidence < r.auto
}

// asked is for a turn after a question for a slot.
func (r *reading) asked() (Choice, bool) {
	switch {
	case r.d.Ask == "":
		return Choice{}, false
	case r.heard.Slot == SlotFilled && !r.another():
		// The answer to a question is understood by the question, not by the
		// classifier: "2023" alone is no intent at all.
		return Choice{Action: ActionContinue, Intent: r.d.Intent, Confidence: 1}, true
	case r.heard.Outside && (!r.heard.Rest || !r.sure()):
		return Choice{Action: ActionAnswer, Intent: r.d.Intent, Confidence: 1}, true
	case (r.heard.Lacks || r.heard.Seeks) && r.d.Asked < r.p.maxAsks():
		return Choice{Action: ActionContinue, Intent: r.d.Intent, Confidence: 1, Help: true}, true
	case r.heard.Lacks:
		return Choice{Action: ActionHandover, Reason: HandoverMissingSlot, Intent: r.d.Intent}, true
	case r.sure() || r.smallTalk():
		c := r.settled()
		c.Leaves = c.Action == ActionAnswer && r.leaves(c.Intent)
		return c, true
	}
	if c, ok := r.part(); ok {
		c.Leaves = true
		return c, true
	}
	switch {
	case r.d.Asked >= r.p.maxAsks():
		return Choice{Action: ActionHandover, Reason: HandoverMissingSlot, Intent: r.d.Intent}, true
	case r.turns():
		offer := append(r.offerable(r.pred.Candidates[:1]), Candidate{Intent: r.d.Intent, Confidence: 0})
		return Choice{Action: ActionClarify, Offer: offer}, true
	}
	return Choice{Action: ActionContinue, Intent: r.d.Intent, Confidence: r.best.Confidence}, true
}

// another reports whether a text with the slot's value is certainly about
// another matter all the same: "cancel order 2023" after a question for the
// number of a parcel.
func (r *reading) another() bool {
	return r.sure() && r.best.Intent != r.d.Intent && !r.heard.Bare && !r.heard.Corrects
}

// leaves reports whether the question of the bot is worth coming back to.
func (r *reading) leaves(intent string) bool {
	return intent != r.d.Intent && intent != "deny" && intent != "goodbye"
}

// turns reports whether the visitor seems to have turned to another matter
// instead of answering.
func (r *reading) turns() bool {
	return r.serious() && r.best.Intent != r.d.Intent && r.best.Confidence >= r.suggest && len(r.heard.Values) == 0 &&
		r.d.Abstains+1 < r.p.maxAbstains()
}

// changed is for a turn that gives, takes back or corrects a value without
// having been asked for it.
func (r *reading) changed() (Choice, bool) {
	intent := r.d.Intent
	switch {
	case r.d.Ask != "":
		return Choice{}, false
	case r.heard.Slot == SlotFilled && r.d.Pending != nil:
		intent = r.d.Pending.Intent // the question that was left is answered after all
	case r.heard.Slot != SlotChanged && r.heard.Slot != SlotDropped:
		return Choice{}, false
	}
	if r.sure() && r.best.Intent != intent && !r.heard.Bare && !r.heard.Corrects {
		return Choice{}, false // a matter of its own that happens to name a number
	}
	return Choice{Action: ActionContinue, Intent: intent, Confidence: 1}, true
}

// offered is for a no to everything that was offered, and for a yes that says
// not to which.
func (r *reading) offered() (Choice, bool) {
	n := len(r.d.Offered)
	if n == 0 || !r.heard.Refuses && !r.heard.Agrees {
		return Choice{}, false
	}
	if r.d.Abstains == 0 {
		return Choice{}, false // offered beside an answer; a yes or no may be about anything
	}
	if r.d.Abstains+1 >= r.p.maxAbstains() {
		return r.giveUp(), true
	}
	if r.heard.Refuses {
		return Choice{Action: ActionFallback}, true
	}
	offer := make([]Candidate, n)
	for i, intent := range r.d.Offered {
		offer[i].Intent = intent
	}
	return Choice{Action: ActionClarify, Offer: offer}, true
}

// denied is for a turn that says that the answer was not what had been asked:
// the answer is not repeated, and the next candidates are offered.
func (r *reading) denied() (Choice, bool) {
	denied := r.d.Answered
	if !r.heard.Denies || denied == "" {
		return Choice{}, false
	}
	if r.heard.Rest && r.sure() && r.best.Intent != denied && !slices.Contains(r.d.Denied, r.best.Intent) {
		c := r.answer(r.best)
		c.Denied = denied
		return c, true
	}
	var c Choice
	switch offer := r.offerable(r.others(denied)); {
	case r.d.Abstains+1 >= r.p.maxAbstains() || slices.Contains(r.d.Denied, denied):
		c = r.giveUp()
	case len(offer) > 0:
		c = Choice{Action: ActionClarify, Offer: offer}
	default:
		c = Choice{Action: ActionFallback, Confidence: r.best.Confidence}
	}
	c.Denied = denied
	return c, true
}

// others gives the candidates that are worth offering in place of a denied one.
func (r *reading) others(denied string) []Candidate {
	if r.pred == nil {
		return nil
	}
	var out []Candidate
	for _, c := range r.pred.Candidates {
		if c.Intent != denied && !slices.Contains(r.d.Denied, c.Intent) && c.Confidence >= minOffered {
			out = append(out, c)
		}
	}
	return out
}

// certain is for a turn of which the classifier is sure, alone, as one of several
// questions, or as going on with what was talked about.
func (r *reading) certain() (Choice, bool) {
	if r.justDenied(r.best.Intent) {
		return Choice{}, false // not the same answer again
	}
	if r.sure() {
		return r.settled(), true
	}
	for _, rule := range []func() (Choice, bool){r.part, r.goesOn} {
		if c, ok := rule(); ok {
			return c, true
		}
	}
	if r.smallTalk() {
		return r.answer(r.best), true
	}
	return Choice{}, false
}

// settled answers what the classifier is sure of. A text that leans on what was
// said, and means that when it is read as going on, is answered as that: "and who
// pays for postage?" is certainly about the delivery, but not after a question
// about returns. Where that reading is in doubt the visitor is asked.
func (r *reading) settled() Choice {
	best, in := r.best, r.leaning()
	switch {
	case in.Intent == "":
	case in.Confidence >= r.auto:
		c := r.answer(in)
		c.also(best)
		return c
	case r.d.Abstains+1 < r.p.maxAbstains():
		return Choice{Action: ActionClarify, Offer: []Candidate{in, best}}
	}
	return r.answer(best)
}

// leaning gives what a text that leans on what was said means as going on with it,
// where that is another matter than by itself.
func (r *reading) leaning() Candidate {
	if r.pred == nil || !r.heard.Follows {
		return Candidate{}
	}
	in := r.pred.InContext
	if in.Intent == r.best.Intent || in.Confidence < r.suggest || SmallTalk(in.Intent) || r.smallTalk() || r.justDenied(in.Intent) {
		return Candidate{}
	}
	return in
}

// justDenied reports whether the turn before denied an answer of this intent.
func (r *reading) justDenied(intent string) bool {
	n := len(r.d.Denied)
	return n > 0 && r.d.Abstains > 0 && r.d.Answered == "" && intent == r.d.Denied[n-1]
}

// goesOn takes a text of which the classifier is not sure, and that leans on what
// was said, as a part of that. If the text by itself means nothing, the matter must
// have been seen in it all the same: it could be about anything.
func (r *reading) goesOn() (Choice, bool) {
	in := r.leaning()
	if !r.may || in.Intent == "" || in.Confidence < r.auto {
		return Choice{}, false
	}
	seen := r.best.Confidence >= r.suggest || slices.ContainsFunc(r.pred.Candidates, func(c Candidate) bool { return c.Intent == in.Intent })
	return r.answer(in), seen
}

// part answers the first question that is certain, of several in one text.
func (r *reading) part() (Choice, bool) {
	if r.pred == nil || !r.may {
		return Choice{}, false
	}
	for _, c := range r.pred.Parts {
		if c.Confidence >= r.auto && !SmallTalk(c.Intent) && c.Intent != IntentTalkToHuman && !r.justDenied(c.Intent) {
			return r.answer(c), true
		}
	}
	return Choice{}, false
}

// answer answers one matter and offers what else the text asks.
func (r *reading) answer(c Candidate) Choice {
	out := Choice{Action: ActionAnswer, Intent: c.Intent, Confidence: c.Confidence}
	if r.pred == nil {
		return out
	}
	for _, part := range r.pred.Parts {
		if part.Confidence >= r.suggest && !SmallTalk(part.Intent) {
			out.also(part)
		}
	}
	return out
}

// also offers an intent beside the answer.
func (c *Choice) also(other Candidate) {
	known := slices.ContainsFunc(c.Also, func(x Candidate) bool { return x.Intent == other.Intent })
	if other.Intent != c.Intent && !known && len(c.Also) < maxOffer {
		c.Also = append(c.Also, other)
	}
}

// doubtful is for everything else: ask back, say so, or hand over.
func (r *reading) doubtful() Choice {
	if r.d.Abstains+1 >= r.p.maxAbstains() {
		return r.giveUp()
	}
	if r.best.Intent != "" && r.best.Confidence >= r.suggest {
		if offer := r.offerable(r.pred.Candidates); len(offer) > 0 {
			return Choice{Action: ActionClarify, Offer: offer}
		}
	}
	if in := r.inContext(); in.Intent != "" {
		return Choice{Action: ActionClarify, Offer: []Candidate{in}}
	}
	return Choice{Action: ActionFallback, Confidence: r.best.Confidence}
}

// inContext gives what the text may mean as going on with the conversation, when
// that is worth a question. It takes a little off: the text alone did not say so.
func (r *reading) inContext() Candidate {
	if r.pred == nil {
		return Candidate{}
	}
	in := r.pred.InContext
	in.Confidence = min(in.Confidence*contextTrust, r.auto)
	if in.Intent == "" || in.Confidence < r.suggest || SmallTalk(in.Intent) || r.justDenied(in.Intent) {
		return Candidate{}
	}
	return in
}

const contextTrust = 0.9

func (r *reading) giveUp() Choice {
	return Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: r.best.Intent, Confidence: r.best.Confidence}
}

// offerable picks the candidates worth asking about, best first: the others must
// have a third of the best. Small talk is none, and what was denied just before is
// not offered again.
func (r *reading) offerable(candidates []Candidate) []Candidate {
	var out []Candidate
	for _, c := range candidates {
		if len(out) == maxOffer || len(out) > 0 && c.Confidence < out[0].Confidence/3 {
			break
		}
		if !r.justDenied(c.Intent) && !SmallTalk(c.Intent) {
			out = append(out, c)
		}
	}
	return out
}
