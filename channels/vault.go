package channels

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	vaultVersion = 1
	vaultMinKey  = 32 // bytes of the text that the key is derived from
	vaultKeySize = 32
	vaultSalt    = "colloquy channel accounts v1"
)

// Vault encrypts the secrets of accounts, so that neither disk nor backup opens
// a provider's door. The nil Vault has no key and refuses.
type Vault struct{ aead cipher.AEAD }

// NewVault derives a vault's key from a text of at least 32 bytes, which should
// be random; an empty one gives the nil Vault.
// Errors: class [conversation.ErrInvalid], without the text in it.
func NewVault(key string) (*Vault, error) {
	if key == "" {
		return nil, nil //nolint:nilnil // a vault without a key is a nil one
	}
	if len(key) < vaultMinKey {
		return nil, conversation.Refusef(conversation.CodeInvalid, "%d characters are too few, a key has at least %d random ones", len(key), vaultMinKey)
	}
	derived, err := hkdf.Key(sha256.New, []byte(key), []byte(vaultSalt), "secrets", vaultKeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of channel accounts: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("derive the key of channel accounts: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("derive the key of channel accounts: %w", err)
	}
	return &Vault{aead: aead}, nil
}

func errNoKey() error {
	return &conversation.Error{
		Code: conversation.CodeUnavailable, Detail: "channels.key is not set, so secrets of accounts cannot be stored or read",
		Hint: "put 32 random bytes as text into it, the same on every node, such as from: openssl rand -base64 32",
	}
}

// Seal encrypts values for one place. Errors: class ErrUnavailable without a key.
func (v *Vault) Seal(place string, values map[string]string) ([]byte, error) {
	if v == nil {
		return nil, errNoKey()
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("seal an account: %w", err)
	}
	nonce := make([]byte, v.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out := append([]byte{vaultVersion}, nonce...)
	return v.aead.Seal(out, nonce, plain, []byte(place)), nil
}

// Open decrypts what Seal made for the same place.
// Errors: class ErrUnavailable without a key, or with another one.
func (v *Vault) Open(place string, sealed []byte) (map[string]string, error) {
	if v == nil {
		return nil, errNoKey()
	}
	head := 1 + v.aead.NonceSize()
	if len(sealed) < head || sealed[0] != vaultVersion {
		return nil, conversation.Refuse(conversation.CodeUnavailable, "the account's secrets were stored by a newer program")
	}
	plain, err := v.aead.Open(nil, sealed[1:head], sealed[head:], []byte(place))
	if err != nil {
		return nil, conversation.Refuse(conversation.CodeUnavailable, "channels.key is not the one that the account's secrets were stored with")
	}
	var values map[string]string
	if err := json.Unmarshal(plain, &values); err != nil {
		return nil, fmt.Errorf("open an account: %w", err)
	}
	return values, nil
}
