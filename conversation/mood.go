package conversation

import (
	"math"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// Tone is what one message sounds like.
//
// Units: probabilities, 0 to 1; from 0.5 on it is said to be so.
type Tone struct {
	Anger  float32 `json:"anger,omitempty"`  // at the service
	Abuse  float32 `json:"abuse,omitempty"`  // insults, obscenity, threats to people
	Threat float32 `json:"threat,omitempty"` // of an authority, a court, the police, the public
	Deny   float32 `json:"deny,omitempty"`   // says that an answer was wrong or of no help
}

// stored gives the tone as a message keeps it: rounded, and nothing of a calm
// one. What is not a number could not be stored.
func (t Tone) stored() Tone {
	round := func(p float32) float32 {
		percent := math.Round(float64(unit(p)) * 100)
		if percent < 6 {
			return 0
		}
		return float32(percent / 100)
	}
	return Tone{Anger: round(t.Anger), Abuse: round(t.Abuse), Threat: round(t.Threat), Deny: round(t.Deny)}
}

// Temper is the mood that a visitor is in.
type Temper string

// The tempers. The empty one is calm, too: nobody has been anything else yet.
const (
	TemperCalm  Temper = "calm"
	TemperAngry Temper = "angry"
)

// MoodReason says why a mood is what it is, in a short code.
type MoodReason string

// The reasons.
const (
	MoodLevel   MoodReason = "level"        // several messages together
	MoodSudden  MoodReason = "sudden"       // one message, much above those before
	MoodThreat  MoodReason = "threat"       // of an authority, a court, the police, the public
	MoodAbuse   MoodReason = "abuse"        // insults, obscenity, threats to people
	MoodRepeats MoodReason = "repeats"      // asks the same again
	MoodShouts  MoodReason = "shouts"       // many marks, or capital letters
	MoodDenies  MoodReason = "denies"       // says that the bot's answer was wrong
	MoodFailed  MoodReason = "failed_turns" // the bot did not understand before
	MoodWaiting MoodReason = "waiting"      // has waited long for a human
)

// MoodReasons lists the reasons in the order in which they are told.
func MoodReasons() []MoodReason {
	return []MoodReason{
		MoodThreat, MoodAbuse, MoodLevel, MoodSudden, MoodRepeats, MoodShouts, MoodDenies, MoodFailed, MoodWaiting,
	}
}

// Mood is what the tones of a conversation come to. It follows every visitor
// message; when it turns, a [MoodChanged] follows the message.
//
// Numbers are whole hundredths of log-odds, so that every fold on every machine
// gives the same.
type Mood struct {
	Temper   Temper       `json:"temper,omitempty"`
	Reasons  []MoodReason `json:"reasons,omitempty"`
	Heat     int          `json:"heat,omitempty"`     // moving average of what the messages weigh; a calm one weighs nothing
	Hot      int          `json:"hot,omitempty"`      // messages with heat since the visitor is angry
	Quiet    int          `json:"quiet,omitempty"`    // messages since the newest reason
	Softened bool         `json:"softened,omitempty"` // the bot has apologized since the visitor is angry
}

// The detector, in hundredths of log-odds above a calm message. A message that
// the scorer just calls angry weighs alarmWeight.
const (
	alarmWeight = 300
	maxWeight   = 700
	hotWeight   = 200 // keeps anger up
	jumpWeight  = 180 // above the average so far: sudden
	levelHeat   = 210 // the average that makes angry
	calmHeat    = 100 // the average that makes calm again: well below, so that it does not flap
	maxSigns    = 150 // what circumstances add at most
	warmWeight  = 200 // below it circumstances count in part: a calm tone stays calm whatever happens
	quietAfter  = 3   // messages after which an insult of a calm visitor is no longer told
)

// What circumstances add to a message.
const (
	repeatsWeight = 80
	shoutsWeight  = 50
	deniesWeight  = 70
	failedWeight  = 60 // each turn
	maxFailed     = 2
	threatWeight  = 100
)

// Angry reports whether the visitor is angry now.
func (m *Mood) Angry() bool { return m.Temper == TemperAngry }

// Threatens reports whether the visitor, angry, has threatened to go to an
// authority, a court, the police or the public.
func (m *Mood) Threatens() bool { return m.Angry() && slices.Contains(m.Reasons, MoodThreat) }

// Stays reports whether anger has lasted for more than one message.
func (m *Mood) Stays() bool { return m.Angry() && m.Hot > 1 }

// hear gives the mood after a message, before it is known to have turned, and
// the reasons for which the message weighs what it does. It reads s as it was
// before the message.
func (s *State) hear(ev MessageAccepted, at time.Time) (next Mood, weight int, reasons []MoodReason) {
	tone := toneWeight(ev.Tone.Anger)
	signs, reasons := s.signs(ev, at)
	weight = tone + min(signs, maxSigns)*min(tone, warmWeight)/warmWeight
	if ev.Tone.Threat >= 0.5 && tone >= hotWeight {
		weight += threatWeight
		reasons = append(reasons, MoodThreat)
	}
	abusive := ev.Tone.Abuse >= 0.5
	if abusive {
		reasons = append(reasons, MoodAbuse)
	}
	weight = min(weight, maxWeight)
	next = s.Mood
	next.Heat = (s.Mood.Heat + weight) / 2
	if len(next.Reasons) > 0 {
		next.Quiet++
	}
	hot := next.Angry() && weight >= hotWeight
	if hot {
		next.Hot++
	}
	if hot || abusive {
		next.Quiet = 0
	}
	return next, weight, reasons
}

// turn gives the event that tells of a new mood after a message, or nil.
func (s *State) turn(ev MessageAccepted, at time.Time) *MoodChanged {
	next, weight, reasons := s.hear(ev, at)
	from := TemperCalm
	if s.Mood.Angry() {
		from = TemperAngry
	}
	change := &MoodChanged{From: from, To: from, Heat: next.Heat}
	switch {
	case from == TemperCalm && weight >= alarmWeight && weight-s.Mood.Heat >= jumpWeight:
		change.To, reasons = TemperAngry, append(reasons, MoodSudden)
	case from == TemperCalm && next.Heat >= levelHeat:
		change.To, reasons = TemperAngry, append(reasons, MoodLevel)
	case from == TemperAngry && next.Heat <= calmHeat:
		change.To = TemperCalm
		return change
	case from == TemperCalm && len(s.Mood.Reasons) > 0 && next.Quiet >= quietAfter && !slices.Contains(reasons, MoodAbuse):
		return change // what was told of a calm visitor is over
	default:
		// The mood is as it was; only grave words are news.
		reasons = slices.DeleteFunc(reasons, func(r MoodReason) bool {
			return r != MoodAbuse && (r != MoodThreat || from != TemperAngry)
		})
		if !slices.ContainsFunc(reasons, func(r MoodReason) bool { return !slices.Contains(s.Mood.Reasons, r) }) {
			return nil
		}
		reasons = append(reasons, s.Mood.Reasons...)
	}
	change.Reasons = inOrder(reasons)
	return change
}

// inOrder sorts reasons as they are told, each once.
func inOrder(reasons []MoodReason) []MoodReason {
	return slices.DeleteFunc(MoodReasons(), func(r MoodReason) bool { return !slices.Contains(reasons, r) })
}

// applyMood folds what a turn of the mood says.
func (s *State) applyMood(ev MoodChanged) {
	m := &s.Mood
	if ev.To == TemperAngry && !m.Angry() {
		// One calm message alone does not cool a visitor down again.
		m.Hot, m.Softened, m.Heat = 1, false, max(m.Heat, levelHeat)
	}
	if ev.To != TemperAngry {
		m.Hot, m.Softened = 0, false
	}
	m.Temper, m.Reasons, m.Quiet = ev.To, slices.Clone(ev.Reasons), 0
}

// toneWeight gives the log-odds of a probability above those of a calm message,
// which is 5 in 100. It works on whole percents, so that the result does not
// hang on a machine's last bit.
func toneWeight(p float32) int {
	percent := min(max(int(p*100+0.5), 0), 99)
	if percent < 6 {
		return 0
	}
	odds := float64(percent) / float64(100-percent)
	return min(int(math.Round(100*math.Log(odds)))+alarmWeight, maxWeight)
}

// signs gives what the circumstances of a message add to its tone.
func (s *State) signs(ev MessageAccepted, at time.Time) (weight int, reasons []MoodReason) {
	add := func(w int, r MoodReason) {
		if w > 0 {
			weight += w
			reasons = append(reasons, r)
		}
	}
	if s.asked(ev.Text) {
		add(repeatsWeight, MoodRepeats)
	}
	if shouted(ev.Text) {
		add(shoutsWeight, MoodShouts)
	}
	if ev.Tone.Deny >= 0.5 && s.lastFrom() == PartyBot {
		add(deniesWeight, MoodDenies)
	}
	add(failedWeight*min(s.Dialogue.Abstains, maxFailed), MoodFailed)
	add(s.waitWeight(at), MoodWaiting)
	return weight, reasons
}

// waitWeight is what waiting for a human adds.
func (s *State) waitWeight(at time.Time) int {
	if s.Status != StatusOpen || s.WaitingSince.IsZero() {
		return 0
	}
	switch waited := at.Sub(s.WaitingSince); {
	case waited >= time.Hour:
		return 120
	case waited >= 15*time.Minute:
		return 80
	case waited >= 5*time.Minute:
		return 40
	}
	return 0
}

// lastFrom gives who wrote the newest public message.
func (s *State) lastFrom() Party {
	for _, m := range slices.Backward(s.Recent) {
		if !m.Note {
			return m.From
		}
	}
	return ""
}

// repeatWithin is how many of the newest messages a repeated question is looked
// for in, and minRepeat how many letters one has.
const (
	repeatWithin = 8
	minRepeat    = 4
)

// asked reports whether the visitor has written the same lately, punctuation
// and case aside.
func (s *State) asked(text Text) bool {
	if letters := countLetters(text, minRepeat); letters < minRepeat {
		return false
	}
	for i := len(s.Recent) - 1; i >= max(0, len(s.Recent)-repeatWithin); i-- {
		if m := &s.Recent[i]; m.From == PartyVisitor && len(m.Text) <= 2*len(text)+16 && sameLetters(m.Text, text) {
			return true
		}
	}
	return false
}

// maxCompared bounds how much of a text is compared.
const maxCompared = 512

// countLetters counts the bytes of letters and digits, and stops when there are
// enough.
func countLetters(t Text, enough int) int {
	n := 0
	for _, r := range string(cut(t, maxCompared)) {
		if n >= enough {
			break
		}
		if isLetter(r) {
			n += utf8.RuneLen(unicode.ToLower(r))
		}
	}
	return n
}

// Gist gives a mark of what a text says, punctuation and case aside: the same for
// the same words, and zero for one too short to tell anything.
func (t Text) Gist() uint32 {
	const basis, prime = 2166136261, 16777619 // FNV-1a
	sum, letters := uint32(basis), 0
	for _, r := range string(cut(t, maxCompared)) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			letters++
			sum = (sum ^ uint32(unicode.ToLower(r))) * prime //nolint:gosec // a rune is not negative
		}
	}
	if letters < minRepeat {
		return 0
	}
	return max(sum, 1)
}

