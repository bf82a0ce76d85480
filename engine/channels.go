package engine

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/web"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
)

// newChannels joins the drivers with conversations and directory. A new
// provider is entered here, one line each.
func (e *Engine) newChannels(client *http.Client) (*channels.Registry, error) {
	hook, err := webhook.New(webhook.Options{Client: client, Accounts: e.webhookAccount, UserAgent: "colloquy/" + e.opts.Version})
	if err != nil {
		return nil, err
	}
	drivers := map[conversation.ChannelKind]channels.Driver{
		conversation.ChannelWeb:     web.Driver{},
		conversation.ChannelWebhook: hook,
	}
	maps.Copy(drivers, e.opts.Drivers)
	return channels.NewRegistry(channels.Options{
		Drivers: drivers, Bridge: conversation.ChannelWebhook, Inbox: e.store.Inbox,
		Deliver: func(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			return e.actors.Deliver(ctx, in)
		},
		Contact: func(inbox conversation.InboxID, kind conversation.ChannelKind, peer string) conversation.ContactID {
			return e.gateway.ContactOf(inbox, kind, peer)
		},
		Logger: e.opts.Logger, Registerer: e.registry,
	})
}

// webhookAccount gives what the webhook driver needs to know of an inbox.
func (e *Engine) webhookAccount(_ context.Context, id conversation.InboxID) (webhook.Account, error) {
	inbox, err := e.store.Inbox(id)
	if err != nil {
		return webhook.Account{}, err
	}
	account := webhook.Account{CallbackURL: inbox.CallbackURL}
	for _, text := range e.gateway.SigningSecrets(id, time.Now()) {
		secret, err := webhook.ParseSecret(text)
		if err != nil {
			return webhook.Account{}, err
		}
		account.Secrets = append(account.Secrets, secret)
	}
	return account, nil
}

// serveChannels is the native ingress: each provider speaks its own protocol to
// its own address, and its driver checks the signature.
func (e *Engine) serveChannels() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/channels/{kind}/{inbox}", func(w http.ResponseWriter, r *http.Request) {
		inbox, err := conversation.ParseInboxID(r.PathValue("inbox"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		h, ok := e.channels.Entrance(conversation.ChannelKind(r.PathValue("kind")), inbox)
		if !ok {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
	return mux
}
