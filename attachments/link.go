package attachments

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Links signs addresses under which whoever has one can fetch a file for a while:
// providers that fetch by themselves, and visitors whose provider carries no
// files.
type Links struct {
	key  []byte
	base string // address of this service, without a slash at the end; empty = none
}

// NewLinks makes links with a key, below the public address of the service.
func NewLinks(key []byte, base string) *Links { return &Links{key: key, base: base} }

// LinkPath is where signed links lead; the id follows.
const LinkPath = "/v1/files/"

// Link gives a link to a file that is good for so long; empty when the service has
// no public address.
func (l *Links) Link(id conversation.AttachmentID, now time.Time, life time.Duration) string {
	if l.base == "" {
		return ""
	}
	until := strconv.FormatInt(now.Add(life).Unix(), 10)
	return l.base + LinkPath + id.String() + "?until=" + until + "&signature=" + l.sign(id, until)
}

// CheckLink refuses a link that was not made here, or whose time is over: in the same
// words, so that nobody learns which files there are. Errors: class ErrNotFound.
func (l *Links) CheckLink(id conversation.AttachmentID, until, signature string, now time.Time) error {
	seconds, err := strconv.ParseInt(until, 10, 64)
	good := hmac.Equal([]byte(signature), []byte(l.sign(id, until)))
	if err != nil || !good || now.Unix() >= seconds {
		return conversation.Refuse(conversation.CodeNotFound, "the link is not valid, or no longer")
	}
	return nil
}

func (l *Links) sign(id conversation.AttachmentID, until string) string {
	mac := hmac.New(sha256.New, l.key)
	_, _ = mac.Write(id[:])
	_, _ = mac.Write([]byte(until))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
