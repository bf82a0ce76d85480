package engine

import (
	"context"
	"io"
	"net/url"
	"strings"

	"github.com/colloquyhq/colloquy/attachments"
	"github.com/colloquyhq/colloquy/persistence"
)

// AttachmentsConfig is which files messages may carry.
type AttachmentsConfig struct {
	MaxBytes   int64    `yaml:"max_bytes" help:"Of one file; at most 64 MiB."`
	DayBytes   int64    `yaml:"day_bytes" help:"Of one visitor's files in a day, as each node counts them."`
	TotalBytes int64    `yaml:"total_bytes" help:"Of all files together; beyond it no more are taken. 0 = no limit but the disk's."`
	WriteBytes int64    `yaml:"write_bytes_per_second" help:"Files go into the journal at this pace at most, so that messages do not wait for them."`
	Types      []string `yaml:"types" help:"Media types that are taken, as the bytes of a file show them; empty = pictures, sound, films, PDF, text and office documents without macros; * = all."`
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
		Types: c.Types, Registerer: e.registry,
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
