package channels_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

func vault(t *testing.T, key string) *channels.Vault {
	t.Helper()
	v, err := channels.NewVault(key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVault(t *testing.T) {
	key := strings.Repeat("k3y-", 8)
	v, values := vault(t, key), map[string]string{"token": "canary-7f3a9c", "secret": "密"}
	sealed, err := v.Seal("telegram/shop", values)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("what is sealed can be read")
	}
	if got, err := vault(t, key).Open("telegram/shop", sealed); err != nil || !maps.Equal(got, values) {
		t.Errorf("Open = %v, %v, want what was sealed", got, err)
	}
	again, err := v.Seal("telegram/shop", values)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same values are sealed the same twice, or %v", err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, open := range map[string]func() (map[string]string, error){
		"another place": func() (map[string]string, error) { return v.Open("telegram/desk", sealed) },
		"another key":   func() (map[string]string, error) { return vault(t, key+"x").Open("telegram/shop", sealed) },
		"no key":        func() (map[string]string, error) { return vault(t, "").Open("telegram/shop", sealed) },
		"one bit":       func() (map[string]string, error) { return v.Open("telegram/shop", flipped) },
		"cut":           func() (map[string]string, error) { return v.Open("telegram/shop", sealed[:5]) },
		"nothing":       func() (map[string]string, error) { return v.Open("telegram/shop", nil) },
	} {
		if got, err := open(); !errors.Is(err, conversation.ErrUnavailable) || got != nil {
			t.Errorf("%s: Open = %v, %v, want class unavailable", name, got, err)
		}
	}
	if _, err := channels.NewVault("short"); !errors.Is(err, conversation.ErrInvalid) || strings.Contains(err.Error(), "short") {
		t.Errorf("NewVault of a short key = %v, want invalid without the key", err)
	}
}

func TestAccountDoesNotPrint(t *testing.T) {
	a := channels.NewAccount("1", map[string]string{"token": "canary"})
	if s := fmt.Sprintf("%v %+v %#v %s %q %v", a, a, a, a, a, []channels.Account{a}); strings.Contains(s, "canary") {
		t.Errorf("the account prints %s", s)
	}
	if a.Value("token") != "canary" || a.Or("api", "x") != "x" || a.Or("token", "x") != "canary" {
		t.Error("the account has other values than it was made of")
	}
}
