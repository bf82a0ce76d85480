package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// adminOf runs a node with an inbox and gives its address and an admin's token.
func adminOf(t *testing.T) (address, token string) {
	t.Helper()
	c := engine.DefaultConfig()
	c.DataDir, c.Listen, c.OpsListen = t.TempDir(), "127.0.0.1:0", ""
	c.Channels.Key = strings.Repeat("0123456789abcdef", 2)
	c.Egress.AllowedCIDRs = []string{"127.0.0.0/8"}
	e, err := engine.New(engine.Options{Config: c, LogTo: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-e.Ready():
	case <-time.After(patience):
		t.Fatal("the node did not get ready")
	}
	if _, err := e.Store().PutInbox(t.Context(), conversation.Inbox{ID: "shop", Name: "Shop", Lang: "en"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Store().PutAgent(t.Context(), conversation.Agent{ID: "root", Name: "Root", Email: "root@example.com", Role: conversation.RoleAdmin}); err != nil {
		t.Fatal(err)
	}
	token, err = engine.PutToken(t.Context(), e.Store(), persistence.Credential{
		ID: "root", Kind: persistence.CredentialKind(gateway.CredentialAgent), Agent: "root",
	})
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + e.Addr(), token
}

func TestChannelCommands(t *testing.T) {
	t.Parallel()
	bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bot1:right/getMe":
			_, _ = io.WriteString(w, `{"ok":true,"result":{"username":"shop_bot"}}`)
		case "/bot1:right/getUpdates":
			_, _ = io.WriteString(w, `{"ok":true,"result":[]}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(bot.Close)
	address, token := adminOf(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"admin": token + "\n", "right": "1:right\n", "wrong": "1:wrong\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		args = append([]string{"channel"}, args...)
		args = append(args, "--url", address, "--token-file", filepath.Join(dir, "admin"))
		if code := run(t.Context(), args, nil, &out, &out); code != want {
			t.Errorf("%v = %d, want %d:\n%s", args, code, want, &out)
		}
		if strings.Contains(out.String(), "1:right") || strings.Contains(out.String(), "1:wrong") {
			t.Errorf("%v shows a secret:\n%s", args, &out)
		}
		return out.String()
	}
	contains := func(text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%q is missing in:\n%s", w, text)
			}
		}
	}
	contains(do(exitOK, "kinds"), "telegram", "secret_token", "needed, secret", "whatsapp", "open_kfid")
	contains(do(exitFailed, "add", "telegram", "--inbox", "shop"), "token is needed")
	contains(do(exitFailed, "add", "telegram", "--inbox", "nowhere", "--setting", "token=@"+filepath.Join(dir, "right")), "there is no such inbox")
	contains(do(exitCheck, "add", "telegram", "--inbox", "shop", "--setting", "api_url="+bot.URL, "--setting", "token=@"+filepath.Join(dir, "wrong")), "auth: http_401")
	contains(do(exitOK, "add", "telegram", "--inbox", "shop", "--setting", "token=@"+filepath.Join(dir, "right")), "/v1/channels/telegram/shop/", "@shop_bot")
	contains(do(exitOK, "test", "telegram", "--inbox", "shop"), "@shop_bot")
	contains(do(exitOK, "list"), "shop", "telegram", "api_url token")
	contains(do(exitOK, "list", "--json"), `"secrets": [`, `"token"`)
	contains(do(exitOK, "pause", "telegram", "--inbox", "shop"), "telegram of inbox shop is paused")
	contains(do(exitOK, "list"), "paused by an admin")
	contains(do(exitOK, "resume", "telegram", "--inbox", "shop"), "telegram of inbox shop is resumed")
	contains(do(exitFailed, "pause", "line", "--inbox", "shop"), "It does not exist")
	do(exitUsage, "add", "telegram", "--inbox", "shop", "--setting", "token")
	do(exitUsage, "add", "telegram", "--inbox", "shop", "--setting", "token=@"+filepath.Join(dir, "nothing"))
	var out bytes.Buffer
	if code := run(t.Context(), []string{"channel", "list", "--url", address}, nil, &out, &out); code != exitUsage {
		t.Errorf("without a token: %d:\n%s", code, &out)
	}
}
