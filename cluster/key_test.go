package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	good := NewKey()
	for name, c := range map[string]struct {
		key string
		ok  bool
	}{
		"made here":      {good, true},
		"with blanks":    {"  " + good + "\n", true},
		"hexadecimal":    {"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", true},
		"a long secret":  {"correct horse, battery staple! and forty more bytes", true},
		"none":           {"", false},
		"short":          {"hunter2", false},
		"half of hex":    {"9f86d081884c7d659a2feaa0c55ad015", false},
		"short base64":   {"QUJDREVGR0hJSktMTU5PUA==", false},
		"one letter":     {strings.Repeat("a", 64), false},
		"a repetition":   {strings.Repeat("secret!? x", 8), false},
		"counting":       {"0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ", false},
		"few characters": {"abcabbabcacbacbbabcbacbabcbacbacbacbabcbabcabcabcb, ab", false},
	} {
		err := CheckKey(c.key)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, conversation.ErrInvalid) {
			t.Errorf("%s: CheckKey = %v, want ok = %v or class invalid", name, err, c.ok)
		}
		if err != nil && c.key != "" && strings.Contains(err.Error(), c.key) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
}

func TestDerivedSecretsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, key := range []string{"one", "two"} {
		for _, name := range []string{"colloquy", "other"} {
			for _, purpose := range []string{"gossip", "authority"} {
				b, err := derive([]byte(key), name, purpose)
				if err != nil || len(b) != 32 {
					t.Fatalf("derive = %d bytes, %v, want 32", len(b), err)
				}
				if before, known := seen[string(b)]; known {
					t.Errorf("%s/%s/%s gives the same secret as %s", key, name, purpose, before)
				}
				seen[string(b)] = key + "/" + name + "/" + purpose
			}
		}
	}
}
