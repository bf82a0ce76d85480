package intent

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// finder finds where a regular expression of a pack matches. Package regexp gives places
// only in memory that it takes for each match; a finder has them in memory that is used
// again, and takes the same matches: the leftmost, and of these the one that the
// expression prefers.
//
// Concurrency: read only; what changes is in search.
type finder struct {
	re      *regexp.Regexp
	program *syntax.Prog // nil: the package has to do
}

// search is the working memory of a finder.
type search struct {
	visited []uint64 // a bit for each instruction and place from which there is no match
	jobs    []searchJob
	width   int    // places
	at      [4]int // of the match and of its first group; -1 = the group has no part in it
}

// searchJob is a way to go on with, or what a place was before a way that was none.
type searchJob struct {
	next    uint32 // the instruction, or the index of the place
	at      int
	restore bool
}

// maxVisits bounds the bits of a search: package regexp looks through texts that would
// take more, in memory of its own.
const maxVisits = 256 << 10

func newFinder(re *regexp.Regexp) finder {
	f := finder{re: re}
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return f
	}
	if p, err := syntax.Compile(parsed.Simplify()); err == nil {
		f.program = p
	}
	return f
}

// each calls give with the places of up to limit matches in text, in order: begin and end
// of the match and of its first group. Empty matches are left out.
func (f *finder) each(text []byte, s *search, limit int, give func(at [4]int)) {
	if !f.re.Match(text) {
		return // by far the most texts, and cheaper than a search for places
	}
	if f.program == nil || len(f.program.Inst)*(len(text)+1) > maxVisits {
		f.slowly(text, limit, give)
		return
	}
	for from := 0; limit > 0 && s.find(f.program, text, from); {
		if s.at[1] > s.at[0] {
			give(s.at)
			limit--
		}
		if from = s.at[1]; s.at[1] == s.at[0] {
			_, n := utf8.DecodeRune(text[from:])
			from += max(n, 1)
		}
	}
}

func (f *finder) slowly(text []byte, limit int, give func(at [4]int)) {
	for _, m := range f.re.FindAllSubmatchIndex(text, limit) {
		at := [4]int{m[0], m[1], -1, -1}
		copy(at[:], m)
		if at[1] > at[0] {
			give(at)
		}
	}
}

// find looks for the first match that begins at from or later.
func (s *search) find(p *syntax.Prog, text []byte, from int) bool {
	if from > len(text) {
		return false
	}
	s.width = len(text) + 1
	words := (len(p.Inst)*s.width + 63) / 64
	s.visited = slices.Grow(s.visited[:0], words)[:words]
	clear(s.visited)
	for from < len(text) {
		if s.try(p, text, from) {
			return true
		}
		_, n := utf8.DecodeRune(text[from:])
		from += n
	}
	return s.try(p, text, from)
}

// try looks for a match that begins at a place. The ways that the expression prefers are
// gone first. What led nowhere once leads nowhere again, however it was come to.
func (s *search) try(p *syntax.Prog, text []byte, begin int) bool {
	s.at = [4]int{begin, -1, -1, -1}
	s.jobs = append(s.jobs[:0], searchJob{next: uint32(p.Start), at: begin}) //nolint:gosec // not negative
	for len(s.jobs) > 0 {
		j := s.jobs[len(s.jobs)-1]
		s.jobs = s.jobs[:len(s.jobs)-1]
		if j.restore {
			s.at[j.next] = j.at
		} else if s.follow(p, text, j.next, j.at) {
			return true
		}
	}
	return false
}

// follow goes one way to its end, and notes the others that branch off.
func (s *search) follow(p *syntax.Prog, text []byte, next uint32, at int) (matches bool) {
	for s.visit(next, at) {
		in := &p.Inst[next]
		switch in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			s.jobs = append(s.jobs, searchJob{next: in.Arg, at: at})
		case syntax.InstCapture:
			if in.Arg == 2 || in.Arg == 3 {
				s.jobs = append(s.jobs, searchJob{next: in.Arg, at: s.at[in.Arg], restore: true})
				s.at[in.Arg] = at
			}
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^around(text, at) != 0 { //nolint:gosec // a set of few
				return false
			}
		case syntax.InstNop:
		case syntax.InstMatch:
			s.at[1] = at
			return true
		case syntax.InstFail:
			return false
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			r, n := utf8.DecodeRune(text[at:])
			if n == 0 || !in.MatchRune(r) {
				return false
			}
			at += n
		}
		next = in.Out
	}
	return false
}

// visit reports whether an instruction comes to a place for the first time.
func (s *search) visit(next uint32, at int) bool {
	bit := int(next)*s.width + at
	word, mask := &s.visited[bit/64], uint64(1)<<(bit%64)
	first := *word&mask == 0
	*word |= mask
	return first
}

// around gives the conditions, such as a word's boundary, that hold at a place.
func around(text []byte, at int) syntax.EmptyOp {
	before, behind := rune(-1), rune(-1)
	if at > 0 {
		before, _ = utf8.DecodeLastRune(text[:at])
	}
	if at < len(text) {
		behind, _ = utf8.DecodeRune(text[at:])
	}
	return syntax.EmptyOpContext(before, behind)
}
