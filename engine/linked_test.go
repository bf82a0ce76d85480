package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// ingress makes a token for messages to an inbox.
func ingress(t *testing.T, e *Engine, inbox conversation.InboxID) string {
	t.Helper()
	token, c := gateway.NewToken(gateway.CredentialInbox, time.Now())
	c.Inbox = inbox
	if err := (credentials{e.Store()}).PutCredential(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return token
}

// hooked posts to the unified entrance.
func hooked(t *testing.T, e *Engine, token, body string) (int, []byte) {
	t.Helper()
	status, _, answer := raw(t, "POST", "http://"+e.Addr()+"/webhook?wait_ms=0", token, content{"application/json", []byte(body)})
	return status, answer
}

// settled gives the attachments of the first message, once none of them is pending.
func (a packsAPI) settled(id conversation.ConversationID) []wire.Attachment {
	a.t.Helper()
	var files []wire.Attachment
	eventually(a.t, "the files have come", func() bool {
		files = a.messagesOf(id)[0].Attachments
		for _, f := range files {
			if f.State == conversation.AttachmentPending {
				return false
			}
		}
		return true
	})
	return files
}

// A system posts a message without words and says where its files are: the
// message is taken at once, and the files come behind it. The same message again
// is the same one.
func TestFilesAtTheUnifiedEntrance(t *testing.T) {
	t.Parallel()
	photo := picture(t)
	srv, hits := inside(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/a.png" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(photo)
	})
	e, api := withAccounts(t, io.Discard)
	token := ingress(t, e, "house")
	body := fmt.Sprintf(`{"user":"u1","id":"m1","attachments":[{"url":"%[1]s/a.png","name":"broken.png"},{"url":"%[1]s/b.png","type":"image/png"}]}`, srv.URL)
	status, first := hooked(t, e, token, body)
	if status != http.StatusOK || !bytes.Contains(first, []byte("got your file")) {
		t.Fatalf("%d %s, want the bot to say that a human will look", status, first)
	}
	id := api.single()
	files := api.settled(id)
	if len(files) != 2 || files[0].State != conversation.AttachmentStored || files[0].Name != "broken.png" || files[0].Type != "image/png" ||
		files[1].State != conversation.AttachmentUnavailable || files[1].Reason != "gone" {
		t.Fatalf("files %+v", files)
	}
	if status, _, got := raw(t, "GET", "http://"+e.Addr()+"/v1/attachments/"+files[0].ID.String(), api.token, content{}); status != http.StatusOK || !bytes.Equal(got, photo) {
		t.Errorf("the agent gets %d and %d bytes", status, len(got))
	}
	if hits.Load() < 2 {
		t.Errorf("%d fetches, want one of each file", hits.Load())
	}
	if status, again := hooked(t, e, token, body); status != http.StatusOK || !bytes.Equal(again, first) {
		t.Errorf("the same message again: %d %s, want %s", status, again, first)
	}
	eventually(t, "the spool is empty", func() bool {
		left, err := (spool{e.Store()}).Fetches(t.Context(), 10)
		return err == nil && len(left) == 0
	})
	visitors := 0
	for _, m := range api.messagesOf(id) {
		if m.From == conversation.PartyVisitor {
			visitors++
		}
	}
	if again := api.settled(id); visitors != 1 || again[0] != files[0] || again[1] != files[1] {
		t.Errorf("%d messages, files %+v, want one and %+v", visitors, again, files)
	}
}

// single gives the only conversation there is.
func (a packsAPI) single() conversation.ConversationID {
	a.t.Helper()
	var list struct {
		Data []struct {
			ID conversation.ConversationID `json:"id"`
		} `json:"data"`
	}
	a.want(http.StatusOK, call{method: "GET", path: "/v1/conversations"}, &list)
	if len(list.Data) != 1 {
		a.t.Fatalf("%d conversations, want one", len(list.Data))
	}
	return list.Data[0].ID
}

// What is no address of a file is refused before anything is stored.
func TestAddressesAtTheUnifiedEntrance(t *testing.T) {
	t.Parallel()
	e, api := withAccounts(t, io.Discard)
	token := ingress(t, e, "house")
	for _, bad := range []string{"", "file:///etc/passwd", "/a.png", "ftp://x/y", "https://a:b@files.example.com/", "https://" + strings.Repeat("x", 4096)} {
		status, answer := hooked(t, e, token, fmt.Sprintf(`{"user":"u1","text":"x","attachments":[{"url":%q}]}`, bad))
		if status != http.StatusBadRequest || !bytes.Contains(answer, []byte(conversation.CodeBadAttachment)) {
			t.Errorf("%q: %d %s", bad, status, answer)
		}
	}
	var list struct {
		Data []any `json:"data"`
	}
	if api.want(http.StatusOK, call{method: "GET", path: "/v1/conversations"}, &list); len(list.Data) != 0 {
		t.Errorf("%d conversations of refused messages", len(list.Data))
	}
}

// A node fetches nothing from where its own network is: the address of a file is
// a stranger's word.
func TestPrivateAddressesAtTheUnifiedEntrance(t *testing.T) {
	t.Parallel()
	srv, hits := inside(t, func(http.ResponseWriter, *http.Request) {})
	e, _ := serving(t, quietOptions(t, io.Discard))
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}})
	api := newAPI(t, e, conversation.RoleAdmin)
	status, answer := hooked(t, e, ingress(t, e, "house"), fmt.Sprintf(`{"user":"u1","text":"look","attachments":[{"url":"%s/a.png"}]}`, srv.URL))
	if status != http.StatusOK && status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	files := api.settled(api.single())
	if len(files) != 1 || files[0].State != conversation.AttachmentUnavailable || files[0].Reason != "gone" || hits.Load() != 0 {
		t.Errorf("files %+v after %d requests, want none of either", files, hits.Load())
	}
}
