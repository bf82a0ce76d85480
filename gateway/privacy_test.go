package gateway

import (
	"fmt"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// Who follows a conversation that is erased is told so, and after that it does not
// exist: for agents, for its visitor, and for a client that comes back with a
// cursor.
func TestAnErasedConversationIsGone(t *testing.T) {
	t.Parallel()
	h := start(t)
	me := conversation.ContactID{1}
	id := h.store.start("shop", me)
	last := h.store.append(id, conversation.MessageAccepted{Text: "my name is Anna"})
	visitor := h.visitor(me, hello)
	visitor.expect("welcome")
	agent := h.agent("mei")
	agent.say(`{"t":"subscribe","ref":"1","conversation_id":"` + id.String() + `"}`)
	agent.expect("done")
	desk := h.agent("mei")
	desk.say(`{"t":"subscribe","ref":"1","inbox":"shop"}`)
	desk.expect("done")
	h.store.append(id, conversation.ConversationErased{Inbox: "shop", Channel: "web", Contact: me, Reason: conversation.ErasedContact, By: "ada"})

	if m := visitor.expect("event"); m.str("type") != "conversation.erased" || m.at("data", "by") != nil || m.at("data", "reason") != nil {
		t.Errorf("the visitor gets %v", m)
	}
	if m := agent.expect("event"); m.str("type") != "conversation.erased" || m.str("data", "by") != "ada" || m.str("data", "reason") != "contact" {
		t.Errorf("who follows it gets %v", m)
	}
	if m := desk.expect("event"); m.str("type") != "conversation.updated" || m.at("data", "erased") != true {
		t.Errorf("who follows its inbox gets %v", m)
	}
	token := h.agentToken("mei")
	for _, path := range []string{"", "/messages", "/events"} {
		h.want(h.get(token, "/v1/conversations/"+id.String()+path), 404, conversation.CodeNotFound)
	}
	mine := h.visitorToken("shop", me)
	h.want(h.get(mine, "/v1/widget/conversations/current"), 404, conversation.CodeNotFound)
	if a := h.get(mine, "/v1/widget/conversations/current/messages"); a.status != 200 || len(a.json(t)["data"].([]any)) != 0 { //nolint:forcetypeassert // a test may panic
		t.Errorf("the visitor's messages: %d %s", a.status, a.body)
	}
	back := h.visitor(me, fmt.Sprintf(`{"t":"hello","v":1,"resume":{"epoch":"e1","cursors":{"%s":%d}}}`, id, last))
	if w := back.expect("welcome"); w.at("conversation") != nil {
		t.Errorf("welcome %v", w)
	}
	if m := back.expect("reset"); m.str("conversation_id") != id.String() {
		t.Errorf("who comes back gets %v", m)
	}
}
