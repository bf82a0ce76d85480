package wxcrypt

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels/channeltest"
)

const (
	keyA   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	keyB   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	corpB  = "wx5823bf96d3bd56c7"
	echoB  = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
	postB  = "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
	postC  = "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXpbUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlpKn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
	keyE   = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	appE   = "wx134c8103faa5a59e"
	postE  = "D7yzvUNAL930rd28wf21s4hvXhz0L6Uit/p2Di6C5DHyYGpEgdBRnKjBec34JwoQXicwaZC7fOVihW80F4VtsdvE//1vr7oAbqjDv8KenVp+ajKYpJnyQ4zMRhIC+a31fCVOMC03FfzV/QuC94kBP55a+Za3sJgvAn+ZbsNqZI5DkyuzkhQN8OBqCzFhizGmy0xpM0MEA4agpvE+RuNO1rhHTtuJB5yltw1FiYzecSXJ+y/D2r81VkRn2eYjh2ltsoyfbDR7Is6ookXIFxTfyeNyeHxMeT4KN5WpCDmSbTcUYrbBUlkGLJ9n/rU8YOywma6G7aTb7KZKOqCxgfoUlYEZPk4FUL/TK7ShriFDMVCLyjQJ15Ob++agDWtcxhfUfe6HIoIpRW8mKNBQiY/Jd1svvuskA1wLef1RTtzKfMpagSCX/laZINmdnX4zrF6kIaR9P4xQrWXbsTFHTYe0Mg=="
	replyE = "hE8R6mGXHkJJjU72KxzKUd1GEkKJaEZq7vRL8XgK3o+00k8JGq6+pZJUIlTSyhsX+bxIBQ72g3GyvDdIZcr6+3HAZbSvPT9t/o11MI7d6WELwqrGd7jMnV0zv3Zc9Nq7"
	plainE = "<xml><demo_resp>[CDATA[good luck]]</demo_resp></xml>"
	plainA = "我是中文abcd123"
)

