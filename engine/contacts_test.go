package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// contactShown is what the API says of a contact.
type contactShown struct {
	ID         conversation.ContactID `json:"id"`
	Identities []struct {
		Contact conversation.ContactID   `json:"contact"`
		Channel conversation.ChannelKind `json:"channel"`
		Peer    string                   `json:"peer"`
	} `json:"identities"`
	Claims        []conversation.ContactClaim      `json:"claims"`
	Conversations []conversation.Head              `json:"conversations"`
	Suggestions   []conversation.ContactSuggestion `json:"suggestions"`
	History       []conversation.ContactChange     `json:"history"`
}

// people is a node with contacts of several channels.
type people struct {
	t   *testing.T
	e   *Engine
	api packsAPI
}

func newPeople(t *testing.T) *people {
	t.Helper()
	e, api := withAccounts(t, io.Discard)
	return &people{t, e, api}
}

// writes has somebody write through a channel and gives their contact.
func (p *people) writes(kind conversation.ChannelKind, peer, text string) conversation.ContactID {
	p.t.Helper()
	id := p.e.gateway.ContactOf("house", kind, peer)
	_, err := p.e.actors.Deliver(p.t.Context(), conversation.Inbound{Inbox: "house", Channel: kind, Contact: id, Peer: peer, Text: conversation.Text(text)})
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *people) shown(id conversation.ContactID) contactShown {
	p.t.Helper()
	var v contactShown
	p.api.want(http.StatusOK, call{method: "GET", path: "/v1/contacts/" + id.String()}, &v)
	return v
}

func (p *people) change(want int, id conversation.ContactID, verb string, other conversation.ContactID) (v contactShown) {
	p.t.Helper()
	c := call{method: "POST", path: "/v1/contacts/" + id.String() + "/" + verb, body: map[string]any{"contact": other}}
	if want != http.StatusOK {
		p.api.want(want, c, nil)
		return v
	}
	p.api.want(want, c, &v)
	return v
}

// members gives who stands together, sorted.
func (v *contactShown) members() []string {
	var out []string
	for _, i := range v.Identities {
		out = append(out, i.Contact.String())
	}
	slices.Sort(out)
	return out
}

func sorted(ids ...conversation.ContactID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, id.String())
	}
	slices.Sort(out)
	return out
}

// Two contacts are merged, with the conversations of both under the one, and
// taken apart again; doing either twice changes nothing, and both are told.
func TestContactsAreMergedAndSplit(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	sms := p.writes(conversation.ChannelSMS, "anna", "hello")
	line := p.writes(conversation.ChannelSlack, "U1", "hello")
	third := p.writes(conversation.ChannelSMS, "bert", "hello")
	alone := p.shown(sms)
	if len(alone.Conversations) != 1 || alone.ID != sms || len(alone.Identities) != 1 || alone.Identities[0].Peer != "anna" {
		t.Fatalf("alone: %+v", alone)
	}
	p.change(http.StatusOK, line, "merge", third)
	for range 2 {
		v := p.change(http.StatusOK, sms, "merge", line)
		if v.ID != sms || !slices.Equal(v.members(), sorted(sms, line, third)) || len(v.Conversations) != 3 || len(v.History) != 2 {
			t.Errorf("merged: %+v", v)
		}
	}
	if v := p.shown(third); v.ID != sms || len(v.Conversations) != 3 {
		t.Errorf("seen from the third: %+v", v)
	}
	if v := p.change(http.StatusOK, third, "merge", sms); v.ID != sms || len(v.History) != 2 {
		t.Errorf("the other way round: %+v", v)
	}
	p.change(http.StatusBadRequest, sms, "split", sms)
	for range 2 {
		v := p.change(http.StatusOK, sms, "split", line)
		if !slices.Equal(v.members(), sorted(sms)) || len(v.Conversations) != 1 {
			t.Errorf("split: %+v", v)
		}
	}
	v := p.shown(line)
	if v.ID != line || !slices.Equal(v.members(), sorted(line, third)) || len(v.Conversations) != 2 {
		t.Errorf("what was split off: %+v", v)
	}
	var done []string
	for _, c := range v.History {
		if done = append(done, c.Action); c.By == "" || c.At.IsZero() {
			t.Errorf("nobody did %+v", c)
		}
	}
	if !slices.Equal(done, []string{"merged", "merged", "split"}) {
		t.Errorf("history %v", done)
	}
	if again := p.shown(sms); !slices.Equal(again.members(), alone.members()) || again.Conversations[0].ID != alone.Conversations[0].ID {
		t.Errorf("after that it is %+v, was %+v", again, alone)
	}
	if v := p.shown(third); !slices.Equal(v.members(), sorted(line, third)) {
		t.Errorf("the third is with %v", v.members())
	}
	p.change(http.StatusNotFound, sms, "merge", conversation.NewContactID(time.Now()))
	p.change(http.StatusConflict, third, "split", p.mergedElsewhere(sms))
}

