// Command custom-behavior embeds the engine with a behavior of its own: visitors
// of the inbox "library" who ask to renew a book are answered by Go code, which
// asks for the card number if it does not know it. It serves until it is stopped.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
)

// renew is the behavior: it gets every turn of the inbox.
func renew(_ context.Context, t *actors.Turn) (conversation.Outcome, error) {
	card := t.Slots["card"]
	switch {
	case t.Conversation.Dialogue.Ask == "" && !strings.Contains(string(t.Text), "renew"):
		return t.Handover("I can only renew books. A librarian will help you.", "not about a renewal"), nil
	case card == "":
		return t.Ask("card", "Sure! What is the number on your library card?"), nil
	}
	out := t.Reply(fmt.Sprintf("Done: everything on card %s is renewed for four weeks.", card))
	out.Forget = true
	return out, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the process ends anyway
	}
}

func run(ctx context.Context) error {
	config, err := engine.LoadConfig("", os.Environ())
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Options{Config: config, Bindings: []actors.Binding{
		{Name: "renew", Inbox: "library", Behavior: actors.BehaviorFunc(renew)},
	}})
	if err != nil {
		return err
	}
	if _, err := e.Store().Inbox("library"); err != nil {
		if _, err = e.Store().PutInbox(ctx, conversation.Inbox{ID: "library", Name: "City library", Lang: "en"}); err != nil {
			return err
		}
	}
	return e.Run(ctx)
}
