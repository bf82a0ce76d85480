package replay

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

func known(intent string) bool { return intent == "track" || intent == "hours" || intent == "greeting" }

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := Read(strings.NewReader("\xef\xbb\xbf"+`{"id":"a","domain":"shop","lang":"en","automatable":true,"expected_outcome":"resolved","extra":1,"turns":[
		]}`+"\n"), "", known)
	if err == nil {
		t.Errorf("a dialogue over two lines = %+v, want an error", got)
	}
	file := `{"id":"a","domain":"shop","lang":"en","turns":[{"visitor":"hi"},{"visitor":"where","expect":{"intent":"track","or":["hours"],"slots":{"no":"1"}}}],"more":true}

{"domain":"school","automatable":false,"turns":[{"visitor":"weather?","expect":{"intent":"out_of_scope"}}]}
{"id":"c","domain":"shop","automatable":true,"expected_outcome":"handoff","turns":[{"visitor":"x","expect":null}]}`
	got, err = Read(strings.NewReader(file), "", known)
	want := []Dialogue{
		{ID: "a", Domain: "shop", Lang: "en", Automatable: true, Ending: EndsResolved, line: 1, Turns: []Turn{
			{Visitor: "hi"}, {Visitor: "where", Expect: &Expect{Intent: "track", Or: []string{"hours"}, Slots: map[string]string{"no": "1"}}},
		}},
		{ID: "line 3", Domain: "school", Ending: EndsHandoff, line: 3, Turns: []Turn{{Visitor: "weather?", Expect: &Expect{Intent: OutOfScope}}}},
		{ID: "c", Domain: "shop", Automatable: true, Ending: EndsHandoff, line: 4, Turns: []Turn{{Visitor: "x"}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Dialogue{})); diff != "" || err != nil {
		t.Errorf("Read = %v (-want +got):\n%s", err, diff)
	}
	if only, err := Read(strings.NewReader(file), "school", known); err != nil || len(only) != 1 || only[0].line != 3 {
		t.Errorf("Read of a domain = %+v, %v", only, err)
	}
}

func TestReadNamesBadLines(t *testing.T) {
	t.Parallel()
	good := `{"id":"a","turns":[{"visitor":"x"}]}` + "\n"
	for bad, want := range map[string]string{
		"":                           "there is no dialogue",
		good + "nonsense\n":          "line 2: ",
		good + good:                  "line 2: ",
		good + `{"turns":[]}`:        "line 2: ",
		`{"turns":[{"visitor":""}]}`: "line 1: ",
		`{"turns":[{"visitor":"x","expect":{"intent":"nope"}}]}`:              `turn 1: the packs have no intent "nope"`,
		`{"turns":[{"visitor":"x","expect":{"intent":"track","or":["no"]}}]}`: `turn 1: the packs have no intent "no"`,
		`{"expected_outcome":"happy","turns":[{"visitor":"x"}]}`:              "resolved or handoff",
		`{"turns":"x"}`: "line 1: ",
		`{"turns":[{"visitor":"` + strings.Repeat("x", maxLineBytes) + `"}]}`: "line 1: ",
		strings.Repeat("nonsense\n", 2*maxLineErrors):                         "more lines like these",
	} {
		if got, err := Read(strings.NewReader(bad), "", known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%.60q) = %+v, %v, want an error with %q", bad, got, err, want)
		}
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"by kind":   `{"orders":{"7":{"s":"order"},"8":null,"9":503},"refunds":{"7":{"s":"refund"}}}`,
		"by number": `{"7":{"s":"order","refund":{"s":"refund"}},"8":null,"9":503}`,
		"by line":   `{"order_no":"7","s":"order","refund":{"s":"refund"}}` + "\n\n" + `{"number":8,"lookup":"none"}` + "\n",
	} {
		o, err := ReadOrders(strings.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for path, want := range map[string]string{"/3/orders/7": "order", "/3/refunds/7": "refund", "/3/find?kind=orders&no=7": "order", "/3/orders/8": "404", "/3/orders/77": "404", "/3/orders/9": "503"} {
			if name == "by line" && path == "/3/orders/9" {
				continue
			}
			d := &desk{orders: o}
			w := httptest.NewRecorder()
			d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			var body struct{ S string }
			_ = json.Unmarshal(w.Body.Bytes(), &body)
			if got := body.S; w.Code == http.StatusOK && got != want || w.Code != http.StatusOK && http.StatusText(w.Code) != http.StatusText(map[string]int{"404": 404, "503": 503}[want]) {
				t.Errorf("%s: %s = %d %q, want %s", name, path, w.Code, got, want)
			}
			if asked := d.take(); len(asked) != 1 || asked[0].Status != w.Code || len(d.take()) != 0 {
				t.Errorf("%s: %s was noted as %+v", name, path, asked)
			}
		}
	}
	for bad, want := range map[string]string{
		"":                         "", // no records: nothing is found
		"nonsense":                 "line 1: ",
		`[1]`:                      "neither an object",
		`{"7":"text"}`:             "record 7",
		`{"7":99}`:                 "no HTTP status",
		`{"orders":{"7":[]}}`:      "record orders/7",
		"{\"order_no\":\"7\"}\n{}": "line 2: ",
		"{\"order_no\":\"7\"}\n{\"order_no\":\"7\"}": "line 2: ",
	} {
		if _, err := ReadOrders(strings.NewReader(bad)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("ReadOrders(%q) = %v, want %q", bad, err, want)
		}
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		k, n         int
		p, low, high float64
	}{
		{0, 0, 0, 0, 1},
		{0, 10, 0, 0, 0.2775},
		{10, 10, 1, 0.7225, 1},
		{1, 2, 0.5, 0.0945, 0.9055},
		{81, 263, 0.3080, 0.2553, 0.3662}, // Newcombe 1998, table I
	} {
		p, in := share(tc.k, tc.n)
		if math.Abs(p-tc.p) > 5e-5 || math.Abs(in.Low-tc.low) > 5e-5 || math.Abs(in.High-tc.high) > 5e-5 {
			t.Errorf("share(%d, %d) = %.4f, %+v, want %v, %v to %v", tc.k, tc.n, p, in, tc.p, tc.low, tc.high)
		}
	}
}

