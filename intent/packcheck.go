package intent

import (
	"context"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// maxRepeated bounds how many questions a check lists that stand elsewhere.
	maxRepeated = 50
	// maxTestChanges bounds how many test lines a check lists.
	maxTestChanges = 50
	// maxChecks bounds the checks that wait for the one that trains.
	maxChecks = 4
)

// CheckOptions say what a check looks at besides the text.
type CheckOptions struct {
	Packs []string          // the combination that is trained; none = the first that has a model and holds the pack, or the pack alone
	Try   conversation.Text // what a visitor might write; empty = nothing is tried
	Lang  string            // of Try; empty = find out
}

// PackCheck says what a text would make of a pack, without saving it.
type PackCheck struct {
	Problems []*PackError // when there are any, the rest is empty
	Hash     string       // of the pack
	Packs    []string     // what was trained
	Model    string       // its hash

	Intents, Questions BeforeAfter
	Repeated           []Repeated // questions of the text that stand in it or below it too
	Tests              TestCheck
	Try                TryCheck
}

// BeforeAfter is a number now and as it would be.
type BeforeAfter struct{ Before, After int }

// Repeated is a question that stands in two places.
type Repeated struct {
	Text        string
	Line        int
	Intent      string
	OtherIntent string // where it stands too
	OtherFile   string
	OtherLine   int
	Taken       bool // from another intent of a pack below, which loses it
}

// TestCheck compares how the test lines of the packs come out.
type TestCheck struct {
	N        int
	Right    BeforeAfter
	Compared bool // there is a model to compare with; else Right.Before counts nothing
	Changed  []TestChange
}

// TestChange is a test line that comes out otherwise than before.
type TestChange struct {
	Text, Want    string
	Before, After string // what is taken for; empty = nothing is answered
	Better        bool
}

// TryCheck is what is made of a text that a visitor might write.
type TryCheck struct {
	Before, After *conversation.Prediction // nil = was not asked for, or there is no model yet
}

// CheckPack trains what the text of a saved pack would give, beside what
// serves, and compares. Nothing is stored or goes live.
//
// Errors: as for [Library.SavePack], except that what is wrong with the text is
// a part of the report; class [conversation.ErrOverloaded] when too many checks
// wait.
func (l *Library) CheckPack(ctx context.Context, name string, text []byte, o CheckOptions) (PackCheck, error) {
	var out PackCheck
	t, err := l.tryText(name, text)
	if out.Problems = ProblemsOf(err); len(out.Problems) > 0 {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	packs := t.combination(o.Packs)
	if !t.concerns(packs) {
		return out, conversation.Refusef(conversation.CodeInvalid, "the packs %s do not hold %s", strings.Join(packs, ", "), name)
	}
	b, err := t.catalog.bundle(packs, l.loader.norm)
	if out.Problems = ProblemsOf(err); len(out.Problems) > 0 {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	before := t.before.model(packs)
	after, err := l.tryModel(ctx, b, before)
	if err != nil {
		return out, err
	}
	out.Hash, out.Packs, out.Model = t.pack.version, packs, b.hash
	out.count(t.before.catalog.bundles[name], t.catalog.bundles[name])
	out.Repeated = t.repeated()
	out.Tests = compareTests(before, after)
	if o.Try != "" {
		u := &conversation.Utterance{Text: o.Try, Lang: o.Lang, Packs: packs}
		out.Try = TryCheck{Before: l.ask(before, u), After: l.ask(after, u)}
	}
	return out, nil
}

// combination chooses what is trained.
func (t *trial) combination(asked []string) []string {
	if len(asked) > 0 {
		return asked
	}
	for _, m := range t.before.models {
		if t.concerns(m.bundle.packs) {
			return m.bundle.packs
		}
	}
	return []string{t.name}
}

// tryModel gives a model for a check. The last one is kept, so that trying
// several questions trains once, and saving what was checked not at all.
func (l *Library) tryModel(ctx context.Context, b *bundle, before *model) (*model, error) {
	if l.checks.waiting.Add(1) > maxChecks {
		l.checks.waiting.Add(-1)
		return nil, conversation.Refuse(conversation.CodeOverloaded, "too many packs are being checked")
	}
	defer l.checks.waiting.Add(-1)
	select {
	case l.checks.one <- struct{}{}:
		defer func() { <-l.checks.one }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if before != nil && before.bundle.hash == b.hash {
		return before, nil
	}
	m, err := l.train(ctx, b, before)
	if err != nil {
		return nil, err
	}
	l.tried.Store(m)
	return m, nil
}

func (c *PackCheck) count(before, after *bundle) {
	var i PackInfo
	i.count(before)
	c.Intents.Before, c.Questions.Before = i.Intents, i.Questions
	i = PackInfo{}
	i.count(after)
	c.Intents.After, c.Questions.After = i.Intents, i.Questions
}

// ask predicts with one model; nil gives nil.
func (l *Library) ask(m *model, u *conversation.Utterance) *conversation.Prediction {
	if m == nil {
		return nil
	}
	var p conversation.Prediction
	s := l.borrow()
	defer l.scratch.Put(s)
	m.predict(s, u, &p)
	return &p
}

// repeated finds the questions of the pack that it holds twice, or that a pack
// below has too.
func (t *trial) repeated() []Repeated {
	type asked struct {
		intent string
		at     place
		own    bool
	}
	layers, _ := t.catalog.layers([]string{t.name}) // laid out before
	first := map[string]asked{}
	var out []Repeated
	for _, k := range layers {
		for _, in := range k.intents {
			for _, lang := range langs(in.ask) {
				for _, q := range in.ask[lang] {
					key := q.key
					other, twice := first[key]
					if k == t.pack && twice && (!other.own || in.replace != flagYes) {
						out = append(out, Repeated{
							Text: q.text, Line: q.at.line, Intent: in.id, OtherIntent: other.intent, OtherFile: other.at.file, OtherLine: other.at.line,
							Taken: !other.own && other.intent != in.id,
						})
					}
					if !twice || k == t.pack {
						first[key] = asked{intent: in.id, at: q.at, own: k == t.pack}
					}
					if len(out) == maxRepeated {
						return out
					}
				}
			}
		}
	}
	return out
}

// right reports whether a line comes out as it should: what nobody covers must
// not be answered.
func (j *judged) right() bool {
	if j.want == OutOfScope {
		return !j.answered()
	}
	return j.got == j.want
}

// shown is what a line is taken for, as far as it matters.
func (j *judged) shown() string {
	if j.want == OutOfScope && !j.answered() {
		return ""
	}
	return j.got
}

// compareTests lets two models say what they make of the test lines of the
// second; the first may be nil.
func compareTests(before, after *model) TestCheck {
	now := after.judgeTests()
	out := TestCheck{N: len(now), Compared: before != nil}
	var old []judged
	if before != nil {
		old = before.judgeLines(after.testLines())
	}
	for i := range now {
		j := &now[i]
		if j.right() {
			out.Right.After++
		}
		if before == nil {
			continue
		}
		if old[i].right() {
			out.Right.Before++
		}
		if old[i].right() != j.right() && len(out.Changed) < maxTestChanges {
			out.Changed = append(out.Changed, TestChange{
				Text: j.text, Want: j.want, Before: old[i].shown(), After: j.shown(), Better: j.right(),
			})
		}
	}
	slices.SortStableFunc(out.Changed, func(a, b TestChange) int {
		if a.Better == b.Better {
			return 0
		}
		if b.Better {
			return -1 // what gets worse first
		}
		return 1
	})
	return out
}
