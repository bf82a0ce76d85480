package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// tutor is a [Learning] that knows two intents and one suggestion.
type tutor struct {
	accepted  []conversation.Acceptance
	by        conversation.AgentID
	dismissed []string
}

func (tt *tutor) State(in conversation.Inbox) conversation.IntentState {
	return conversation.IntentState{Inbox: in.ID, Answers: conversation.AnswersProven, ByItself: true, Reason: "96.8 % of 3012 answers are right"}
}

func (tt *tutor) Intents(in conversation.Inbox, lang string) []conversation.IntentName {
	if !in.ServesBot() {
		return nil
	}
	return []conversation.IntentName{{Intent: "order_status", Title: "Order " + lang}, {Intent: "refund", Title: "Refund"}}
}

func (tt *tutor) Editable() bool { return true }

func (tt *tutor) Suggestions(_ context.Context, in conversation.Inbox) ([]conversation.Suggestion, error) {
	return []conversation.Suggestion{{ID: "s1", Inbox: in.ID, Examples: []conversation.Text{"gift cards?"}}}, nil
}

func (tt *tutor) Accept(_ context.Context, _ conversation.Inbox, id string, by conversation.AgentID, a conversation.Acceptance) error {
	if id != "s1" {
		return conversation.Refuse(conversation.CodeNotFound, "there is no such suggestion")
	}
	tt.accepted, tt.by = append(tt.accepted, a), by
	return nil
}

func (*tutor) Outcome(context.Context, conversation.ConversationID, conversation.Seq) (conversation.TurnOutcome, error) {
	return conversation.TurnOutcome{}, nil
}

func (tt *tutor) Dismiss(_ context.Context, _ conversation.Inbox, id string) error {
	tt.dismissed = append(tt.dismissed, id)
	return nil
}

func TestAgentJudges(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.Learning = &tutor{} })
	id := h.store.start("shop", conversation.ContactID{1})
	mei, bob := bearerOf(h.agentToken("mei")), bearerOf(h.agentToken("bob"))
	post := func(headers map[string]string, body string) answered {
		return h.do(call{method: "POST", path: "/v1/conversations/" + id.String() + "/judge", headers: headers, body: body})
	}
	if a := post(mei, `{"seq":2,"verdict":"wrong","intent":"refund"}`); a.status != 200 {
		t.Fatalf("judge = %d %s", a.status, a.body)
	}
	log := h.store.logs[id]
	want := conversation.AnswerJudged{By: conversation.PartyAgent, Agent: "mei", Answer: 2, Verdict: conversation.VerdictWrong, Intent: "refund"}
	if got := log[len(log)-1].Event; got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	for name, tc := range map[string]struct {
		headers map[string]string
		body    string
		status  int
	}{
		"an intent that the packs have not": {mei, `{"seq":2,"verdict":"wrong","intent":"weather"}`, 400},
		"a field that is none":              {mei, `{"seq":2,"verdict":"wrong","by":"visitor"}`, 400},
		"an agent of another inbox":         {bob, `{"seq":2,"verdict":"wrong"}`, 404},
	} {
		if a := post(tc.headers, tc.body); a.status != tc.status {
			t.Errorf("%s = %d %s, want %d", name, a.status, a.body, tc.status)
		}
	}
}

func TestVisitorJudgesWhereTheInboxAsks(t *testing.T) {
	t.Parallel()
	h := start(t)
	contact := conversation.ContactID{1}
	token := bearerOf(h.visitorToken("shop", contact))
	post := func(body string) answered {
		return h.do(call{method: "POST", path: "/v1/widget/judge", headers: token, body: body})
	}
	if a := post(`{"seq":2,"verdict":"wrong"}`); a.status != 403 {
		t.Errorf("judge = %d %s where the inbox does not ask", a.status, a.body)
	}
	in := h.dir.inboxes["shop"]
	in.VisitorFeedback = true
	h.dir.inboxes["shop"] = in
	if a := post(`{"seq":2,"verdict":"wrong"}`); a.status != 404 {
		t.Errorf("judge = %d %s without a conversation", a.status, a.body)
	}
	id := h.store.start("shop", contact)
	if a := post(`{"seq":2,"verdict":"wrong"}`); a.status != 200 || strings.Contains(string(a.body), "intent") {
		t.Errorf("judge = %d %s", a.status, a.body)
	}
	log := h.store.logs[id]
	want := conversation.AnswerJudged{By: conversation.PartyVisitor, Answer: 2, Verdict: conversation.VerdictWrong}
	if got := log[len(log)-1].Event; got != want {
		t.Errorf("stored %+v, want %+v", got, want)
	}
	if a := post(`{"seq":2,"verdict":"wrong","intent":"refund"}`); a.status != 400 {
		t.Errorf("a visitor names an intent = %d", a.status)
	}
	if a := h.do(call{method: "GET", path: "/v1/widget/config?inbox=shop"}); a.status != 200 || !strings.Contains(string(a.body), `"feedback":true`) {
		t.Errorf("config = %d %s", a.status, a.body)
	}
}