// A turn is judged by what was expected and what the bot did.
func TestJudge(t *testing.T) {
	t.Parallel()
	track := &Expect{Intent: "track", Slots: map[string]string{"no": "7"}}
	hours := &Expect{Intent: "hours", Or: []string{"address"}}
	reply := conversation.ReplyComposed{Text: "x"}
	offer := conversation.ReplyComposed{Text: "x", Buttons: []conversation.Button{{Label: "Hours", Text: "Hours"}}}
	done := func(intent, ask string, slots map[string]string) conversation.TurnCompleted {
		return conversation.TurnCompleted{Intent: intent, Ask: ask, Slots: slots}
	}
	abstained := conversation.TurnCompleted{Abstained: true}
	asking := conversation.Dialogue{Intent: "track", Ask: "no"}
	handover := func(r conversation.HandoverReason) conversation.HandoverRequested {
		return conversation.HandoverRequested{Reason: r}
	}
	for name, tc := range map[string]struct {
		expect  *Expect
		before  conversation.Dialogue
		human   bool
		events  []conversation.Event
		lookups []Lookup
		action  Action
		verdict Verdict
	}{
		"right":                     {expect: hours, events: []conversation.Event{done("hours", "", nil), reply}, action: Answered, verdict: Right},
		"the other right one":       {expect: hours, events: []conversation.Event{done("address", "", nil), reply}, action: Answered, verdict: Right},
		"wrong":                     {expect: hours, events: []conversation.Event{done("track", "", nil), reply}, action: Answered, verdict: Wrong},
		"wrong question":            {expect: hours, events: []conversation.Event{done("track", "no", nil), reply}, action: Asked, verdict: Wrong},
		"fallback":                  {expect: hours, events: []conversation.Event{abstained, reply}, action: Fallback, verdict: Missed},
		"offered":                   {expect: hours, events: []conversation.Event{abstained, offer}, action: Offered, verdict: Missed},
		"silent":                    {expect: hours, events: []conversation.Event{done("hours", "", nil)}, action: Silent, verdict: Missed},
		"taken for small talk":      {expect: hours, events: []conversation.Event{done("greeting", "", nil), reply}, action: Answered, verdict: Missed},
		"handed over":               {expect: hours, events: []conversation.Event{abstained, reply, handover(conversation.HandoverAbstained)}, action: HandedOver, verdict: Missed},
		"with a human":              {expect: hours, human: true, action: WithHuman, verdict: Missed},
		"policy, right":             {expect: hours, events: []conversation.Event{done("hours", "", nil), reply, handover(conversation.HandoverPolicy)}, action: HandedOver, verdict: Missed},
		"policy, wrong":             {expect: hours, events: []conversation.Event{done("track", "", nil), reply, handover(conversation.HandoverPolicy)}, action: HandedOver, verdict: Wrong},
		"asks for the value":        {expect: &Expect{Intent: "track"}, events: []conversation.Event{done("track", "no", nil), reply}, action: Asked, verdict: Right},
		"asks for what it was told": {expect: track, events: []conversation.Event{done("track", "no", nil), reply}, action: Asked, verdict: Missed},
		"asks again":                {expect: hours, before: asking, events: []conversation.Event{done("track", "no", nil), reply}, action: AskedAgain, verdict: Missed},
		"value":                     {expect: track, before: asking, events: []conversation.Event{done("track", "", map[string]string{"no": "7"}), reply}, action: Answered, verdict: Right},
		"other value":               {expect: track, before: asking, events: []conversation.Event{done("track", "", map[string]string{"no": "8"}), reply}, action: Answered, verdict: Wrong},
		"looked up, not found":      {expect: track, before: asking, events: []conversation.Event{done("track", "no", map[string]string{"no": ""}), reply}, lookups: []Lookup{{Number: "7", Status: 404}}, action: Asked, verdict: Right},
		"looked another up":         {expect: track, before: asking, events: []conversation.Event{done("track", "no", map[string]string{"no": ""}), reply}, lookups: []Lookup{{Number: "8", Status: 404}}, action: Asked, verdict: Wrong},
		"out of scope, answered":    {expect: &Expect{Intent: OutOfScope}, events: []conversation.Event{done("hours", "", nil), reply}, action: Answered, verdict: Wrong},
		"out of scope, declined":    {expect: &Expect{Intent: OutOfScope}, events: []conversation.Event{abstained, reply}, action: Fallback, verdict: Nothing},
		"chit-chat, answered":       {events: []conversation.Event{done("hours", "", nil), reply}, action: Answered, verdict: Wrong},
		"chit-chat, small talk":     {events: []conversation.Event{done("thanks", "", nil), reply}, action: Answered, verdict: Nothing},
		"chit-chat, goes on":        {before: asking, events: []conversation.Event{done("track", "", map[string]string{"no": "7"}), reply}, action: Answered, verdict: Nothing},
		"small talk expected":       {expect: &Expect{Intent: "greeting"}, events: []conversation.Event{abstained, reply}, action: Fallback, verdict: Nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutcome(&Dialogue{Ending: EndsResolved})
			o.add(&Turn{Visitor: "x", Expect: tc.expect}, &said{before: tc.before, bot: !tc.human, events: tc.events, lookups: tc.lookups})
			if j := o.Turns[0]; j.Action != tc.action || j.Verdict != tc.verdict {
				t.Errorf("%s, %s (%s), want %s, %s", j.Action, j.Verdict, j.Reason, tc.action, tc.verdict)
			} else if (j.Reason == "") != (j.Verdict == Right || j.Verdict == Nothing) {
				t.Errorf("%s with the reason %q", j.Verdict, j.Reason)
			}
		})
	}
}

