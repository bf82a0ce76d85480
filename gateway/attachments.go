package gateway

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// Attachments keeps the files that ride on messages.
type Attachments interface {
	// Save takes a file in and returns when it is durable. Errors: those of package
	// conversation.
	Save(ctx context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error)
	// Find gives what is known of a file, whichever node took it. Errors: class
	// [conversation.ErrNotFound].
	Find(ctx context.Context, id conversation.AttachmentID) (conversation.File, error)
	// Open opens the bytes. Errors: class [conversation.ErrNotFound].
	Open(ctx context.Context, a *conversation.Attachment) (io.ReadSeeker, error)
	// MaxBytes says how large a file may be.
	MaxBytes() int64
	// CheckLink refuses a signed link that is not valid, or no longer. Errors: class
	// [conversation.ErrNotFound].
	CheckLink(id conversation.AttachmentID, until, signature string, now time.Time) error
}

const (
	uploadBody     = 65 << 20        // the largest file that can be configured, and what a form adds
	transferWithin = 5 * time.Minute // for a file to come or go; slower clients lose it
	fileField      = "file"          // of a form
)

// fileLimits is what a page is told before anybody chooses a file.
type fileLimits struct {
	MaxBytes int64 `json:"max_bytes"`
}

// fileLimits gives nil where no files are kept.
func (g *Gateway) fileLimits() *fileLimits {
	if g.opts.Attachments == nil {
		return nil
	}
	return &fileLimits{MaxBytes: g.opts.Attachments.MaxBytes()}
}

// withFiles is for routes that only exist where files are kept.
func withFiles(h handler) handler {
	return needing(func(o *Options) bool { return o.Attachments != nil }, conversation.Refuse(conversation.CodeNotFound, "this server keeps no files"), h)
}

// uploadAsVisitor takes a file that a visitor is going to send.
func (g *Gateway) uploadAsVisitor(w http.ResponseWriter, r *http.Request, who caller) error {
	v := who.visitor
	if wait, ok := g.uploadsByContact.take(v.key(), time.Now()); !ok {
		return errUploads(wait)
	}
	return g.upload(w, r, conversation.Upload{Inbox: v.inbox, Contact: v.contact})
}

// uploadAsAgent takes a file that an agent is going to send to a conversation.
func (g *Gateway) uploadAsAgent(w http.ResponseWriter, r *http.Request, who caller) error {
	head, err := g.pathConversation(r, who)
	if err != nil {
		return err
	}
	me := who.agent.agent.ID
	if wait, ok := g.uploadsByAgent.take(me, time.Now()); !ok {
		return errUploads(wait)
	}
	return g.upload(w, r, conversation.Upload{Inbox: head.Inbox, Contact: head.Contact, Agent: me, Conversation: head.ID})
}

func errUploads(wait time.Duration) error {
	return &conversation.Error{Code: conversation.CodeRateLimited, Detail: "too many files in a short time", After: wait}
}

func (g *Gateway) upload(w http.ResponseWriter, r *http.Request, u conversation.Upload) error {
	ctx, cancel := transfer(w, r)
	defer cancel()
	body, err := fileIn(r, &u)
	if err != nil {
		return err
	}
	a, err := g.opts.Attachments.Save(ctx, u, body)
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, wire.AttachmentOf(&a))
}

// transfer gives a request the time that a file may take, which is more than
// others have. What the connection allows is set where it can be.
func transfer(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	control := http.NewResponseController(w)
	until := time.Now().Add(transferWithin)
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(until.Add(bodyTimeout))
	return context.WithDeadline(context.WithoutCancel(r.Context()), until)
}

// fileIn finds the file in a request: the field "file" of a form, or the whole
// body with its name in the query.
func fileIn(r *http.Request, u *conversation.Upload) (io.Reader, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, conversation.Refuse(conversation.CodeInvalid, "compressed bodies are not taken")
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "multipart/form-data" {
		u.Name, u.Declared = r.URL.Query().Get("name"), r.Header.Get("Content-Type")
		return r.Body, nil
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, errForm(err)
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, errForm(err)
		}
		if part.FormName() == fileField {
			u.Name, u.Declared = part.FileName(), part.Header.Get("Content-Type")
			return part, nil
		}
	}
}

func errForm(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return err
	}
	return conversation.Refuse(conversation.CodeInvalid, `the form has no file under the name "file"`)
}

// downloadAsVisitor gives a visitor a file of theirs.
func (g *Gateway) downloadAsVisitor(w http.ResponseWriter, r *http.Request, who caller) error {
	v := who.visitor
	return g.download(w, r, func(f *conversation.File) bool {
		return f.Inbox == v.inbox && f.Contact == v.contact && (f.Sent || f.Agent == "")
	})
}

