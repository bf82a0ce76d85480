package intent

import (
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// A prediction is instant once there is a model, and for texts that are not long.
func TestInstant(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	u := conversation.Utterance{Text: "has my order been shipped", Packs: []string{"shop"}}
	if l.Instant(&u) {
		t.Error("instant before anybody has trained a model")
	}
	predict(t, l, u.Packs, string(u.Text))
	if !l.Instant(&u) {
		t.Error("not instant with a model")
	}
	long := u
	long.Text = conversation.Text(strings.Repeat("a", maxInstantBytes+1))
	if l.Instant(&long) {
		t.Errorf("instant with %d bytes", len(long.Text))
	}
	for _, packs := range [][]string{nil, {"none"}} {
		if other := (conversation.Utterance{Text: u.Text, Packs: packs}); l.Instant(&other) {
			t.Errorf("instant with packs %q", packs)
		}
	}
}

// A tone that was heard already is not heard again.
func TestPredictTakesTheToneThatWasHeard(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	heard := conversation.Tone{Anger: 0.625, Abuse: 0.25, Threat: 0.125}
	u := conversation.Utterance{Text: "has my order been shipped", Packs: []string{"shop"}, Tone: heard}
	var p conversation.Prediction
	if err := l.Predict(t.Context(), &u, &p); err != nil {
		t.Fatal(err)
	}
	if p.Anger != heard.Anger || p.Abuse != heard.Abuse || p.Threat != heard.Threat {
		t.Errorf("anger %v, abuse %v, threat %v; want those of %+v", p.Anger, p.Abuse, p.Threat, heard)
	}
	own := l.Tone(u.Text)
	if p := predict(t, l, u.Packs, string(u.Text)); p.Anger != own.Anger || p.Threat != own.Threat {
		t.Errorf("anger %v, threat %v; want those of the library's own ear, %+v", p.Anger, p.Threat, own)
	}
}
