package actors

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

// counter is a shop whose API knows all orders but 404; asked is what it was
// asked for.
func counter(t *testing.T) (r *rig, asked func() []string) {
	t.Helper()
	r = newRig(t, nil)
	var numbers []string
	r.engine.builtin.flows.client = &http.Client{Transport: roundTrip(func(req *http.Request) *http.Response {
		no := path.Base(req.URL.Path)
		numbers = append(numbers, no)
		w := httptest.NewRecorder()
		if no == "404" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, `{"no":%q}`, no)
		return w.Result()
	})}
	order := r.shelf.slots["order"]
	order.Mistaken = map[string]string{"waybill": "A tracking number is no order."}
	r.shelf.slots["order"] = order
	r.shelf.playbooks["track"] = &conversation.Playbook{
		Intent: "track", Title: "Track a parcel", Answer: "It takes a day.", Need: []conversation.Slot{order},
		Flow: &conversation.Flow{Name: "look", URL: "http://shop.example/orders/{order}", Reply: "{order} is on its way.", NotFound: "No order {order}."},
	}
	r.shelf.playbooks["fee"] = &conversation.Playbook{Intent: "fee", Title: "Delivery fee", Answer: "Eight."}
	r.shelf.playbooks[conversation.IntentTalkToHuman] = &conversation.Playbook{Intent: conversation.IntentTalkToHuman, Title: "A colleague"}
	r.shelf.phrases[phraseSlotHelp], r.shelf.phrases[phraseResume] = "See the e-mail.", "Back to it:"
	r.shelf.phrases[phraseAlso], r.shelf.phrases[phraseDenied] = "And this?", "My mistake."
	r.script.means("track", "track")
	r.script.means("when?", "hours")
	r.script.means("track my parcel WB7", "track", "waybill", "WB7")
	r.script.means("WB7", "track", "waybill", "WB7")
	return r, func() []string {
		out := numbers
		numbers = nil
		return out
	}
}

type roundTrip func(*http.Request) *http.Response

// RoundTrip implements [http.RoundTripper].
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// talk says texts one after the other, and checks the first reply to each and
// what was looked up for it.
func talk(t *testing.T, r *rig, asked func() []string, turns [][3]string) conversation.Receipt {
	t.Helper()
	var last conversation.Receipt
	for i, turn := range turns {
		last = r.say(turn[0])
		got := ""
		for _, m := range last.Replies {
			got += "|" + string(m.Text)
			for _, b := range m.Buttons {
				got += "[" + b.Label + "]"
			}
		}
		if want := "|" + turn[1]; got != want {
			t.Errorf("turn %d, %q: said %q, want %q", i+1, turn[0], got, want)
		}
		if looked := fmt.Sprint(asked()); looked != "["+turn[2]+"]" {
			t.Errorf("turn %d, %q: looked up %s, want [%s]", i+1, turn[0], looked, turn[2])
		}
	}
	return last
}

func TestDialogues(t *testing.T) {
	for name, turns := range map[string][][3]string{
		"the other order": {
			{"track", "Which order?", ""},
			{"2023", "2023 is on its way.", "2023"},
			{"不是这个，是另一单 2024", "2024 is on its way.", "2024"},
			{"no, the other order", "Which order?", ""},
			{"2025", "2025 is on its way.", "2025"},
		},
		"corrections": {
			{"track", "Which order?", ""},
			{"404", "No order 404.", "404"},
			{"sorry I meant 2042 not 2024", "2042 is on its way.", "2042"},
			{"发错了，单号是 2023", "2023 is on its way.", "2023"},
			{"and 2024 ?", "2024 is on its way.", "2024"},
			{"2023, 2025", "2023 is on its way.[2025]", "2023"},
			{"2025", "2025 is on its way.", "2025"},
		},
		"odd shapes": {
			{"track", "Which order?", ""},
			{"two zero two four", "2024 is on its way.", "2024"},
			{"track", "2024 is on its way.", "2024"},
			{"不对，是二零二三", "2023 is on its way.", "2023"},
		},
		"no number": {
			{"track", "Which order?", ""},
			{"where do I find the order number?", "See the e-mail.\nWhich order?[A colleague]", ""},
			{"I don't have it", "I am calling a colleague.", ""},
		},
		"another number": {
			{"track my parcel WB7", "A tracking number is no order.\nWhich order?", ""},
			{"WB7", "A tracking number is no order.\nWhich order?", ""},
			{"2024", "2024 is on its way.", "2024"},
			{"track my parcel WB7", "2024 is on its way.", "2024"}, // known by now
		},
		"groups": {
			{"track", "Which order?", ""},
			{"1234 5678 9012", "123456789012 is on its way.", "123456789012"},
			{"sorry, I meant 2024-1111", "20241111 is on its way.", "20241111"},
			{"and 2024 or 2025?", "2024 is on its way.[2025]", "2024"},
		},
		"nothing that has a number": {
			{"track", "Which order?", ""},
			{"I haven't ordered yet", "It takes a day.", ""},
			{"track", "Which order?", ""},
			{"2023", "2023 is on its way.", "2023"},
		},
		"another topic, and back": {
			{"track", "Which order?", ""},
			{"when?", "We open at nine.|Back to it:\nWhich order?", ""},
			{"it is 2024 by the way", "2024 is on its way.", "2024"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r, asked := counter(t)
				talk(t, r, asked, turns)
			})
		})
	}
}

