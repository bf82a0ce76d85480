package conversation

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Digits is a number in a text. People part long numbers as they like: 1234 5678
// 9012 is one, and its first group by itself is somebody else's.
type Digits struct {
	Text       string // all of its digits and, where it is apart, what parts them
	Start, End int    // places of runes in the text
	Groups     int    // of digits, at least 1
	Apart      bool   // it is a date, a phone number, a quantity, or what else the reader was told
}

// group is a run of digits. Invisible characters between digits are part of it.
type group struct {
	start, end int
	digits     string
	before     byte // what parts it from the group before: a space, '-' or '.'; 0 for the first
	apart      bool
}

// ReadDigits finds the numbers of a folded text, in order. Groups of digits are one
// number where only spaces, a hyphen or a dot stand between them on one line. A date, a
// phone number or a quantity beside a number is a number by itself (2023 2 shirts), and so
// are the groups of which apart says that they belong to something else; nil says so of none.
func ReadDigits(folded []rune, apart func(start, end int) bool) []Digits {
	var out []Digits
	for i := 0; i < len(folded); {
		if !digit(folded[i]) {
			i++
			continue
		}
		groups := groupsAt(folded, i)
		i = groups[len(groups)-1].end
		for k := range groups {
			g := &groups[k]
			g.apart = apart != nil && apart(g.start, g.end) || g.measures(folded) || counts(groups[:k+1], folded)
			// The 19 of 19.99 dollars goes where the 99 goes.
			for n := k; g.apart && n > 0 && groups[n].before == '.'; n-- {
				groups[n-1].apart = true
			}
		}
		out = appendNumbers(out, groups)
	}
	return out
}

// groupsAt reads the group at i and those that go on with it.
func groupsAt(folded []rune, i int) []group {
	var groups []group
	before := byte(0)
	for {
		g := group{start: i, before: before}
		for i < len(folded) && digit(folded[i]) {
			begin := i
			for i < len(folded) && digit(folded[i]) {
				i++
			}
			g.digits += string(folded[begin:i])
			g.end = i
			i = afterInvisible(folded, i)
		}
		groups = append(groups, g)
		if before, i = nextGroup(folded, g.end); before == 0 {
			return groups
		}
	}
}

// The most spaces that part the groups of one number; behind a wider gap begins
// something else.
const maxGap = 3

// nextGroup gives where the group behind a gap begins, and what parts it; 0 where the
// number ends.
func nextGroup(folded []rune, at int) (parts byte, next int) {
	i := afterInvisible(folded, at)
	spaces := 0
	parts = ' '
	for ; i < len(folded) && !digit(folded[i]); i++ {
		switch r := folded[i]; {
		case r != '\n' && r != '\r' && unicode.IsSpace(r):
			spaces++
		case invisibleRune(r):
		case hyphen(r) && parts == ' ':
			parts = '-'
		case (r == '.' || r == '．') && parts == ' ' && spaces == 0:
			parts = '.'
		default:
			return 0, at
		}
		if spaces > maxGap || parts == '.' && spaces > 0 { // a dot and a space end a sentence
			return 0, at
		}
	}
	if i == len(folded) {
		return 0, at
	}
	return parts, i
}

func hyphen(r rune) bool { return r == '-' || r == '－' || r >= 0x2010 && r <= 0x2012 }

func invisibleRune(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r == 0x2060 || r == 0xfeff || r == 0xad
}

func afterInvisible(folded []rune, i int) int {
	for i < len(folded) && invisibleRune(folded[i]) {
		i++
	}
	return i
}

// appendNumbers makes numbers of groups that stand side by side.
func appendNumbers(out []Digits, groups []group) []Digits {
	for k := 0; k < len(groups); {
		n, apart := setApart(groups, k), true
		if n == 0 {
			apart = false
			for n = 1; k+n < len(groups) && setApart(groups, k+n) == 0; {
				n++
			}
		}
		d := Digits{Start: groups[k].start, End: groups[k+n-1].end, Groups: n, Apart: apart}
		if apart {
			d.Text = spell(groups[k : k+n])
		} else {
			for _, g := range groups[k : k+n] {
				d.Text += g.digits
			}
		}
		out = append(out, d)
		k += n
	}
	return out
}

// setApart gives how many groups from k on are one thing apart from what stands beside
// them, 0 for groups of a number.
func setApart(groups []group, k int) int {
	if groups[k].apart {
		n := 1
		for k+n < len(groups) && groups[k+n].apart {
			n++
		}
		return n
	}
	if k > 0 && groups[k].before != ' ' {
		return 0
	}
	if n := 3; k+n <= len(groups) && (k+n == len(groups) || groups[k+n].before == ' ') && dates.MatchString(spell(groups[k:k+n])) {
		return n
	}
	if mobiles.MatchString(groups[k].digits) && (k+1 == len(groups) || groups[k+1].before == ' ') {
		return 1
	}
	// In groups, a phone number ends the line: 138 1234 5678 9012 is longer than one.
	if n := len(groups) - k; n <= maxPhoneGroups && phones.MatchString(spell(groups[k:])) {
		return n
	}
	return 0
}

const maxPhoneGroups = 4