// A choice among what was offered is judged by the turn that led to the offer.
func TestChoice(t *testing.T) {
	t.Parallel()
	offer := &said{bot: true, events: []conversation.Event{
		conversation.TurnCompleted{Abstained: true}, conversation.ReplyComposed{Text: "x", Buttons: []conversation.Button{{Label: "Hours", Text: "Hours"}}},
	}}
	choice := &said{bot: true, before: conversation.Dialogue{Offered: []string{"hours"}}, events: []conversation.Event{
		conversation.TurnCompleted{Intent: "hours"}, conversation.ReplyComposed{Text: "x"},
	}}
	for name, tc := range map[string]struct {
		first, second  *Expect
		offer, verdict Verdict
		want           Result
	}{
		"of what was meant":       {&Expect{Intent: "hours"}, nil, Right, Right, AutoResolved},
		"of something else":       {&Expect{Intent: "track"}, &Expect{Intent: "affirm"}, Missed, Nothing, LeftToHumans},
		"where nothing was meant": {nil, nil, Nothing, Nothing, LeftToHumans},
		"with an own expectation": {&Expect{Intent: "hours"}, &Expect{Intent: "track"}, Missed, Wrong, WronglyResolved},
	} {
		o := newOutcome(&Dialogue{Ending: EndsResolved})
		o.add(&Turn{Visitor: "hm", Expect: tc.first}, offer)
		o.add(&Turn{Visitor: "yes", Expect: tc.second}, choice)
		if o.settle(); o.Turns[0].Verdict != tc.offer || o.Turns[1].Verdict != tc.verdict || o.Result != tc.want {
			t.Errorf("%s: %s, %s, %s, want %s, %s, %s", name, o.Turns[0].Verdict, o.Turns[1].Verdict, o.Result, tc.offer, tc.verdict, tc.want)
		}
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdicts []Verdict
		human    bool
		ending   Ending
		want     Result
	}{
		"all right":              {verdicts: []Verdict{Nothing, Right, Right}, ending: EndsResolved, want: AutoResolved},
		"one wrong":              {verdicts: []Verdict{Right, Wrong, Right}, ending: EndsResolved, want: WronglyResolved},
		"one missed":             {verdicts: []Verdict{Right, Missed}, ending: EndsResolved, want: LeftToHumans},
		"all right, and a human": {verdicts: []Verdict{Right}, human: true, ending: EndsResolved, want: LeftToHumans},
		"wrong, and a human":     {verdicts: []Verdict{Wrong}, human: true, ending: EndsHandoff, want: WronglyResolved},
		"needs a human":          {verdicts: []Verdict{Right}, ending: EndsHandoff, want: LeftToHumans},
		"nothing was asked":      {verdicts: []Verdict{Nothing}, ending: EndsResolved, want: LeftToHumans},
	} {
		o := Outcome{Expected: tc.ending, ToHuman: tc.human}
		for _, v := range tc.verdicts {
			o.Turns = append(o.Turns, Judged{Verdict: v})
		}
		if o.settle(); o.Result != tc.want {
			t.Errorf("%s: %s, want %s", name, o.Result, tc.want)
		}
	}
}