func TestDenials(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, asked := counter(t)
		r.script.on("when?", scene{pred: conversation.Prediction{Candidates: []conversation.Candidate{
			{Intent: "hours", Confidence: 0.95}, {Intent: "fee", Confidence: 0.04}, {Intent: "refund", Confidence: 0.03},
		}}})
		last := talk(t, r, asked, [][3]string{
			{"when?", "We open at nine.", ""},
			{"that's not what I asked", "My mistake.\nDid you mean:[Delivery fee][Refunds][None of these]", ""},
		})
		s := r.journal.state(t, last.Conversation)
		if d := s.Dialogue; d.Abstains != 1 || !cmp.Equal(d.Denied, []string{"hours"}) || !cmp.Equal(d.Offered, []string{"fee", "refund"}) {
			t.Errorf("dialogue %+v, want a failed turn, hours denied, fee and refund offered", d)
		}
		last = talk(t, r, asked, [][3]string{{"the first one", "Eight.", ""}})
		if s := r.journal.state(t, last.Conversation); s.Dialogue.Intent != "fee" || s.Dialogue.Abstains != 0 {
			t.Errorf("after the choice: %+v", s.Dialogue)
		}
	})
}

func TestNoneOfThese(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, asked := counter(t)
		r.script.on("hm", scene{pred: conversation.Prediction{Candidates: []conversation.Candidate{{Intent: "hours", Confidence: 0.6}, {Intent: "fee", Confidence: 0.3}}}})
		r.script.means("都不是", "deny")
		last := talk(t, r, asked, [][3]string{
			{"hm", "Did you mean:[Opening hours][Delivery fee][None of these]", ""},
			{"都不是", "I am calling a colleague.", ""},
		})
		if h := r.journal.state(t, last.Conversation).Handover; h == nil || h.Reason != conversation.HandoverAbstained {
			t.Errorf("handover = %+v, want abstained", h)
		}
	})
}

func TestSecondQuestionIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, asked := counter(t)
		both := conversation.Prediction{
			Candidates: []conversation.Candidate{{Intent: "hours", Confidence: 0.6}},
			Parts:      []conversation.Candidate{{Intent: "hours", Confidence: 0.95}, {Intent: "fee", Confidence: 0.7}, {Intent: "no playbook", Confidence: 0.8}},
		}
		r.script.on("when? how much?", scene{pred: both})
		talk(t, r, asked, [][3]string{
			{"when? how much?", "We open at nine.|And this?[Delivery fee]", ""},
			{"yes", "Eight.", ""},
		})
	})
}

// The classifier reads what is left of a text, and gets what was talked about.
func TestClassifierGetsTheMatters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, _ := counter(t)
		r.say("when?")
		r.say("不是这个问题，运费多少")
		got := r.script.asked[1]
		if want := []conversation.Matter{{Intent: "hours", Text: "when?"}}; !cmp.Equal(got.Matters, want) || got.Text != "                     运费多少" {
			t.Errorf("text %q, matters %+v, want the rest of the text and %+v", got.Text, got.Matters, want)
		}
	})
}
