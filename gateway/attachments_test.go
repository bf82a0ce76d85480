package gateway

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// cabinet is an [Attachments] in memory.
type cabinet struct {
	mu    sync.Mutex
	n     byte
	fail  error
	files map[conversation.AttachmentID]conversation.File
	bytes map[conversation.AttachmentID][]byte
}

func newCabinet() *cabinet {
	return &cabinet{files: map[conversation.AttachmentID]conversation.File{}, bytes: map[conversation.AttachmentID][]byte{}}
}

func (c *cabinet) Save(_ context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error) {
	b, err := io.ReadAll(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		return conversation.Attachment{}, err
	}
	if c.fail != nil {
		return conversation.Attachment{}, c.fail
	}
	c.n++
	kind, _, err := mime.ParseMediaType(u.Declared)
	if err != nil {
		kind = "application/octet-stream"
	}
	a := conversation.Attachment{
		ID: conversation.AttachmentID{c.n}, Name: u.Name, Type: kind, Size: int64(len(b)), Blob: strings.Repeat("0a", 32), State: conversation.AttachmentStored,
	}
	c.files[a.ID] = conversation.File{Attachment: a, Inbox: u.Inbox, Contact: u.Contact, Agent: u.Agent, Conversation: u.Conversation}
	c.bytes[a.ID] = b
	return a, nil
}

func (c *cabinet) Find(_ context.Context, id conversation.AttachmentID) (conversation.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.files[id]
	if !ok {
		return f, conversation.ErrNotFound
	}
	return f, nil
}

func (c *cabinet) Open(_ context.Context, a *conversation.Attachment) (io.ReadSeeker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.NewReader(c.bytes[a.ID]), nil
}

func (c *cabinet) CheckLink(_ conversation.AttachmentID, _, signature string, _ time.Time) error {
	if signature != "good" {
		return conversation.Refuse(conversation.CodeNotFound, "the link is not valid")
	}
	return nil
}

// send marks a file as sent, which the journal does with the message.
func (c *cabinet) send(id conversation.AttachmentID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[id]
	f.Sent = true
	c.files[id] = f
}

func (h *harness) upload(token, path, kind, body string) answered {
	h.t.Helper()
	headers := bearerOf(token)
	headers["Content-Type"] = kind
	return h.do(call{method: "POST", path: path, body: body, headers: headers})
}

func withCabinet(c *cabinet) func(*Options) { return func(o *Options) { o.Attachments = c } }

func attachmentIn(t *testing.T, a answered) conversation.AttachmentID {
	t.Helper()
	id, err := conversation.ParseAttachmentID(a.json(t).str("id"))
	if a.status != http.StatusCreated || err != nil {
		t.Fatalf("answer %d %s, %v", a.status, a.body, err)
	}
	return id
}

func TestUploadForms(t *testing.T) {
	t.Parallel()
	c := newCabinet()
	h := start(t, withCabinet(c))
	visitor := h.visitorToken("shop", conversation.ContactID{1})
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	_ = w.WriteField("note", "before the file")
	part, err := w.CreateFormFile("file", "订单.txt")
	if err == nil {
		_, err = io.WriteString(part, "from a form")
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		path, kind, body, wantName, wantBody string
	}{
		"raw":  {"/v1/widget/attachments?name=a%20b.png", "image/png", "raw bytes", "a b.png", "raw bytes"},
		"form": {"/v1/widget/attachments", w.FormDataContentType(), form.String(), "订单.txt", "from a form"},
	} {
		id := attachmentIn(t, h.upload(visitor, tc.path, tc.kind, tc.body))
		f, err := c.Find(t.Context(), id)
		if err != nil || f.Name != tc.wantName || string(c.bytes[id]) != tc.wantBody || f.Inbox != "shop" || f.Contact != (conversation.ContactID{1}) || f.Agent != "" {
			t.Errorf("%s: %+v holding %q, %v", name, f, c.bytes[id], err)
		}
	}
	h.want(h.upload(visitor, "/v1/widget/attachments", "multipart/form-data; boundary=x", "--x--\r\n"), 400, conversation.CodeInvalid)
	h.want(h.upload(visitor, "/v1/widget/attachments", "multipart/form-data", "x"), 400, conversation.CodeInvalid)
	for code, status := range map[conversation.Code]int{
		conversation.CodeTooLarge: 413, conversation.CodeMediaType: 400, conversation.CodeQuota: 429, conversation.CodeOverloaded: 429,
	} {
		c.fail = conversation.Refuse(code, "so the store says")
		h.want(h.upload(visitor, "/v1/widget/attachments", "image/png", "x"), status, code)
	}
}

