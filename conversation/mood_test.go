package conversation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// said is one visitor message with its tone.
type said struct {
	text Text
	tone Tone
}

// moods plays messages to a bot that does not answer, and gives the mood
// changes: "angry level shouts" after the number of the message.
func moods(t *testing.T, messages ...said) []string {
	t.Helper()
	sh := newShell(ConversationID{1})
	var out []string
	for i, m := range messages {
		st, err := sh.run(AcceptMessage{
			Origin: Origin{ID: sh.state.ID, Inbox: "shop", Channel: ChannelWeb, Contact: ContactID{2}, Bot: true},
			Text:   m.text, Tone: m.tone, Raise: PriorityHigh,
		})
		if err != nil || st.err != nil {
			t.Fatal(err, st.err)
		}
		for _, e := range st.entries {
			if ev, ok := e.Event.(MoodChanged); ok {
				out = append(out, strings.TrimSuffix(fmt.Sprintf("%d %s %s", i+1, ev.To, strings.Trim(fmt.Sprint(ev.Reasons), "[]")), " "))
			}
		}
	}
	return out
}

func TestMoodTurns(t *testing.T) {
	t.Parallel()
	at := func(anger float32) Tone { return Tone{Anger: anger} }
	for name, tc := range map[string]struct {
		said []said
		want []string
	}{
		"calm":                         {said: []said{{"hello", Tone{}}, {"when do you open", at(0.05)}}},
		"just below":                   {said: []said{{"hm", at(0.49)}}},
		"one angry message":            {said: []said{{"hello", Tone{}}, {"what is this", at(0.5)}}, want: []string{"2 angry sudden"}},
		"right away":                   {said: []said{{"what is this", at(0.95)}}, want: []string{"1 angry sudden"}},
		"it grows":                     {said: []said{{"a b c d", at(0.4)}, {"e f g h", at(0.4)}, {"i j k l", at(0.4)}}, want: []string{"3 angry level"}},
		"annoyed, and stays so":        {said: []said{{"a b c d", at(0.2)}, {"e f g h", at(0.2)}, {"i j k l", at(0.2)}, {"m n o p", at(0.2)}}},
		"the same again, annoyed":      {said: []said{{"where is it", at(0.3)}, {"Where is it?", at(0.3)}, {"WHERE IS IT???", at(0.3)}}, want: []string{"3 angry level repeats shouts"}},
		"the same again, calmly":       {said: []said{{"where is it", Tone{}}, {"Where is it?", Tone{}}, {"where is it???", Tone{}}, {"where is it!!!!", Tone{}}}},
		"joy":                          {said: []said{{"I LOVE IT!!!!!!", at(0.1)}, {"THANK YOU SO MUCH!!!!!!", at(0.1)}, {"YES, YES!!!!", at(0.1)}}},
		"one calm message":             {said: []said{{"awful", at(0.9)}, {"yes", Tone{}}}, want: []string{"1 angry sudden"}},
		"two calm messages":            {said: []said{{"awful", at(0.5)}, {"yes", Tone{}}, {"thanks", Tone{}}}, want: []string{"1 angry sudden", "3 calm"}},
		"back and forth does not flap": {said: []said{{"awful", at(0.6)}, {"yes", Tone{}}, {"really bad", at(0.6)}, {"right", Tone{}}, {"terrible", at(0.6)}}, want: []string{"1 angry sudden"}},
		"a threat, angry":              {said: []said{{"see you in court", Tone{Anger: 0.8, Threat: 0.9}}}, want: []string{"1 angry threat sudden"}},
		"a threat tips it":             {said: []said{{"see you in court", Tone{Anger: 0.35, Threat: 0.9}}}, want: []string{"1 angry threat sudden"}},
		"a threat later":               {said: []said{{"awful", at(0.8)}, {"see you in court", Tone{Anger: 0.8, Threat: 0.9}}}, want: []string{"1 angry sudden", "2 angry threat sudden"}},
		"a threat without anger":       {said: []said{{"where is the court", Tone{Threat: 0.9}}}},
		"abuse without anger":          {said: []said{{"you donkey", Tone{Abuse: 0.9}}}, want: []string{"1 calm abuse"}},
		"abuse, forgotten":             {said: []said{{"you donkey", Tone{Abuse: 0.9}}, {"one", Tone{}}, {"two", Tone{}}, {"three", Tone{}}}, want: []string{"1 calm abuse", "4 calm"}},
		"abuse, not forgotten":         {said: []said{{"you donkey", Tone{Abuse: 0.9}}, {"one", Tone{}}, {"two", Tone{}}, {"you ass", Tone{Abuse: 0.9}}, {"three", Tone{}}}, want: []string{"1 calm abuse"}},
		"angry, then abusive":          {said: []said{{"awful", at(0.8)}, {"you donkey", Tone{Anger: 0.8, Abuse: 0.9}}}, want: []string{"1 angry sudden", "2 angry abuse sudden"}},
	} {
		if diff := cmp.Diff(tc.want, moods(t, tc.said...)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestMoodHearsTheBotsFailures: what the bot did wrong counts, but only of a
// visitor whose tone is warm already.
func TestMoodHearsTheBotsFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		anger float32
		want  []MoodReason
	}{
		"warm": {0.3, []MoodReason{MoodSudden, MoodDenies, MoodFailed}},
		"calm": {0.05, nil},
	} {
		s := &State{
			Version: 3, Status: StatusPending, Handler: HandlerBot, Dialogue: Dialogue{Abstains: 2},
			Recent: []Message{{Seq: 1, From: PartyVisitor, Text: "hello"}, {Seq: 3, From: PartyBot, Text: "what?"}},
		}
		d, err := Decide(s, AcceptMessage{Text: "that is not what I asked", Tone: Tone{Anger: tc.anger, Deny: 0.9}}, s.LastActivity)
		if err != nil {
			t.Fatal(err)
		}
		var got []MoodReason
		for _, e := range d.Events {
			if ev, ok := e.(MoodChanged); ok {
				got = ev.Reasons
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: reasons %v, want %v", name, got, tc.want)
		}
	}
}

// TestMoodRaisesThePriority: to what the inbox says, never down, and not for
// abuse alone.
func TestMoodRaisesThePriority(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		has, raise Priority
		tone       Tone
		want       Priority
	}{
		"raised":         {PriorityNone, PriorityHigh, Tone{Anger: 0.9}, PriorityHigh},
		"from low":       {PriorityLow, PriorityMedium, Tone{Anger: 0.9}, PriorityMedium},
		"is higher":      {PriorityUrgent, PriorityHigh, Tone{Anger: 0.9}, ""},
		"left":           {PriorityNone, PriorityNone, Tone{Anger: 0.9}, ""},
		"nobody said so": {PriorityNone, "", Tone{Anger: 0.9}, ""},
		"not a priority": {PriorityNone, "soon", Tone{Anger: 0.9}, ""},
		"calm":           {PriorityNone, PriorityHigh, Tone{}, ""},
		"abuse alone":    {PriorityNone, PriorityHigh, Tone{Abuse: 0.9}, ""},
	} {
		s := &State{Version: 3, Status: StatusPending, Handler: HandlerBot, Priority: tc.has}
		d, err := Decide(s, AcceptMessage{Text: "well", Tone: tc.tone, Raise: tc.raise}, s.LastActivity)
		if err != nil {
			t.Fatal(err)
		}
		var got Priority
		for _, e := range d.Events {
			if ev, ok := e.(PriorityChanged); ok {
				got = ev.To
			}
		}
		if got != tc.want {
			t.Errorf("%s: priority %q, want %q", name, got, tc.want)
		}
	}
}

// TestMoodNeedsATone: whatever circumstances come together, a visitor whose
// tone nobody has heard is never called angry.
func TestMoodNeedsATone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sh := newShell(ConversationID{1})
		origin := Origin{ID: sh.state.ID, Inbox: "shop", Channel: ChannelWeb, Contact: ContactID{2}, Bot: rapid.Bool().Draw(t, "bot")}
		for range rapid.IntRange(1, 30).Draw(t, "messages") {
			text := rapid.SampledFrom([]Text{"where is it", "WHERE IS IT????", "no!!!", "人工！！！！"}).Draw(t, "text")
			sh.now = sh.now.Add(max(someDuration(t), 0))
			if _, err := sh.run(AcceptMessage{Origin: origin, Text: text, Tone: Tone{Deny: 1}}); err != nil {
				t.Fatal(err)
			}
			sh.state.Dialogue.Abstains = rapid.IntRange(0, 5).Draw(t, "abstains")
			if sh.state.Mood.Angry() {
				t.Fatalf("angry: %+v", sh.state.Mood)
			}
		}
	})
}

func TestShouted(t *testing.T) {
	t.Parallel()
	for text, want := range map[Text]bool{
		"": false, "!": false, "why??": false, "why???": true, "！！！": true, "搞什么？！！": true, "WHERE IS MY ORDER": true,
		"OK": false, "IBM THINKPAD": true, "my IBM is broken": false, "DON'T": false, "你好": false,
		"this is a long and patient message that ends with three marks!!!": false,
	} {
		if got := shouted(text); got != want {
			t.Errorf("shouted(%q) = %t", string(text), got)
		}
	}
}
