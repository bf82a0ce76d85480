package email

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const inbox conversation.InboxID = "shop"

// known are the conversations that a driver under test finds.
type known map[conversation.ConversationID]*conversation.State

// Load implements what [Options] asks for.
func (k known) Load(_ context.Context, id conversation.ConversationID) (*conversation.State, error) {
	if s, ok := k[id]; ok {
		return s, nil
	}
	return &conversation.State{ID: id}, nil
}

// settingsOf are those of an account that nothing is wrong with.
func settingsOf(change map[string]string) map[string]string {
	values := map[string]string{
		settingAddress: "shop@example.com", settingName: "Shop", settingPassword: "secret",
		settingIMAP: "imap.example.com", settingSMTP: "smtp.example.com",
	}
	maps.Copy(values, change)
	return values
}

func newDriver(t testing.TB, dial Dial, conversations known, change map[string]string) *Driver {
	t.Helper()
	d, err := New(Options{
		Accounts: func(_ context.Context, id conversation.InboxID) (channels.Account, error) {
			if id != inbox {
				return channels.Account{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return channels.NewAccount("1", settingsOf(change)), nil
		},
		Dial: dial, Client: http.DefaultClient, Load: conversations.Load,
		Key: func(context.Context) ([]byte, error) { return []byte("0123456789abcdef0123456789abcdef"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newReading is a look at the account's folder on which mails can be tried.
func newReading(t testing.TB, conversations known, change map[string]string) *reading {
	t.Helper()
	d := newDriver(t, noDial, conversations, change)
	box, err := d.mailbox(t.Context(), inbox)
	if err != nil {
		t.Fatal(err)
	}
	return &reading{Pull: channels.Pull{Account: inbox, At: time.Unix(1_772_000_000, 0)}, driver: d, box: &box}
}

// event translates a mail that must make one event.
func (r *reading) one(t testing.TB, mail string) channels.Event {
	t.Helper()
	events, err := r.translate(t.Context(), []byte(mail), size{uid: 7, bytes: int64(len(mail)), at: r.At})
	if err != nil || len(events) != 1 {
		t.Fatalf("translate gave %d events and %v, want one event", len(events), err)
	}
	return events[0]
}

// mailOf writes a mail: a header and the line that is its text.
func mailOf(from, id, text string, headers ...string) string {
	var b bytes.Buffer
	b.WriteString("From: " + from + "\r\nTo: shop@example.com\r\nSubject: Parcel\r\nMessage-ID: <" + id + ">\r\n")
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n" + strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
	return b.String()
}