func TestServerWithoutFiles(t *testing.T) {
	t.Parallel()
	h := start(t)
	visitor := h.visitorToken("shop", conversation.ContactID{1})
	h.want(h.upload(visitor, "/v1/widget/attachments", "image/png", "x"), 404, conversation.CodeNotFound)
	h.want(h.post(visitor, "/v1/widget/messages", `{"client_id":"c1","attachments":["`+conversation.AttachmentID{1}.String()+`"]}`), 400, conversation.CodeBadAttachment)
}

func TestUploadsAreLimited(t *testing.T) {
	t.Parallel()
	h := start(t, withCabinet(newCabinet()), func(o *Options) { o.Limits.UploadsPerMinute = 2 })
	visitor, other := h.visitorToken("shop", conversation.ContactID{1}), h.visitorToken("shop", conversation.ContactID{2})
	for range 2 {
		attachmentIn(t, h.upload(visitor, "/v1/widget/attachments", "image/png", "x"))
	}
	h.want(h.upload(visitor, "/v1/widget/attachments", "image/png", "x"), 429, conversation.CodeRateLimited)
	attachmentIn(t, h.upload(other, "/v1/widget/attachments", "image/png", "x"))
}

// TestWhoMayFetch: a file is for its visitor and the agents of its inbox, and
// before it is sent for who handed it in. To all others it does not exist.
func TestWhoMayFetch(t *testing.T) {
	t.Parallel()
	c := newCabinet()
	h := start(t, withCabinet(c))
	contact := conversation.ContactID{1}
	id := h.store.start("shop", contact)
	visitor, stranger := h.visitorToken("shop", contact), h.visitorToken("shop", conversation.ContactID{2})
	elsewhere := h.visitorToken("bank", contact)
	mei, bob, ada := h.agentToken("mei"), h.agentToken("bob"), h.agentToken("ada")
	theirs := attachmentIn(t, h.upload(visitor, "/v1/widget/attachments?name=a.png", "image/png", "theirs"))
	ours := attachmentIn(t, h.upload(mei, "/v1/conversations/"+id.String()+"/attachments?name=b.pdf", "application/pdf", "ours"))
	h.want(h.upload(bob, "/v1/conversations/"+id.String()+"/attachments", "image/png", "x"), 404, conversation.CodeNotFound)

	check := func(when string, file conversation.AttachmentID, readers map[string]bool) {
		t.Helper()
		for who, token := range map[string]string{"visitor": visitor, "stranger": stranger, "elsewhere": elsewhere} {
			a := h.get(token, "/v1/widget/attachments/"+file.String())
			if ok := a.status == 200; ok != readers[who] || !ok && a.status != 404 {
				t.Errorf("%s: %s gets %d", when, who, a.status)
			}
		}
		for who, token := range map[string]string{"mei": mei, "bob": bob, "ada": ada} {
			a := h.get(token, "/v1/attachments/"+file.String())
			if ok := a.status == 200; ok != readers[who] || !ok && a.status != 404 {
				t.Errorf("%s: %s gets %d", when, who, a.status)
			}
		}
		a := h.do(call{method: "GET", path: "/v1/files/" + file.String() + "?until=1&signature=good"})
		if ok := a.status == 200; ok != readers["link"] {
			t.Errorf("%s: a link gets %d", when, a.status)
		}
	}
	check("theirs, not sent", theirs, map[string]bool{"visitor": true})
	check("ours, not sent", ours, map[string]bool{"mei": true})
	c.send(theirs)
	c.send(ours)
	all := map[string]bool{"visitor": true, "mei": true, "ada": true, "link": true}
	check("theirs, sent", theirs, all)
	check("ours, sent", ours, all)
	check("nobody's", conversation.AttachmentID{99}, nil)
	h.want(h.do(call{method: "GET", path: "/v1/files/" + ours.String() + "?until=1&signature=bad"}), 404, conversation.CodeNotFound)
	h.want(h.get(mei, "/v1/attachments/att_1"), 400, conversation.CodeBadID)
}

