package engine

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

type letterPage struct {
	Data []conversation.DeadLetter `json:"data"`
}

// deadLetters waits until there is a number of letters, and gives them.
func deadLetters(t *testing.T, api packsAPI, n int) []conversation.DeadLetter {
	t.Helper()
	var page letterPage
	eventually(t, "the dead letters", func() bool {
		page = letterPage{}
		api.want(http.StatusOK, call{method: "GET", path: "/v1/dead_letters?inbox=house"}, &page)
		return len(page.Data) == n
	})
	return page.Data
}

// A delivery that the driver cannot read is kept as it came, without its secret
// in clear. Who tries it again gets the same answer, and it stays.
func TestDeliveryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	bot := &botAPI{sent: make(chan string, 16)}
	srv, _ := inside(t, bot.ServeHTTP)
	e, api := withAccounts(t, io.Discard)
	v, header := deliveredTo(t, api, srv.URL)
	if got := post(t, "http://"+e.Addr()+v.Path, header, `{"update_id": "?"`); got != http.StatusBadRequest {
		t.Errorf("status %d", got)
	}
	if got := post(t, "http://"+e.Addr()+v.Path, http.Header{}, `{"update_id": "?"`); got != http.StatusUnauthorized {
		t.Errorf("status %d without the secret", got)
	}
	l := deadLetters(t, api, 1)[0]
	if l.Inbox != "house" || l.Channel != "telegram" || l.Direction != conversation.DirectionIn || l.Reason == "" || l.Delivery != nil {
		t.Errorf("listed as %+v", l)
	}
	path := "/v1/dead_letters/" + l.ID
	api.want(http.StatusOK, call{method: "GET", path: path}, &l)
	if string(l.Delivery.Body) != `{"update_id": "?"` || l.Delivery.Sealed != nil || l.Delivery.Header != nil {
		t.Errorf("shown as %+v", l.Delivery)
	}
	docs, err := e.store.Docs(t.Context(), "dead_letter")
	if err != nil || len(docs) != 1 || strings.Contains(string(docs[0].Data), "s3cret") {
		t.Errorf("stored as %v, %v", docs, err)
	}
	api.want(http.StatusBadRequest, call{method: "POST", path: path + "/redeliver"}, nil)
	deadLetters(t, api, 1)

	agent := newAPI(t, e, conversation.RoleAgent)
	for _, c := range []call{{method: "GET", path: "/v1/dead_letters"}, {method: "GET", path: path}, {method: "DELETE", path: path}, {method: "POST", path: path + "/redeliver"}} {
		agent.want(http.StatusForbidden, c, nil)
	}
	api.want(http.StatusNoContent, call{method: "DELETE", path: path}, nil)
	api.want(http.StatusNotFound, call{method: "DELETE", path: path}, nil)
	deadLetters(t, api, 0)
}

