// Package wxcrypt is how WeChat and WeCom sign and encrypt what they deliver.
//
// Source: https://developer.work.weixin.qq.com/document/path/90968.
package wxcrypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the protocol's
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	padBlock   = 32 // PKCS#7 over twice the cipher's block
	randomSize = 16
	headSize   = randomSize + 4 // and the length of the message
	skew       = 5 * time.Minute
)

// errCipher says nothing about why: whoever can tell the reasons apart can
// decrypt.
var errCipher = errors.New("not encrypted with this account's key")

// Signature is the hexadecimal SHA-1 of the parts, sorted and joined.
func Signature(parts ...string) string {
	parts = slices.Clone(parts)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // the protocol's
	return hex.EncodeToString(sum[:])
}

// Signed reports whether a signature is that of the parts.
func Signed(signature string, parts ...string) bool {
	return subtle.ConstantTimeCompare([]byte(signature), []byte(Signature(parts...))) == 1
}

// Fresh reports whether a signed time, in seconds, is that of now.
func Fresh(timestamp string, now time.Time) bool {
	n, err := strconv.ParseInt(timestamp, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == timestamp && now.Sub(time.Unix(n, 0)).Abs() <= skew
}

// Cipher encrypts and decrypts for one account.
type Cipher struct {
	key      []byte
	receiver string
}

// New makes a cipher of an EncodingAESKey, 43 characters, and the app or corp id.
// Errors do not hold the key.
func New(encodingKey, receiver string) (*Cipher, error) {
	// The last character may carry bits that no byte has, which strict decoders
	// refuse.
	key, err := base64.StdEncoding.DecodeString(encodingKey + "=")
	if err != nil || len(key) != 32 || len(encodingKey) != 43 {
		return nil, errors.New("an EncodingAESKey is 43 letters and digits")
	}
	return &Cipher{key: key, receiver: receiver}, nil
}

func (c *Cipher) block() cipher.Block {
	b, err := aes.NewCipher(c.key)
	if err != nil {
		panic(err) // of the size of a key that New has checked
	}
	return b
}

// Decrypt gives the message in an Encrypt field. It must be called only after
// the signature has been checked.
func (c *Cipher) Decrypt(encrypted string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil || len(b) < headSize || len(b)%aes.BlockSize != 0 {
		return nil, errCipher
	}
	cipher.NewCBCDecrypter(c.block(), c.key[:aes.BlockSize]).CryptBlocks(b, b)
	pad := int(b[len(b)-1])
	if pad < 1 || pad > padBlock || len(b) < headSize+pad {
		return nil, errCipher
	}
	b = b[:len(b)-pad]
	n := binary.BigEndian.Uint32(b[randomSize:headSize])
	rest := b[headSize:]
	if uint64(n) > uint64(len(rest)) || string(rest[n:]) != c.receiver {
		return nil, errCipher
	}
	return rest[:n], nil
}

// Encrypt makes an Encrypt field.
func (c *Cipher) Encrypt(message []byte) string {
	var random [randomSize]byte
	_, _ = rand.Read(random[:]) // never fails
	return c.encrypt(random, message)
}

func (c *Cipher) encrypt(random [randomSize]byte, message []byte) string {
	b := append([]byte(nil), random[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message))) //nolint:gosec // a message's length
	b = append(append(b, message...), c.receiver...)
	pad := padBlock - len(b)%padBlock
	b = append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(c.block(), c.key[:aes.BlockSize]).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}
