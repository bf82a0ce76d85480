package conversation

import (
	"slices"
	"strings"
	"unicode"
)

// Value is a number or code in a text, such as what may be an order number.
type Value struct {
	Text    string // in ASCII digits and letters, also where it was spelled out
	Start   int    // byte offsets into the text
	End     int
	Negated bool // the text says that this is not it
}

// cues are what the words of a text do in a dialogue, by closed lists for
// Chinese and English. They are signs, not proof: what they mean depends on the
// state of the conversation.
type cues struct {
	denies   bool // the answer was not what was asked for
	corrects bool // something said before was wrong
	other    bool // another one of the same kind is meant
	follows  bool // the text leans on what was said before
	outside  bool // the visitor has nothing yet that could be looked up
	agrees   bool // yes, and nothing else
	refuses  bool // no, or none of them, and nothing else
	ordinal  int  // 1 = the first, -1 = the last, 0 = none
	lead     int  // runes of a lead-in, such as "that's not what I asked"

	whole, bare string // the text that was looked at, with its gaps and without
}

// lacks: the visitor has not got what was asked for. This and seeks take longer
// than everything else, so only who needs the answer pays for it.
func (c *cues) lacks() bool { return lacking(c.whole, c.bare) }

// seeks: the visitor asks where to find it.
func (c *cues) seeks() bool { return seeking(c.whole) }

const (
	// maxCueRunes bounds how much of a text is looked at: what it does in a
	// dialogue, it does at its start.
	maxCueRunes = 160
	maxLeads    = 3 // clauses of a lead-in
)

// readCues reads the cues of a folded text.
func readCues(folded []rune) cues {
	whole := strings.TrimFunc(string(folded[:min(len(folded), maxCueRunes)]), gap)
	bare := squeeze(whole)
	c := cues{
		whole: whole, bare: bare,
		corrects: hasAny(whole, correcting()), other: hasAny(whole, others()), agrees: slices.Contains(agreeing(), bare),
		refuses: slices.Contains(refusing(), bare), ordinal: ordinal(bare), follows: leaning(whole),
		outside: hasAny(whole, notYet()) || opening(whole) && !hasAny(whole, owning()),
	}
	c.denies = hasAny(whole, denying())
	c.lead = leadIn(folded[:min(len(folded), maxCueRunes)])
	return c
}

func denying() []string {
	return []string{
		"不是这个问题", "不是问这个", "问的不是这", "说的不是这", "不是这个意思", "答非所问", "没明白我", "没听懂", "理解错", "没回答我", "不是要问这", "不是我问的",
		"不是我想问", "不是我要问", "没懂我", "搞错问题", "不是想问这个", "看清楚我的问题", "所答非所问", "牛头不对马嘴",
		"not what i ask", "not what i'm asking", "not what im asking", "not what i was asking", "not what i meant", "not what i mean", "not my question",
		"didn't answer my", "didnt answer my", "did not answer my", "not answering my", "you misunderst", "you misread", "wrong answer",
		"not what i wanted to know", "doesn't answer", "does not answer", "doesnt answer", "that's not it", "thats not it",
	}
}

func correcting() []string {
	return []string{
		"发错", "打错", "写错", "输错", "说错", "搞错", "弄错", "记错", "看错", "贴错", "复制错", "不是这个", "不是那个", "不是这单", "不是那单", "不是这一单",
		"不是这节", "不是那节", "应该是", "更正", "纠正", "不对", "另一单", "另一个", "另外一", "换一单", "换一个", "其他订单", "别的订单",
		"i meant", "i mean", "wrong number", "wrong one", "wrong order", "the other", "another order", "another one", "no wait", "typo", "mistyped",
		"my mistake", "my bad", "correction", "should be", "should have been", "not that", "not this", "oops", "no, ", "sorry, ", "i misread",
	}
}

func others() []string {
	return []string{
		"另一单", "另一个", "另外一单", "另外一个", "另一笔", "换一单", "换一个", "其他订单", "别的订单", "不是这单", "不是这一单", "不是那单",
		"the other order", "the other one", "another order", "another one", "a different order", "a different one", "not that one", "not this one",
		"not that order", "not this order", "wrong order", "wrong one", "wrong number",
	}
}

