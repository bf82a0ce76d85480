package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
)

// A sender on a real socket gets the bot's reply on the answer, and the same
// answer marked as a duplicate when it repeats the delivery.
func TestReceiveOverTheWire(t *testing.T) {
	var seen []conversation.Inbound
	deliver := func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
		seen = append(seen, in)
		return conversation.Receipt{
			Conversation: conversation.ConversationID{1}, Seq: 1, Duplicate: len(seen) > 1,
			Replies: []conversation.Message{{Seq: 3, Text: "We open at nine.", InReplyTo: 1}},
		}, nil
	}
	registry, err := channels.NewRegistry(channels.Options{
		Drivers: map[conversation.ChannelKind]channels.Driver{
			conversation.ChannelWebhook: driver(t, nil, webhook.Account{Secrets: []webhook.Secret{secret(t, secretNew)}}),
		},
		Inbox:   func(id conversation.InboxID) (conversation.Inbox, error) { return conversation.Inbox{ID: id}, nil },
		Deliver: deliver,
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{1}
		},
	})
	if err != nil {
		t.Fatalf("NewRegistry: %v", err)
	}
	entrance, ok := registry.Entrance(conversation.ChannelWebhook, inbox)
	if !ok {
		t.Fatal("Entrance found nothing")
	}
	server := httptest.NewServer(entrance)
	defer server.Close()
	d := signed(t, secretNew, "msg_1", []byte(`{"user":"u1","text":"When do you open?","channel":"wechat"}`), time.Now())
	for i := range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(d.Body))
		if err != nil {
			t.Fatalf("NewRequest: %v", err)
		}
		req.Header = d.Header.Clone()
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatalf("Do: %v", err)
		}
		b, err := io.ReadAll(resp.Body)
		if err := resp.Body.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v: %s", resp.StatusCode, err, b)
		}
		var got struct {
			ID        string `json:"id"`
			Seq       int    `json:"seq"`
			Duplicate bool   `json:"duplicate"`
			Replies   []struct {
				Text string `json:"text"`
			} `json:"replies"`
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("Unmarshal: %v", err)
		}
		if got.ID != "msg_1" || got.Seq != 1 || got.Duplicate != (i == 1) || len(got.Replies) != 1 || got.Replies[0].Text != "We open at nine." {
			t.Errorf("answer %d: %s", i, b)
		}
	}
	if len(seen) != 2 || seen[0].Wait <= 0 || seen[0].Channel != conversation.ChannelWeChat || seen[0].Ref != "msg_1" {
		t.Errorf("handed in %+v", seen)
	}
}
