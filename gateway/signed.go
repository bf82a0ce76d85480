package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxTokenBytes bounds a token before anything is computed over it.
const maxTokenBytes = 2048

// clockSkew is how far in the future a token may have been issued.
const clockSkew = time.Minute

// claims is what a signed token says. There is no algorithm field: a token
// cannot choose how it is checked.
type claims struct {
	Subject  string               `json:"sub"`
	Audience string               `json:"aud"`
	Key      string               `json:"kid"`
	Issued   int64                `json:"iat"`
	Expires  int64                `json:"exp"`
	Inbox    conversation.InboxID `json:"inbox,omitempty"`
	ID       string               `json:"jti,omitempty"`
	Epoch    uint64               `json:"epoch,omitempty"`
	Began    int64                `json:"began,omitempty"` // when the session was first opened
}

// signer makes and checks tokens of one audience: prefix, claims and an
// HMAC-SHA256 over both, joined by a dot.
type signer struct {
	prefix   string
	audience string
	keyID    string
	key      []byte
}

func newSigner(prefix, audience string, key []byte) *signer {
	sum := sha256.Sum256(key)
	return &signer{prefix: prefix, audience: audience, keyID: hex.EncodeToString(sum[:4]), key: key}
}

func (s *signer) sign(c claims) (string, error) {
	c.Audience, c.Key = s.audience, s.keyID
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	head := s.prefix + base64.RawURLEncoding.EncodeToString(body)
	return head + "." + base64.RawURLEncoding.EncodeToString(s.mac(head)), nil
}

func (s *signer) mac(head string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(s.audience))
	h.Write([]byte{0})
	h.Write([]byte(head))
	return h.Sum(nil)
}

// check verifies a token. An expired one gives its claims together with
// [conversation.CodeTokenExpired], for those who renew tokens.
//
// Errors: class [conversation.ErrUnauthenticated].
func (s *signer) check(token string, now time.Time) (claims, error) {
	var c claims
	if len(token) > maxTokenBytes || !strings.HasPrefix(token, s.prefix) {
		return c, errBadToken()
	}
	head, tag, ok := strings.Cut(token, ".")
	if !ok {
		return c, errBadToken()
	}
	// Strict: no two spellings of one token.
	mac, err := base64.RawURLEncoding.Strict().DecodeString(tag)
	if err != nil || !hmac.Equal(mac, s.mac(head)) {
		return c, errBadToken()
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(head[len(s.prefix):])
	if err != nil || json.Unmarshal(body, &c) != nil {
		return claims{}, errBadToken()
	}
	if c.Audience != s.audience || c.Key != s.keyID || c.Expires == 0 || time.Unix(c.Issued, 0).After(now.Add(clockSkew)) {
		return claims{}, errBadToken()
	}
	if !now.Before(time.Unix(c.Expires, 0)) {
		return c, conversation.Refuse(conversation.CodeTokenExpired, "the token has expired")
	}
	return c, nil
}

func errBadToken() error {
	return conversation.Refuse(conversation.CodeUnauthenticated, "the credential is not valid")
}
