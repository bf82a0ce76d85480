package email

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// oauth is how an account gets access tokens: by a refresh token, which somebody
// who may has got from the provider once (RFC 6749, 6).
type oauth struct {
	url, scope     string
	client, secret string
	refresh, user  string
}

// providers are the providers that an account can name, with where their tokens
// are and what has to be asked for.
//
// Source: developers.google.com/workspace/gmail/imap/xoauth2-protocol and
// learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth".
func providers() map[string]oauth {
	return map[string]oauth{
		"google": {url: "https://oauth2.googleapis.com/token"},
		"microsoft": {
			url:   "https://login.microsoftonline.com/common/oauth2/v2.0/token",
			scope: "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access",
		},
	}
}

// openOAuth reads the settings; nil when the account has a password. Errors: the
// name of the setting that is wrong.
func openOAuth(value func(string) string) (o *oauth, bad string) {
	if value(settingRefresh) == "" {
		if value(settingPassword) == "" {
			return nil, settingPassword
		}
		return nil, ""
	}
	got := providers()[value(settingOAuth)]
	if got.url == "" && value(settingOAuth) != "" {
		return nil, settingOAuth
	}
	if at := value(settingTokenURL); at != "" {
		got.url = at
	}
	if s := value(settingScope); s != "" {
		got.scope = s
	}
	if !safeAddress(got.url) {
		return nil, settingTokenURL
	}
	if value(settingClientID) == "" {
		return nil, settingClientID
	}
	got.client, got.secret, got.refresh = value(settingClientID), value(settingClientSecret), value(settingRefresh)
	return &got, ""
}

// safeAddress reports whether secrets can be sent to an address: by TLS, or within
// this machine.
func safeAddress(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}

// CheckValues implements [channels.Checked]: an account logs in with a password or
// with tokens.
func (*Driver) CheckValues(values map[string]string) error {
	_, bad := openOAuth(func(name string) string { return values[name] })
	switch {
	case bad == settingPassword:
		return conversation.Refusef(conversation.CodeInvalid, "%s is needed, or %s with %s", settingPassword, settingRefresh, settingClientID)
	case bad != "":
		return conversation.Refusef(conversation.CodeInvalid, "%s is missing or wrong", bad)
	case !validRate(values[settingRate]):
		return conversation.Refusef(conversation.CodeInvalid, "%s is a number from 1 to %d", settingRate, mostRate)
	}
	return nil
}

// bearer gives the access token of a mailbox; empty for one with a password. It is
// got anew some minutes before it ends. Errors: [*channels.SendError].
func (d *Driver) bearer(ctx context.Context, inbox conversation.InboxID, box *mailbox) (string, error) {
	if box.oauth == nil {
		return "", nil
	}
	return d.provider.Token(ctx, box.oauth.account(inbox), func(ctx context.Context, _ channels.TokenForce) (string, time.Duration, error) {
		token, life, err := d.renew(ctx, inbox, box.oauth)
		if !errors.Is(err, errGrant) {
			return token, life, err
		}
		// Another node may have been given a new refresh token for this one.
		now, openErr := d.mailbox(ctx, inbox)
		if openErr != nil || now.oauth == nil || now.oauth.refresh == box.oauth.refresh {
			return token, life, err
		}
		return d.renew(ctx, inbox, now.oauth)
	})
}

// account names the tokens of a login. A refresh token that is replaced leads to
// the same ones, so that replacing it does not throw the token away that came with
// it.
func (o *oauth) account(inbox conversation.InboxID) channels.Account {
	return channels.NewAccount(strings.Join([]string{"oauth", string(inbox), o.url, o.client, o.user}, "\n"), nil)
}

// errGrant says that the provider does not take a refresh token.
var errGrant = errors.New("the refresh token is not taken")

// renew asks for an access token. Errors: [*channels.SendError], with [errGrant]
// as its cause where the refresh token is over.
func (d *Driver) renew(ctx context.Context, inbox conversation.InboxID, o *oauth) (string, time.Duration, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {o.refresh}, "client_id": {o.client}}
	if o.secret != "" {
		form.Set("client_secret", o.secret)
	}
	if o.scope != "" {
		form.Set("scope", o.scope)
	}
	reply, err := d.provider.Call(ctx, channels.Call{URL: o.url, Values: form, Header: http.Header{"Accept": {"application/json"}}})
	if err != nil {
		return "", 0, refusedToken(reply, err)
	}
	var answer struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
		Refresh string `json:"refresh_token"`
	}
	if err := reply.JSON(&answer); err != nil {
		return "", 0, err
	}
	if answer.Token == "" || strings.ContainsFunc(answer.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: "oauth_no_token"}
	}
	if answer.Refresh != "" && answer.Refresh != o.refresh && d.o.Renewed != nil {
		// The token that has come is good whether or not this is kept.
		if err := d.o.Renewed(ctx, inbox, settingRefresh, o.refresh, answer.Refresh); err != nil {
			return answer.Token, min(channels.TokenLife(answer.Seconds), keptFor), nil //nolint:nilerr // it is kept the next time
		}
	}
	return answer.Token, channels.TokenLife(answer.Seconds), nil
}

// keptFor is how long a token is used whose new refresh token could not be kept.
const keptFor = 2 * time.Minute

// refusedToken says what a refusal of the token's server means (RFC 6749, 5.2).
func refusedToken(reply channels.Reply, err error) error {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(reply.Body, &answer) != nil {
		return err
	}
	switch answer.Error {
	case "invalid_grant":
		return &channels.SendError{Class: channels.Auth, Scope: channels.ScopeAccount, Code: "oauth_invalid_grant", After: refusedAgain, Err: errGrant}
	case "invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "invalid_request":
		return &channels.SendError{Class: channels.Auth, Scope: channels.ScopeAccount, Code: "oauth_" + answer.Error, After: refusedAgain}
	}
	return err
}

// retrying calls begin with an access token, and once more with a new one where a
// server does not take it: it may have been revoked before its time.
func (d *Driver) retrying(ctx context.Context, inbox conversation.InboxID, box *mailbox, begin func(token string) error) error {
	token, err := d.bearer(ctx, inbox, box)
	if err != nil {
		return err
	}
	err = begin(token)
	if box.oauth == nil || channels.ClassOf(err) != channels.Auth {
		return err
	}
	d.provider.Refused(ctx, box.oauth.account(inbox), token)
	if token, err = d.bearer(ctx, inbox, box); err != nil {
		return err
	}
	return begin(token)
}

// Names of the ways to log in with a token.
const (
	mechXOAuth2 = "XOAUTH2"
	mechBearer  = sasl.OAuthBearer
)

// tokenClient logs in with a token, in the way that the server offers; nil when
// there is none.
func tokenClient(l *login, token string, offers func(mechanism string) bool) sasl.Client {
	switch {
	case offers(mechBearer):
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: l.user, Token: token})
	case offers(mechXOAuth2):
		return &xoauth2{user: l.user, token: token}
	}
	return nil
}

// tokenRefused reports whether a server has said what is wrong with a token, where
// it does so before it says no (RFC 7628, 3.2.2).
func tokenRefused(err error) bool {
	var e *sasl.OAuthBearerError
	return errors.As(err, &e)
}

// xoauth2 is the older way of Google and Microsoft. Source:
// developers.google.com/workspace/gmail/imap/xoauth2-protocol.
type xoauth2 struct{ user, token string }

// Start implements [sasl.Client].
func (x *xoauth2) Start() (mech string, ir []byte, err error) {
	return mechXOAuth2, []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next implements [sasl.Client]: the server says what is wrong, and wants an empty
// answer before it says no.
func (*xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }
