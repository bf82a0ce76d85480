package conversation

import (
	"slices"
	"time"
)

// ChannelKind is a kind of transport: web, webhook, wechat, email, ….
type ChannelKind string

// The kinds that any inbox may be spoken to by. A provider's driver adds the
// native protocol; the unified webhook accepts all of them.
const (
	ChannelWeb      ChannelKind = "web"
	ChannelWebhook  ChannelKind = "webhook"
	ChannelWeChat   ChannelKind = "wechat"
	ChannelWeCom    ChannelKind = "wecom"
	ChannelEmail    ChannelKind = "email"
	ChannelTelegram ChannelKind = "telegram"
	ChannelWhatsApp ChannelKind = "whatsapp"
	ChannelLine     ChannelKind = "line"
	ChannelSlack    ChannelKind = "slack"
	ChannelFeishu   ChannelKind = "feishu"
	ChannelDingTalk ChannelKind = "dingtalk"
	ChannelSMS      ChannelKind = "sms"
	ChannelAPI      ChannelKind = "api"
)

// ChannelKinds lists every known kind.
func ChannelKinds() []ChannelKind {
	return []ChannelKind{
		ChannelWeb, ChannelWebhook, ChannelWeChat, ChannelWeCom, ChannelEmail, ChannelTelegram, ChannelWhatsApp,
		ChannelLine, ChannelSlack, ChannelFeishu, ChannelDingTalk, ChannelSMS, ChannelAPI,
	}
}

// Known reports whether k is one of [ChannelKinds].
func (k ChannelKind) Known() bool { return slices.Contains(ChannelKinds(), k) }

// Inbox is a configured entrance: who may come in, which packs answer, and
// what happens when they cannot.
type Inbox struct {
	ID       InboxID           `json:"id"`
	Name     string            `json:"name"`
	Lang     string            `json:"lang"`               // language of fixed texts when the visitor's is not known: "zh" or "en"
	Channels []ChannelKind     `json:"channels,omitempty"` // kinds served; empty = all
	Packs    []string          `json:"packs,omitempty"`    // none = no bot, every conversation goes to humans
	Vars     map[string]string `json:"variables,omitempty"`

	Policy        Policy        `json:"policy"`
	AutoAssign    bool          `json:"auto_assign,omitempty"`     // least-busy agent gets waiting conversations without a claim
	ReopenWindow  time.Duration `json:"reopen_window,omitempty"`   // resolved conversations reopen on a message within it; zero = [DefaultReopenWindow]
	ReopenToHuman bool          `json:"reopen_to_human,omitempty"` // reopen at open instead of pending

	Origins         []string `json:"origins,omitempty"`          // exact origins of pages that may embed the widget; "self" = this server
	VisitorFeedback bool     `json:"visitor_feedback,omitempty"` // the widget asks whether the bot's answers are right

	Retention Retention `json:"retention,omitzero"` // how long conversations that are done are kept

	CallbackURL string `json:"callback_url,omitempty"` // where the webhook channel posts replies that could not ride on a response

	Version uint64 `json:"version"` // of the document, for If-Match
}

// Account is how an inbox speaks through a provider. An inbox has one of a kind.
type Account struct {
	Inbox    InboxID           `json:"inbox_id"`
	Kind     ChannelKind       `json:"channel"`
	Settings map[string]string `json:"settings,omitempty"` // what anybody may read who may read the inbox
	Sealed   []byte            `json:"sealed,omitempty"`   // secrets, encrypted
	Paused   bool              `json:"paused,omitempty"`   // an admin has stopped it: nothing is taken and nothing is sent
	Version  uint64            `json:"version"`            // of the document, for If-Match
}

// Place names an account: kind and inbox.
func (a *Account) Place() string { return string(a.Kind) + "/" + string(a.Inbox) }

// DefaultReopenWindow is how long a resolved conversation can come back.
const DefaultReopenWindow = 72 * time.Hour

// ServesBot reports whether the inbox has packs to answer from.
func (i *Inbox) ServesBot() bool { return len(i.Packs) > 0 }

// Serves reports whether messages of kind k may enter here.
func (i *Inbox) Serves(k ChannelKind) bool {
	return k.Known() && (len(i.Channels) == 0 || slices.Contains(i.Channels, k))
}

// Role says what an agent may do.
type Role string

// The roles: an admin may also change inboxes, agents and packs.
const (
	RoleAgent Role = "agent"
	RoleAdmin Role = "admin"
)

// Agent is a human at the console.
type Agent struct {
	ID           AgentID   `json:"id"`
	Name         string    `json:"name"`
	Email        string    `json:"email"`
	Role         Role      `json:"role"`
	Inboxes      []InboxID `json:"inboxes,omitempty"` // empty = all
	Capacity     int       `json:"capacity"`          // conversations at a time by automatic assignment; zero = [DefaultCapacity]
	PasswordHash string    `json:"password_hash,omitempty"`
	Disabled     bool      `json:"disabled,omitempty"`
	SessionEpoch uint64    `json:"session_epoch"` // raised to end all sessions
	Version      uint64    `json:"version"`
}

// DefaultCapacity is how many conversations an agent gets by automatic
// assignment when nothing else is set.
const DefaultCapacity = 8

// MaySee reports whether the agent may work in an inbox.
func (a *Agent) MaySee(inbox InboxID) bool {
	return !a.Disabled && (len(a.Inboxes) == 0 || slices.Contains(a.Inboxes, inbox))
}