// TestFilesAreHarmless: whatever a file holds, a browser is told what it is, to
// run nothing in it, and to save what it would not only show.
func TestFilesAreHarmless(t *testing.T) {
	t.Parallel()
	c := newCabinet()
	h := start(t, withCabinet(c))
	visitor := h.visitorToken("shop", conversation.ContactID{1})
	for kind, way := range map[string]string{
		"image/png": "inline", "video/mp4": "inline", "application/pdf": "attachment", "text/plain": "attachment", "image/svg+xml": "attachment",
		"text/html": "attachment", "application/octet-stream": "attachment",
	} {
		id := attachmentIn(t, h.upload(visitor, "/v1/widget/attachments?name=%E5%9B%BE%22%3B.x", kind, "0123456789"))
		a := h.get(visitor, "/v1/widget/attachments/"+id.String())
		got, params, err := mime.ParseMediaType(a.header.Get("Content-Disposition"))
		if err != nil || got != way || params["filename"] != `图";.x` {
			t.Errorf("%s: %s, %v", kind, a.header.Get("Content-Disposition"), err)
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox; default-src 'none'") {
			t.Errorf("%s may do %s", kind, csp)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.header.Get("Content-Type"), kind) || string(a.body) != "0123456789" {
			t.Errorf("%s: %v %q", kind, a.header, a.body)
		}
		headers := bearerOf(visitor)
		headers["Range"] = "bytes=2-4"
		part := h.do(call{method: "GET", path: "/v1/widget/attachments/" + id.String(), headers: headers})
		if part.status != http.StatusPartialContent || string(part.body) != "234" {
			t.Errorf("%s: a part is %d %q", kind, part.status, part.body)
		}
		again := bearerOf(visitor)
		again["If-None-Match"] = a.header.Get("ETag")
		if a := h.do(call{method: "GET", path: "/v1/widget/attachments/" + id.String(), headers: again}); a.status != http.StatusNotModified {
			t.Errorf("%s: known, and yet %d", kind, a.status)
		}
		if a := h.do(call{method: "HEAD", path: "/v1/widget/attachments/" + id.String(), headers: bearerOf(visitor)}); a.status != 200 || len(a.body) != 0 {
			t.Errorf("%s: HEAD is %d with %d bytes", kind, a.status, len(a.body))
		}
	}
}