// sameLetters compares letter by letter and stops at the first difference, which
// with most texts is the first letter.
func sameLetters(a, b Text) bool {
	if a == b {
		return true
	}
	a, b = cut(a, maxCompared), cut(b, maxCompared)
	for {
		var ofA, ofB rune
		ofA, a = nextLetter(a)
		ofB, b = nextLetter(b)
		if ofA != ofB || ofA == 0 {
			return ofA == ofB
		}
	}
}

// nextLetter gives the first letter or digit in lower case, and what follows it;
// 0 when there is none.
func nextLetter(t Text) (rune, Text) {
	for i, r := range string(t) {
		if isLetter(r) {
			return unicode.ToLower(r), t[i+utf8.RuneLen(r):]
		}
	}
	return 0, ""
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// shouted reports many marks in few words, or capital letters throughout.
func shouted(t Text) bool {
	marks, runes, upper, letters, words := 0, 0, 0, 0, 0
	inWord := false
	for _, r := range string(cut(t, maxCompared)) {
		runes++
		switch {
		case r == '!' || r == '?' || r == '！' || r == '？':
			marks++
			inWord = false
		case unicode.IsLetter(r):
			letters++
			if unicode.IsUpper(r) {
				upper++
			}
			if !inWord {
				words++
			}
			inWord = true
		case r != '\'':
			inWord = false
		}
	}
	return marks >= 3 && 8*marks >= runes || upper >= 8 && words >= 2 && 10*upper >= 8*letters
}
