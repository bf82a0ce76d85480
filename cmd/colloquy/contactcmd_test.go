package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// A contact is held, released and erased from the command line, and retention is
// counted before it is swept.
func TestContactCommands(t *testing.T) {
	t.Parallel()
	address, token := adminOf(t)
	file := filepath.Join(t.TempDir(), "admin")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(want int, words []string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		args = append(args, "--url", address, "--token-file", file)
		if code := run(t.Context(), args, nil, &out, &out); code != want {
			t.Errorf("%v = %d, want %d:\n%s", args, code, want, &out)
		}
		for _, w := range words {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%v: %q is missing in:\n%s", args, w, &out)
			}
		}
	}
	as := token
	api := func(method, path, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+as)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode/100 != 2 {
			t.Fatalf("%s %s = %d %s, %v", method, path, res.StatusCode, b, err)
		}
		return string(b)
	}
	var ingress struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(api("POST", "/v1/inboxes/shop/rotate_secret", "{}")), &ingress); err != nil {
		t.Fatal(err)
	}
	as = ingress.Token
	api("POST", "/webhook", `{"user":"anna","text":"hello"}`)
	as = token
	var list struct {
		Data []conversation.Head `json:"data"`
	}
	if err := json.Unmarshal([]byte(api("GET", "/v1/conversations", "")), &list); err != nil || len(list.Data) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	anna, said := list.Data[0].Contact.String(), list.Data[0].ID.String()
	for _, on := range []string{anna, said} {
		do(exitOK, []string{"held by root", "case 7"}, "contact", "hold", on, "--reason", "case 7")
		do(exitFailed, []string{"hold stands"}, "contact", "erase", anna, "--confirm", anna)
		do(exitOK, []string{"released"}, "contact", "release", on)
	}
	do(exitOK, []string{"1 contacts, 1 conversations"}, "contact", "erase", anna, "--confirm", anna)
	do(exitOK, []string{"0 conversations"}, "contact", "erase", anna, "--confirm", anna)
	who, talk := conversation.ContactID{1}, conversation.ConversationID{1}
	do(exitFailed, []string{"It does not exist"}, "contact", "erase", who.String(), "--confirm", who.String())
	do(exitUsage, []string{"--confirm " + who.String()}, "contact", "erase", who.String())
	do(exitUsage, []string{"ctc_"}, "contact", "erase", "anna", "--confirm", "anna")
	do(exitUsage, []string{"a conversation (cnv_"}, "contact", "hold", "anna")
	do(exitFailed, []string{"It does not exist"}, "contact", "hold", talk.String())
	do(exitOK, []string{"for ever"}, "retention", "--dry-run")
	api("PATCH", "/v1/inboxes/shop", `{"retention":{"resolved_after":"180d"}}`)
	do(exitOK, []string{"shop", "TO ERASE"}, "retention", "--dry-run")
	do(exitOK, []string{"erased: 0 conversations"}, "retention")
	if got := api("GET", "/v1/inboxes/shop", ""); !strings.Contains(got, fmt.Sprintf("%q:%q", "resolved_after", "180d")) {
		t.Errorf("the inbox is %s", got)
	}
}
