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
		"changes the subject":        {pred: guess(0.8), dialogue: asking(1), slot: SlotMissing, want: answer},
		"slot missing":               {pred: guess(0.2), dialogue: asking(1), slot: SlotMissing, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 0.2}},
		"slot missing again":         {pred: guess(0.2), dialogue: asking(2), slot: SlotMissing, want: Choice{Action: ActionHandover, Reason: HandoverMissingSlot, Intent: "parcel"}},
		"slot missing, patient":      {policy: Policy{MaxAsks: 5}, pred: guess(0.2), dialogue: asking(4), slot: SlotMissing, want: Choice{Action: ActionContinue, Intent: "parcel", Confidence: 0.2}},
		"slot without a question":    {pred: guess(0.2), slot: SlotFilled, want: Choice{Action: ActionFallback, Confidence: 0.2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tc.policy.Choose(&State{Dialogue: tc.dialogue}, tc.pred, tc.slot)
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
