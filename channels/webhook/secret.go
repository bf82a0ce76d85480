package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	secretPrefix = "whsec_"
	secretLeast  = 24 // bytes; the standard's range
	secretMost   = 64
)

// Secret is a symmetric signing key. It never prints: formatting and logging
// give a placeholder.
type Secret struct{ key []byte }

// ParseSecret reads whsec_ and the base64 of 24 to 64 bytes.
// Errors: class [conversation.ErrInvalid]; they do not quote the secret.
func ParseSecret(s string) (Secret, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return Secret{}, conversation.Refuse(conversation.CodeInvalid, "a webhook secret begins with "+secretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Secret{}, conversation.Refuse(conversation.CodeInvalid, "a webhook secret is base64 after "+secretPrefix)
	}
	return NewSecret(key)
}

// NewSecret makes a secret of 24 to 64 random bytes.
// Errors: class [conversation.ErrInvalid].
func NewSecret(key []byte) (Secret, error) {
	if len(key) < secretLeast || len(key) > secretMost {
		return Secret{}, conversation.Refusef(
			conversation.CodeInvalid, "a webhook secret has %d to %d bytes, this one has %d", secretLeast, secretMost, len(key))
	}
	return Secret{key: append([]byte(nil), key...)}, nil
}

// Reveal gives the form that ParseSecret reads, to be shown to its owner.
func (s Secret) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key) }

// String implements [fmt.Stringer] without the secret.
func (s Secret) String() string { return secretPrefix + "…" }

// GoString implements [fmt.GoStringer] without the secret.
func (s Secret) GoString() string { return s.String() }

// Format implements [fmt.Formatter] without the secret, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue implements [slog.LogValuer] without the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Sign gives one signature of the webhook-signature list: v1, and the base64
// of the HMAC-SHA256 over id, timestamp and body.
//
// Source: Standard Webhooks 1.0.0, "Signature scheme".
func (s Secret) Sign(id string, at time.Time, body []byte) string {
	return signatureVersion + base64.StdEncoding.EncodeToString(s.sum(id, strconv.FormatInt(at.Unix(), 10), body))
}

func (s Secret) sum(id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	_, _ = mac.Write([]byte(id + "." + timestamp + "."))
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}
