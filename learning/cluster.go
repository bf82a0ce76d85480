package learning

import (
	"cmp"
	"encoding/hex"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
)

const (
	// alike is how like the texts of a group a further one has to be, on average.
	alike = 0.55
	// compared is how many texts of a group a further one is compared with.
	compared = 8
	// fewestUnits is how long a text has to be to ask anything.
	fewestUnits = 2

	maxExamples    = 8
	maxSuggestions = 50
	maxNearest     = 3
)

// reader tells texts from each other. [intent.Library] is one.
type reader interface {
	Signature(text string) intent.Signature
	Canonical(text string) string
}

// group is texts that ask the same.
type group struct {
	rows  []*Missed
	signs []intent.Signature // of the first different texts
	texts map[string]string  // canonical form → first text
	order []string           // canonical forms as they came
}

// cluster groups rows, oldest first: each joins the group that it is most like,
// or begins one. Texts that an operator has dealt with are left out. The same
// rows give the same groups on every node.
func cluster(r reader, rows []Missed, done func(key string) bool) []*group {
	var all []*group
	for i := range rows {
		m := &rows[i]
		key := r.Canonical(m.Text)
		sign := r.Signature(m.Text)
		if key == "" || sign.Units() < fewestUnits || done(keyOf(key)) {
			continue
		}
		var best *group
		near := float32(alike)
		for _, g := range all {
			if _, ok := g.texts[key]; ok {
				best = g
				break
			}
			if s := g.like(&sign); s >= near {
				best, near = g, s
			}
		}
		if best == nil {
			best = &group{texts: map[string]string{}}
			all = append(all, best)
		}
		best.add(m, key, sign)
	}
	return all
}

func (g *group) like(s *intent.Signature) float32 {
	sum := float32(0)
	for i := range g.signs {
		sum += g.signs[i].Like(s)
	}
	return sum / float32(len(g.signs))
}

func (g *group) add(m *Missed, key string, s intent.Signature) {
	g.rows = append(g.rows, m)
	if _, ok := g.texts[key]; ok {
		return
	}
	g.texts[key] = m.Text
	g.order = append(g.order, key)
	if len(g.signs) < compared {
		g.signs = append(g.signs, s)
	}
}

// id names the group as long as its first text is known.
func (g *group) id() string { return keyOf(g.order[0]) }

// keyOf stands for a text where the text itself must not be kept.
func keyOf(canonical string) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(canonical))
	return hex.EncodeToString(h.Sum(nil))
}

// suggestion describes the group.
func (g *group) suggestion(inbox conversation.InboxID, r reader) conversation.Suggestion {
	s := conversation.Suggestion{
		ID: g.id(), Inbox: inbox, Texts: len(g.rows), Reasons: map[conversation.MissedReason]int{}, Nearest: []conversation.Candidate{},
	}
	visitors := map[uint64]bool{}
	langs, taken, right := map[string]int{}, map[string]int{}, map[string]int{}
	for _, m := range g.rows {
		visitors[m.Visitor] = true
		s.Reasons[m.Reason]++
		langs[m.Lang]++
		taken[m.Taken]++
		right[m.Right]++
		if m.At.After(s.Newest) {
			s.Newest = m.At
		}
	}
	s.Visitors = len(visitors)
	s.Lang, s.Taken, s.Right = most(langs), most(taken), most(right)
	// The newest texts are the most telling ones of a long list.
	for _, key := range g.order[max(len(g.order)-maxExamples, 0):] {
		s.Examples = append(s.Examples, conversation.Text(g.texts[key]))
	}
	s.Answer = conversation.Text(draft(r, g.rows))
	return s
}

// most gives what was counted most often, the empty string aside.
func most(counts map[string]int) string {
	best := ""
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if k != "" && (best == "" || counts[k] > counts[best]) {
			best = k
		}
	}
	return best
}

// draft gives the agents' answer that is most like all the others. One answer to
// one visitor counts once.
func draft(r reader, rows []*Missed) string {
	type said struct {
		text string
		sign intent.Signature
	}
	var all []said
	from := map[uint64]bool{}
	for i := len(rows) - 1; i >= 0 && len(all) < 30; i-- {
		m := rows[i]
		if m.Answer == "" || from[m.Visitor] {
			continue
		}
		from[m.Visitor] = true
		all = append(all, said{m.Answer, r.Signature(m.Answer)})
	}
	best, score := "", float32(-1)
	for i := range all {
		sum := float32(0)
		for j := range all {
			if i != j {
				sum += all[i].sign.Like(&all[j].sign)
			}
		}
		if sum > score {
			best, score = all[i].text, sum
		}
	}
	return best
}

// sortSuggestions puts first what most visitors asked, then what agents or
// visitors have called wrong, then the newest.
func sortSuggestions(all []conversation.Suggestion) []conversation.Suggestion {
	slices.SortFunc(all, func(a, b conversation.Suggestion) int {
		return cmp.Or(
			cmp.Compare(b.Visitors, a.Visitors),
			cmp.Compare(b.Reasons[conversation.MissedWrong], a.Reasons[conversation.MissedWrong]),
			b.Newest.Compare(a.Newest), cmp.Compare(a.ID, b.ID))
	})
	return all[:min(len(all), maxSuggestions)]
}
