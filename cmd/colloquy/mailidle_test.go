//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/email"
	"github.com/colloquyhq/colloquy/conversation"
)

// The server's word ends the driver's wait for news, not the 40 seconds after which
// it looks anyway: a look that ends by its own time says that there is no more.
// That holds however slow the machine is; what it takes is logged.
func TestMailIdle(t *testing.T) {
	t.Parallel()
	m := startMailServers(t)
	m.doveadm(t, "mailbox", "status", "-u", "shop@shop.test", "uidvalidity", "INBOX") // makes the folders
	box := m.driver(t)
	out, err := box.Pull(t.Context(), channels.Pull{Account: "shop", At: time.Now()}) // sets the cursor behind an empty folder
	if err != nil {
		t.Fatalf("Pull: %v", err)
	}
	const enough, most = 3, 20
	told := 0
	for i := 0; i < most && told < enough; i++ {
		looked := make(chan error, 1)
		go func() {
			var err error
			out, err = box.Pull(t.Context(), channels.Pull{Account: "shop", Cursor: out.Cursor, At: time.Now()})
			looked <- err
		}()
		id := fmt.Sprintf("idle%d@visitor.test", i)
		m.swaks(t, mailText("ann@visitor.test", "Hours", id, "when are you open"), "--from", "ann@visitor.test", "--to", "shop@shop.test")
		taken := time.Now()
		if err := <-looked; err != nil {
			t.Fatalf("Pull: %v", err)
		}
		if !out.More {
			t.Fatalf("mail %d: the driver waited for its whole time, and nobody told it", i)
		}
		if len(out.Events) == 0 { // else it was there before the driver began to wait
			told++
			t.Logf("mail %d: told %v after Postfix had taken it", i, time.Since(taken).Round(time.Millisecond))
			if out, err = box.Pull(t.Context(), channels.Pull{Account: "shop", Cursor: out.Cursor, At: time.Now()}); err != nil {
				t.Fatalf("Pull: %v", err)
			}
		}
		if len(out.Events) != 1 || out.Events[0].Metadata["message_id"] != id {
			t.Fatalf("mail %d: the look brought %+v, want that mail", i, out.Events)
		}
	}
	if told < enough {
		t.Errorf("only %d of %d mails came while the driver waited", told, most)
	}
}

// driver is that of the shop's mailbox, without a node.
func (m *mailServers) driver(t *testing.T) *email.Driver {
	t.Helper()
	settings := make(map[string]string)
	for _, s := range m.account() {
		name, value, _ := strings.Cut(s, "=")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			value = string(b)
		}
		settings[name] = value
	}
	d, err := email.New(email.Options{
		Accounts: func(context.Context, conversation.InboxID) (channels.Account, error) {
			return channels.NewAccount("1", settings), nil
		},
		Dial: (&net.Dialer{}).DialContext, Client: http.DefaultClient,
		Load: func(_ context.Context, id conversation.ConversationID) (*conversation.State, error) {
			return &conversation.State{ID: id}, nil
		},
		Key: func(context.Context) ([]byte, error) { return []byte("0123456789abcdef0123456789abcdef"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
