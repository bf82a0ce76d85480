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