func agreeing() []string {
	return []string{
		"对", "对的", "对对", "对对对", "是", "是的", "是啊", "是呀", "嗯", "嗯嗯", "恩", "没错", "就是这个", "就这个", "是这个", "就是", "对就是这个",
		"yes", "yeah", "yep", "yup", "right", "correct", "exactly", "thatone", "thatsit", "that'sit", "y", "yesplease", "thisone", "thatsright", "that'sright",
	}
}

func refusing() []string {
	return []string{
		"都不是", "都不对", "全不是", "以上都不是", "没有一个是", "都不是啊", "都没有", "不是", "不是的", "不对", "不", "没有", "没有我要的", "没有我想问的", "哪个都不是",
		"noneofthese", "noneofthem", "none", "noneoftheabove", "neither", "no", "nope", "nah", "notthese", "notany", "notanyofthem", "notanyofthese", "noneofthose",
	}
}

// ordinal reads an answer that counts: the first, 第二个, 3.
func ordinal(bare string) int {
	if slices.Contains([]string{"最后一个", "最后那个", "最下面那个", "thelastone", "last", "thelast", "lastone"}, bare) {
		return -1
	}
	for i, names := range [][]string{
		{"1", "一", "第一个", "第1个", "第一", "选1", "选一", "第一项", "第一条", "1号", "上面那个", "最上面那个", "thefirst", "first", "thefirstone", "firstone", "1st", "option1", "number1", "one", "numberone"},
		{"2", "二", "第二个", "第2个", "第二", "选2", "选二", "第二项", "第二条", "2号", "中间那个", "thesecond", "second", "thesecondone", "secondone", "2nd", "option2", "number2", "two", "numbertwo"},
		{"3", "三", "第三个", "第3个", "第三", "选3", "选三", "第三项", "第三条", "3号", "thethird", "third", "thethirdone", "thirdone", "3rd", "option3", "number3", "three", "numberthree"},
	} {
		if slices.Contains(names, bare) {
			return i + 1
		}
	}
	return 0
}

// things are the words for what visitors are asked for.
func things() []string {
	return []string{"单号", "订单号", "编号", "号码", "学号", "会员号", "卡号", "订单编号", "快递号", "number", "id", "code", "reference"}
}

// lacking: "I don't have the number", 没有单号.
func lacking(whole, bare string) bool {
	if slices.Contains([]string{
		"没有", "没有啊", "没", "不知道", "不知道啊", "不清楚", "忘了", "忘记了", "不记得", "不记得了", "找不到", "找不到了", "丢了", "没了", "我没有", "我不知道", "真的找不到", "真没有",
		"noidea", "idontknow", "idon'tknow", "dontknow", "don'tknow", "idonthaveit", "idon'thaveit", "idonthaveone", "idon'thaveone", "donthaveit", "don'thaveit", "lostit", "ilostit",
		"icantfindit", "ican'tfindit", "cantfindit", "can'tfindit", "idontrememberit", "idon'trememberit", "iforgot", "iforgotit", "idontremember", "idon'tremember", "notsure", "nope",
		"noclue", "ihavenoidea", "idonthavethat", "idon'thavethat",
	}, bare) {
		return true
	}
	for _, p := range []string{"没有", "找不到", "不知道", "忘了", "忘记", "不记得", "没", "丢了", "不清楚", "看不到", "哪有"} {
		if near(whole, p, things()[:9], 4) {
			return true
		}
	}
	for _, p := range []string{
		"don't have", "dont have", "do not have", "haven't got", "havent got", "don't know", "dont know", "can't find", "cant find", "cannot find", "lost",
		"don't remember", "dont remember", "forgot", "deleted", "no idea", "not sure", "without", "never got", "didn't get", "no ",
	} {
		if near(whole, p, things()[9:], 16) {
			return true
		}
	}
	return hasAny(whole, []string{"no idea where", "no idea what", "no idea how", "don't have it", "dont have it", "don't have one", "dont have one", "没有这个号", "没这个号"})
}

