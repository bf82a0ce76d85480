package conversation

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	guess := func(conf ...float32) *Prediction {
		p := &Prediction{Auto: 0.8, Suggest: 0.4}
		for i, c := range conf {
			p.Candidates = append(p.Candidates, Candidate{Intent: []string{"hours", "address", "refund", "parcel"}[i], Confidence: c})
		}
		return p
	}
	human := func(conf float32) *Prediction {
		return &Prediction{Auto: 0.8, Suggest: 0.4, Candidates: []Candidate{{IntentTalkToHuman, conf}}}
	}
	asking := func(times int) Dialogue { return Dialogue{Intent: "parcel", Ask: "order", Asked: times} }
	answer := Choice{Action: ActionAnswer, Intent: "hours", Confidence: 0.8}
	abstained := Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: "hours", Confidence: 0.2}
	for name, tc := range map[string]struct {
		policy   Policy
		dialogue Dialogue
		pred     *Prediction
		slot     SlotResult
		want     Choice
	}{
		"sure":                       {pred: guess(0.8), want: answer},
		"sure after an abstain":      {pred: guess(0.8), dialogue: Dialogue{Abstains: 1}, want: answer},
		"just not sure":              {pred: guess(0.79), want: Choice{Action: ActionClarify, Offer: guess(0.79).Candidates}},
		"inbox is stricter":          {policy: Policy{Auto: 0.9}, pred: guess(0.8), want: Choice{Action: ActionClarify, Offer: guess(0.8).Candidates}},
		"inbox is laxer":             {policy: Policy{Auto: 0.5}, pred: guess(0.5), want: Choice{Action: ActionAnswer, Intent: "hours", Confidence: 0.5}},
		"offers near ones only":      {pred: guess(0.6, 0.21, 0.19), want: Choice{Action: ActionClarify, Offer: guess(0.6, 0.21).Candidates}},
		"offers three at most":       {pred: guess(0.5, 0.5, 0.5, 0.5), want: Choice{Action: ActionClarify, Offer: guess(0.5, 0.5, 0.5).Candidates}},
		"at suggest":                 {pred: guess(0.4), want: Choice{Action: ActionClarify, Offer: guess(0.4).Candidates}},
		"below suggest":              {pred: guess(0.39), want: Choice{Action: ActionFallback, Confidence: 0.39}},
		"suggest above auto":         {policy: Policy{Auto: 0.5, Suggest: 0.9}, pred: guess(0.5), want: Choice{Action: ActionAnswer, Intent: "hours", Confidence: 0.5}},
		"no thresholds at all":       {pred: &Prediction{Candidates: []Candidate{{"hours", 0.89}}}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"hours", 0.89}}}},
		"no thresholds, sure":        {pred: &Prediction{Candidates: []Candidate{{"hours", 0.9}}}, want: Choice{Action: ActionAnswer, Intent: "hours", Confidence: 0.9}},
		"classifier late":            {want: Choice{Action: ActionFallback}},
		"nothing recognized":         {pred: guess(), want: Choice{Action: ActionFallback}},
		"not a number":               {pred: guess(float32(math.NaN())), dialogue: Dialogue{Abstains: 1}, want: Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: "hours", Confidence: float32(math.NaN())}},
		"second abstain":             {pred: guess(0.2), dialogue: Dialogue{Abstains: 1}, want: abstained},
		"second doubt":               {pred: guess(0.5), dialogue: Dialogue{Abstains: 1}, want: Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: "hours", Confidence: 0.5}},
		"patient inbox":              {policy: Policy{MaxAbstains: 3}, pred: guess(0.2), dialogue: Dialogue{Abstains: 1}, want: Choice{Action: ActionFallback, Confidence: 0.2}},
		"impatient inbox":            {policy: Policy{MaxAbstains: 1}, pred: guess(0.2), want: abstained},
		"negative patience":          {policy: Policy{MaxAbstains: -1}, pred: guess(0.2), dialogue: Dialogue{Abstains: 1}, want: abstained},
		"silent":                     {policy: Policy{Silent: true}, pred: guess(0.99), want: Choice{Action: ActionHandover, Reason: HandoverPolicy, Intent: "hours", Confidence: 0.99}},
		"asks for a human":           {pred: human(0.4), want: Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: IntentTalkToHuman, Confidence: 0.4}},
		"asks for a human, mid-flow": {pred: human(0.5), dialogue: asking(1), slot: SlotFilled, want: Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: IntentTalkToHuman, Confidence: 0.5}},
		"may mean a human":           {pred: human(0.3), want: Choice{Action: ActionFallback, Confidence: 0.3}},
		"slot came":                  {pred: guess(0.1), dialogue: asking(2), slot: SlotFilled, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 1}},
		"slot came, classifier late": {dialogue: asking(1), slot: SlotFilled, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 1}},
		"changes the subject":        {pred: guess(0.8), dialogue: asking(1), slot: SlotMissing, want: Choice{Action: ActionAnswer, Intent: "hours", Confidence: 0.8, Leaves: true}},
		"slot missing":               {pred: guess(0.2), dialogue: asking(1), slot: SlotMissing, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 0.2}},
		"slot missing again":         {pred: guess(0.2), dialogue: asking(2), slot: SlotMissing, want: Choice{Action: ActionHandover, Reason: HandoverMissingSlot, Intent: "parcel"}},
		"slot missing, patient":      {policy: Policy{MaxAsks: 5}, pred: guess(0.2), dialogue: asking(4), slot: SlotMissing, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 0.2}},
		"slot without a question":    {pred: guess(0.2), slot: SlotFilled, want: Choice{Action: ActionFallback, Confidence: 0.2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tc.policy.Choose(&State{Dialogue: tc.dialogue}, tc.pred, Heard{Slot: tc.slot})
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(sameNumber)); diff != "" {
				t.Errorf("Choose (-want +got):\n%s", diff)
			}
		})
	}
}

