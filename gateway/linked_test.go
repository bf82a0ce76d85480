package gateway

import (
	"context"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// linkBook remembers what files came with messages.
type linkBook struct {
	store *memoryStore
	files [][]LinkedFile
}

// DeliverLinked implements [Linked].
func (b *linkBook) DeliverLinked(ctx context.Context, in conversation.Inbound, files []LinkedFile) (conversation.Receipt, error) {
	b.files = append(b.files, files)
	return b.store.Deliver(ctx, in)
}

// A message of files needs no text, and files are not let in where nobody
// fetches them.
func TestWebhookAttachments(t *testing.T) {
	t.Parallel()
	book := &linkBook{}
	h := start(t, func(o *Options) { o.Linked = book })
	book.store = h.store
	token, _ := h.inboxToken("shop")
	file := `{"url":"https://files.example.com/a.png","name":"a.png","type":"image/png"}`
	h.want(h.do(hook(token, `{"user":"u","id":"m1","attachments":[`+file+`]}`)), 202, "")
	h.want(h.do(hook(token, `{"user":"u","id":"m2","text":" ","attachments":[`+file+`]}`)), 202, "")
	h.want(h.do(hook(token, `{"user":"u","id":"m3","text":"look","attachments":[`+file+`]}`)), 202, "")
	if len(book.files) != 3 || book.files[0][0] != (LinkedFile{URL: "https://files.example.com/a.png", Name: "a.png", Type: "image/png"}) {
		t.Fatalf("files %+v", book.files)
	}
	for i, want := range []conversation.Text{"", "", "look"} {
		if got := h.store.inbounds[i].Text; got != want {
			t.Errorf("message %d has the text %q, want %q", i, got, want)
		}
	}
	for _, tc := range []struct {
		name, body string
		code       conversation.Code
	}{
		{"no files and no text", `{"user":"u","attachments":[]}`, conversation.CodeEmptyText},
		{"null", `{"user":"u","attachments":null}`, conversation.CodeEmptyText},
		{"an object", `{"user":"u","attachments":` + file + `}`, conversation.CodeBadJSON},
		{"addresses alone", `{"user":"u","attachments":["https://files.example.com/a.png"]}`, conversation.CodeBadJSON},
		{"too many", `{"user":"u","text":"x","attachments":[` + strings.Repeat(file+",", conversation.MaxAttachments) + file + `]}`, conversation.CodeBadAttachment},
		{"NUL in the text", `{"user":"u","text":"a\u0000","attachments":[` + file + `]}`, conversation.CodeBadText},
	} {
		h.want(h.do(hook(token, tc.body)), 400, tc.code)
	}
	if len(h.store.inbounds) != 3 {
		t.Errorf("%d messages were delivered, want 3", len(h.store.inbounds))
	}
	plain := start(t)
	token, _ = plain.inboxToken("shop")
	plain.want(plain.do(hook(token, `{"user":"u","text":"x","attachments":[`+file+`]}`)), 400, conversation.CodeBadAttachment)
}
