package engine

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// What a conversation costs can be asked by those who may read it, and the
// operations listener lists all of them.
func TestConversationsHaveACost(t *testing.T) {
	t.Parallel()
	e := house(t, func(*Config) {})
	in := visitor("house", "when are you open")
	first := say(t, e, in)
	admin := e.as(t, conversation.RoleAdmin)
	var cost cpu.Session
	path := "/v1/conversations/" + first.Conversation.String() + "/cost"
	// The receipt leaves before the mailbox's run has ended.
	eventually(t, "a cost", func() bool {
		status, _ := admin.call(http.MethodGet, path, &cost)
		return status == http.StatusOK && cost.CPU > 0
	})
	if cost.Conversation != first.Conversation.String() || cost.Channel != string(conversation.ChannelAPI) || cost.Turns != 1 {
		t.Errorf("the cost is %+v", cost)
	}
	for range 20 {
		in.Ref = ""
		say(t, e, in)
	}
	before := cost.CPU
	eventually(t, "a higher cost after more turns", func() bool {
		status, _ := admin.call(http.MethodGet, path, &cost)
		return status == http.StatusOK && cost.CPU > before && cost.Turns == 21
	})
	if status, raw := admin.call(http.MethodGet, "/v1/conversations/"+conversation.ConversationID{15: 1}.String()+"/cost", nil); status != http.StatusNotFound {
		t.Errorf("the cost of an unknown conversation = %d %s", status, raw)
	}
	status, body := fetch(t, "http://"+e.OpsAddr()+"/debug/sessions?sort=turns")
	var list struct {
		Sessions []cpu.Session `json:"sessions"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK || len(list.Sessions) != 1 || list.Sessions[0].Turns != 21 {
		t.Errorf("/debug/sessions = %d %s", status, body)
	}
	if status, body := fetch(t, "http://"+e.OpsAddr()+"/metrics/sessions"); status != http.StatusOK || !strings.Contains(body, first.Conversation.String()) {
		t.Errorf("/metrics/sessions = %d %s", status, body)
	}
	if status, _ := fetch(t, "http://"+e.Addr()+"/debug/sessions"); status != http.StatusNotFound {
		t.Errorf("/debug/sessions on the public listener = %d", status)
	}
}

func TestCostsCanBeLeftOff(t *testing.T) {
	t.Parallel()
	e := house(t, func(c *Config) { c.CPU.Accounting = cpu.Off })
	r := say(t, e, visitor("house", "when are you open"))
	if status, raw := e.as(t, conversation.RoleAdmin).call(http.MethodGet, "/v1/conversations/"+r.Conversation.String()+"/cost", nil); status != http.StatusNotFound {
		t.Errorf("a cost where nothing is measured = %d %s", status, raw)
	}
}

// The status page is on the operations listener only, loads what it names, and
// nothing inline.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	e := house(t, func(*Config) {})
	status, page := fetch(t, "http://"+e.OpsAddr()+"/status")
	if status != http.StatusOK || !strings.Contains(page, `src="status.js"`) || strings.Contains(page, "<style") {
		t.Fatalf("/status = %d %s", status, page)
	}
	for name, wants := range map[string]string{"status.js": "/metrics", "status.css": ".uplot"} {
		if status, body := fetch(t, "http://"+e.OpsAddr()+"/status/"+name); status != http.StatusOK || !strings.Contains(body, wants) {
			t.Errorf("%s = %d, %d bytes", name, status, len(body))
		}
	}
	if status, _ := fetch(t, "http://"+e.OpsAddr()+"/status/other.js"); status != http.StatusNotFound {
		t.Errorf("what is not there = %d", status)
	}
	if status, _ := fetch(t, "http://"+e.Addr()+"/status/"); status != http.StatusNotFound {
		t.Errorf("/status/ on the public listener = %d", status)
	}
}
