package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// content is a body of any kind.
type content struct {
	kind string
	data []byte
}

// raw makes a request as whose the token is, and gives what came back.
func raw(t *testing.T, method, address, token string, body content) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body.data))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", body.kind)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, out
}

func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// messagesOf lists a conversation as an agent sees it.
func (a packsAPI) messagesOf(id conversation.ConversationID) []wire.Message {
	a.t.Helper()
	var page struct {
		Data []wire.Message `json:"data"`
	}
	a.want(http.StatusOK, call{method: "GET", path: "/v1/conversations/" + id.String() + "/messages"}, &page)
	return page.Data
}

// A visitor sends a picture without words: the bot gives it to a human and says
// so, the agent sees it, answers with a file, and the visitor gets that. Nobody
// else does, and after a restart all of it is still there.
func TestFilesInTheWidget(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	e, stop := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Origins: []string{"self"}})
	agent := newAPI(t, e, conversation.RoleAdmin)
	visitor := conversation.NewContactID(e.started)
	token, err := e.gateway.IssueVisitorToken("house", visitor, e.started)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + e.Addr()
	photo := picture(t)
	status, _, body := raw(t, "POST", base+"/v1/widget/attachments?name=broken.png", token, content{"image/png", photo})
	var a wire.Attachment
	if err := json.Unmarshal(body, &a); err != nil || status != http.StatusCreated || a.Type != "image/png" || a.Name != "broken.png" {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	status, _, body = raw(t, "POST", base+"/v1/widget/messages", token, content{"application/json", fmt.Appendf(nil, `{"client_id":"c1","attachments":["%s"]}`, a.ID)})
	var sent struct {
		Conversation conversation.ConversationID `json:"conversation_id"`
	}
	if err := json.Unmarshal(body, &sent); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	var said []wire.Message
	eventually(t, "the bot answers", func() bool {
		said = agent.messagesOf(sent.Conversation)
		return len(said) == 2
	})
	if len(said[0].Attachments) != 1 || said[0].Attachments[0] != a || !strings.Contains(string(said[1].Text), "got your file") {
		t.Errorf("said %+v", said)
	}
	var detail struct {
		Status  conversation.Status `json:"status"`
		Preview string              `json:"preview"`
		Reason  string              `json:"handover_reason"`
	}
	agent.want(http.StatusOK, call{method: "GET", path: "/v1/conversations/" + sent.Conversation.String()}, &detail)
	if detail.Status != conversation.StatusOpen || detail.Reason != string(conversation.HandoverAttachment) {
		t.Errorf("the conversation is %+v", detail)
	}

	status, _, body = raw(t, "POST", base+"/v1/conversations/"+sent.Conversation.String()+"/attachments?name=guide.txt", agent.token, content{"text/plain", []byte("turn it around")})
	var ours wire.Attachment
	if err := json.Unmarshal(body, &ours); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	mine := base + "/v1/widget/attachments/"
	if status, _, _ = raw(t, "GET", mine+ours.ID.String(), token, content{}); status != http.StatusNotFound {
		t.Errorf("before it is sent the visitor gets %d", status)
	}
	agent.want(http.StatusCreated, call{method: "POST", path: "/v1/conversations/" + sent.Conversation.String() + "/messages", body: map[string]any{
		"client_id": "k1", "text": "", "attachments": []string{ours.ID.String()},
	}}, nil)

	if err := stop(); err != nil {
		t.Fatal(err)
	}
	e, _ = serving(t, o)
	mine = "http://" + e.Addr() + "/v1/widget/attachments/"
	if status, _, body = raw(t, "GET", mine+ours.ID.String(), token, content{}); status != http.StatusOK || string(body) != "turn it around" {
		t.Errorf("the visitor gets %d %q", status, body)
	}
	if status, _, body = raw(t, "GET", "http://"+e.Addr()+"/v1/attachments/"+a.ID.String(), agent.token, content{}); status != http.StatusOK || !bytes.Equal(body, photo) {
		t.Errorf("the agent gets %d and %d bytes", status, len(body))
	}
	stranger, err := e.gateway.IssueVisitorToken("house", conversation.NewContactID(e.started), e.started)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ = raw(t, "GET", mine+a.ID.String(), stranger, content{}); status != http.StatusNotFound {
		t.Errorf("a stranger gets %d", status)
	}
	if status, _, body = raw(t, "POST", mine[:len(mine)-1]+"?name=a.png", token, content{"image/png", []byte("<html><script>")}); status != http.StatusBadRequest || !bytes.Contains(body, []byte(conversation.CodeMediaType)) {
		t.Errorf("a page that is called a picture: %d %s", status, body)
	}
}

