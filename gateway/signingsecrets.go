package gateway

import (
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// SigningSecrets gives the secrets that belong to an inbox's live tokens, in the
// form in which they are shown to its owner: what the inbox's deliveries may be
// signed with, and what the messages that leave it are.
func (g *Gateway) SigningSecrets(inbox conversation.InboxID, now time.Time) []string {
	var out []string
	for _, c := range g.opts.Credentials.Credentials() {
		if c.Kind == CredentialInbox && c.Inbox == inbox && (c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt)) {
			out = append(out, g.signingSecret(c))
		}
	}
	return out
}