// downloadAsAgent gives an agent a file of an inbox that they may see.
func (g *Gateway) downloadAsAgent(w http.ResponseWriter, r *http.Request, who caller) error {
	me := &who.agent.agent
	return g.download(w, r, func(f *conversation.File) bool {
		return me.MaySee(f.Inbox) && (f.Sent || f.Agent == me.ID)
	})
}

// downloadByLink gives a file to whoever has a signed link: providers that fetch
// by themselves, and visitors whose provider carries no files.
func (g *Gateway) downloadByLink(w http.ResponseWriter, r *http.Request, _ caller) error {
	id, err := conversation.ParseAttachmentID(r.PathValue("attachment"))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if err := g.opts.Attachments.CheckLink(id, q.Get("until"), q.Get("signature"), time.Now()); err != nil {
		return err
	}
	return g.download(w, r, func(f *conversation.File) bool { return f.Sent })
}

// download gives a file to who may have it. One that is not there and one that is
// somebody else's are the same error.
func (g *Gateway) download(w http.ResponseWriter, r *http.Request, may func(*conversation.File) bool) error {
	id, err := conversation.ParseAttachmentID(r.PathValue("attachment"))
	if err != nil {
		return err
	}
	ctx, cancel := transfer(w, r)
	defer cancel()
	f, err := g.opts.Attachments.Find(ctx, id)
	if err == nil && !may(&f) {
		err = conversation.ErrNotFound
	}
	if errors.Is(err, conversation.ErrNotFound) {
		return conversation.Refuse(conversation.CodeNotFound, "there is no such file")
	}
	if err != nil {
		return err
	}
	content, err := g.opts.Attachments.Open(ctx, &f.Attachment)
	if err != nil {
		return err
	}
	fileHeaders(w.Header(), &f.Attachment)
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// fileHeaders keeps a browser from taking a file for anything but what it is, and
// from running anything in it.
func fileHeaders(h http.Header, a *conversation.Attachment) {
	kind := a.Type
	if strings.HasPrefix(kind, "text/") {
		kind += "; charset=utf-8"
	}
	way := "attachment"
	if shownInline(a.Type) {
		way = "inline"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", mime.FormatMediaType(way, map[string]string{"filename": a.Name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "private, max-age=86400, immutable")
	h.Set("ETag", `"`+a.ID.String()+`"`)
}

// shownInline lists what a browser shows or plays and never runs.
func shownInline(kind string) bool {
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "audio/mpeg", "audio/ogg", "audio/mp4", "audio/wave", "audio/webm",
		"video/mp4", "video/webm", "video/ogg":
		return true
	}
	return false
}

// visitorFiles finds the files that a visitor sends: their own ones.
func (g *Gateway) visitorFiles(ctx context.Context, v *visitorID, ids []conversation.AttachmentID) ([]conversation.Attachment, error) {
	return g.filesOf(ctx, ids, func(f *conversation.File) bool {
		return f.Inbox == v.inbox && f.Contact == v.contact && f.Agent == ""
	})
}

// agentFiles finds the files that an agent sends to a conversation: those that
// they handed in for it.
func (g *Gateway) agentFiles(
	ctx context.Context, me conversation.AgentID, to conversation.ConversationID, ids []conversation.AttachmentID,
) ([]conversation.Attachment, error) {
	return g.filesOf(ctx, ids, func(f *conversation.File) bool { return f.Agent == me && f.Conversation == to })
}

func (g *Gateway) filesOf(
	ctx context.Context, ids []conversation.AttachmentID, mine func(*conversation.File) bool,
) ([]conversation.Attachment, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if g.opts.Attachments == nil || len(ids) > conversation.MaxAttachments {
		return nil, conversation.Refusef(conversation.CodeBadAttachment, "a message carries at most %d files that were handed in before", conversation.MaxAttachments)
	}
	out := make([]conversation.Attachment, 0, len(ids))
	for _, id := range ids {
		f, err := g.opts.Attachments.Find(ctx, id)
		if errors.Is(err, conversation.ErrNotFound) || err == nil && !mine(&f) {
			return nil, conversation.Refusef(conversation.CodeBadAttachment, "%s is no file that you handed in, or not any more", id)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, f.Attachment)
	}
	return out, nil
}

// checkSaid is checkText for a message that may hold files only.
func checkSaid(t conversation.Text, files int) error {
	if t == "" && files > 0 {
		return nil
	}
	return checkText(t)
}