// seeking: "where do I find that number", 怎么查单号.
func seeking(whole string) bool {
	for _, thing := range things()[:9] {
		for _, how := range []string{"怎么查", "怎么看", "怎么找", "哪里看", "哪儿看", "哪里查", "哪里找", "哪儿找", "在哪", "如何查", "哪里有", "怎么知道", "什么是", "去哪看", "哪个是", "是什么", "是啥", "是哪个", "多少来着", "从哪", "上哪"} {
			if near(whole, how, []string{thing}, 4) || near(whole, thing, []string{how}, 4) {
				return true
			}
		}
	}
	for _, how := range []string{
		"where do i find", "where can i find", "how do i find", "how can i find", "where do i get", "how do i get", "where is the", "where's the", "wheres the", "where is my",
		"where do i see", "where can i see", "how do i look up", "what is my", "what's my", "whats my", "what is the", "what's the", "whats the", "which", "where would i find", "where to find",
	} {
		if near(whole, how, []string{"number", " id", "code", "reference"}, 16) {
			return true
		}
	}
	return hasAny(whole, []string{"where do i find it", "where do i find that", "where can i find it", "where can i find that", "how do i find it", "how do i find that", "where is that"})
}

// leaning reports a text that goes on from what was said: it begins or ends with
// a word that does, or asks who bears a cost, which depends on what for. A pronoun
// alone is not enough: "please correct it" asks nothing.
func leaning(whole string) bool {
	if hasAny(whole, bearing()) {
		return true
	}
	for _, p := range []string{"那", "然后", "还有", "and ", "what about", "how about", "then ", "ok and", "so what about", "also "} {
		if strings.HasPrefix(whole, p) {
			return true
		}
	}
	end := strings.TrimRightFunc(whole, gap)
	return strings.HasSuffix(end, "呢") || strings.HasSuffix(end, " then") || strings.HasSuffix(end, " on me")
}

// notYet has the words of who is no customer yet, and so has no number. Who has
// bought something has one, and only cannot find it. A student's number is given at
// the enrollment.
func notYet() []string {
	return []string{
		"没报名", "没有报名", "未报名", "没有报过", "没报过", "不是学员", "不是你们学员", "不是你们的学员", "不是学生", "不是你们的学生", "没入学", "没注册", "没有注册",
		"没有学号", "没学号", "没下单", "没有下单", "还没买", "没买过", "没有买过", "没在你们这买",
		"not enrolled", "not enroled", "haven't enrolled", "havent enrolled", "have not enrolled", "not registered", "haven't registered", "havent registered",
		"have not registered", "haven't signed up", "havent signed up", "have not signed up", "not signed up", "not a student", "not your student", "not one of your students",
		"not a customer", "haven't joined", "havent joined", "have not joined", "haven't ordered", "havent ordered", "have not ordered", "haven't bought", "havent bought",
		"have not bought", "number yet", "no student number", "have a student number", "got a student number", "any student number",
	}
}

// bearing has the words that ask who pays.
func bearing() []string {
	return []string{
		"谁出", "谁付", "谁掏", "谁承担", "谁负担", "谁来出", "谁来付", "算谁的", "我出吗", "我出么", "要我出", "让我出", "我付吗", "要我付", "我掏", "我承担", "自己出", "自己付", "自己掏", "自己承担", "自费",
		"who pays", "who is paying", "who's paying", "who will pay", "who covers", "who bears", "do i pay", "do i have to pay", "do i need to pay", "will i have to pay",
		"am i paying", "at my cost", "at my expense", "at my own expense", "out of my own pocket",
	}
}

// opening: "when does the next course start", which one can still join.
func opening(whole string) bool {
	courses := []string{"class", "course", "group", "intake", "cohort", "term", "batch", "program"}
	return hasAny(whole, []string{"开课", "开班", "开新班", "下一期", "下期", "下一班", "新一期", "新班"}) ||
		near(whole, "next ", courses, 24) && hasAny(whole, []string{"start", "begin", "open"})
}