// An event that is refused for good is kept. When the reason is gone it comes in,
// once however often it is tried.
func TestEventThatWasRefused(t *testing.T) {
	t.Parallel()
	bot := &botAPI{sent: make(chan string, 16)}
	srv, _ := inside(t, bot.ServeHTTP)
	e, api := withAccounts(t, io.Discard)
	v, header := deliveredTo(t, api, srv.URL)
	const long = 20_000 // bytes of a text, above the limit
	if got := post(t, "http://"+e.Addr()+v.Path, header, botUpdate(3, strings.Repeat("x", long))); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	l := deadLetters(t, api, 1)[0]
	path := "/v1/dead_letters/" + l.ID
	api.want(http.StatusOK, call{method: "GET", path: path}, &l)
	if !strings.HasPrefix(l.Reason, "too_large") && !strings.Contains(l.Reason, "limit") || !strings.Contains(string(l.Event), "xxxx") {
		t.Errorf("kept as %.200s: %s", l.Event, l.Reason)
	}
	api.want(http.StatusRequestEntityTooLarge, call{method: "POST", path: path + "/redeliver"}, nil)

	// The same letter, with an event that is taken now.
	ok := conversation.DeadLetter{
		Inbox: "house", Channel: "telegram", Direction: conversation.DirectionIn, At: l.At.Add(time.Second), Reason: "unknown_channel",
		Event: []byte(`{"peer":"77","ref":"r1","text":"when are you open"}`),
	}
	for range 2 {
		if _, err := e.store.PutDeadLetter(t.Context(), ok); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range deadLetters(t, api, 3)[:2] {
		api.want(http.StatusNoContent, call{method: "POST", path: "/v1/dead_letters/" + l.ID + "/redeliver"}, nil)
	}
	if got := next(t, bot.sent); got != "77: We are open from nine to five." {
		t.Errorf("the bot sent %q", got)
	}
	deadLetters(t, api, 1)
	if n := len(accepted(t, e, "77")); n != 1 {
		t.Errorf("%d messages are stored", n)
	}
}

// accepted gives what a visitor of telegram wrote.
func accepted(t *testing.T, e *Engine, peer string) (texts []string) {
	t.Helper()
	for _, entry := range entriesOf(t, e, peer) {
		if m, ok := entry.Event.(conversation.MessageAccepted); ok {
			texts = append(texts, string(m.Text))
		}
	}
	return texts
}

func entriesOf(t *testing.T, e *Engine, peer string) []conversation.Entry {
	t.Helper()
	id, err := e.store.Current(t.Context(), conversation.ContactKey{
		Inbox: "house", Contact: e.gateway.ContactOf("house", conversation.ChannelTelegram, peer),
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := e.store.Entries(t.Context(), id, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// A message that the provider refuses for good is kept with its reason, and sent
// once when somebody has it sent again, whatever was said meanwhile.
func TestMessageThatWasNotDelivered(t *testing.T) {
	t.Parallel()
	bot := &botAPI{sent: make(chan string, 16)}
	refuse := make(chan struct{})
	srv, _ := inside(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-refuse:
		default:
			if strings.HasSuffix(r.URL.Path, "/sendMessage") {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`)
				return
			}
		}
		bot.ServeHTTP(w, r)
	})
	e, api := withAccounts(t, io.Discard)
	api.want(http.StatusCreated, call{method: "PUT", path: "/v1/inboxes/house/channels/telegram", body: map[string]any{
		"settings": map[string]string{"token": botToken, "api_url": srv.URL},
	}}, nil)
	bot.push(botUpdate(0, "when are you open"))
	l := deadLetters(t, api, 1)[0]
	path := "/v1/dead_letters/" + l.ID
	api.want(http.StatusOK, call{method: "GET", path: path}, &l)
	if l.Direction != conversation.DirectionOut || l.Message == nil || l.Message.Text != "We are open from nine to five." || l.Reason == "" {
		t.Fatalf("kept as %+v", l)
	}
	close(refuse)
	bot.push(botUpdate(1, "where can I park"))
	if got := next(t, bot.sent); got != "77: There is a car park behind the house." {
		t.Errorf("the bot sent %q", got)
	}
	api.want(http.StatusNoContent, call{method: "POST", path: path + "/redeliver"}, nil)
	api.want(http.StatusNotFound, call{method: "POST", path: path + "/redeliver"}, nil)
	if got := next(t, bot.sent); got != "77: We are open from nine to five." {
		t.Errorf("sent again: %q", got)
	}
	var fates []conversation.Delivery
	eventually(t, "it counts as sent", func() bool {
		fates = nil
		for _, entry := range entriesOf(t, e, "77") {
			if m, ok := entry.Event.(conversation.MessageSent); ok && m.Message == l.Message.Message {
				fates = append(fates, m.Result)
			}
		}
		return len(fates) == 3
	})
	if fates[0] != conversation.DeliveryFailed || fates[1] != conversation.DeliveryPending || fates[2] != conversation.DeliverySent {
		t.Errorf("fates %v", fates)
	}
	deadLetters(t, api, 0)
}
