package conversation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// talked gives a state in which a returns question was answered two turns ago and
// one about an order just now.
func talked(d Dialogue) *State {
	s := &State{Version: 9, Dialogue: d}
	s.Recent = []Message{
		{Seq: 2, From: PartyVisitor, Text: "can I send it back"},
		{Seq: 4, From: PartyBot, Text: "Within 7 days."},
		{Seq: 5, From: PartyVisitor, Text: "where is order 2023"},
		{Seq: 7, From: PartyBot, Text: "On its way.", Buttons: []Button{{Label: "退货", Text: "退货"}, {Label: "Track a parcel", Text: "Track a parcel"}}},
	}
	s.Dialogue.Topics = []Topic{{"returns", 2}, {"track", 5}}
	return s
}

func TestHearCues(t *testing.T) {
	t.Parallel()
	answered := Dialogue{Intent: "track", Answered: "track", Slots: map[string]string{"order": "2023"}}
	asking := Dialogue{Intent: "track", Ask: "order", Asked: 1}
	for name, tc := range map[string]struct {
		dialogue Dialogue
		text     Text
		want     Heard
	}{
		"a question":               {answered, "你们几点下班", Heard{}},
		"deny zh":                  {answered, "不是这个问题，我要改的是地址", Heard{Denies: true, Rest: true, Corrects: true}},
		"deny en":                  {answered, "that's not what I asked. they are too small", Heard{Denies: true, Rest: true}},
		"deny, curly":              {answered, "No, that’s not what I meant, how long is each class", Heard{Denies: true, Rest: true, Corrects: true}},
		"deny, nothing else":       {answered, "答非所问！", Heard{Denies: true}},
		"traditional":              {answered, "不是這個問題", Heard{Denies: true, Corrects: true}},
		"a firm no":                {answered, "不对", Heard{Denies: true, Corrects: true, Refuses: true}},
		"no more":                  {answered, "no", Heard{Refuses: true}},
		"correct zh":               {answered, "发错了，单号是2024", Heard{Corrects: true}},
		"correct, another":         {answered, "不是这个，是另一单 2024", Heard{Corrects: true, Other: true, Rest: true}},
		"correct en":               {answered, "sorry I meant 2042 not 2024", Heard{Corrects: true}},
		"correct, another en":      {answered, "no, the other order", Heard{Corrects: true, Other: true, Rest: true}},
		"follow zh":                {answered, "那运费谁出", Heard{Follows: true}},
		"follow zh, end":           {answered, "运费呢？", Heard{Follows: true}},
		"follow en":                {answered, "and who pays for postage?", Heard{Follows: true}},
		"no customer yet zh":       {answered, "我还没报名呢", Heard{Outside: true, Follows: true}},
		"no customer yet en":       {answered, "I'm not enrolled yet", Heard{Outside: true}},
		"no number, since none":    {asking, "我没有学号", Heard{Outside: true, Lacks: true}},
		"the next class":           {answered, "雅思班下一期什么时候开课", Heard{Outside: true, Rest: true}},
		"the next class en":        {answered, "When does the next IELTS class start?", Heard{Outside: true, Rest: true}},
		"one's own class":          {answered, "我报的雅思班什么时候开课", Heard{}},
		"follow, who pays zh":      {answered, "邮费要我出吗", Heard{Follows: true}},
		"follow, who pays zh-Hant": {answered, "運費誰出？", Heard{Follows: true}},
		"follow, who pays en":      {answered, "Who pays the shipping?", Heard{Follows: true}},
		"follow, on me":            {answered, "is the return shipping on me?", Heard{Follows: true}},
		"no follow, how much":      {answered, "运费多少", Heard{}},
		"no follow, abroad":        {answered, "我出国了", Heard{}},
		"follow, about":            {answered, "what about express?", Heard{Follows: true}},
		"a pronoun asks nothing":   {answered, "please correct it", Heard{}},
		"lacks zh":                 {asking, "我没有单号", Heard{Lacks: true}},
		"lacks zh, short":          {asking, "忘了", Heard{Lacks: true}},
		"lacks en":                 {asking, "I don't have the number", Heard{Lacks: true}},
		"lacks en, it":             {asking, "dont have it", Heard{Lacks: true}},
		"lacks, nothing was asked": {answered, "我没有单号", Heard{}},
		"seeks zh":                 {asking, "怎么查单号", Heard{Seeks: true}},
		"seeks zh, reversed":       {asking, "学号在哪里看啊", Heard{Seeks: true}},
		"seeks en":                 {asking, "how do I find the order number?", Heard{Seeks: true}},
		"goods that did not come":  {asking, "我没有收到货", Heard{}},
		"yes":                      {asking, "对的！", Heard{Agrees: true}},
		"none":                     {asking, "都不是", Heard{Refuses: true}},
		"a value alone":            {asking, "２０２４", Heard{Bare: true}},
		"a value and its name":     {asking, "单号吗？2023", Heard{Bare: true}},
		"a value and its name en":  {asking, "ok got it, it's 2024", Heard{Bare: true}},
		"a value in a request":     {asking, "cancel order 2023", Heard{}},
		"very long":                {answered, Text(strings.Repeat("这 ", 5000)), Heard{}},
		"not UTF-8":                {answered, "\xff\xfe 不是", Heard{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := talked(tc.dialogue).Hear(tc.text)
			got.Read, got.Values = "", nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Hear(%q) (-want +got):\n%s", tc.text, diff)
			}
		})
	}
}

