package anomaly

import (
	"math"
	"math/bits"

	"github.com/colloquyhq/colloquy/conversation"
)

// The rule for anger. It is stricter than conversation.Mood, which decides how
// the bot speaks and must not miss anybody; docs/anomalies.md compares them.
const (
	angry      = 0.8  // a score that counts as anger,
	angryTwice = 2    // so often
	angryIn    = 3    // in so many messages
	rise       = 0.15 // above the usual, which the sum lets pass
	risen      = 0.8  // the sum that is a jump
	calm       = 0.5  // a score below which a message is calm; as many as angryIn in a row end it
	leastScore = 1e-3 // logarithms need one
)

// temper is what is remembered of the scores of one conversation.
type temper struct {
	sum   float32 // what the scores are above the usual
	n     int32   // messages since the sum was zero
	peak  float32 // the highest score since then
	high  uint8   // of the newest messages, a bit each, which are angry
	quiet uint8   // calm ones in a row
	angry bool
}

// Anger takes how angry a message sounds, 0 to 1, and reports whether the visitor
// has become angry with it. [Session.Angry] says when that is over.
func (d *Detector) Anger(s *Session, channel string, score float32) (conversation.AnomalyFound, bool) {
	t := &s.temper
	log := math.Log(max(float64(score), leastScore))
	level, known := d.of(channel).score.Observe(log, weight(s.messages))
	usual := float32(0)
	if known {
		usual = float32(math.Exp(level.Median))
	}
	twice := t.hear(score, usual)
	if t.angry || !twice && t.sum <= risen {
		return conversation.AnomalyFound{}, false
	}
	f := conversation.AnomalyFound{
		Anomaly: conversation.AnomalyAnger, Score: hundredths(t.peak), UsualScore: hundredths(usual), Count: int(t.n),
	}
	if twice {
		f.Same, f.Count = angryTwice, angryIn
	}
	t.angry, t.sum = true, 0
	return f, true
}

// hear follows one score and reports whether the newest are angry often enough.
func (t *temper) hear(score, usual float32) bool {
	if t.sum += score - usual - rise; t.sum <= 0 {
		t.sum, t.n, t.peak = 0, 0, 0
	} else {
		t.n++
	}
	t.peak = max(t.peak, score)
	t.high = t.high << 1 & (1<<angryIn - 1)
	if score >= angry {
		t.high |= 1
	}
	if t.quiet++; score >= calm {
		t.quiet = 0
	}
	if t.angry && t.quiet >= angryIn {
		*t = temper{}
	}
	t.quiet = min(t.quiet, angryIn)
	return bits.OnesCount8(t.high) >= angryTwice
}

// Angry reports whether the visitor is angry still.
func (s *Session) Angry() bool { return s.temper.angry }

func hundredths(score float32) float32 { return float32(math.Round(float64(score)*100) / 100) }