// Shapes of what is no number of an order. Phone numbers without a country code are
// those that cannot be told from a longer number by their context alone.
var (
	dates = regexp.MustCompile(`^(?:(?:19|20)\d{2}(?:-(?:0?[1-9]|1[0-2])-|\.(?:0?[1-9]|1[0-2])\.)(?:0?[1-9]|[12]\d|3[01])|` +
		`(?:0?[1-9]|[12]\d|3[01])[-.](?:0?[1-9]|[12]\d|3[01])[-.](?:19|20)\d{2})$`)
	mobiles = regexp.MustCompile(`^1[3-9]\d{9}$`)
	phones  = regexp.MustCompile(`^(?:(?:86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}-\d{7,8}|[48]00-\d{3}-\d{4})$`)
	// What follows a quantity or the day of a date.
	measures = regexp.MustCompile(`(?i)^ ?(?:pcs?|pieces?|items?|units?|pairs?|boxe?s?|sets?|days?|weeks?|months?|years?|hours?|hrs?|minutes?|mins?|times|` +
		`kg|grams?|yuan|rmb|usd|dollars?|euros?|pounds|am|pm|of them|(?:of )?(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|` +
		`aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))\b`)
)

// spell gives groups with what parts them.
func spell(groups []group) string {
	var b strings.Builder
	for i, g := range groups {
		if i > 0 {
			b.WriteByte(g.before)
		}
		b.WriteString(g.digits)
	}
	return b.String()
}

// The characters that make a quantity or a date of the digits before them: of few
// digits, of any, and of few digits behind a space.
const (
	measuresFew   = "年月日号號天元块塊件双雙套个個箱台份盒瓶包斤点點次码碼折岁歲周"
	measuresMany  = "年元块塊件双雙套个個箱台份"
	measuresApart = "件个個双雙套元块塊天年月"
	fewDigits     = 3
	maxMeasure    = 16 // runes that are looked at
)

// measures reports a group that is part of a price, a quantity, a time, a phone number
// with its country code, or the name of a thing such as mp3.
func (g *group) measures(folded []rune) bool {
	few := len(g.digits) <= fewDigits
	if g.start > 0 {
		switch r := folded[g.start-1]; {
		case strings.ContainsRune("+$€£¥￥", r):
			return true
		case r == ':' || r == '：' || r == '/':
			return few && g.start > 1 && digit(folded[g.start-2])
		case unicode.IsLetter(r) && r < unicode.MaxLatin1 && len(g.digits) < fewDigits:
			return true
		}
	}
	rest := folded[g.end:min(len(folded), g.end+maxMeasure)]
	if len(rest) == 0 {
		return false
	}
	next := rest[0]
	if strings.ContainsRune(measuresMany, next) || next == '%' {
		return true
	}
	if !few {
		return false
	}
	if slices.Contains([]rune{':', '：', '/'}, next) && len(rest) > 1 && digit(rest[1]) {
		return true
	}
	return strings.ContainsRune(measuresFew, next) || codeRune(unicode.ToLower(next)) ||
		next == ' ' && len(rest) > 1 && len(g.digits) < fewDigits && strings.ContainsRune(measuresApart, rest[1]) ||
		measures.MatchString(string(rest))
}

// counts reports that the last of the groups is how many of something: one or two digits
// behind a single group that is a number by itself, and a word that can be counted after
// it. Behind several groups it is the end of a long number: 1234 5678 90.
func counts(groups []group, folded []rune) bool {
	if len(groups) != 2 || len(groups[0].digits) < wholeDigits || groups[0].apart {
		return false
	}
	g := &groups[1]
	if g.before != ' ' || len(g.digits) >= fewDigits || g.digits[0] == '0' {
		return false
	}
	rest := folded[g.end:min(len(folded), g.end+maxMeasure)]
	if len(rest) > 1 && rest[0] == ' ' && strings.ContainsRune(measuresBehind, rest[1]) || len(rest) > 0 && strings.ContainsRune(measuresBehind, rest[0]) {
		return true
	}
	word := counted.FindStringSubmatch(string(rest))
	return word != nil && !uncounted.MatchString(word[1])
}

// wholeDigits is how many digits make a number by themselves.
const wholeDigits = 4

// measuresBehind are further characters that count things, where a count is expected.
const measuresBehind = "条條本张張只隻支部顶頂袋罐杯把节節门門位束款种種"

// counted is a word after a number; uncounted are words with which a sentence goes on, so
// that the number before them may be all of it: 12345678 90 has not come.
var (
	counted   = regexp.MustCompile(`^ ([A-Za-z']+)`)
	uncounted = regexp.MustCompile(`(?i)^(?:` +
		`is|isn't|are|aren't|was|wasn't|were|has|hasn't|have|haven't|had|hadn't|does|doesn't|do|don't|did|didn't|will|won't|` +
		`would|can|can't|cannot|could|should|must|may|might|not|never|still|yet|now|already|just|only|also|please|pls|plz|` +
		`thanks|thank|thx|and|or|but|so|because|since|as|if|when|where|what|which|who|why|how|to|for|from|in|into|on|at|by|with|` +
		`without|of|about|than|then|it|it's|its|this|that|that's|the|a|an|my|your|our|i|i'm|i've|we|we're|you|he|she|they|there|` +
		`here|arrived|came|comes|shipped|sent|delivered|lost|missing|wrong|broken|cancelled|canceled|refunded|paid|bought|` +
		`ordered|placed|says|said|shows|showed|order|tracking|status|number|no|hi|hello|ok|okay|yes` + `)$`)
)
