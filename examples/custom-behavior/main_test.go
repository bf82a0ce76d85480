package main

import (
	"context"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
)

// The example runs as it stands in the README: a visitor asks, is asked for the
// card, and gets the answer; another is handed over.
func TestRenewal(t *testing.T) {
	config := engine.DefaultConfig()
	config.DataDir, config.Listen, config.OpsListen = t.TempDir(), "127.0.0.1:0", ""
	e, err := engine.New(engine.Options{Config: config, Bindings: []actors.Binding{
		{Name: "renew", Inbox: "library", Behavior: actors.BehaviorFunc(renew)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Store().PutInbox(t.Context(), conversation.Inbox{ID: "library", Name: "City library", Lang: "en"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	<-e.Ready()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	visitor := conversation.NewContactID(time.Now())
	say := func(contact conversation.ContactID, text string) conversation.Receipt {
		t.Helper()
		r, err := e.Actors().Deliver(t.Context(), conversation.Inbound{
			Inbox: "library", Channel: conversation.ChannelAPI, Contact: contact, Text: conversation.Text(text), Wait: 10 * time.Second,
		})
		if err != nil || len(r.Replies) != 1 {
			t.Fatalf("%q: %d replies, %v, want one", text, len(r.Replies), err)
		}
		return r
	}
	if got := say(visitor, "please renew my books").Replies[0].Text; got != "Sure! What is the number on your library card?" {
		t.Errorf("first reply = %q", got)
	}
	if got := say(visitor, "B-1234").Replies[0].Text; got != "Done: everything on card B-1234 is renewed for four weeks." {
		t.Errorf("second reply = %q", got)
	}
	if got := say(conversation.NewContactID(time.Now()), "who wrote Hamlet?"); got.Status != conversation.StatusOpen {
		t.Errorf("status = %s after an unknown question, want open", got.Status)
	}
}
