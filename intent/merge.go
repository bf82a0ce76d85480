package intent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"runtime"
	"slices"
)

// packFile is the content of one file of a pack.
type packFile struct {
	name    string // as named in problems
	content []byte
}

// parsePack reads the files of one pack and puts them together. The name of
// the pack is the one its headers give.
func parsePack(files []packFile, norm *normalizer) (*pack, error) {
	p := &problems{}
	slices.SortFunc(files, func(a, b packFile) int { return cmp.Compare(a.name, b.name) })
	if len(files) > maxFilesPerPack {
		p.add(place{file: files[0].name}, "the pack has %d files, the limit is %d", len(files), maxFilesPerPack)
		return nil, p.err()
	}
	var whole *pack
	hash := sha256.New()
	for _, f := range files {
		part := parseFile(f.name, f.content, p)
		hash.Write(f.content)
		hash.Write([]byte{0})
		switch {
		case part == nil:
		case whole == nil:
			whole = part
		default:
			whole.add(part, f.name, p)
		}
	}
	if whole == nil {
		return nil, p.err()
	}
	whole.version = hex.EncodeToString(hash.Sum(nil)[:8])
	p.pack = whole.name
	whole.checkQuestions(norm, p)
	return whole, p.err()
}

// add puts the content of another file of the same pack into k.
func (k *pack) add(part *pack, file string, p *problems) {
	start := place{file: file}
	if part.name != k.name && part.name != "" && k.name != "" {
		p.add(start, "the file belongs to pack %q, the others of its folder to %q", part.name, k.name)
		return
	}
	k.name = cmp.Or(k.name, part.name)
	if len(part.extends) > 0 {
		if len(k.extends) > 0 {
			p.add(part.extendsAt, "extends is already stated in %s", k.extendsAt.describe())
		}
		k.extends, k.extendsAt = part.extends, part.extendsAt
	}
	k.thresholds.fill(part.thresholds)
	k.addDeclarations(part, p)
	k.intents = append(k.intents, part.intents...)
	if len(k.intents) > maxIntents {
		p.add(start, "the pack has %d intents, the limit is %d", len(k.intents), maxIntents)
	}
}

// addDeclarations joins variables, entities, flows and phrases; a name may be
// declared once in a pack.
func (k *pack) addDeclarations(part *pack, p *problems) {
	for _, name := range langs(part.variables) {
		v := part.variables[name]
		if first, ok := k.variables[name]; ok {
			p.add(v.at, "variable %s is already declared in %s", name, first.at.describe())
			continue
		}
		k.variables[name] = v
	}
	for _, e := range part.entities {
		if i := slices.IndexFunc(k.entities, func(o *entity) bool { return o.name == e.name }); i >= 0 {
			p.add(e.at, "entity %s is already declared in %s", e.name, k.entities[i].at.describe())
			continue
		}
		k.entities = append(k.entities, e)
	}
	for _, name := range langs(part.flows) {
		f := part.flows[name]
		if first, ok := k.flows[name]; ok {
			p.add(f.at, "flow %s is already declared in %s", name, first.at.describe())
			continue
		}
		k.flows[name] = f
	}
	maps.Copy(k.phrases, part.phrases)
}

// fill takes over what t leaves open.
func (t *thresholds) fill(from thresholds) {
	if t.auto < 0 {
		t.auto = from.auto
	}
	if t.suggest < 0 {
		t.suggest = from.suggest
	}
	if t.margin < 0 {
		t.margin = from.margin
	}
}

// claim is who uses a question for what.
type claim struct {
	intent string
	use    string // ask, not or test
	at     place
}

// checkQuestions finds intents defined twice and questions that contradict
// each other, and counts the questions.
func (k *pack) checkQuestions(norm *normalizer, p *problems) {
	ids := map[string]place{}
	asked := make(map[string]claim, k.fillKeys(norm))
	for _, in := range k.intents {
		if first, ok := ids[in.id]; ok {
			p.add(in.at, "intent %s is already defined in %s", in.id, first.describe())
			continue
		}
		ids[in.id] = in.at
		for _, lang := range langs(in.ask) {
			list := in.ask[lang]
			for i := range list {
				l := &list[i]
				k.questions++
				k.claim(asked, claim{intent: in.id, use: "ask", at: l.at}, l.key, p)
			}
		}
	}
	if k.questions > maxQuestions {
		p.add(place{file: k.name}, "the pack has %d questions, the limit is %d", k.questions, maxQuestions)
	}
	for _, in := range k.intents {
		checkAgainst(asked, in, norm, p)
	}
}

// keyStride is how many questions one goroutine brings into canonical form at a time.
const keyStride = 128

// fillKeys brings the questions into canonical form, and counts them.
func (k *pack) fillKeys(norm *normalizer) int {
	var all []*line
	for _, in := range k.intents {
		for _, list := range in.ask {
			for i := range list {
				all = append(all, &list[i])
			}
		}
	}
	// Whoever saves a pack waits for this.
	_ = spread(context.Background(), (len(all)+keyStride-1)/keyStride, runtime.GOMAXPROCS(0), func() func(int) {
		form := canonicals{normalizer: norm}
		return func(block int) {
			for _, l := range all[block*keyStride : min(len(all), (block+1)*keyStride)] {
				l.key = form.of(l.text)
			}
		}
	})
	return len(all)
}

func (k *pack) claim(asked map[string]claim, c claim, key string, p *problems) {
	if key == "" {
		p.add(c.at, "a question of intent %s holds no words", c.intent)
		return
	}
	if first, ok := asked[key]; ok && first.intent != c.intent {
		p.add(c.at, "the question of intent %s also stands under intent %s in %s", c.intent, first.intent, first.at.describe())
		return
	}
	if _, ok := asked[key]; !ok {
		asked[key] = c
	}
}

// checkAgainst compares the not and test lines of an intent with what is asked.
func checkAgainst(asked map[string]claim, in *intent, norm *normalizer, p *problems) {
	for _, lang := range langs(in.not) {
		for _, l := range in.not[lang] {
			if first, ok := asked[norm.canonical(l.text)]; ok && first.intent == in.id {
				p.add(l.at, "the line stands under not and, in %s, under ask of intent %s", first.at.describe(), in.id)
			}
		}
	}
	for _, lang := range langs(in.test) {
		for _, l := range in.test[lang] {
			if first, ok := asked[norm.canonical(l.text)]; ok {
				p.add(l.at, "the test line of intent %s is trained on: it stands under ask of intent %s in %s",
					in.id, first.intent, first.at.describe())
			}
		}
	}
}
