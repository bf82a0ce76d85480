package intent

import (
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// likeOwn is from when on a matter has a question so like the utterance that it
	// may be meant: the similarity as a share of that of the intent that the
	// utterance points to by itself.
	likeOwn = 0.5
	// likelyOwn is the share from which on it is what is meant.
	likelyOwn = 0.7
	// likeAtAll is the least similarity that counts.
	likeAtAll = 0.25
	// kinAlike is the cosine from which on two intents mean about the same: those of
	// the built-in packs that do have 0.47 to 0.81, and others at most 0.43.
	kinAlike = 0.45
)

// leansOn says to which matter of the conversation an utterance belongs that goes
// on with it, though by itself it points to another one: "who pays for postage?"
// is about the delivery, and after a question about returns about those. That
// takes a training question of the matter that is like the utterance, "who pays
// for return postage", and that the matter's title and the utterance together mean
// the matter. The newer matter goes first.
func (m *model) leansOn(s *scratch, u *conversation.Utterance, k *calibrator, p *conversation.Prediction) {
	best := p.Candidates[0]
	if best.Confidence < p.Suggest {
		return // by itself it points to nothing
	}
	own, likes := m.likes(s, u.Text)
	for _, matter := range slices.Backward(u.Matters) {
		about := m.about(s, &matter)
		if about < 0 {
			continue
		}
		topic := m.bundle.topics[about]
		if best.Intent == topic.id || slices.Contains(topic.buttons, best.Intent) {
			return // it stays with the matter by itself
		}
		class, share := m.likest(own, likes, about)
		if class < 0 {
			continue
		}
		c := m.entitled(s, class, u.Text, p.Lang, k)
		if share < likelyOwn {
			c.Confidence = min(c.Confidence, p.Auto-contextMargin)
		}
		if c.Intent != "" {
			p.InContext = c
		}
		return
	}
}

// about gives the class of a matter, or -1; of one that was not understood, the most
// likely one.
func (m *model) about(s *scratch, matter *conversation.Matter) int {
	if matter.Intent != "" {
		return slices.Index(m.corpus.classes, matter.Intent)
	}
	if r := m.read(s, string(matter.Text)); !r.background {
		return int(r.best)
	}
	return -1
}

// read ranks a text.
func (m *model) read(s *scratch, text string) ranking {
	m.analyze(s, text)
	return m.ranked(s)
}

// ranked ranks what was analyzed.
func (m *model) ranked(s *scratch) ranking {
	unseen := m.weigh(s)
	return m.head.rank(s, m.corpus.background, unseen, s.tokens.units)
}

// likes says how like a text the most similar question of each class is, and that of
// the class that the text points to.
func (m *model) likes(s *scratch, text conversation.Text) (own float32, likes []float32) {
	r := m.read(s, string(text))
	s.likes = s.likes[:0]
	for k := range m.bundle.topics {
		s.likes = append(s.likes, m.head.likeClass(s, k))
	}
	return float32(r.evidence[evOwn]), s.likes
}

// likest gives the class that a text may be about as a part of a matter: the matter's
// own, or else one that is its kin. share says how like the text their most similar
// question is, in comparison with that of the class that the text points to.
func (m *model) likest(own float32, likes []float32, about int) (class int, share float32) {
	least := max(likeAtAll, likeOwn*own)
	if v := likes[about]; v >= least {
		return about, v / own
	}
	class = -1
	for k, v := range likes {
		if v >= least && m.kin(about, k) {
			class, least, share = k, v, v/own
		}
	}
	return class, share
}

// kin reports whether two intents are sides of one matter, such as to return
// something and what the rules for that are: each has a button for the other, and
// their questions mean about the same.
func (m *model) kin(a, b int) bool {
	x, y := m.bundle.topics[a], m.bundle.topics[b]
	return slices.Contains(x.buttons, y.id) && slices.Contains(y.buttons, x.id) && m.head.alike(a, b) >= kinAlike
}

// entitled reads a text below the title of an intent, and gives that intent if
// this is what it then means.
func (m *model) entitled(s *scratch, class int, text conversation.Text, lang string, k *calibrator) conversation.Candidate {
	m.analyzeBelow(s, m.bundle.topics[class].titleIn(lang), string(text))
	r := m.ranked(s)
	if int(r.best) != class {
		return conversation.Candidate{}
	}
	return conversation.Candidate{Intent: m.corpus.classes[class], Confidence: m.settle(&r, k, s.shift)}
}
