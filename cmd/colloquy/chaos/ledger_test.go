package chaos

import (
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestParseRef(t *testing.T) {
	t.Parallel()
	for _, a := range []author{{visitorRole, 0}, {agentRole, 12}, {webhookRole, 345}} {
		if who, number, ok := parseRef(a.ref(67)); !ok || who != a || number != 67 {
			t.Errorf("parseRef(%q) = %v, %d, %v", a.ref(67), who, number, ok)
		}
	}
	for _, ref := range []string{"", "v", "v1", "v1-", "-1", "v-1", "vx-1", "v1-x", "v1-2-3", "v01-2", "v1-+2"} {
		if _, _, ok := parseRef(ref); ok {
			t.Errorf("parseRef(%q) was taken", ref)
		}
	}
}

func TestLedgerKeepsTheFirstAnswerAndEveryOther(t *testing.T) {
	t.Parallel()
	began := time.Now()
	l := newLedger(began)
	o := &operation{author: author{visitorRole, 1}}
	l.enter(o)
	id := conversation.ConversationID{1}
	l.acknowledge(o, began.Add(2*time.Second), place{id, 4})
	l.acknowledge(o, began.Add(3*time.Second), place{id, 4})
	if o.acked != 2*time.Second || o.place.seq != 4 || len(o.conflict) != 0 {
		t.Fatalf("operation %+v", o)
	}
	for range 2 {
		l.acknowledge(o, began.Add(4*time.Second), place{id, 5})
	}
	if len(o.conflict) != 1 || o.conflict[0].seq != 5 || o.place.seq != 4 {
		t.Errorf("operation %+v", o)
	}
	if sent, acked := l.progress(); sent != 1 || acked != 1 {
		t.Errorf("progress %d, %d", sent, acked)
	}
}
