package intent

import (
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent/emotion"
)

// Ear hears the tone of messages. It needs no packs.
//
// Concurrency: one serves all goroutines.
type Ear struct {
	norm    *normalizer
	scorer  *emotion.Scorer
	scratch sync.Pool
}

// NewEar gives an ear. Errors: [emotion.ErrBroken].
func NewEar() (*Ear, error) { return newEar(newNormalizer()) }

func newEar(norm *normalizer) (*Ear, error) {
	scorer, err := emotion.New()
	if err != nil {
		return nil, err
	}
	e := &Ear{norm: norm, scorer: scorer}
	e.scratch.New = func() any { return &folded{} }
	return e, nil
}

// Tone gives the tone of a message. It takes some microseconds; of a very long
// message only the beginning is heard.
func (e *Ear) Tone(text conversation.Text) conversation.Tone {
	s := e.score(string(text))
	return conversation.Tone{Anger: s.Anger, Abuse: s.Abuse, Threat: s.Threat, Deny: s.Deny}
}

// maxHeardBytes bounds how much of a text is folded: more than the scorer looks
// at.
const maxHeardBytes = 2 << 10

func (e *Ear) score(text string) emotion.Score {
	f, ok := e.scratch.Get().(*folded)
	if !ok {
		f = &folded{}
	}
	defer e.scratch.Put(f)
	if len(text) > maxHeardBytes {
		text = cutText(text, maxHeardBytes)
	}
	e.norm.fold(f, text)
	return e.scorer.Score(f.text)
}

// Tone gives the tone of a message.
func (l *Library) Tone(text conversation.Text) conversation.Tone { return l.ear.Tone(text) }
