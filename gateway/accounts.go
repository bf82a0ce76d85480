package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Accounts is how inboxes speak through providers. No secret ever comes out of
// it.
type Accounts interface {
	// Kinds lists the providers that there are drivers for.
	Kinds() []AccountKind
	List() []AccountView
	// Put changes an account, or makes one when expect is zero and there is none.
	// Values that are not named stay; empty ones go.
	Put(ctx context.Context, c AccountChange) (AccountView, error)
	// Delete removes an account. Errors: class [conversation.ErrNotFound].
	Delete(ctx context.Context, inbox conversation.InboxID, kind conversation.ChannelKind, version uint64) error
	// Pause stops an account, or lets it go on, and survives a restart. Errors:
	// class [conversation.ErrNotFound].
	Pause(ctx context.Context, inbox conversation.InboxID, kind conversation.ChannelKind, paused bool) (AccountView, error)
	// Test asks the provider about an account. Errors: class
	// [conversation.ErrNotFound]; what the provider says is no error.
	Test(ctx context.Context, inbox conversation.InboxID, kind conversation.ChannelKind) (AccountTest, error)
}

// AccountKind is a provider with what an account there consists of.
type AccountKind struct {
	Kind     conversation.ChannelKind `json:"channel"`
	Settings []AccountSetting         `json:"settings"`
}

// AccountSetting is one thing that an account consists of.
type AccountSetting struct {
	Name     string `json:"name"`
	Help     string `json:"help"`
	Secret   bool   `json:"secret,omitempty"` // goes in and never comes out
	Required bool   `json:"required,omitempty"`
}

// AccountView is an account without its secrets.
type AccountView struct {
	Inbox    conversation.InboxID     `json:"inbox_id"`
	Kind     conversation.ChannelKind `json:"channel"`
	Settings map[string]string        `json:"settings"`
	Secrets  []string                 `json:"secrets"`           // names of those that are set
	Path     string                   `json:"path,omitempty"`    // of this server, where the provider delivers to; not to be shown to others
	Problem  string                   `json:"problem,omitempty"` // why the account cannot be used
	Paused   bool                     `json:"paused"`            // an admin has stopped it
	Health   AccountHealth            `json:"health"`            // as the node that answers has seen it
	Version  uint64                   `json:"version"`
}

// AccountHealth is what a node has seen of an account since it started.
type AccountHealth struct {
	LastIn    time.Time `json:"last_in,omitzero"`
	LastOut   time.Time `json:"last_out,omitzero"`
	Error     string    `json:"error,omitempty"` // class and code of the newest failure
	ErrorAt   time.Time `json:"error_at,omitzero"`
	PausedTo  time.Time `json:"paused_to,omitzero"`   // nothing is sent before this
	LimitedTo time.Time `json:"limited_to,omitzero"`  // the provider asked to send nothing before this
	QuotaLeft *int      `json:"quota_left,omitempty"` // messages that the provider's window leaves the conversation with the fewest; nil = it counts none
	WindowTo  time.Time `json:"window_to,omitzero"`   // until when that window is open
	Broken    bool      `json:"broken,omitempty"`     // the provider does not accept the credentials
	Pulling   bool      `json:"pulling,omitempty"`    // this node fetches the messages
}

// AccountChange is what an admin wants of an account.
type AccountChange struct {
	Inbox  conversation.InboxID
	Kind   conversation.ChannelKind
	Values map[string]string
	Expect uint64 // the stored version; zero = there is none, or any
}

// AccountTest is what the provider says about an account.
type AccountTest struct {
	OK    bool   `json:"ok"`
	Name  string `json:"name,omitempty"`  // the provider's name for it
	Error string `json:"error,omitempty"` // class and code
}

// withAccounts is a handler that needs the accounts.
func withAccounts(h handler) handler {
	return needing(func(o *Options) bool { return o.Accounts != nil }, conversation.Refuse(conversation.CodeUnavailable, "this server has no channel accounts"), h)
}

func (g *Gateway) listAccountKinds(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return answer(w, http.StatusOK, newPage(g.opts.Accounts.Kinds(), ""))
}

func (g *Gateway) listAccounts(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return answer(w, http.StatusOK, newPage(g.opts.Accounts.List(), ""))
}

// accountVersion gives the stored version of the account that a path names, zero
// when there is none, and holds it against If-Match.
func (g *Gateway) accountVersion(r *http.Request, in conversation.Inbox) (uint64, error) {
	version := uint64(0)
	for _, a := range g.opts.Accounts.List() {
		if a.Inbox == in.ID && string(a.Kind) == r.PathValue("kind") {
			version = a.Version
		}
	}
	return version, checkMatch(r, version)
}

func (g *Gateway) putAccount(w http.ResponseWriter, r *http.Request, who caller) error {
	in, err := g.pathInbox(r)
	if err != nil {
		return err
	}
	version, err := g.accountVersion(r, in)
	if err != nil {
		return err
	}
	var b struct {
		Settings map[string]string `json:"settings"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	kind := conversation.ChannelKind(r.PathValue("kind"))
	v, err := g.opts.Accounts.Put(r.Context(), AccountChange{Inbox: in.ID, Kind: kind, Values: b.Settings, Expect: version})
	if err != nil {
		return err
	}
	g.log.Info("channel account stored", slog.String("inbox", string(in.ID)), slog.String("channel", string(kind)),
		slog.String("agent_id", string(who.agent.agent.ID)))
	status := http.StatusOK
	if version == 0 {
		status = http.StatusCreated
	}
	w.Header().Set("ETag", etagOf(v.Version))
	return answer(w, status, v)
}

func (g *Gateway) deleteAccount(w http.ResponseWriter, r *http.Request, who caller) error {
	in, err := g.pathInbox(r)
	if err != nil {
		return err
	}
	version, err := g.accountVersion(r, in)
	if err != nil {
		return err
	}
	kind := conversation.ChannelKind(r.PathValue("kind"))
	if err := g.opts.Accounts.Delete(r.Context(), in.ID, kind, version); err != nil {
		return err
	}
	g.log.Info("channel account deleted", slog.String("inbox", string(in.ID)), slog.String("channel", string(kind)),
		slog.String("agent_id", string(who.agent.agent.ID)))
	return noContent(w)
}

func (g *Gateway) testAccount(w http.ResponseWriter, r *http.Request, _ caller) error {
	in, err := g.pathInbox(r)
	if err != nil {
		return err
	}
	res, err := g.opts.Accounts.Test(r.Context(), in.ID, conversation.ChannelKind(r.PathValue("kind")))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, res)
}

// pauseAccount makes the handler that stops an account, or lets it go on.
func pauseAccount(paused bool) func(*Gateway, http.ResponseWriter, *http.Request, caller) error { //nolint:revive // the state that is wanted, not a mode
	word := "channel account resumed"
	if paused {
		word = "channel account paused"
	}
	return withAccounts(func(g *Gateway, w http.ResponseWriter, r *http.Request, who caller) error {
		in, err := g.pathInbox(r)
		if err != nil {
			return err
		}
		kind := conversation.ChannelKind(r.PathValue("kind"))
		v, err := g.opts.Accounts.Pause(r.Context(), in.ID, kind, paused)
		if err != nil {
			return err
		}
		g.log.Info(word, slog.String("inbox", string(in.ID)), slog.String("channel", string(kind)), //nolint:sloglint // one of two
			slog.String("agent_id", string(who.agent.agent.ID)))
		w.Header().Set("ETag", etagOf(v.Version))
		return answer(w, http.StatusOK, v)
	})
}