// sameNumber counts what is not a number as equal to itself.
func sameNumber(a, b float32) bool {
	return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b))
}

// What a text does in the dialogue goes before what the classifier makes of it.
func TestChooseByDialogue(t *testing.T) {
	t.Parallel()
	guess := func(pairs ...any) *Prediction {
		p := &Prediction{Auto: 0.8, Suggest: 0.4}
		for i := 0; i+1 < len(pairs); i += 2 {
			name, _ := pairs[i].(string)
			conf, _ := pairs[i+1].(float64)
			p.Candidates = append(p.Candidates, Candidate{Intent: name, Confidence: float32(conf)})
		}
		return p
	}
	leaning := func(intent string, conf float32, pairs ...any) *Prediction {
		p := guess(pairs...)
		p.InContext = Candidate{Intent: intent, Confidence: conf}
		return p
	}
	parts := func(p *Prediction, all ...Candidate) *Prediction {
		p.Parts = all
		return p
	}
	asking := Dialogue{Intent: "parcel", Ask: "order", Asked: 1}
	again := Dialogue{Intent: "parcel", Ask: "order", Asked: 2}
	looked := Dialogue{Intent: "parcel", Answered: "parcel", Slots: map[string]string{"order": "2023"}, Topics: []Topic{{"returns", 1}, {"parcel", 3}}}
	left := Dialogue{Intent: "hours", Answered: "hours", Pending: &Pending{Intent: "refund", Ask: "order", Asked: 1}}
	offered := Dialogue{Offered: []string{"hours", "refund"}, Abstains: 1}
	denied := Dialogue{Intent: "parcel", Denied: []string{"parcel"}, Abstains: 1}
	patient := Policy{MaxAbstains: 3}
	goOn := func(intent string) Choice { return Choice{Action: ActionContinue, Intent: intent, Confidence: 1} }
	giveUp := func(intent string, conf float32) Choice {
		return Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: intent, Confidence: conf}
	}
	for name, tc := range map[string]struct {
		policy   Policy
		dialogue Dialogue
		pred     *Prediction
		heard    Heard
		want     Choice
	}{
		// A question for a slot is open.
		"value, and another matter for certain": {dialogue: asking, pred: guess("cancel", 0.9), heard: Heard{Slot: SlotFilled}, want: Choice{Action: ActionAnswer, Intent: "cancel", Confidence: 0.9, Leaves: true}},
		"bare value, whatever it looks like":    {dialogue: asking, pred: guess("cancel", 0.9), heard: Heard{Slot: SlotFilled, Bare: true}, want: goOn("parcel")},
		"value with a correction":               {dialogue: asking, pred: guess("damaged", 0.9), heard: Heard{Slot: SlotFilled, Corrects: true}, want: goOn("parcel")},
		"does not have it":                      {dialogue: asking, pred: guess("order_not_found", 0.95), heard: Heard{Slot: SlotMissing, Lacks: true}, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 1, Help: true}},
		"asks where it is":                      {dialogue: asking, pred: guess(), heard: Heard{Slot: SlotMissing, Seeks: true}, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 1, Help: true}},
		"still does not have it":                {dialogue: again, pred: guess("order_not_found", 0.95), heard: Heard{Slot: SlotMissing, Lacks: true}, want: Choice{Action: ActionHandover, Reason: HandoverMissingSlot, Intent: "parcel"}},
		"seems to turn to another matter":       {dialogue: asking, pred: guess("refund", 0.6, "hours", 0.3), heard: Heard{Slot: SlotMissing}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"refund", 0.6}, {"parcel", 0}}}},
		"a number that is none":                 {dialogue: asking, pred: guess("refund", 0.6), heard: Heard{Slot: SlotMissing, Values: []Value{{Text: "7"}}}, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 0.6}},
		"follow-up instead of a number":         {dialogue: asking, pred: leaning("returns", 0.9, "fee", 0.85), heard: Heard{Slot: SlotMissing, Follows: true}, want: Choice{Action: ActionAnswer, Intent: "returns", Confidence: 0.9, Also: []Candidate{{"fee", 0.85}}, Leaves: true}},
		"says goodbye":                          {dialogue: asking, pred: guess("goodbye", 0.9), heard: Heard{Slot: SlotMissing}, want: Choice{Action: ActionAnswer, Intent: "goodbye", Confidence: 0.9}},

		"is no customer yet":                {dialogue: asking, pred: guess("order", 0.95), heard: Heard{Slot: SlotMissing, Lacks: true, Outside: true}, want: Choice{Action: ActionAnswer, Intent: "parcel", Confidence: 1, Plain: true}},
		"is none, and asks another thing":   {dialogue: asking, pred: guess("hours", 0.9), heard: Heard{Slot: SlotMissing, Outside: true, Rest: true}, want: Choice{Action: ActionAnswer, Intent: "hours", Confidence: 0.9, Plain: true, Leaves: true}},
		"is none, and asks":                 {pred: guess("parcel", 0.9), heard: Heard{Outside: true}, want: Choice{Action: ActionAnswer, Intent: "parcel", Confidence: 0.9, Plain: true}},
		"is none, and is asked back":        {pred: guess("parcel", 0.5), heard: Heard{Outside: true}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"parcel", 0.5}}}},
		"a number, perhaps a human":         {dialogue: asking, pred: guess(IntentTalkToHuman, 0.5), heard: Heard{Slot: SlotFilled, Bare: true}, want: goOn("parcel")},
		"a number, and a human for certain": {dialogue: asking, pred: guess(IntentTalkToHuman, 0.8), heard: Heard{Slot: SlotFilled, Corrects: true}, want: Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: IntentTalkToHuman, Confidence: 0.8}},

		// Nothing is open.
		"the number was another":              {dialogue: looked, pred: guess("damaged", 0.92), heard: Heard{Slot: SlotChanged, Corrects: true}, want: goOn("parcel")},
		"and this one":                        {dialogue: looked, pred: guess("hours", 0.2), heard: Heard{Slot: SlotChanged, Follows: true}, want: goOn("parcel")},
		"another number for another matter":   {dialogue: looked, pred: guess("cancel", 0.92), heard: Heard{Slot: SlotChanged}, want: Choice{Action: ActionAnswer, Intent: "cancel", Confidence: 0.92}},
		"not that one":                        {dialogue: looked, pred: guess("deny", 0.95), heard: Heard{Slot: SlotDropped, Corrects: true, Other: true}, want: goOn("parcel")},
		"the question that was left":          {dialogue: left, pred: guess("refund", 0.5), heard: Heard{Slot: SlotFilled}, want: goOn("refund")},
		"the question that was left, new one": {dialogue: left, pred: guess("cancel", 0.9), heard: Heard{Slot: SlotFilled}, want: Choice{Action: ActionAnswer, Intent: "cancel", Confidence: 0.9}},
		"follow-up on an older topic":         {dialogue: looked, pred: leaning("returns", 0.9, "fee", 0.6, "returns", 0.2), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "returns", Confidence: 0.9}},
		"follow-up, certain by itself":        {dialogue: looked, pred: leaning("returns", 0.9, "fee", 0.85), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "returns", Confidence: 0.9, Also: []Candidate{{"fee", 0.85}}}},
		"no follow-up, certain by itself":     {dialogue: looked, pred: leaning("returns", 0.9, "fee", 0.85), want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.85}},
		"follow-up, perhaps":                  {dialogue: looked, pred: leaning("returns", 0.7, "fee", 0.85), heard: Heard{Follows: true}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"returns", 0.7}, {"fee", 0.85}}}},
		"follow-up, hardly":                   {dialogue: looked, pred: leaning("returns", 0.3, "fee", 0.85), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.85}},
		"follow-up, perhaps, once too often":  {dialogue: Dialogue{Abstains: 1}, pred: leaning("returns", 0.7, "fee", 0.85), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.85}},
		"follow-up on what was just denied":   {policy: patient, dialogue: Dialogue{Denied: []string{"returns"}, Abstains: 1}, pred: leaning("returns", 0.9, "fee", 0.85), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.85}},
		"follow-up that is thanks":            {dialogue: looked, pred: leaning("returns", 0.9, "thanks", 0.85), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "thanks", Confidence: 0.85}},
		"follow-up on a part of a topic":      {dialogue: looked, pred: leaning("fee", 0.9, "refund", 0.5, "fee", 0.4), heard: Heard{Follows: true}, want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.9}},
		"follow-up that the text hides":       {dialogue: looked, pred: leaning("returns", 0.9, "fee", 0.1), heard: Heard{Follows: true}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"returns", 0.8}}}},
		"no follow-up, context is offered":    {dialogue: looked, pred: leaning("returns", 0.9, "fee", 0.1, "returns", 0.1), want: Choice{Action: ActionClarify, Offer: []Candidate{{"returns", 0.8}}}},
		"context below suggest":               {dialogue: looked, pred: leaning("returns", 0.42, "fee", 0.1, "returns", 0.1), want: Choice{Action: ActionFallback, Confidence: 0.1}},

		// Several were offered.
		"picks":                 {dialogue: offered, pred: guess("affirm", 0.9), heard: Heard{Pick: "refund"}, want: Choice{Action: ActionAnswer, Intent: "refund", Confidence: 1}},
		"picks a human":         {dialogue: offered, heard: Heard{Pick: IntentTalkToHuman}, want: Choice{Action: ActionHandover, Reason: HandoverAsked, Intent: IntentTalkToHuman, Confidence: 1}},
		"none of them":          {dialogue: offered, pred: guess("deny", 0.9), heard: Heard{Refuses: true}, want: giveUp("deny", 0.9)},
		"none of them, patient": {policy: patient, dialogue: offered, pred: guess("deny", 0.9), heard: Heard{Refuses: true}, want: Choice{Action: ActionFallback}},
		"yes, but which":        {policy: patient, dialogue: offered, pred: guess("affirm", 0.9), heard: Heard{Agrees: true}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"hours", 0}, {"refund", 0}}}},

		// The answer was not what had been asked.
		"denies, next ones":           {dialogue: looked, pred: guess("parcel", 0.9, "refund", 0.05, "deny", 0.04, "hours", 0.01), heard: Heard{Denies: true}, want: Choice{Action: ActionClarify, Offer: []Candidate{{"refund", 0.05}}, Denied: "parcel"}},
		"denies and says what":        {dialogue: looked, pred: guess("refund", 0.9), heard: Heard{Denies: true, Rest: true}, want: Choice{Action: ActionAnswer, Intent: "refund", Confidence: 0.9, Denied: "parcel"}},
		"denies and says the same":    {dialogue: looked, pred: guess("parcel", 0.9), heard: Heard{Denies: true, Rest: true}, want: Choice{Action: ActionFallback, Confidence: 0.9, Denied: "parcel"}},
		"denies, classifier late":     {dialogue: looked, heard: Heard{Denies: true}, want: Choice{Action: ActionFallback, Denied: "parcel"}},
		"denies the same a 2nd time":  {dialogue: Dialogue{Intent: "parcel", Answered: "parcel", Denied: []string{"parcel"}}, pred: guess("parcel", 0.9, "refund", 0.2), heard: Heard{Denies: true}, want: Choice{Action: ActionHandover, Reason: HandoverAbstained, Intent: "parcel", Confidence: 0.9, Denied: "parcel"}},
		"denies what was no answer":   {dialogue: Dialogue{}, pred: guess("parcel", 0.9), heard: Heard{Denies: true}, want: Choice{Action: ActionAnswer, Intent: "parcel", Confidence: 0.9}},
		"asks the denied thing again": {policy: patient, dialogue: denied, pred: guess("parcel", 0.95, "refund", 0.5), want: Choice{Action: ActionClarify, Offer: []Candidate{{"refund", 0.5}}}},

		// Several questions at once.
		"one of two is certain":     {pred: parts(guess("hours", 0.5), Candidate{"thanks", 0.99}, Candidate{"refund", 0.9}, Candidate{"fee", 0.6}), want: Choice{Action: ActionAnswer, Intent: "refund", Confidence: 0.9, Also: []Candidate{{"fee", 0.6}}}},
		"both are certain":          {pred: parts(guess("fee", 0.9), Candidate{"refund", 0.9}, Candidate{"fee", 0.95}), want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.9, Also: []Candidate{{"refund", 0.9}}}},
		"greeting and a question":   {pred: parts(guess("greeting", 0.9), Candidate{"greeting", 0.9}, Candidate{"fee", 0.85}), want: Choice{Action: ActionAnswer, Intent: "fee", Confidence: 0.85}},
		"neither is certain":        {pred: parts(guess("fee", 0.5), Candidate{"refund", 0.5}, Candidate{"fee", 0.5}), want: Choice{Action: ActionClarify, Offer: []Candidate{{"fee", 0.5}}}},
		"small talk is not offered": {pred: guess("affirm", 0.7), want: Choice{Action: ActionFallback, Confidence: 0.7}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tc.policy.Choose(&State{Dialogue: tc.dialogue}, tc.pred, tc.heard)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Choose (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEase: what each policy does about each mood.
func TestEase(t *testing.T) {
	t.Parallel()
	calm := Mood{Temper: TemperCalm, Reasons: []MoodReason{MoodAbuse}}
	angry := Mood{Temper: TemperAngry, Hot: 1, Reasons: []MoodReason{MoodSudden, MoodAbuse}}
	told := Mood{Temper: TemperAngry, Hot: 1, Softened: true}
	stays := Mood{Temper: TemperAngry, Hot: 2, Softened: true}
	threatens := Mood{Temper: TemperAngry, Hot: 1, Reasons: []MoodReason{MoodThreat, MoodSudden}}
	answer := Choice{Action: ActionAnswer, Intent: "refund", Confidence: 0.9}
	given := Choice{Action: ActionContinue, Intent: "refund", Confidence: 1}
	asked := Choice{Action: ActionContinue, Intent: "refund", Confidence: 0.3}
	clarify := Choice{Action: ActionClarify, Offer: []Candidate{{"refund", 0.6}}}
	fallback := Choice{Action: ActionFallback, Confidence: 0.2}
	human := Choice{Action: ActionHandover, Reason: HandoverAsked}
	soft := func(c Choice) Choice { c.Soften = true; return c }
	leaves := func(c Choice) Choice {
		return Choice{Action: ActionHandover, Reason: HandoverAnger, Intent: c.Intent, Confidence: c.Confidence, Soften: c.Soften}
	}
	for name, tc := range map[string]struct {
		policy Policy
		book   *Playbook
		mood   Mood
		choice Choice
		want   Choice
	}{
		"calm":                        {mood: calm, choice: fallback, want: fallback},
		"angry, knows":                {mood: angry, choice: answer, want: soft(answer)},
		"angry, does not know":        {mood: angry, choice: fallback, want: soft(fallback)},
		"apologized":                  {mood: told, choice: answer, want: answer},
		"stays, knows":                {mood: stays, choice: answer, want: answer},
		"stays, was given":            {mood: stays, choice: given, want: given},
		"stays, was not given":        {mood: stays, choice: asked, want: leaves(asked)},
		"stays, clarifies":            {mood: stays, choice: clarify, want: leaves(clarify)},
		"stays, does not know":        {mood: stays, choice: fallback, want: leaves(fallback)},
		"threatens, knows":            {mood: threatens, choice: answer, want: soft(answer)},
		"threatens, does not know":    {mood: threatens, choice: fallback, want: leaves(soft(fallback))},
		"goes to humans anyway":       {mood: threatens, choice: human, want: soft(human)},
		"inbox hands over":            {policy: Policy{Anger: AngerHandover}, mood: angry, choice: answer, want: leaves(soft(answer))},
		"inbox only softens":          {policy: Policy{Anger: AngerSoften}, mood: threatens, choice: fallback, want: soft(fallback)},
		"inbox ignores":               {policy: Policy{Anger: AngerIgnore}, mood: threatens, choice: fallback, want: fallback},
		"silent inbox":                {policy: Policy{Silent: true, Anger: AngerHandover}, mood: stays, choice: human, want: human},
		"pack hands over":             {book: &Playbook{Anger: AngerHandover}, mood: angry, choice: answer, want: leaves(soft(answer))},
		"pack before inbox":           {policy: Policy{Anger: AngerHandover}, book: &Playbook{Anger: AngerSoften}, mood: stays, choice: answer, want: answer},
		"pack says nothing":           {policy: Policy{Anger: AngerHandover}, book: &Playbook{}, mood: angry, choice: answer, want: leaves(soft(answer))},
		"calm where anger hands over": {policy: Policy{Anger: AngerHandover}, mood: calm, choice: answer, want: answer},
	} {
		if diff := cmp.Diff(tc.want, tc.policy.Ease(&State{Mood: tc.mood}, tc.choice, tc.book)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestRaiseTo(t *testing.T) {
	t.Parallel()
	for want, p := range map[Priority]Policy{
		PriorityHigh:   {},
		PriorityUrgent: {AngerPriority: PriorityUrgent},
		PriorityLow:    {Anger: AngerHandover, AngerPriority: PriorityLow},
		PriorityNone:   {Anger: AngerIgnore, AngerPriority: PriorityUrgent},
	} {
		if got := p.RaiseTo(); got != want {
			t.Errorf("%+v: RaiseTo = %s, want %s", p, got, want)
		}
	}
	if got := (Policy{AngerPriority: PriorityNone}).RaiseTo(); got != PriorityNone {
		t.Errorf("none: RaiseTo = %s", got)
	}
	for _, a := range []AngerPolicy{"", AngerIgnore, AngerSoften, AngerEscalate, AngerHandover} {
		if !a.Known() {
			t.Errorf("%q is a policy", a)
		}
	}
	if AngerPolicy("explode").Known() {
		t.Error("any word is a policy")
	}
}
