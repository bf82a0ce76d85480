package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/colloquyhq/colloquy/conversation"
)

// The costs of argon2id: OWASP Password Storage Cheat Sheet, 19 MiB, two
// passes, one lane.
const (
	argonMemoryKiB = 19 << 10
	argonPasses    = 2
	argonLanes     = 1
	argonSaltBytes = 16
	argonKeyBytes  = 32

	// maxHashes bounds how many hashes are computed at a time, and with it the
	// memory that logins can claim.
	maxHashes = 2

	minPasswordRunes = 10
	maxPasswordBytes = 512
)

// HashPassword makes the PHC string of a password.
// Errors: class [conversation.ErrInvalid] for one that is too short or long.
func HashPassword(password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < minPasswordRunes || len(password) > maxPasswordBytes {
		return "", conversation.Refusef(conversation.CodeInvalid, "a password has at least %d characters and at most %d bytes", minPasswordRunes, maxPasswordBytes)
	}
	salt := make([]byte, argonSaltBytes)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonLanes, argonKeyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemoryKiB, argonPasses, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// phc is a parsed PHC string.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// Bounds of what a stored string may ask for; it is ours, but it is also data.
const (
	maxArgonMemoryKiB = 256 << 10
	maxArgonPasses    = 16
	maxArgonLanes     = 8
)

func parsePHC(s string) (phc, bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, false
	}
	var p phc
	for kv := range strings.SplitSeq(parts[3], ",") {
		k, v, _ := strings.Cut(kv, "=")
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return phc{}, false
		}
		switch k {
		case "m":
			p.memory = uint32(n)
		case "t":
			p.passes = uint32(n)
		case "p":
			p.lanes = uint8(min(n, maxArgonLanes+1))
		}
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	ok := err1 == nil && err2 == nil && len(p.salt) >= 8 && len(p.key) >= 16 && len(p.key) <= 64 &&
		p.memory >= 8 && p.memory <= maxArgonMemoryKiB && p.passes >= 1 && p.passes <= maxArgonPasses &&
		p.lanes >= 1 && p.lanes <= maxArgonLanes
	return p, ok
}

// checkPassword compares a password with a stored PHC string. It costs the
// same work when there is no account: then stored is empty and a throw-away
// hash is computed.
func (g *Gateway) checkPassword(ctx context.Context, stored, password string) (bool, error) {
	p, ok := parsePHC(stored)
	if !ok {
		p = phc{memory: argonMemoryKiB, passes: argonPasses, lanes: argonLanes, salt: make([]byte, argonSaltBytes), key: make([]byte, argonKeyBytes)}
	}
	if len(password) > maxPasswordBytes {
		password, ok = password[:maxPasswordBytes], false
	}
	select {
	case g.hashing <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-g.hashing }()
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key))) //nolint:gosec // 16 to 64
	return subtle.ConstantTimeCompare(key, p.key) == 1 && ok, nil
}