func cipherOf(t *testing.T, key, receiver string) *Cipher {
	t.Helper()
	c, err := New(key, receiver)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The vectors of the providers' own sample programs, and E of WeChat's documentation.
func TestVectors(t *testing.T) {
	a := cipherOf(t, keyA, "wxb11529c136998cb6")
	const want = "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="
	if got := a.encrypt([16]byte([]byte("aaaabbbbccccdddd")), []byte(plainA)); got != want {
		t.Errorf("encrypt = %s, want %s", got, want)
	}
	e := cipherOf(t, keyE, appE)
	if got := e.encrypt([16]byte([]byte("999951349e8ee746")), []byte(plainE)); got != replyE {
		t.Errorf("encrypt = %s, want %s", got, replyE)
	}
	for _, c := range []struct {
		name, key, receiver, encrypted, token, timestamp, nonce, signature, want string
	}{
		{"A", keyA, "wxb11529c136998cb6", want, "", "", "", "", plainA},
		{"B echo", keyB, corpB, echoB, "QDG6eK", "1409659589", "263014780", "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "1616140317555161061"},
		{"B post", keyB, corpB, postB, "QDG6eK", "1409659813", "1372623149", "477715d11cdb4164915debcba66cb864d751f3e6", "<Content><![CDATA[hello]]></Content>\n<MsgId>4561255354251345929</MsgId>"},
		{"C", keyA, "wx2c2769f8efd9abc2", postC, "spamtest", "1409735669", "1320562132", "5d197aaffba7e9b25a30732f161a50dee96bd5fa", "<Content><![CDATA[abcdteT]]></Content>"},
		{"E post", keyE, appE, postE, "AAAAA", "1715943329", "1590219412", "6c12a4205838198b8fa631b3220723bb07f1015c", "debug_demo"},
		{"E reply", keyE, appE, replyE, "AAAAA", "1713424427", "415670741", "03e0812039325c2712ef5f0f980fd14c70d6e307", plainE},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.signature != "" && !Signed(c.signature, c.token, c.timestamp, c.nonce, c.encrypted) {
				t.Errorf("Signature = %s, want %s", Signature(c.token, c.timestamp, c.nonce, c.encrypted), c.signature)
			}
			got, err := cipherOf(t, c.key, c.receiver).Decrypt(c.encrypted)
			if err != nil || !strings.Contains(string(got), c.want) {
				t.Errorf("Decrypt = %s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestDecryptRefuses(t *testing.T) {
	c := cipherOf(t, keyB, corpB)
	b, err := base64.StdEncoding.DecodeString(echoB)
	if err != nil {
		t.Fatal(err)
	}
	again := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	// A length that leads out of the message, rightly encrypted and padded.
	long := append(bytes.Repeat([]byte{1}, 16), 0xff, 0xff, 0xff, 0xff)
	long = append(long, bytes.Repeat([]byte{12}, 12)...)
	cipher.NewCBCEncrypter(c.block(), c.key[:16]).CryptBlocks(long, long)
	for name, encrypted := range map[string]string{
		"nothing": "", "no base64": "%%%", "half a block": again(b[:40]), "one block": again(b[:16]), "cut": again(b[:32]),
		"length too large": again(long),
		"wrong receiver":   cipherOf(t, keyB, "wx5823bf96d3bd56c8").Encrypt([]byte("x")),
		"wrong key":        cipherOf(t, keyA, corpB).Encrypt([]byte("x")),
	} {
		if got, err := c.Decrypt(encrypted); !errors.Is(err, errCipher) {
			t.Errorf("%s: Decrypt = %q, %v, want an error", name, got, err)
		}
	}
	for i := range b { // of every byte, the first bit: no panic whatever comes out
		flipped := append([]byte(nil), b...)
		flipped[i] ^= 0x80
		_, _ = c.Decrypt(again(flipped))
	}
}

func TestRoundTrip(t *testing.T) {
	c := cipherOf(t, keyB, corpB)
	for n := range 100 {
		text := strings.Repeat("字", n)
		if got, err := c.Decrypt(c.Encrypt([]byte(text))); err != nil || string(got) != text {
			t.Errorf("Decrypt(Encrypt) of %d characters = %q, %v", n, got, err)
		}
	}
	if one, two := c.Encrypt(nil), c.Encrypt(nil); one == two {
		t.Error("the same message is encrypted the same twice")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, key := range []string{"", keyA + "x", keyA[:42], strings.Repeat("%", 43)} {
		if _, err := New(key, "x"); err == nil || key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("New(%q) = %v, want an error without the key", key, err)
		}
	}
}

func TestFresh(t *testing.T) {
	now := time.Unix(1409659589, 0)
	for s, want := range map[string]bool{
		"1409659589": true, "1409659289": true, "1409659288": false, "1409659889": true, "1409659890": false,
		"+1409659589": false, "01409659589": false, "": false, "x": false, "99999999999999999999": false,
	} {
		if Fresh(s, now) != want {
			t.Errorf("Fresh(%q) = %v, want %v", s, !want, want)
		}
	}
}

// Both ciphers that others published understand ours, and we theirs.
func TestAgainstOtherPeoplesCiphers(t *testing.T) {
	c := cipherOf(t, keyB, corpB)
	texts := []string{"", plainA, strings.Repeat("长文", 2000), "<xml>&]]></xml>"}
	input := []string{keyB, corpB, "QDG6eK"}
	for _, text := range texts {
		input = append(input, c.Encrypt([]byte(text)))
	}
	lines := channeltest.Node(t, "wxcrypt.mjs", input...)
	if len(lines) != 2*len(texts) {
		t.Fatalf("%d lines, want two for each of %d texts", len(lines), len(texts))
	}
	for i, line := range lines {
		text := texts[i/2]
		words := strings.Fields(line) // name, what it read in base64, what it wrote, its signature
		if len(words) == 3 {
			words = []string{words[0], "", words[1], words[2]} // the empty text
		}
		read, err := base64.StdEncoding.DecodeString(words[1])
		if err != nil || string(read) != text {
			t.Errorf("%s reads %d bytes of ours, want %d (%v)", words[0], len(read), len(text), err)
		}
		if got, err := c.Decrypt(words[2]); err != nil || string(got) != text {
			t.Errorf("we read %d bytes of %s, want %d (%v)", len(got), words[0], len(text), err)
		}
		if !Signed(words[3], "QDG6eK", "1409659589", "263014780", words[2]) {
			t.Errorf("the signature of %s is another", words[0])
		}
	}
}
