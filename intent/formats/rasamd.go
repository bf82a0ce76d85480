package formats

import (
	"strings"
)

// markdown reads the files that Rasa had before version 2: nlu.md, stories.md
// and responses.md. It reports whether there was anything of that kind.
func (r *rasaReader) markdown(f *inputFile) bool {
	text, err := toUTF8(f.name, f.content)
	if err != nil || !strings.Contains(text, "## ") {
		return false
	}
	m := &rasaMarkdown{rasaReader: r, file: f.name}
	for i, line := range strings.Split(text, "\n") {
		m.line(strings.TrimRight(line, " \t\r"), i+1)
	}
	m.endSection()
	return m.any
}

// rasaMarkdown reads one file line by line.
type rasaMarkdown struct {
	*rasaReader

	file    string
	any     bool
	kind    string // intent, synonym, regex, lookup; empty in stories and responses
	name    string
	at      Place
	entries []sentence
	asked   []string // intents of the story's last turn
	actions []sentence
	turns   int
	comment bool
}

func (m *rasaMarkdown) line(line string, number int) {
	at := Place{File: m.file, Line: number}
	bare := strings.TrimSpace(line)
	if m.comment || strings.HasPrefix(bare, "<!--") {
		m.comment = !strings.HasSuffix(bare, "-->")
		return
	}
	if head, ok := strings.CutPrefix(bare, "## "); ok {
		m.endSection()
		m.at = at
		kind, name, has := strings.Cut(head, ":")
		switch kind = strings.TrimSpace(kind); kind {
		case "intent", "synonym", "regex", "lookup":
			if has {
				m.kind, m.name, m.any = kind, strings.TrimSpace(name), true
			}
		}
		return
	}
	item, isItem := strings.CutPrefix(bare, "- ")
	star, isStar := strings.CutPrefix(bare, "* ")
	switch {
	case bare == "" || strings.HasPrefix(bare, ">"):
	case m.kind != "" && (isItem || isStar):
		if isStar {
			item = star
		}
		m.entries = append(m.entries, sentence{text: strings.TrimSpace(item), at: at})
	case m.kind == "lookup":
		m.entries = append(m.entries, m.lookupFile(bare, at)...)
	case isStar:
		m.endTurn()
		m.turns++
		for name := range strings.SplitSeq(star, " OR ") {
			name, _, _ = strings.Cut(strings.TrimSpace(name), "{")
			m.asked = append(m.asked, name)
		}
	case isItem && len(m.asked) > 0:
		m.actions = append(m.actions, sentence{text: strings.TrimSpace(item), at: at})
	}
}

// endTurn closes a turn of a story, or the answer to a retrieval intent.
func (m *rasaMarkdown) endTurn() {
	if len(m.asked) == 0 || len(m.actions) == 0 {
		m.asked, m.actions = nil, nil
		return
	}
	m.any = true
	first := m.actions[0]
	if name := m.asked[0]; strings.Contains(name, "/") && !strings.HasPrefix(first.text, "utter_") && !strings.HasPrefix(first.text, "action_") {
		out := &rasaResponse{name: "utter_" + name, at: first.at, lang: m.langIn(m.file)}
		for _, a := range m.actions {
			out.variants = append(out.variants, rasaVariant{text: strings.ReplaceAll(a.text, `\n`, "\n"), at: a.at})
		}
		m.responses[out.name] = append(m.responses[out.name], out)
		m.asked, m.actions = nil, nil
		return
	}
	rank := rankLater
	if m.turns == 1 {
		rank = rankFirst
	}
	for _, name := range m.asked {
		m.flows[name] = append(m.flows[name], rasaFlow{actions: m.actions, rank: rank})
	}
	m.asked, m.actions = nil, nil
}

func (m *rasaMarkdown) endSection() {
	m.endTurn()
	name, _, _ := strings.Cut(m.name, ":") // synonym:value has none, intent:x may have
	switch m.kind {
	case "intent":
		m.examples(name, m.at, m.entries, m.langIn(m.file))
	case "synonym":
		m.synonyms = append(m.synonyms, rasaSynonym{value: m.name, words: m.entries, at: m.at})
	case "regex":
		m.patterns = append(m.patterns, rasaPattern{name: m.name, regex: m.entries, at: m.at})
	case "lookup":
		m.lookup(m.name, m.at, m.entries)
	}
	m.kind, m.name, m.entries, m.turns = "", "", nil, 0
}