// fileBot is a Bot API that has a file, and takes one.
type fileBot struct {
	*botAPI

	has  []byte
	took chan string
}

func (b *fileBot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/bot" + botToken + "/getFile":
		_, _ = io.WriteString(w, `{"ok":true,"result":{"file_id":"f1","file_path":"photos/file_1.png"}}`)
	case "/file/bot" + botToken + "/photos/file_1.png":
		_, _ = w.Write(b.has)
	case "/bot" + botToken + "/sendDocument":
		f, head, err := r.FormFile("document")
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		content, _ := io.ReadAll(f)
		_, _ = io.WriteString(w, `{"ok":true,"result":{"message_id":10}}`)
		b.took <- r.FormValue("chat_id") + " " + head.Filename + ": " + string(content)
	default:
		b.botAPI.ServeHTTP(w, r)
	}
}

// A file that a provider keeps is fetched behind the message, through the spool
// and the journal; one of an agent goes the other way.
func TestFilesThroughAProvider(t *testing.T) {
	t.Parallel()
	bot := &fileBot{botAPI: &botAPI{sent: make(chan string, 16)}, has: picture(t), took: make(chan string, 1)}
	srv, _ := inside(t, bot.ServeHTTP)
	e, api := withAccounts(t, io.Discard)
	bot.push(`{"update_id":0,"message":{"message_id":1,"from":{"id":77},"chat":{"id":77,"type":"private"},"caption":"look","document":{"file_id":"f1","file_name":"broken.png","mime_type":"image/png"}}}`)
	var v gateway.AccountView
	api.want(http.StatusCreated, call{method: "PUT", path: "/v1/inboxes/house/channels/telegram", body: map[string]any{"settings": map[string]string{"token": botToken, "api_url": srv.URL}}}, &v)

	var list struct {
		Data []struct {
			ID conversation.ConversationID `json:"id"`
		} `json:"data"`
	}
	var a wire.Attachment
	eventually(t, "the file has come", func() bool {
		api.want(http.StatusOK, call{method: "GET", path: "/v1/conversations"}, &list)
		if len(list.Data) != 1 {
			return false
		}
		first := api.messagesOf(list.Data[0].ID)[0]
		if first.Text != "look" || len(first.Attachments) != 1 {
			t.Fatalf("the message is %+v", first)
		}
		a = first.Attachments[0]
		return a.State == conversation.AttachmentStored
	})
	base, id := "http://"+e.Addr(), list.Data[0].ID.String()
	if status, _, body := raw(t, "GET", base+"/v1/attachments/"+a.ID.String(), api.token, content{}); status != http.StatusOK || !bytes.Equal(body, bot.has) {
		t.Errorf("the agent gets %d and %d bytes", status, len(body))
	}
	eventually(t, "the spool is empty", func() bool {
		left, err := (spool{e.Store()}).Fetches(t.Context(), 10)
		return err == nil && len(left) == 0
	})
	_, _, body := raw(t, "POST", base+"/v1/conversations/"+id+"/attachments?name="+url.QueryEscape("退货.txt"), api.token, content{"text/plain", []byte("how to send it back")})
	var ours wire.Attachment
	if err := json.Unmarshal(body, &ours); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	api.want(http.StatusCreated, call{method: "POST", path: "/v1/conversations/" + id + "/messages", body: map[string]any{
		"client_id": "k1", "text": "", "attachments": []string{ours.ID.String()},
	}}, nil)
	if got := next(t, bot.took); got != "77 退货.txt: how to send it back" {
		t.Errorf("the provider took %q", got)
	}
}