// What the classifier reads keeps its place in the text, so that values found in
// it can be shown there.
func TestHearReads(t *testing.T) {
	t.Parallel()
	answered := Dialogue{Intent: "track", Answered: "track"}
	for text, want := range map[Text]Text{
		"where is it":                                 "where is it",
		"不是这个问题，改地址":                                  "                     改地址",
		"that's not what I asked. they are too small": "                         they are too small",
		"oh sorry, wait, cancel it":                   "                cancel it",
		"答非所问":                                        "where is order 2023", // the question is read again, without the denied answer
		"不是，":                                         "where is order 2023",
	} {
		if got := talked(answered).Hear(text).Read; got != want {
			t.Errorf("Hear(%q).Read = %q, want %q", text, got, want)
		}
	}
}

func TestHearPicks(t *testing.T) {
	t.Parallel()
	two := Dialogue{Offered: []string{"returns", "track"}, Abstains: 1}
	one := Dialogue{Offered: []string{"returns"}, Abstains: 1}
	for _, tc := range []struct {
		dialogue Dialogue
		text     Text
		want     string
	}{
		{two, "第一个", "returns"},
		{two, "the second one", "track"},
		{two, "2", "track"},
		{two, "最后一个", "track"},
		{two, "3", ""},
		{two, "track a parcel", "track"},
		{two, "退貨", ""}, // not among the characters that are folded
		{two, "退货的", "returns"},
		{two, "退货 Track a parcel", ""}, // both
		{two, "对", ""},
		{two, "都不是", ""},
		{two, "退货运费是谁来承担呢", ""},
		{one, "是的", "returns"},
		{one, "yes please", "returns"},
		{one, "ok", ""}, // heard, not agreed
		{Dialogue{}, "第一个", ""},
	} {
		if got := talked(tc.dialogue).Hear(tc.text).Pick; got != tc.want {
			t.Errorf("Hear(%q).Pick = %q, want %q of %v", tc.text, got, tc.want, tc.dialogue.Offered)
		}
	}
}

func TestReadValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[Text][]Value{
		"no numbers here":             nil,
		"2024":                        {{Text: "2024", End: 4}},
		"订单２０２４到哪":                    {{Text: "2024", Start: 6, End: 18}},
		"so-2024 please":              {{Text: "SO-2024", End: 7}},
		"sorry I meant 2042 not 2024": {{Text: "2042", Start: 14, End: 18}, {Text: "2024", Start: 23, End: 27, Negated: true}},
		"不是2024，是2023":                {{Text: "2024", Start: 6, End: 10, Negated: true}, {Text: "2023", Start: 16, End: 20}},
		"二零二四":                        {{Text: "2024", End: 12}},
		"it's two zero two four":      {{Text: "2024", Start: 5, End: 22}},
		"double two oh 4":             {{Text: "4", Start: 14, End: 15}}, // words and digits are not mixed
		"double two oh four":          {{Text: "2204", End: 18}},
		"一个两个":                        nil,
		"one of the two":              nil,
		"not order number 2024":       {{Text: "2024", Start: 17, End: 21, Negated: true}},
		"mp3 player":                  nil,
		"#2024!":                      {{Text: "2024", Start: 1, End: 5}},
	} {
		if diff := cmp.Diff(want, readValues(text, foldText(text))); diff != "" {
			t.Errorf("values of %q (-want +got):\n%s", text, diff)
		}
	}
	if got := readValues(Text(strings.Repeat("12345, ", 100)), foldText(Text(strings.Repeat("12345, ", 100)))); len(got) != maxValues {
		t.Errorf("%d values, want at most %d", len(got), maxValues)
	}
}

func TestPickValue(t *testing.T) {
	t.Parallel()
	of := func(texts ...string) []Value {
		var out []Value
		for _, s := range texts {
			v, no := strings.CutPrefix(s, "!")
			out = append(out, Value{Text: v, Negated: no})
		}
		return out
	}
	for name, tc := range map[string]struct {
		values   []Value
		known    string
		corrects bool
		want     string
		more     []string
	}{
		"none":                    {},
		"one":                     {values: of("2024"), want: "2024"},
		"several":                 {values: of("2024", "2025", "2024"), want: "2024", more: []string{"2025"}},
		"ruled out":               {values: of("!2024", "2023"), want: "2023"},
		"all ruled out":           {values: of("!2024")},
		"the known one, again":    {values: of("2023"), known: "2023", corrects: true, want: "2023"},
		"correction of the known": {values: of("2023", "2024"), known: "2023", corrects: true, want: "2024"},
		"no correction":           {values: of("2023", "2024"), known: "2023", want: "2023", more: []string{"2024"}},
	} {
		value, more := PickValue(tc.values, tc.known, tc.corrects)
		if value != tc.want || len(more) != len(tc.more) || len(more) > 0 && !cmp.Equal(more, tc.more) {
			t.Errorf("%s: PickValue = %q, %q, want %q, %q", name, value, more, tc.want, tc.more)
		}
	}
}

