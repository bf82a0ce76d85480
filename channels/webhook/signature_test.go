package webhook_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
)

// The vector of the reference implementations' own tests.
const (
	goldenID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	goldenTime      = 1614265330
	goldenBody      = `{"test": 2432232314}`
	goldenSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSignGolden(t *testing.T) {
	got := secret(t, secretNew).Sign(goldenID, time.Unix(goldenTime, 0), []byte(goldenBody))
	if got != goldenSignature {
		t.Errorf("Sign = %s, want %s", got, goldenSignature)
	}
}

func header(id, timestamp, signature string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Set("webhook-signature", signature)
	return h
}

func TestVerify(t *testing.T) {
	now := time.Unix(goldenTime, 0)
	both := []webhook.Secret{secret(t, secretOld), secret(t, secretNew)}
	forged := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		name    string
		secrets []webhook.Secret
		header  http.Header
		now     time.Time
		ok      bool
	}{
		{"golden", both[1:], header(goldenID, "1614265330", goldenSignature), now, true},
		{"second secret", both, header(goldenID, "1614265330", goldenSignature), now, true},
		{"second signature", both, header(goldenID, "1614265330", forged+" "+goldenSignature), now, true},
		{"with an unknown version", both, header(goldenID, "1614265330", "v1a,abc v2,def "+goldenSignature), now, true},
		{"at the edge, late", both, header(goldenID, "1614265330", goldenSignature), now.Add(5 * time.Minute), true},
		{"at the edge, early", both, header(goldenID, "1614265330", goldenSignature), now.Add(-5 * time.Minute), true},
		{"too late", both, header(goldenID, "1614265330", goldenSignature), now.Add(5*time.Minute + time.Second), false},
		{"too early", both, header(goldenID, "1614265330", goldenSignature), now.Add(-5*time.Minute - time.Second), false},
		{"other secret", both[:1], header(goldenID, "1614265330", goldenSignature), now, false},
		{"no secret", nil, header(goldenID, "1614265330", goldenSignature), now, false},
		{"zero secret", []webhook.Secret{{}}, header(goldenID, "1614265330", zeroSigned()), now, false},
		{"only an unknown version", both, header(goldenID, "1614265330", "v1a"+goldenSignature[2:]), now, false},
		{"no version", both, header(goldenID, "1614265330", goldenSignature[3:]), now, false},
		{"comma instead of space", both, header(goldenID, "1614265330", forged+","+goldenSignature), now, false},
		{"other id", both, header("msg_other", "1614265330", goldenSignature), now, false},
		{"other time", both, header(goldenID, "1614265331", goldenSignature), now, false},
		{"plus sign", both, header(goldenID, "+1614265330", goldenSignature), now, false},
		{"fraction", both, header(goldenID, "1614265330.5", goldenSignature), now, false},
		{"overflow", both, header(goldenID, strings.Repeat("9", 30), goldenSignature), now, false},
		{"far past the bound on signatures", both, header(goldenID, "1614265330", strings.Repeat(forged+" ", 16)+goldenSignature), now, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := webhook.Verify(c.secrets, c.header, []byte(goldenBody), c.now)
			if c.ok && (err != nil || id != goldenID) {
				t.Errorf("Verify = %q, %v, want %q", id, err, goldenID)
			}
			if !c.ok && !errors.Is(err, conversation.ErrUnauthenticated) {
				t.Errorf("Verify error = %v, want class unauthenticated", err)
			}
		})
	}
}

// zeroSigned is what anybody can sign with the empty key.
func zeroSigned() string {
	return webhook.Secret{}.Sign(goldenID, time.Unix(goldenTime, 0), []byte(goldenBody))
}

// The signed content is id.timestamp.body. Were ids allowed to hold full
// stops, a body that quotes another one could be cut at a different place.
func TestVerifyKeepsTheFieldsApart(t *testing.T) {
	now := time.Unix(goldenTime, 0)
	s := secret(t, secretNew)
	tail := `.1614265330.{"user":"victim","text":"forged"}`
	signature := s.Sign("msg_1", now, []byte(`["a"]`+tail))
	_, err := webhook.Verify([]webhook.Secret{s},
		header(`msg_1.1614265330.["a"]`, "1614265330", signature), []byte(`{"user":"victim","text":"forged"}`), now)
	if !errors.Is(err, conversation.ErrUnauthenticated) {
		t.Errorf("Verify error = %v, want class unauthenticated", err)
	}
}

func TestParseSecret(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"golden", secretNew, true},
		{"64 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 64)), true},
		{"65 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), false},
		{"23 bytes", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)), false},
		{"no prefix", secretNew[6:], false},
		{"empty", "", false},
		{"prefix alone", "whsec_", false},
		{"not base64", "whsec_!!!!", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := webhook.ParseSecret(c.in)
			if c.ok != (err == nil) {
				t.Fatalf("ParseSecret error = %v, want ok = %v", err, c.ok)
			}
			if c.ok && s.Reveal() != c.in {
				t.Errorf("Reveal() = %q, want %q", s.Reveal(), c.in)
			}
		})
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	s := secret(t, secretNew)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "account", webhook.Account{Secrets: []webhook.Secret{s}})
	printed := fmt.Sprintf("%v %+v %#v %s %q %x %d %v", s, s, s, s, s, s, s, webhook.Account{Secrets: []webhook.Secret{s}})
	for where, text := range map[string]string{"log": log.String(), "format": printed} {
		for _, leak := range []string{secretNew[6:], "31f290f6", "49 242"} {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows the secret: %s", where, text)
			}
		}
	}
}
