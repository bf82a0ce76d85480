package webhook

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Tolerance is how far the clock of a sender may be off, each way.
const Tolerance = 5 * time.Minute

const (
	signatureVersion = "v1,"
	maxSignatures    = 16
	// maxID leaves room for the place in a batch, which is added to the id.
	maxID = conversation.MaxRefBytes - 4
)

// Verify checks the signature of a delivery against the account's secrets and
// gives its id. The id is unique to the message and stays the same when the
// sender repeats it.
//
// Errors: class [conversation.ErrUnauthenticated].
func Verify(secrets []Secret, h http.Header, body []byte, now time.Time) (string, error) {
	id, timestamp, list := h.Get(HeaderID), h.Get(HeaderTimestamp), h.Get(HeaderSignature)
	if id == "" || timestamp == "" || list == "" {
		return "", refused("webhook-id, webhook-timestamp and webhook-signature are required")
	}
	if !plainID(id) {
		return "", refused("webhook-id is 1 to 124 printable characters without full stop and space")
	}
	at, ok := parseTimestamp(timestamp)
	if !ok {
		return "", refused("webhook-timestamp is not a number of seconds since 1970")
	}
	if off := now.Sub(at); off > Tolerance || off < -Tolerance {
		return "", refused("webhook-timestamp is more than 5 minutes off; check the sender's clock")
	}
	if !signedByAny(secrets, id, timestamp, list, body) {
		return "", refused("no signature in webhook-signature fits; sign the raw bytes of the body")
	}
	return id, nil
}

func refused(detail string) error {
	return conversation.Refuse(conversation.CodeUnauthenticated, detail)
}

// plainID keeps the full stop out of ids: it separates the signed fields, and
// with one inside, part of a body could pass for a timestamp.
func plainID(id string) bool {
	if len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return true
}

// parseTimestamp takes plain digits only, so that one moment has one spelling.
func parseTimestamp(s string) (time.Time, bool) {
	if len(s) > 12 || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(n, 0), err == nil
}

// signedByAny compares every signature of a known version with every secret,
// in constant time. Two secrets are normal while one is being replaced.
func signedByAny(secrets []Secret, id, timestamp, list string, body []byte) bool {
	var given [][]byte
	for s := range strings.SplitSeq(list, " ") {
		encoded, ok := strings.CutPrefix(s, signatureVersion)
		if !ok || len(given) == maxSignatures {
			continue
		}
		if sum, err := base64.StdEncoding.Strict().DecodeString(encoded); err == nil {
			given = append(given, sum)
		}
	}
	if len(given) == 0 {
		return false
	}
	found := false
	for _, secret := range secrets {
		if len(secret.key) < secretLeast {
			continue // the zero Secret signs nothing
		}
		want := secret.sum(id, timestamp, body)
		for _, sum := range given {
			found = hmac.Equal(sum, want) || found
		}
	}
	return found
}