// houseWith is a node with one small pack.
func houseWith(t *testing.T, o Options) *House {
	t.Helper()
	dir := t.TempDir()
	pack, err := os.ReadFile(filepath.Join("testdata", "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), pack, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Packs = dir, []string{"shop"}
	h, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(h.dir); !os.IsNotExist(err) {
			t.Errorf("the folder %s is left: %v", h.dir, err)
		}
	})
	return h
}

// Whole conversations go through a real node, with the same result each time.
func TestReplay(t *testing.T) {
	t.Parallel()
	orders, err := ReadOrders(strings.NewReader(`{"orders":{"2023":{"status":"packed"},"2024":{"status":"sent"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	h := houseWith(t, Options{Orders: orders, Visitor: 5, Policy: conversation.Policy{Auto: 0.8, Suggest: 0.4}})
	raw, err := os.ReadFile(filepath.Join("testdata", "shop.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	replay := func() *Report {
		r, err := h.Replay(t.Context(), strings.NewReader(string(raw)), "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := replay()
	got := map[string]Result{}
	for _, o := range r.Results {
		got[o.ID] = o.Result
	}
	want := map[string]Result{
		"order": AutoResolved, "correction": AutoResolved, "not-found": AutoResolved, "human": LeftToHumans,
		"wrong": WronglyResolved, "wrong-number": WronglyResolved, "unknown": LeftToHumans,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		var text strings.Builder
		_ = r.Print(&text)
		t.Errorf("results (-want +got):\n%s\n%s", diff, text.String())
	}
	if r.Dialogues != 7 || r.AutoResolved != 3.0/7 || r.WronglyResolved != 2.0/7 || r.HandedOver != 2.0/7 || r.AutomatableResolved != 3.0/5 || r.ToHuman != 1.0/7 {
		t.Errorf("shares %+v", r.Shares)
	}
	if len(r.Langs) != 2 || r.Langs[1].Name != "zh" || r.Langs[1].Dialogues != 1 || len(r.Domains) != 1 {
		t.Errorf("groups %+v, %+v", r.Langs, r.Domains)
	}
	again := replay()
	r.Seconds, again.Seconds = 0, 0
	a, _ := json.Marshal(r)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Errorf("the second replay differs:\n%s\n%s", a, b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Replay(ctx, strings.NewReader(string(raw)), ""); err == nil {
		t.Error("a replay whose context is over gives a report")
	}
}

func TestOpenRefusesWhatItCannotStub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pack, err := os.ReadFile(filepath.Join("testdata", "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	fixed := strings.Replace(string(pack), "{shop_api}/orders", "http://127.0.0.1:9/orders", 1)
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(fixed), 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := Open(t.Context(), Options{Dir: dir, Packs: []string{"shop"}}); err == nil || !strings.Contains(err.Error(), "cannot be stubbed") {
		t.Errorf("Open = %v, %v, want an error about the fixed address", h, err)
	}
	if _, err := Open(t.Context(), Options{Packs: []string{"nobody"}}); err == nil {
		t.Error("a pack that is not there is opened")
	}
}