// mergedElsewhere gives a contact that went into another than the third.
func (p *people) mergedElsewhere(into conversation.ContactID) conversation.ContactID {
	other := p.writes(conversation.ChannelSMS, "cleo", "hello")
	p.change(http.StatusOK, into, "merge", other)
	return other
}

// An agent who may not work in an inbox sees nobody from there.
func TestContactsOfOtherInboxesAreHidden(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	id := p.writes(conversation.ChannelSMS, "anna", "hello")
	stranger := newAPIOf(t, p.e, conversation.Agent{ID: "stranger", Name: "S", Email: "s@example.com", Role: conversation.RoleAgent, Inboxes: []conversation.InboxID{"elsewhere"}})
	stranger.want(http.StatusNotFound, call{method: "GET", path: "/v1/contacts/" + id.String()}, nil)
	stranger.want(http.StatusNotFound, call{method: "POST", path: "/v1/contacts/" + id.String() + "/merge", body: map[string]any{"contact": id}}, nil)
}

// session asks for a visitor's token as a page does.
func (p *people) session(body map[string]any) (status int, contact conversation.ContactID) {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.e.Addr()+"/v1/widget/session", strings.NewReader(string(raw)))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "http://"+p.e.Addr())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var v struct {
		Contact conversation.ContactID `json:"contact"`
	}
	_ = json.NewDecoder(res.Body).Decode(&v)
	return res.StatusCode, v.Contact
}

// A user whom the operator's server has signed is the same contact on every
// device. Who types the same address is suggested, and nothing else: neither a
// typed address nor a wrong signature makes anybody somebody else.
func TestVerifiedAndUnverifiedClaims(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	in, err := p.e.store.Inbox("house")
	if err != nil {
		t.Fatal(err)
	}
	in.Origins = []string{"self"}
	if _, err := p.e.store.PutInbox(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	var rotated struct {
		Secret string `json:"signing_secret"`
	}
	p.api.want(http.StatusCreated, call{method: "POST", path: "/v1/inboxes/house/rotate_secret"}, &rotated)
	sign := func(id, email string) string {
		mac := hmac.New(sha256.New, []byte(rotated.Secret))
		_, _ = io.WriteString(mac, id+"\n"+email)
		return hex.EncodeToString(mac.Sum(nil))
	}
	user := func(id, email, signature string) map[string]any {
		return map[string]any{"inbox": "house", "user": map[string]string{"id": id, "email": email, "signature": signature}}
	}
	right := user("42", "Anna@Example.com", sign("42", "Anna@Example.com"))
	status, contact := p.session(right)
	if status != http.StatusCreated {
		t.Fatalf("status %d", status)
	}
	if _, again := p.session(right); again != contact {
		t.Errorf("on another device the user is %s, was %s", again, contact)
	}
	for name, body := range map[string]map[string]any{
		"no signature": user("42", "anna@example.com", ""), "of another user": user("43", "Anna@Example.com", sign("42", "Anna@Example.com")),
		"another address": user("42", "eve@example.com", sign("42", "Anna@Example.com")), "two lines": user("42\nx", "", sign("42\nx", "")),
	} {
		if status, _ := p.session(body); status != http.StatusUnauthorized && status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, status)
		}
	}

	typed := p.writes(conversation.ChannelSMS, "55", "my address is ANNA@example.com, call +49 30 1 or +49-171-1234567")
	v := p.shown(typed)
	if len(v.Suggestions) != 1 || v.Suggestions[0].Contact != contact || v.Suggestions[0].Claim.Verified || v.Suggestions[0].Claim.Value != "anna@example.com" {
		t.Errorf("suggestions %+v", v.Suggestions)
	}
	if len(v.Identities) != 1 || slices.ContainsFunc(v.Claims, func(c conversation.ContactClaim) bool { return c.Verified }) {
		t.Errorf("by typing an address the contact became %+v", v)
	}
	phone := p.writes(conversation.ChannelWhatsApp, "491711234567", "hello")
	if v = p.shown(typed); len(v.Suggestions) != 2 || v.Suggestions[1].Contact != phone {
		t.Errorf("suggestions %+v", v.Suggestions)
	}
	if v := p.shown(phone); len(v.Suggestions) != 0 || len(v.Claims) != 1 || !v.Claims[0].Verified {
		t.Errorf("the one of whom it is verified: %+v", v)
	}
	if v = p.change(http.StatusOK, contact, "merge", typed); len(v.Suggestions) != 1 {
		t.Errorf("after the merge %+v", v.Suggestions)
	}
}
