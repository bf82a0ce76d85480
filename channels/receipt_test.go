package channels_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// News of messages reaches their conversations, in order with the messages that
// come in the same delivery; while the store is down it is asked for again.
func TestReceiptsReachTheConversation(t *testing.T) {
	id := conversation.ConversationID{7}
	key := conversation.MessageID(id, 9)
	d := &scripted{receive: func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
		return []channels.Event{
			{Receipt: &channels.Receipt{Key: key, Status: channels.ReceiptDelivered}},
			{Receipt: &channels.Receipt{Key: key + "-2", Status: channels.ReceiptRead}},
			{Receipt: &channels.Receipt{Key: key, Status: channels.ReceiptFailed, Detail: "gone: code_131026"}},
			{Receipt: &channels.Receipt{Key: "somebody else's", Status: channels.ReceiptRead}},
			{Receipt: &channels.Receipt{Key: key, Status: "warned"}},
		}, channels.Ack{}, nil
	}}
	var got []conversation.Command
	var failing error
	r, err := channels.NewRegistry(channels.Options{
		Drivers: map[conversation.ChannelKind]channels.Driver{d.Kind(): d},
		Inbox:   func(id conversation.InboxID) (conversation.Inbox, error) { return conversation.Inbox{ID: id}, nil },
		Deliver: func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
			t.Error("a receipt was handed in as a message")
			return conversation.Receipt{}, nil
		},
		Tell: func(_ context.Context, to conversation.ConversationID, cmd conversation.Command) error {
			if to != id {
				t.Errorf("told %v, want %v", to, id)
			}
			if failing == nil {
				got = append(got, cmd)
			}
			return failing
		},
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{9}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := r.For(d.Kind(), "shop")
	deliver := func() int {
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", http.NoBody))
		return rec.Code
	}
	failing = conversation.Refuse(conversation.CodeUnavailable, "no quorum")
	if status := deliver(); status != http.StatusServiceUnavailable {
		t.Errorf("status %d while the store is down, want 503", status)
	}
	failing = nil
	if status := deliver(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	want := []conversation.Command{
		conversation.MarkDelivered{UpTo: 9},
		conversation.MarkRead{By: conversation.PartyVisitor, UpTo: 9},
		conversation.RecordDelivery{Message: 9, Result: conversation.DeliveryFailed, Detail: "gone: code_131026"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	failing = conversation.Refuse(conversation.CodeNotFound, "no such conversation")
	if status := deliver(); status != http.StatusOK {
		t.Errorf("status %d for news of what is gone, want success", status)
	}
}

// What lets a reply be sent at no cost goes to the peer's next part, once, and
// only while it is good.
func TestReplyTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		d := &scripted{limits: channels.Limits{ReplyWithin: 50 * time.Second}, receive: func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
			n++
			return []channels.Event{{Peer: "p", Ref: conversation.Ref(string(rune('a' + n))), Text: "x", ReplyTo: "token-" + string(rune('0'+n))}}, channels.Ack{}, nil
		}}
		w := newWorld(t, "", d)
		w.deliver = func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
			return conversation.Receipt{Seq: 1}, nil
		}
		c := w.channel(t, d)
		come := func() {
			c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", http.NoBody))
		}
		send := func(peer string) {
			o := out("hello")
			o.Peer = peer
			if _, err := c.Send(t.Context(), o); err != nil {
				t.Errorf("Send: %v", err)
			}
		}
		come()
		come()
		send("other")
		send("p")
		send("p")
		come()
		time.Sleep(51 * time.Second)
		send("p")
		var got []string
		for _, p := range d.parts() {
			got = append(got, p.ReplyTo)
		}
		if diff := cmp.Diff([]string{"", "token-2", "", ""}, got); diff != "" {
			t.Errorf("parts had the tokens (-want +got):\n%s", diff)
		}
	})
}

// A call that the provider would take twice is not repeated, whatever holds for
// the others.
func TestOnceIsNotRepeated(t *testing.T) {
	d := &scripted{limits: channels.Limits{Idempotent: true}}
	w := newWorld(t, "", d)
	s := channels.NewSender(w.registry)
	for once, want := range map[bool]conversation.Delivery{true: conversation.DeliveryUncertain, false: conversation.DeliveryPending} {
		step, _ := s.Next(out("x"), &channels.SendError{Class: channels.Unknown, Once: once}, 1, time.Now())
		if step.Result != want {
			t.Errorf("once %t: %s, want %s", once, step.Result, want)
		}
	}
}
