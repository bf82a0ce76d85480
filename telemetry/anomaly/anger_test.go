package anomaly

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

// Dialogues of ten visitor messages; angry ones turn at the sixth, and from then
// on four of five messages are angry.
const (
	simDialogues = 2_000
	simMessages  = 10
	angryFrom    = 5
)

// utterances are the authored lines that no weight and no threshold was made
// from, with their tones.
type utterances struct{ angry, others []conversation.AcceptMessage }

func readUtterances(t *testing.T, lang string) utterances {
	t.Helper()
	ear, err := intent.NewEar()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "intent", "emotion", "testdata", "unseen_"+lang+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out utterances
	for line := range bytes.Lines(data) {
		var x struct {
			Text  conversation.Text `json:"text"`
			Angry bool              `json:"angry"`
		}
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		m := conversation.AcceptMessage{Text: x.Text, Tone: ear.Tone(x.Text)}
		if x.Angry {
			out.angry = append(out.angry, m)
		} else {
			out.others = append(out.others, m)
		}
	}
	return out
}

// dialogue gives messages of which, from the sixth on, a share is angry.
func (u *utterances) dialogue(r *rand.Rand, share float64) []conversation.AcceptMessage {
	out := make([]conversation.AcceptMessage, simMessages)
	for i := range out {
		from := u.others
		if i >= angryFrom && r.Float64() < share {
			from = u.angry
		}
		out[i] = from[r.IntN(len(from))]
	}
	return out
}

// byMood gives the message at which the visitor's mood turned to angry, counted
// from 1, or 0.
func byMood(t *testing.T, messages []conversation.AcceptMessage) int {
	t.Helper()
	s := &conversation.State{ID: conversation.ConversationID{1}}
	now := time.Unix(1_700_000_000, 0).UTC()
	for i, m := range messages {
		m.Origin = conversation.Origin{ID: s.ID, Inbox: "shop", Channel: conversation.ChannelWeb, Contact: conversation.ContactID{2}, Bot: true}
		now = now.Add(20 * time.Second)
		d, err := conversation.Decide(s, m, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range d.Events {
			s.Apply(conversation.Entry{Seq: s.Version + 1, At: now, Event: ev})
		}
		if s.Mood.Angry() {
			return i + 1
		}
	}
	return 0
}

// byScore is the rule of this package.
func byScore(d *Detector) func(*testing.T, []conversation.AcceptMessage) int {
	return func(_ *testing.T, messages []conversation.AcceptMessage) int {
		s := &Session{}
		for i, m := range messages {
			if _, found := d.Anger(s, web, m.Tone.Anger); found {
				return i + 1
			}
		}
		return 0
	}
}

func angerOutcome(t *testing.T, rule func(*testing.T, []conversation.AcceptMessage) int) outcome {
	t.Helper()
	var out outcome
	r := rand.New(rand.NewPCG(2026, 2))
	for _, lang := range []string{"en", "zh"} {
		u := readUtterances(t, lang)
		for range simDialogues / 2 {
			out.normal++
			if rule(t, u.dialogue(r, 0)) > 0 {
				out.alarms++
			}
			switch at := rule(t, u.dialogue(r, 0.8)); {
			case at > 0 && at <= angryFrom:
				out.normal++
				out.alarms++
			case at > 0:
				out.found++
				out.delays = append(out.delays, at-angryFrom)
				fallthrough
			default:
				out.odd++
			}
		}
	}
	return out
}

// TestAngerSimulation holds the rule to bounds, and compares it with the mood:
// that is why anger has a rule of its own here.
func TestAngerSimulation(t *testing.T) {
	t.Parallel()
	score, mood := angerOutcome(t, byScore(New(Options{}))), angerOutcome(t, byMood)
	for name, o := range map[string]outcome{"scores": score, "mood": mood} {
		t.Logf("| angry messages, by %s | `anger` | %.1f | %.1f %% | %.1f |", name, o.falseAlarms(), 100*o.rate(), o.delay())
	}
	if score.falseAlarms() > 20 || score.rate() < 0.75 || score.delay() > 3.5 {
		t.Error("want at most 20 false alarms in 1,000 dialogues, at least 75 % found, after at most 3.5 messages")
	}
	if score.falseAlarms() > mood.falseAlarms()/2 {
		t.Error("the mood is nearly as sure: one of the two can go")
	}
}

// TestAngerIsToldOnce and is over after three calm messages.
func TestAngerIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scores []float32
		found  int
		angry  bool
	}{
		"twice in three":      {[]float32{0, 0.85, 0.1, 0.85}, 1, true},
		"twice, far apart":    {[]float32{0, 0.85, 0, 0, 0, 0, 0, 0.85}, 0, false},
		"one outburst":        {[]float32{0, 0.94, 0}, 0, false},
		"an outburst at once": {[]float32{0, 0.97}, 1, true},
		"a slow rise":         {[]float32{0.4, 0.5, 0.6}, 1, true},
		"once only":           {[]float32{0.9, 0.9, 0.9, 0.2, 0.9}, 1, true},
		"over":                {[]float32{0.9, 0.9, 0.4, 0.2, 0}, 1, false},
		"and again":           {[]float32{0.9, 0.9, 0, 0, 0, 0.9, 0.9}, 2, true},
		"calm":                {[]float32{0, 0.1, 0.15, 0.1, 0.05, 0, 0.1}, 0, false},
	} {
		d, s, found := New(Options{}), &Session{}, 0
		for _, score := range tc.scores {
			if _, is := d.Anger(s, web, score); is {
				found++
			}
		}
		if found != tc.found || s.Angry() != tc.angry {
			t.Errorf("%s: found %d times, angry %v; want %d, %v", name, found, s.Angry(), tc.found, tc.angry)
		}
	}
}

// TestAngryChannels: what is usual in a channel is no rise.
func TestAngryChannels(t *testing.T) {
	t.Parallel()
	d := New(Options{})
	for range enough + every {
		d.Anger(&Session{}, web, 0.45)
	}
	s := &Session{}
	for range 20 {
		if f, is := d.Anger(s, web, 0.5); is {
			t.Fatalf("found %+v", f)
		}
	}
}
