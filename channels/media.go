package channels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// File is a file that rides on an [Event]. A driver that has the bytes in hand,
// as an e-mail's, sets Body; one that only has the provider's name for them sets
// Source and is a [Media]. In both cases that is all there is to do:
//
//	event.Files = append(event.Files, channels.File{Name: part.Filename, Type: part.Type, Body: body})
//
// The channel stores the bytes before the delivery is acknowledged, and the
// message carries them as its attachments. A file that is too large or of a kind
// that is not taken does not hold the message up: it is shown as unavailable,
// with the reason. An event with files may have an empty text.
type File struct {
	Name   string `json:"name,omitempty"`   // as the sender calls it, in UTF-8; the channel cleans it. Empty = made from Type
	Type   string `json:"type,omitempty"`   // media type as the sender says; what counts is what the bytes show
	Size   int64  `json:"size,omitempty"`   // as the provider says, where the bytes are not in hand; zero = not known
	Body   []byte `json:"body,omitempty"`   // nil = not in hand
	Source string `json:"source,omitempty"` // the provider's name for the bytes
}

// Media is a [Driver] whose provider carries files.
type Media interface {
	Driver
	// Fetch opens what the provider keeps under the Source of an event's [File].
	// The channel reads no more of it than a file may have, and closes it.
	//
	// Errors: [*SendError]; Permanent and Gone mean that it will never come, all
	// others that it is asked for again.
	Fetch(ctx context.Context, account conversation.InboxID, source string) (Fetched, error)
	// SendFile carries one file of a message, which is p.File, and gives the
	// provider's name for it. p.Text is empty.
	//
	// Errors: [ErrUseLink] for a kind of file that the provider does not carry,
	// else [*SendError].
	SendFile(ctx context.Context, p Part) (providerID string, err error)
}

// Fetched is a file as a provider gives it.
type Fetched struct {
	Body io.ReadCloser
	Name string // empty = as the event said
	Type string // as the provider says
	Said []byte // beside a status that is no success, what stood in the answer; there is no Body then
}

// OutFile is a file on its way to a provider.
type OutFile struct {
	conversation.Attachment

	Open func(ctx context.Context) (io.ReadSeeker, error) // the bytes
	Link string                                           // under which the provider can fetch it for a while; empty = there is none
}

// ErrUseLink says that a file should go as a link, because the provider does not
// carry its kind.
var ErrUseLink = errors.New("the provider does not carry this kind of file")

// Files keeps the bytes of attachments.
type Files interface {
	// Save stores a file. It returns when the bytes are durable; the same id and
	// bytes again change nothing.
	//
	// Errors: those of package conversation, with the code
	// [conversation.CodeTooLarge], [conversation.CodeMediaType] or
	// [conversation.CodeQuota] for a file that is not taken.
	Save(ctx context.Context, u conversation.Upload, body io.Reader) (conversation.Attachment, error)
	// Open opens the bytes of an attachment. Errors: class ErrNotFound.
	Open(ctx context.Context, a *conversation.Attachment) (io.ReadSeeker, error)
	// Link gives an address under which whoever has it can fetch a file for so
	// long; empty when the server has no public address.
	Link(id conversation.AttachmentID, now time.Time, life time.Duration) string
}

// Why an attachment is unavailable. The codes of [Files.Save] stand beside them.
const (
	reasonTooMany = "too_many"    // files on one message
	reasonNoFetch = "not_fetched" // the driver cannot fetch from this provider
)

// attach gives a message its files. Bytes in hand are stored first.
// Errors: only those that repeating the delivery can heal.
func (c *Channel) attach(ctx context.Context, in *conversation.Inbound, all []File) error {
	files := all
	if len(files) > conversation.MaxAttachments {
		files = files[:conversation.MaxAttachments-1]
	}
	for i := range files {
		a, err := c.attachment(ctx, in, &files[i], i)
		if err != nil {
			return fmt.Errorf("store file %d of %d: %w", i+1, len(files), err)
		}
		in.Attachments = append(in.Attachments, a)
	}
	if left := len(all) - len(files); left > 0 {
		in.Attachments = append(in.Attachments, conversation.Attachment{
			ID: fileID(c.Kind(), in, len(files)), Name: "+" + strconv.Itoa(left), State: conversation.AttachmentUnavailable, Reason: reasonTooMany,
		})
	}
	return nil
}

func (c *Channel) attachment(ctx context.Context, in *conversation.Inbound, f *File, i int) (conversation.Attachment, error) {
	a := conversation.Attachment{
		ID: fileID(c.Kind(), in, i), Name: nameOf(f), Type: mediaType(f.Type), Size: max(f.Size, 0), State: conversation.AttachmentUnavailable,
		Reason: reasonNoFetch,
	}
	if _, fetches := c.driver.(Media); f.Body == nil && f.Source != "" && fetches && c.shared.fetches() {
		a.State, a.Reason = conversation.AttachmentPending, ""
	}
	if f.Body == nil || c.shared.files == nil {
		return a, nil
	}
	saved, err := c.shared.files.Save(ctx, conversation.Upload{
		ID: a.ID, Inbox: in.Inbox, Contact: in.Contact, Name: a.Name, Declared: f.Type,
	}, bytes.NewReader(f.Body))
	switch code := conversation.CodeOf(err); {
	case err == nil:
		return saved, nil
	case notTaken(err):
		a.Size, a.Reason = int64(len(f.Body)), string(code)
		return a, nil
	}
	return a, err
}

// notTaken reports whether a file was refused for good.
func notTaken(err error) bool {
	switch conversation.CodeOf(err) { //nolint:exhaustive // the codes of Files.Save
	case conversation.CodeTooLarge, conversation.CodeMediaType, conversation.CodeQuota:
		return true
	}
	return errors.Is(err, conversation.ErrInvalid)
}

// fileID is the same for every delivery of a message, so that its files are
// stored once.
func fileID(kind conversation.ChannelKind, in *conversation.Inbound, i int) conversation.AttachmentID {
	if in.Ref == "" {
		return conversation.NewAttachmentID(time.Now())
	}
	h := sha256.New()
	for _, s := range []string{string(kind), string(in.Inbox), string(in.Channel), in.Peer, string(in.Ref), strconv.Itoa(i)} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return conversation.AttachmentID(h.Sum(nil)[:16])
}

// nameOf gives a file without a name one that says what it is.
func nameOf(f *File) string {
	if f.Name != "" {
		return conversation.CleanFileName(f.Name)
	}
	kind, _, _ := strings.Cut(mediaType(f.Type), "/")
	if kind != "image" && kind != "audio" && kind != "video" {
		kind = "file"
	}
	return kind
}

// mediaType gives a declared type without its parameters, or nothing for what is
// none.
func mediaType(declared string) string {
	t, _, err := mime.ParseMediaType(declared)
	if err != nil || len(t) > 100 {
		return ""
	}
	return t
}
