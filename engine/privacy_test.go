package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// erase asks for the erasure of a contact, with a confirmation.
func (p *people) erase(want int, id conversation.ContactID, confirm string) (r gateway.ErasureReport) {
	p.t.Helper()
	c := call{method: "POST", path: "/v1/contacts/" + id.String() + "/erase", body: map[string]string{"confirm": confirm}}
	if want != http.StatusOK {
		p.api.want(want, c, nil)
		return r
	}
	p.api.want(want, c, &r)
	return r
}

// A person is erased while they talk: their conversations are nowhere any more,
// their next message starts another one, and everybody else keeps theirs.
func TestAPersonIsErased(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	anna := p.writes(conversation.ChannelSMS, "anna", "when are you open")
	slack := p.writes(conversation.ChannelSlack, "U1", "are you there")
	bert := p.writes(conversation.ChannelSMS, "bert", "when are you open")
	p.change(http.StatusOK, anna, "merge", slack)
	before := p.shown(anna)
	if len(before.Conversations) != 2 {
		t.Fatalf("before: %+v", before)
	}
	for _, h := range before.Conversations { // what is in the memory of grains, and beside the journal
		p.api.want(http.StatusCreated, call{method: "POST", path: "/v1/conversations/" + h.ID.String() + "/notes", body: map[string]string{"client_id": "n1", "text": "calls twice a day"}}, nil)
		data, err := json.Marshal(channels.Fetch{Attachment: conversation.Attachment{ID: conversation.AttachmentID{1}}, Contact: h.Contact, Conversation: h.ID, Inbox: "nowhere"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.e.store.PutDoc(t.Context(), docFetch, h.ID.String(), 0, data); err != nil {
			t.Fatal(err)
		}
		if _, err := p.e.store.PutDoc(t.Context(), DocParked, "17-"+h.ID.String(), 0, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	p.erase(http.StatusBadRequest, anna, "")
	p.erase(http.StatusBadRequest, anna, slack.String())
	if r := p.erase(http.StatusOK, anna, anna.String()); r.Contacts != 2 || r.Conversations != 2 {
		t.Errorf("the report says %+v", r)
	}
	if r := p.erase(http.StatusOK, anna, anna.String()); r.Conversations != 0 {
		t.Errorf("erased again: %+v", r)
	}
	for _, h := range before.Conversations {
		for _, path := range []string{"", "/messages", "/events"} {
			p.api.want(http.StatusNotFound, call{method: "GET", path: "/v1/conversations/" + h.ID.String() + path}, nil)
		}
		p.api.want(http.StatusNotFound, call{method: "POST", path: "/v1/conversations/" + h.ID.String() + "/notes", body: map[string]string{"client_id": "n2", "text": "x"}}, nil)
	}
	for _, kind := range []string{docFetch, DocParked} {
		if left, err := p.e.store.Docs(t.Context(), kind); err != nil || len(left) != 0 {
			t.Errorf("documents of kind %s are left: %d, %v", kind, len(left), err)
		}
	}
	after := p.shown(anna)
	if len(after.Conversations) != 0 || len(after.Claims) != 0 || len(after.Identities) != 1 || after.Identities[0].Peer != "" ||
		len(after.History) != 1 || after.History[0].Action != conversation.ContactErased || after.History[0].By != "a-admin" {
		t.Errorf("after: %+v", after)
	}
	if v := p.shown(bert); len(v.Conversations) != 1 || v.Conversations[0].Preview == "" {
		t.Errorf("somebody else has %+v", v)
	}
	p.writes(conversation.ChannelSMS, "anna", "hello again")
	fresh := p.shown(anna)
	if len(fresh.Conversations) != 1 || strings.Contains(before.Conversations[0].ID.String()+before.Conversations[1].ID.String(), fresh.Conversations[0].ID.String()) ||
		fresh.Conversations[0].Status == conversation.StatusClosed {
		t.Errorf("the next message: %+v", fresh)
	}
	if m := p.api.messagesOf(fresh.Conversations[0].ID); len(m) == 0 || m[0].Text != "hello again" {
		t.Errorf("it holds %+v", m)
	}
}

// A hold keeps a contact, or a conversation, and says so.
func TestAHoldKeepsAPerson(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	anna := p.writes(conversation.ChannelSMS, "anna", "when are you open")
	talk := p.shown(anna).Conversations[0].ID
	for _, path := range []string{"/v1/contacts/" + anna.String() + "/hold", "/v1/conversations/" + talk.String() + "/hold"} {
		p.api.want(http.StatusBadRequest, call{method: "PUT", path: path, body: map[string]any{"why": 1}}, nil)
		var h conversation.Hold
		p.api.want(http.StatusOK, call{method: "PUT", path: path, body: map[string]string{"reason": "court"}}, &h)
		if h.By != "a-admin" || h.Reason != "court" || h.At.IsZero() {
			t.Errorf("the hold is %+v", h)
		}
		p.erase(http.StatusConflict, anna, anna.String())
		var shown struct {
			Hold *conversation.Hold            `json:"hold"`
			Held []conversation.ConversationID `json:"held"`
		}
		p.api.want(http.StatusOK, call{method: "GET", path: "/v1/contacts/" + anna.String()}, &shown)
		if (shown.Hold == nil) == (len(shown.Held) == 0) {
			t.Errorf("the contact shows %+v", shown)
		}
		shown.Hold = nil
		p.api.want(http.StatusOK, call{method: "GET", path: "/v1/conversations/" + talk.String()}, &shown)
		if shown.Hold == nil || *shown.Hold != h {
			t.Errorf("the conversation shows %+v", shown.Hold)
		}
		for range 2 {
			p.api.want(http.StatusNoContent, call{method: "DELETE", path: path}, nil)
		}
	}
	if r := p.erase(http.StatusOK, anna, anna.String()); r.Conversations != 1 {
		t.Errorf("without a hold: %+v", r)
	}
}

// Who erases is an admin, of all inboxes that it is about.
func TestWhoErases(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	anna := p.writes(conversation.ChannelSMS, "anna", "when are you open")
	confirm := map[string]string{"confirm": anna.String()}
	erase := call{method: "POST", path: "/v1/contacts/" + anna.String() + "/erase", body: confirm}
	newAPI(t, p.e, conversation.RoleAgent).want(http.StatusForbidden, erase, nil)
	other := conversation.Inbox{ID: "shed", Name: "Shed", Lang: "en"}
	putInbox(t, p.e, other)
	id := p.e.gateway.ContactOf("shed", conversation.ChannelSMS, "anna")
	if _, err := p.e.actors.Deliver(t.Context(), conversation.Inbound{Inbox: "shed", Channel: conversation.ChannelSMS, Contact: id, Peer: "anna", Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	p.change(http.StatusOK, anna, "merge", id)
	half := newAPIOf(t, p.e, conversation.Agent{ID: "half", Name: "Half", Email: "half@example.com", Role: conversation.RoleAdmin, Inboxes: []conversation.InboxID{"house"}})
	half.want(http.StatusForbidden, erase, nil)
	if v := p.shown(anna); len(v.Conversations) != 2 {
		t.Fatalf("%d conversations are left, want 2", len(v.Conversations))
	}
	p.api.want(http.StatusOK, erase, nil)
}

// An inbox that keeps conversations for a time says how many are due, and lets
// them go when it is told to.
func TestRetentionByTheAPI(t *testing.T) {
	t.Parallel()
	e, api := withAccounts(t, io.Discard)
	path := "/v1/inboxes/house"
	for _, bad := range []any{-1, int64(time.Hour), int64(200 * 365 * 24 * time.Hour), "2h", "six months", "180"} {
		api.want(http.StatusBadRequest, call{method: "PATCH", path: path, body: map[string]any{"retention": map[string]any{"resolved_after": bad}}}, nil)
	}
	api.want(http.StatusOK, call{method: "PATCH", path: path, body: map[string]any{"retention": map[string]any{"resolved_after": "180d"}}}, nil)
	old := conversation.Head{ID: conversation.ConversationID{1}, Inbox: "house", Channel: conversation.ChannelSMS, Contact: conversation.ContactID{1}}
	at := time.Now().UTC().Add(-181 * 24 * time.Hour).Truncate(time.Millisecond)
	state := &conversation.State{ID: old.ID}
	entries := []conversation.Entry{
		{Seq: 1, At: at, Event: conversation.ConversationStarted{Inbox: "house", Channel: old.Channel, Contact: old.Contact, Status: conversation.StatusOpen}},
		{Seq: 2, At: at, Event: conversation.StatusChanged{From: conversation.StatusOpen, To: conversation.StatusResolved}},
	}
	for _, en := range entries {
		state.Apply(en)
	}
	if err := e.store.Append(t.Context(), &conversation.Append{
		ID: old.ID, Entries: entries, Head: state.Head(), Contact: conversation.ContactKey{Inbox: "house", Contact: old.Contact},
	}); err != nil {
		t.Fatal(err)
	}
	var due struct {
		Data []gateway.OverdueRow `json:"data"`
	}
	api.want(http.StatusOK, call{method: "GET", path: "/v1/retention"}, &due)
	if len(due.Data) != 1 || due.Data[0].Inbox != "house" || due.Data[0].Conversations != 1 || due.Data[0].Held != 0 {
		t.Errorf("due: %+v", due.Data)
	}
	var done struct {
		Conversations int `json:"conversations"`
	}
	api.want(http.StatusOK, call{method: "POST", path: "/v1/retention/sweep", body: struct{}{}}, &done)
	if done.Conversations != 1 {
		t.Errorf("erased %d, want 1", done.Conversations)
	}
	api.want(http.StatusNotFound, call{method: "GET", path: "/v1/conversations/" + old.ID.String()}, nil)
}

// sightings lists the files under a folder in which a word can be read.
func sightings(t *testing.T, root, word string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // files come and go
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(word)) {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What somebody said and sent is in the data directory, and after the erasure it
// is in no file of it: the node writes them anew by itself.
func TestNothingIsLeftInTheDataDirectory(t *testing.T) {
	t.Parallel()
	const canary = "kanarienvogel-9b1c"
	srv, _ := inside(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat(canary+"\n", 20_000))
	})
	e, api := withAccounts(t, io.Discard)
	token := ingress(t, e, "house")
	for i := range 3 {
		body := fmt.Sprintf(`{"user":%[1]q,"id":"%[1]s-%[2]d","text":%[1]q,"metadata":{"page":%[1]q},"attachments":[{"url":"%[3]s/%[1]s.txt","name":"%[1]s.txt"}]}`, canary, i, srv.URL)
		if status, answer := hooked(t, e, token, body); status/100 != 2 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	id := api.single()
	api.settled(id)
	api.want(http.StatusCreated, call{method: "POST", path: "/v1/conversations/" + id.String() + "/notes", body: map[string]string{"client_id": "n1", "text": canary}}, nil)
	who := e.gateway.ContactOf("house", conversation.ChannelWebhook, canary)
	if len(sightings(t, e.config.DataDir, canary)) == 0 {
		t.Fatal("the canary is nowhere before the erasure: this test cannot fail")
	}
	api.want(http.StatusOK, call{method: "POST", path: "/v1/contacts/" + who.String() + "/erase", body: map[string]string{"confirm": who.String()}}, nil)
	defer func() {
		if t.Failed() {
			for _, f := range sightings(t, e.config.DataDir, canary) {
				b, _ := os.ReadFile(f)
				i := bytes.Index(b, []byte(canary))
				t.Logf("%s %d of %d: %q", f, i, len(b), b[max(0, i-200):min(len(b), i+200)])
			}
		}
	}()
	eventually(t, "nothing is left", func() bool { return len(sightings(t, e.config.DataDir, canary)) == 0 })
	if status, answer := hooked(t, e, token, `{"user":"u2","id":"m1","text":"are you still there"}`); status/100 != 2 {
		t.Errorf("afterwards: %d %s", status, answer)
	}
}