// questioning reports a text with a word that asks.
func questioning(whole string) bool {
	return hasAny(whole, []string{
		"怎么", "吗", "什么", "多少", "哪", "几", "谁", "能不能", "可不可以", "how", "what", "when", "where", "which", "who", "can i", "could i", "do you", "is there", "are there",
	})
}

// owning has the words by which something is the visitor's already.
func owning() []string {
	return []string{"我的", "我报的", "我报名的", "我们班", "我家", "孩子的", "儿子的", "女儿的", "我买的", "已经报", "报了", "my ", "our ", "i signed up", "i enrolled", "i booked", "i bought"}
}

// leadIn gives the length of a start that denies or corrects and says nothing of
// the matter itself, if something is left after it.
func leadIn(folded []rune) int {
	at := 0
	for range maxLeads {
		end := at
		for end < len(folded) && !stop(folded[end]) {
			end++
		}
		words := strings.TrimFunc(string(folded[at:end]), gap)
		if end >= len(folded) || !leads(words) {
			break
		}
		for end < len(folded) && gap(folded[end]) {
			end++
		}
		at = end
	}
	for i := at; i < len(folded); i++ {
		if !gap(folded[i]) {
			return at
		}
	}
	return 0
}

// leads reports a clause that only introduces what follows.
func leads(clause string) bool {
	if clause == "" {
		return false
	}
	bare := squeeze(clause)
	if slices.Contains([]string{
		"不是", "不对", "不", "不是的", "哦", "额", "呃", "抱歉", "不好意思", "对了", "等等", "等下", "我错了", "不是这个", "不是那个",
		"no", "nope", "sorry", "wait", "nowait", "oops", "hmm", "btw", "bytheway", "ah", "oh", "actually", "ohsorry", "nosorry", "sorryno",
	}, bare) {
		return true
	}
	return len([]rune(clause)) <= 40 && hasAny(clause, denying())
}

// stop reports what ends a clause.
func stop(r rune) bool { return strings.ContainsRune("，,。.!！?？;；:：\n…~～—", r) }

// gap reports what carries no meaning between words.
func gap(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsPunct(r) && r != '\'' && r != '#' || r == '～' || r == '~'
}

// squeeze takes all gaps out.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if gap(r) {
			return -1
		}
		return r
	}, s)
}

func hasAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// near reports whether one of words comes at most reach runes after first.
func near(s, first string, words []string, reach int) bool {
	for {
		i := strings.Index(s, first)
		if i < 0 {
			return false
		}
		s = s[i+len(first):]
		for _, w := range words {
			if k := strings.Index(s, w); k >= 0 && len([]rune(s[:k])) <= reach {
				return true
			}
		}
	}
}

// foldText gives a text rune by rune in lower case, with full-width forms made half,
// curly apostrophes straight, and the traditional characters of the lists above
// simplified.
func foldText(t Text) []rune {
	out := make([]rune, 0, len(t))
	for _, r := range string(t) {
		switch {
		case r >= 'ａ' && r <= 'ｚ' || r >= 'Ａ' && r <= 'Ｚ' || r >= '０' && r <= '９' || r == '＃':
			r -= 0xfee0
		case r == '’' || r == '‘' || r == 'ʼ' || r == '`':
			r = '\''
		case r == '　':
			r = ' '
		case r >= 0x4e00:
			r = simplified(r)
		}
		out = append(out, unicode.ToLower(r))
	}
	return out
}

func simplified(r rune) rune {
	const traditional, simple = "這個單號沒問題對錯發訂編碼學裡麼還誰運費說過幾兩樣來會認記給換應該貼復製輸寫詢傳節後聽懂啲喺嘅係冇", "这个单号没问题对错发订编码学里么还谁运费说过几两样来会认记给换应该贴复制输写询传节后听懂些在的是没"
	if i := strings.IndexRune(traditional, r); i >= 0 {
		return []rune(simple)[len([]rune(traditional[:i]))]
	}
	return r
}
