package intent

import (
	"regexp"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// pack is what the files of one pack say, before packs are put on top of each
// other.
type pack struct {
	name       string
	nameAt     place
	extends    []string
	extendsAt  place
	thresholds thresholds
	variables  map[string]*variable
	entities   []*entity
	intents    []*intent
	flows      map[string]*flow
	phrases    map[string]texts
	version    string // hash of the files
	questions  int
	source     string // where it comes from, for people
}

// texts holds one text by language.
type texts map[string]string

// lists holds lines by language.
type lists map[string][]line

// line is one question with its place, so that a clash can name both sides.
type line struct {
	text string
	at   place
	key  string // canonical form of a question that is trained on
}

// thresholds are the decision limits; a negative value means "not stated".
type thresholds struct {
	auto, suggest, margin float32
}

// notStated marks a threshold that a file leaves to the layer below.
const notStated = -1

// variable is a value that answers may use.
type variable struct {
	name  string
	value texts
	at    place
}

// entity is a kind of value that can be found in an utterance.
type entity struct {
	name  string
	regex []*regexp.Regexp
	words []string
	mask  bool
	ask   texts
	// What is said when another entity's value comes where this one is asked for.
	mistaken map[string]texts
	at       place
}

// intent is what one file says about one intent.
type intent struct {
	id         string
	at         place
	title      texts
	ask        lists
	not        lists
	test       lists
	answer     texts
	buttons    []string
	need       []string
	flow       string
	auto       float32
	suggest    float32
	priority   conversation.Priority
	anger      conversation.AngerPolicy
	handover   flag
	background flag
	disabled   flag
	replace    flag // the questions below are dropped instead of added to
}

// flag is a truth value that a file may leave to the layer below.
type flag uint8

const (
	flagUnset flag = iota
	flagNo
	flagYes
)

// or gives f, or below where f is not stated.
func (f flag) or(below flag) flag {
	if f == flagUnset {
		return below
	}
	return f
}

// flow is a look-up over HTTP, with its templates by language.
type flow struct {
	name     string
	at       place
	slots    []string
	method   string
	url      string
	headers  map[string]string
	timeout  time.Duration
	reply    texts
	notFound texts
	failed   texts
}

// pick gives the text in the language, or in another one when there is none:
// an answer in the wrong language beats silence.
func (t texts) pick(lang string) string {
	if s, ok := t[lang]; ok {
		return s
	}
	if s, ok := t["en"]; ok {
		return s
	}
	if s, ok := t["zh"]; ok {
		return s
	}
	best := ""
	for l := range t {
		if best == "" || l < best {
			best = l
		}
	}
	return t[best]
}