// A dialogue remembers what the next turn may refer to.
func TestDialogueRemembers(t *testing.T) {
	t.Parallel()
	s := &State{}
	seq := Seq(0)
	turn := func(ev TurnCompleted) {
		seq += 2
		s.Apply(Entry{Seq: seq, Event: MessageAccepted{Text: "x"}})
		ev.Turn = seq
		s.Apply(Entry{Seq: seq + 1, Event: ev})
	}
	check := func(step string, want Dialogue) {
		t.Helper()
		if diff := cmp.Diff(want, s.Dialogue); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	turn(TurnCompleted{Intent: "track", Ask: "order"})
	turn(TurnCompleted{Intent: "hours"}) // another topic: the question stays
	left := &Pending{Intent: "track", Ask: "order", Asked: 1}
	topics := []Topic{{"track", 2}, {"hours", 4}}
	check("left", Dialogue{Intent: "hours", Answered: "hours", Topics: topics, Pending: left})
	turn(TurnCompleted{Intent: "thanks"}) // is no topic
	left = &Pending{Intent: "track", Ask: "order", Asked: 1, Turns: 1}
	check("small talk", Dialogue{Intent: "hours", Topics: topics, Pending: left})
	turn(TurnCompleted{Intent: "track", Ask: "order"}) // asked again: counted on
	topics = append(topics, Topic{"track", 8})
	check("asked again", Dialogue{Intent: "track", Ask: "order", Asked: 2, Topics: topics})
	turn(TurnCompleted{Intent: "track", Slots: map[string]string{"order": "1"}})
	check("answered", Dialogue{Intent: "track", Answered: "track", Topics: topics, Slots: map[string]string{"order": "1"}})
	turn(TurnCompleted{Abstained: true, Denied: "track", Offered: []string{"hours", "refund"}})
	check("denied", Dialogue{
		Intent: "track", Topics: topics, Slots: map[string]string{"order": "1"}, Denied: []string{"track"}, Offered: []string{"hours", "refund"}, Abstains: 1,
	})
	turn(TurnCompleted{Intent: "refund", Ask: "order"})
	turn(TurnCompleted{Intent: "hours"})
	for range pendingLife {
		turn(TurnCompleted{Intent: "hours"})
	}
	topics = []Topic{{"track", 8}, {"refund", 14}, {"hours", 16}}
	check("forgotten", Dialogue{Intent: "hours", Answered: "hours", Topics: topics, Slots: map[string]string{"order": "1"}, Denied: []string{"track"}})
	clone := s.Clone()
	clone.Dialogue.Topics[0].Intent, clone.Dialogue.Denied[0] = "changed", "changed"
	check("a copy was changed", s.Dialogue)
	if s.Dialogue.Topics[0].Intent != "track" || s.Dialogue.Denied[0] != "track" {
		t.Error("a change of the copy reached the state")
	}
	s.Apply(Entry{Seq: 99, Event: HandoverRequested{Reason: HandoverAsked}})
	check("handed over", Dialogue{Intent: "hours", Slots: map[string]string{"order": "1"}, Denied: []string{"track"}})
}

func TestMatters(t *testing.T) {
	t.Parallel()
	s := talked(Dialogue{})
	s.Dialogue.Topics = append([]Topic{{"gone", 1}}, s.Dialogue.Topics...)
	want := []Matter{{"returns", "can I send it back"}, {"track", "where is order 2023"}}
	if diff := cmp.Diff(want, s.Matters(99)); diff != "" {
		t.Errorf("Matters (-want +got):\n%s", diff)
	}
	s.Dialogue.Abstains = 1
	before := s.Context(99)
	want = append(want, Matter{Text: before[len(before)-1]})
	if diff := cmp.Diff(want, s.Matters(99)); diff != "" {
		t.Errorf("Matters after a text that was not understood (-want +got):\n%s", diff)
	}
}

func TestTraditionalCharactersHaveTheirPairs(t *testing.T) {
	t.Parallel()
	for traditional, simple := range map[string]string{
		"這個單號": "这个单号", "沒問題": "没问题", "發錯訂單": "发错订单", "編碼學號": "编码学号", "哪裡": "哪里", "還": "还", "運費誰": "运费谁", "幾兩樣來會": "几两样来会", "記給換應該": "记给换应该", "聽懂": "听懂",
	} {
		if got := string(foldText(Text(traditional))); got != simple {
			t.Errorf("%s folds to %s, want %s", traditional, got, simple)
		}
	}
}

func FuzzHear(f *testing.F) {
	for _, s := range []string{"不是这个，是另一单 2024", "sorry I meant 2042 not 2024", "double two oh four", "\xff２", "the second one", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := talked(Dialogue{Intent: "track", Answered: "track", Offered: []string{"a", "b"}})
		h := s.Hear(Text(text))
		for _, v := range h.Values {
			if v.Start < 0 || v.End <= v.Start || v.End > len(text) {
				t.Errorf("Hear(%q): value %+v is not inside the text", text, v)
			}
		}
		if h.Rest && len(h.Read) != len(text) {
			t.Errorf("Hear(%q) reads %d bytes of %d", text, len(h.Read), len(text))
		}
	})
}
