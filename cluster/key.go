package cluster

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of a cluster key.
const (
	minKeyBytes    = 32
	minKeyDistinct = 16 // different bytes; 32 random ones have about thirty
)

// hkdfSalt separates what is derived here from whatever else somebody may
// derive from the same key.
const hkdfSalt = "colloquy cluster v1"

// NewKey makes a cluster key, as text.
func NewKey() string {
	var b [minKeyBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// CheckKey refuses a cluster key that is too short or that anybody could guess.
// A key is text: 32 random bytes or more as hexadecimal or base64, or a longer
// secret in clear. Errors: class invalid, without the key in it.
func CheckKey(text string) error {
	_, err := keyBytes(text)
	return err
}

func keyBytes(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, &conversation.Error{
			Code: conversation.CodeInvalid, Detail: "a cluster needs a key",
			Hint: "put 32 random bytes as text into it, the same on every node, such as from: openssl rand -base64 32",
		}
	}
	key := decodeKey(text)
	switch {
	case len(key) < minKeyBytes:
		return nil, conversation.Refusef(conversation.CodeInvalid, "the cluster key holds %d bytes, it needs %d random ones", len(key), minKeyBytes)
	case distinct(key) < minKeyDistinct, repeats(key), climbs(key):
		return nil, conversation.Refuse(conversation.CodeInvalid, "the cluster key is a pattern, not 32 random bytes")
	}
	return key, nil
}

// decodeKey takes hexadecimal and base64 for what they stand for, so that half
// a key does not pass for a whole one.
func decodeKey(text string) []byte {
	if b, err := hex.DecodeString(text); err == nil {
		return b
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(text); err == nil {
			return b
		}
	}
	return []byte(text)
}

func distinct(b []byte) int {
	return len(slices.Compact(slices.Sorted(slices.Values(b))))
}

func repeats(b []byte) bool {
	for period := 1; period <= len(b)/2; period++ {
		if bytes.Equal(b[period:], b[:len(b)-period]) {
			return true
		}
	}
	return false
}

// climbs finds counting: most neighbours differ by the same step.
func climbs(b []byte) bool {
	steps := map[byte]int{}
	most := 0
	for i := 1; i < len(b); i++ {
		d := b[i] - b[i-1]
		steps[d]++
		most = max(most, steps[d])
	}
	return most > len(b)/2
}

// derive gives 32 bytes for one purpose in one cluster. The name is part of it,
// so that nodes of another cluster are strangers even with the same key.
func derive(key []byte, name, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, []byte(hkdfSalt), purpose+"\x00"+name, 32)
}