func TestLearningRoutes(t *testing.T) {
	t.Parallel()
	tt := &tutor{}
	h := start(t, func(o *Options) { o.Learning = tt })
	mei, ada := bearerOf(h.agentToken("mei")), bearerOf(h.agentToken("ada"))
	for name, tc := range map[string]struct {
		call   call
		status int
		holds  string
	}{
		"the state":             {call{method: "GET", path: "/v1/inboxes/shop/intent", headers: mei}, 200, `"by_itself":true`},
		"of another inbox":      {call{method: "GET", path: "/v1/inboxes/bank/intent", headers: mei}, 404, ""},
		"the intents":           {call{method: "GET", path: "/v1/inboxes/shop/intents?lang=en", headers: mei}, 200, `"title":"Order en"`},
		"suggestions":           {call{method: "GET", path: "/v1/intent/suggestions?inbox=shop", headers: ada}, 200, `"editable":true`},
		"suggestions, no inbox": {call{method: "GET", path: "/v1/intent/suggestions", headers: ada}, 400, ""},
		"for admins":            {call{method: "GET", path: "/v1/intent/suggestions?inbox=shop", headers: mei}, 403, ""},
		"accept": {call{
			method: "POST", path: "/v1/intent/suggestions/s1/accept", headers: ada,
			body: `{"inbox_id":"shop","intent":"refund","texts":["gift cards?"],"not_taken":true}`,
		}, 204, ""},
		"accept what is gone":   {call{method: "POST", path: "/v1/intent/suggestions/s9/accept", headers: ada, body: `{"inbox_id":"shop","intent":"refund"}`}, 404, ""},
		"accept in no tongue":   {call{method: "POST", path: "/v1/intent/suggestions/s1/accept", headers: ada, body: `{"inbox_id":"shop","intent":"refund","lang":"xx"}`}, 400, ""},
		"accept a long answer":  {call{method: "POST", path: "/v1/intent/suggestions/s1/accept", headers: ada, body: `{"inbox_id":"shop","intent":"x","answer":"` + strings.Repeat("a", 5000) + `"}`}, 413, ""},
		"accept by an agent":    {call{method: "POST", path: "/v1/intent/suggestions/s1/accept", headers: mei, body: `{"inbox_id":"shop","intent":"refund"}`}, 403, ""},
		"dismiss":               {call{method: "POST", path: "/v1/intent/suggestions/s1/dismiss", headers: ada, body: `{"inbox_id":"shop"}`}, 204, ""},
		"a policy that is none": {call{method: "PATCH", path: "/v1/inboxes/shop", headers: ada, body: `{"policy":{"answers":"sometimes"}}`}, 400, "proven, on or off"},
		"a policy":              {call{method: "PATCH", path: "/v1/inboxes/bank", headers: ada, body: `{"policy":{"answers":"off"}}`}, 200, `"answers":"off"`},
	} {
		if a := h.do(tc.call); a.status != tc.status || !strings.Contains(string(a.body), tc.holds) {
			t.Errorf("%s = %d %s, want %d with %s", name, a.status, a.body, tc.status, tc.holds)
		}
	}
	if len(tt.accepted) != 1 || tt.by != "ada" || !tt.accepted[0].NotTaken || tt.accepted[0].Texts[0] != "gift cards?" || len(tt.dismissed) != 1 {
		t.Errorf("accepted %+v by %s, dismissed %v", tt.accepted, tt.by, tt.dismissed)
	}
	without := start(t)
	if a := without.do(call{method: "GET", path: "/v1/inboxes/shop/intent", headers: bearerOf(without.agentToken("mei"))}); a.status != 503 {
		t.Errorf("without a library = %d", a.status)
	}
}
