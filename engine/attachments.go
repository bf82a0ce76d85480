package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/colloquyhq/colloquy/attachments"
	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// AttachmentsConfig is which files messages may carry.
type AttachmentsConfig struct {
	MaxBytes   int64    `yaml:"max_bytes" help:"Of one file; at most 64 MiB."`
	DayBytes   int64    `yaml:"day_bytes" help:"Of one visitor's files in a day, as each node counts them."`
	TotalBytes int64    `yaml:"total_bytes" help:"Of all files together; beyond it no more are taken. 0 = no limit but the disk's."`
	WriteBytes int64    `yaml:"write_bytes_per_second" help:"Files go into the journal at this pace at most, so that messages do not wait for them."`
	Types      []string `yaml:"types" help:"Media types that are taken, as the bytes of a file show them; empty = pictures, sound, films, PDF, text and office documents without macros; * = all."`

	KeepMetadata bool `yaml:"keep_metadata" help:"JPEG, PNG, WebP and HEIC pictures keep what stands beside their pixels, such as the place where they were taken."`
}

func defaultAttachments() AttachmentsConfig {
	return AttachmentsConfig{MaxBytes: 10 << 20, DayBytes: 100 << 20, WriteBytes: 16 << 20}
}

func (c *AttachmentsConfig) validate(bad func(key, format string, args ...any)) {
	if c.MaxBytes < 1 || c.MaxBytes > 64<<20 {
		bad("attachments.max_bytes", "must be 1 to %d", 64<<20)
	}
	if c.DayBytes < 1 || c.TotalBytes < 0 || c.WriteBytes < attachments.ChunkBytes {
		bad("attachments", "day_bytes is above zero, total_bytes not below, and write_bytes_per_second at least %d", attachments.ChunkBytes)
	}
	if err := attachments.CheckTypes(c.Types); err != nil {
		bad("attachments.types", "%v", err)
	}
}

// checkPublicURL refuses what no provider could fetch from.
func checkPublicURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "an address such as https://support.example.com is needed"
	}
	return ""
}

// files is the store of attachments with its links, as [gateway.Attachments].
type files struct {
	*attachments.Store
	*attachments.Links
}

const linkKeyBytes = 32

func (e *Engine) openAttachments() error {
	c := &e.config.Attachments
	store, err := attachments.New(attachments.Options{
		Journal: blobs{e.store}, MaxBytes: c.MaxBytes, DayBytes: c.DayBytes, TotalBytes: c.TotalBytes, WriteBytesPerSec: c.WriteBytes,
		Types: c.Types, KeepMetadata: c.KeepMetadata, Registerer: e.registry,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	key, err := e.store.Secret(ctx, "file-links", linkKeyBytes)
	if err != nil {
		return err
	}
	e.files = files{store, attachments.NewLinks(key, strings.TrimRight(e.config.Gateway.PublicURL, "/"))}
	return nil
}

// blobs is the journal as [attachments.Journal].
type blobs struct{ *persistence.Store }

// OpenBlob implements [attachments.Journal].
func (b blobs) OpenBlob(ctx context.Context, blob string) (io.ReadSeeker, error) {
	return b.Store.OpenBlob(ctx, blob)
}

// docFetch is the kind of the documents that say what is to be fetched from
// providers.
const docFetch = "channel_file"

// spool is the journal as [channels.Spool].
type spool struct{ store *persistence.Store }

// PutFetch implements [channels.Spool].
func (s spool) PutFetch(ctx context.Context, f channels.Fetch) error {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode a file to fetch: %w", err)
	}
	_, err = s.store.PutDoc(ctx, docFetch, f.Attachment.ID.String(), 0, data)
	if errors.Is(err, conversation.ErrConflict) {
		return nil
	}
	return err
}

// DropFetch implements [channels.Spool].
func (s spool) DropFetch(ctx context.Context, id conversation.AttachmentID) error {
	err := s.store.DeleteDoc(ctx, docFetch, id.String(), 0)
	if errors.Is(err, conversation.ErrNotFound) {
		return nil
	}
	return err
}

// Forget implements [channels.Spool].
func (s spool) Forget(ctx context.Context, contact conversation.ContactID) error {
	_, err := s.store.Forget(ctx, contact)
	return err
}

// Fetches implements [channels.Spool].
func (s spool) Fetches(ctx context.Context, limit int) ([]channels.Fetch, error) {
	docs, err := s.store.Docs(ctx, docFetch)
	if err != nil {
		return nil, err
	}
	var out []channels.Fetch
	for _, d := range docs[:min(len(docs), limit)] {
		var f channels.Fetch
		if err := json.Unmarshal(d.Data, &f); err != nil {
			return nil, fmt.Errorf("file to fetch %s: %w", d.ID, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// linked is the webhook's driver as [gateway.Linked]: what comes in at the
// unified entrance takes the same road behind it as what a signed delivery brings.
type linked struct{ registry *channels.Registry }

// DeliverLinked implements [gateway.Linked].
func (l linked) DeliverLinked(ctx context.Context, in conversation.Inbound, files []gateway.LinkedFile) (conversation.Receipt, error) {
	links := make([]webhook.Link, len(files))
	for i, f := range files {
		links[i] = webhook.Link(f)
	}
	translated, err := webhook.Files(links)
	if err != nil {
		return conversation.Receipt{}, err
	}
	c, ok := l.registry.For(conversation.ChannelWebhook, in.Inbox)
	if !ok {
		return conversation.Receipt{}, conversation.Refuse(conversation.CodeNotFound, "there is no such inbox")
	}
	return c.HandIn(ctx, in, translated)
}

// fetches brings what visitors sent by providers that keep files: for the
// accounts that this node owns, and only while the journal takes writes (I15).
func (e *Engine) fetches(ctx context.Context) error {
	e.channels.FetchFiles(ctx, func(kind conversation.ChannelKind, inbox conversation.InboxID) bool {
		place := (&conversation.Account{Inbox: inbox, Kind: kind}).Place()
		return e.store.Leader() != "" && e.gate.Owns(cluster.GrainID{Kind: "account", ID: place})
	})
	return nil
}