// TestMessagesWithFiles: over the socket and over HTTP, of both sides, and never
// with somebody else's file.
func TestMessagesWithFiles(t *testing.T) {
	t.Parallel()
	c := newCabinet()
	h := start(t, withCabinet(c))
	contact := conversation.ContactID{1}
	id := h.store.start("shop", contact)
	visitor, stranger, mei := h.visitorToken("shop", contact), h.visitorToken("shop", conversation.ContactID{2}), h.agentToken("mei")
	theirs := attachmentIn(t, h.upload(visitor, "/v1/widget/attachments?name=a.png", "image/png", "theirs"))
	strange := attachmentIn(t, h.upload(stranger, "/v1/widget/attachments?name=s.png", "image/png", "strange"))
	ours := attachmentIn(t, h.upload(mei, "/v1/conversations/"+id.String()+"/attachments?name=b.pdf", "application/pdf", "ours"))

	v, a := h.visitor(contact, hello), h.agent("mei")
	v.expect("welcome")
	a.say(`{"t":"subscribe","ref":"s","conversation_id":"` + id.String() + `"}`)
	a.expect("done")
	v.say(`{"t":"message.send","client_id":"c1","attachments":["` + theirs.String() + `"]}`)
	v.expect("ack")
	seen := a.expect("event")
	list, _ := seen.at("data", "attachments").([]any)
	if len(list) != 1 || rowOf(t, list[0]).str("id") != theirs.String() || rowOf(t, list[0]).str("state") != "stored" || rowOf(t, list[0]).at("blob") != nil {
		t.Errorf("the agent sees %v", seen)
	}
	for name, file := range map[string]conversation.AttachmentID{"a stranger's": strange, "an agent's": ours, "nobody's": {99}} {
		v.say(`{"t":"message.send","client_id":"c2","text":"x","attachments":["` + file.String() + `"]}`)
		if e := v.expect("error"); e.str("problem", "code") != string(conversation.CodeBadAttachment) {
			t.Errorf("%s file: %v", name, e)
		}
	}
	a.say(`{"t":"message.send","client_id":"k1","conversation_id":"` + id.String() + `","text":"here","attachments":["` + ours.String() + `"]}`)
	a.expect("ack")
	a.say(`{"t":"message.send","client_id":"k2","conversation_id":"` + id.String() + `","text":"x","attachments":["` + theirs.String() + `"]}`)
	if e := a.expect("error"); e.str("problem", "code") != string(conversation.CodeBadAttachment) {
		t.Errorf("a visitor's file by an agent: %v", e)
	}
	post := func(token, path, body string, status int, code conversation.Code) {
		t.Helper()
		h.want(h.post(token, path, body), status, code)
	}
	one := `,"attachments":["` + theirs.String() + `"]}`
	post(visitor, "/v1/widget/messages", `{"client_id":"c3","text":""`+one, 201, "")
	post(visitor, "/v1/widget/frames", `{"t":"message.send","client_id":"c4"`+one, 200, "")
	post(stranger, "/v1/widget/messages", `{"client_id":"c5","text":""`+one, 400, conversation.CodeBadAttachment)
	post(visitor, "/v1/widget/messages", `{"client_id":"c6","text":""}`, 400, conversation.CodeEmptyText)
	post(mei, "/v1/conversations/"+id.String()+"/messages", `{"client_id":"k3","attachments":["`+ours.String()+`"]}`, 201, "")
	post(mei, "/v1/conversations/"+id.String()+"/notes", `{"client_id":"k4","text":"n","attachments":["`+ours.String()+`"]}`, 400, conversation.CodeBadAttachment)

	page := h.get(visitor, "/v1/widget/conversations/current/messages").json(t)
	rows, _ := page.at("data").([]any)
	with := 0
	for _, r := range rows {
		if files, _ := rowOf(t, r).at("attachments").([]any); len(files) == 1 {
			with++
		}
	}
	if with != 5 {
		t.Errorf("%d messages with a file are listed, want 5: %v", with, page)
	}
}

// TestPendingFilesSettleInLists: a list tells what became of a file that was
// still being fetched when the message came.
func TestPendingFilesSettleInLists(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.store.start("shop", conversation.ContactID{1})
	pending := conversation.Attachment{ID: conversation.AttachmentID{7}, Name: "v.ogg", State: conversation.AttachmentPending}
	seq := h.store.append(id, conversation.MessageAccepted{Ref: "m", Attachments: []conversation.Attachment{pending}})
	pending.State, pending.Reason = conversation.AttachmentUnavailable, "too_large"
	h.store.append(id, conversation.AttachmentChanged{Message: seq, Attachment: pending})
	rows, _ := h.get(h.agentToken("mei"), "/v1/conversations/"+id.String()+"/messages").json(t).at("data").([]any)
	last := rowOf(t, rows[len(rows)-1])
	files, _ := last.at("attachments").([]any)
	if len(files) != 1 || rowOf(t, files[0]).str("state") != "unavailable" || rowOf(t, files[0]).str("reason") != "too_large" {
		t.Errorf("the list shows %v", last)
	}
}
