package engine

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/dingtalk"
	"github.com/colloquyhq/colloquy/channels/email"
	"github.com/colloquyhq/colloquy/channels/feishu"
	"github.com/colloquyhq/colloquy/channels/line"
	"github.com/colloquyhq/colloquy/channels/slack"
	"github.com/colloquyhq/colloquy/channels/telegram"
	"github.com/colloquyhq/colloquy/channels/web"
	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/channels/wechat"
	"github.com/colloquyhq/colloquy/channels/wecom"
	"github.com/colloquyhq/colloquy/channels/whatsapp"
	"github.com/colloquyhq/colloquy/conversation"
)

const mailKeyBytes = 32

// addProviders makes the drivers of providers with which inboxes have accounts.
// A new provider is entered here, one line each.
func (e *Engine) addProviders(drivers map[conversation.ChannelKind]channels.Driver) error {
	allowed, _ := prefixes(e.config.Egress.AllowedCIDRs) // validated
	client := newEgressClient(allowed)                   // their long polls must not take connections from flows
	if t, ok := client.Transport.(traceparent); ok {
		t.MaxConnsPerHost = maxPulls + egressPerHost
	}
	for kind, build := range map[conversation.ChannelKind]func(channels.ProviderOptions) (channels.Driver, error){
		conversation.ChannelTelegram: driver(telegram.New),
		conversation.ChannelWeChat:   driver(wechat.New),
		conversation.ChannelWeCom:    driver(wecom.New),
		conversation.ChannelSlack:    driver(slack.New),
		conversation.ChannelLine:     driver(line.New),
		conversation.ChannelWhatsApp: driver(whatsapp.New),
		conversation.ChannelFeishu:   driver(feishu.New),
		conversation.ChannelDingTalk: driver(dingtalk.New),
		conversation.ChannelEmail: driver(func(o channels.ProviderOptions) (*email.Driver, error) {
			return email.New(email.Options{
				Accounts: o.Accounts, Dial: o.Dial, Client: o.Client, Load: e.store.Load,
				Renewed: func(ctx context.Context, inbox conversation.InboxID, setting, old, now string) error {
					return e.accounts.renew(ctx, conversation.ChannelEmail, inbox, secretChange{setting, old, now})
				},
				Key: func(ctx context.Context) ([]byte, error) { return e.store.Secret(ctx, "mail", mailKeyBytes) },
			})
		}),
	} {
		d, err := build(channels.ProviderOptions{Client: client, Dial: newEgressDialer(allowed).DialContext, Accounts: e.accounts.of(kind), Tokens: e.tokens.token})
		if err != nil {
			return err
		}
		drivers[kind] = d
	}
	return nil
}

// driver lets the constructors of all drivers stand in one table.
func driver[D channels.Driver](build func(channels.ProviderOptions) (D, error)) func(channels.ProviderOptions) (channels.Driver, error) {
	return func(o channels.ProviderOptions) (channels.Driver, error) { return build(o) }
}

// newChannels joins the drivers with conversations and directory.
func (e *Engine) newChannels(client *http.Client) (*channels.Registry, error) {
	hook, err := webhook.New(webhook.Options{Client: client, Accounts: e.webhookAccount, UserAgent: "colloquy/" + e.opts.Version})
	if err != nil {
		return nil, err
	}
	drivers := map[conversation.ChannelKind]channels.Driver{
		conversation.ChannelWeb:     web.Driver{},
		conversation.ChannelWebhook: hook,
	}
	if err := e.addProviders(drivers); err != nil {
		return nil, err
	}
	maps.Copy(drivers, e.opts.Drivers)
	return channels.NewRegistry(channels.Options{
		Drivers: drivers, Bridge: conversation.ChannelWebhook, Inbox: e.store.Inbox, Cursors: e.store, Letters: e.letters, Turnstiles: newTurnstiles(e), HasAccount: e.accounts.has, Paused: e.accounts.paused,
		Files: e.files, Spool: spool{e.store},
		Deliver: func(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			return e.actors.Deliver(ctx, in)
		},
		Tell: func(ctx context.Context, id conversation.ConversationID, cmd conversation.Command) error {
			_, err := e.actors.Do(ctx, id, cmd)
			return err
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

const channelsPath = "/v1/channels/"

// channelPath gives the address of an account's deliveries on this server.
func channelPath(kind conversation.ChannelKind, inbox conversation.InboxID, key string) string {
	return channelsPath + string(kind) + "/" + string(inbox) + "/" + key
}

// serveChannels is the native ingress: each provider speaks its own protocol to
// its own address, and its driver checks the signature. The address of an account
// holds a key, because some providers sign too little.
func (e *Engine) serveChannels() http.Handler {
	mux := http.NewServeMux()
	serve := func(w http.ResponseWriter, r *http.Request) {
		kind := conversation.ChannelKind(r.PathValue("kind"))
		inbox, err := conversation.ParseInboxID(r.PathValue("inbox"))
		if err != nil || !e.mayEnter(kind, inbox, r.PathValue("key")) {
			http.NotFound(w, r)
			return
		}
		h, ok := e.channels.Entrance(kind, inbox)
		if !ok {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}
	mux.HandleFunc(channelsPath+"{kind}/{inbox}", serve)
	mux.HandleFunc(channelsPath+"{kind}/{inbox}/{key}", serve)
	return mux
}

// mayEnter reports whether an address leads anywhere: that of an account only
// with its key, that of another channel only without.
func (e *Engine) mayEnter(kind conversation.ChannelKind, inbox conversation.InboxID, key string) bool {
	if _, ok := e.channels.Configurable()[kind]; ok {
		return e.accounts.opens(kind, inbox, key)
	}
	return key == ""
}
