package engine

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
	"github.com/colloquyhq/colloquy/telemetry"
)

const (
	// pathKey is the value of an account that stands in the address to which the
	// provider delivers. It is made here, not by who makes the account.
	pathKey = "path_key"

	checkWithin      = 10 * time.Second
	maxAccountValue  = 8 << 10
	maxAccountValues = 32
)

// accounts is how inboxes speak through providers: what is stored of them, with
// the secrets encrypted, and the drivers that use it. It is [gateway.Accounts].
type accounts struct {
	store    *persistence.Store
	vault    *channels.Vault
	registry func() *channels.Registry // made of drivers that need the accounts
}

// of gives the accounts of a kind to its driver.
func (a *accounts) of(kind conversation.ChannelKind) channels.Accounts {
	return func(_ context.Context, inbox conversation.InboxID) (channels.Account, error) {
		stored, err := a.store.Account(kind, inbox)
		if err != nil {
			return channels.Account{}, err
		}
		values, err := a.values(&stored)
		if err != nil {
			return channels.Account{}, err
		}
		return channels.NewAccount(accountID(&stored, values[pathKey]), values), nil
	}
}

// accountID names a state of an account. Versions begin anew after an account was
// deleted, the key does not.
func accountID(a *conversation.Account, key string) string {
	return a.Place() + "@" + strconv.FormatUint(a.Version, 10) + "@" + key
}

// placeOfAccount gives the place in the name of an account's state.
func placeOfAccount(id string) string {
	place, _, _ := strings.Cut(id, "@")
	return place
}

// has reports whether an inbox has an account.
func (a *accounts) has(kind conversation.ChannelKind, inbox conversation.InboxID) bool {
	_, err := a.store.Account(kind, inbox)
	return err == nil
}

// paused reports whether an admin has stopped an inbox's account.
func (a *accounts) paused(kind conversation.ChannelKind, inbox conversation.InboxID) bool {
	stored, err := a.store.Account(kind, inbox)
	return err == nil && stored.Paused
}

// values gives all settings of an account, with the secrets in clear.
func (a *accounts) values(stored *conversation.Account) (map[string]string, error) {
	out := maps.Clone(stored.Settings)
	if out == nil {
		out = make(map[string]string)
	}
	secrets, err := a.vault.Open(stored.Place(), stored.Sealed)
	maps.Copy(out, secrets)
	return out, err
}

// opens reports whether key is the one in the address of an account.
func (a *accounts) opens(kind conversation.ChannelKind, inbox conversation.InboxID, key string) bool {
	stored, err := a.store.Account(kind, inbox)
	if err != nil {
		return false
	}
	values, err := a.values(&stored)
	return err == nil && subtle.ConstantTimeCompare([]byte(values[pathKey]), []byte(key)) == 1
}

// Kinds implements [gateway.Accounts].
func (a *accounts) Kinds() []gateway.AccountKind {
	drivers := a.registry().Configurable()
	var out []gateway.AccountKind
	for _, kind := range slices.Sorted(maps.Keys(drivers)) {
		out = append(out, gateway.AccountKind{
			Kind:     kind,
			Settings: each(drivers[kind].Settings(), func(s channels.Setting) gateway.AccountSetting { return gateway.AccountSetting(s) }),
		})
	}
	return out
}

// List implements [gateway.Accounts].
func (a *accounts) List() []gateway.AccountView {
	return each(a.store.Accounts(), func(s conversation.Account) gateway.AccountView { return a.view(&s) })
}

// view leaves the secrets out.
func (a *accounts) view(stored *conversation.Account) gateway.AccountView {
	v := gateway.AccountView{
		Inbox: stored.Inbox, Kind: stored.Kind, Settings: stored.Settings, Secrets: []string{}, Version: stored.Version,
		Paused: stored.Paused,
	}
	values, err := a.values(stored)
	if err != nil {
		v.Problem = detail(err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, plain := stored.Settings[name]; !plain && name != pathKey {
			v.Secrets = append(v.Secrets, name)
		}
	}
	if key := values[pathKey]; key != "" {
		v.Path = channelPath(stored.Kind, stored.Inbox, key)
	}
	inbox, err := a.store.Inbox(stored.Inbox)
	if v.Problem == "" && (err != nil || !inbox.Serves(stored.Kind)) {
		v.Problem = "the inbox does not exist, or its list of channels lacks this one"
	}
	if c, ok := a.registry().For(stored.Kind, stored.Inbox); ok {
		v.Health = gateway.AccountHealth(c.Health())
	}
	return v
}

// Put implements [gateway.Accounts].
func (a *accounts) Put(ctx context.Context, c gateway.AccountChange) (gateway.AccountView, error) {
	driver, err := a.driver(c.Kind)
	if err != nil {
		return gateway.AccountView{}, err
	}
	now := conversation.Account{Inbox: c.Inbox, Kind: c.Kind, Version: c.Expect}
	values := map[string]string{pathKey: newPathKey()}
	if c.Expect > 0 {
		stored, err := a.store.Account(c.Kind, c.Inbox)
		if err != nil {
			return gateway.AccountView{}, err
		}
		if values, err = a.values(&stored); err != nil {
			return gateway.AccountView{}, err
		}
		now.Paused = stored.Paused
	}
	key := values[pathKey]
	delete(values, pathKey)
	if err := merge(values, c.Values); err != nil {
		return gateway.AccountView{}, err
	}
	if err := channels.CheckSettings(driver, values); err != nil {
		return gateway.AccountView{}, err
	}
	if now.Settings, now.Sealed, err = a.part(driver, &now, values, key); err != nil {
		return gateway.AccountView{}, err
	}
	if now, err = a.store.PutAccount(ctx, now); err != nil {
		return gateway.AccountView{}, err
	}
	// With another account begins another count of what was fetched. What is
	// fetched twice because of that is stored once.
	if err := a.store.DeleteCursor(ctx, &now); err != nil {
		return gateway.AccountView{}, err
	}
	return a.view(&now), nil
}

// secretChange is a secret that a provider has replaced.
type secretChange struct{ name, old, now string }

// renew puts a secret that a provider has given into the place of the old one,
// unless somebody has changed that meanwhile.
func (a *accounts) renew(ctx context.Context, kind conversation.ChannelKind, inbox conversation.InboxID, c secretChange) error {
	d, err := a.driver(kind)
	if err != nil {
		return err
	}
	stored, err := a.store.Account(kind, inbox)
	if err != nil {
		return err
	}
	values, err := a.values(&stored)
	if err != nil || values[c.name] != c.old {
		return err
	}
	key := values[pathKey]
	delete(values, pathKey)
	values[c.name] = c.now
	if stored.Settings, stored.Sealed, err = a.part(d, &stored, values, key); err != nil {
		return err
	}
	_, err = a.store.PutAccount(ctx, stored)
	return err
}

// part divides values into what may be read and what is sealed.
func (a *accounts) part(
	d channels.Configurable, at *conversation.Account, values map[string]string, key string,
) (plain map[string]string, sealed []byte, err error) {
	plain, secrets := make(map[string]string), map[string]string{pathKey: key}
	for _, s := range d.Settings() {
		v, ok := values[s.Name]
		switch {
		case !ok:
		case s.Secret:
			secrets[s.Name] = v
		default:
			plain[s.Name] = v
		}
	}
	sealed, err = a.vault.Seal(at.Place(), secrets)
	return plain, sealed, err
}

func merge(values, changes map[string]string) error {
	for name, v := range changes {
		if len(v) > maxAccountValue {
			return conversation.Refusef(conversation.CodeTooLarge, "a setting has at most %d bytes", maxAccountValue)
		}
		if values[name] = v; v == "" {
			delete(values, name)
		}
	}
	if len(values) > maxAccountValues {
		return conversation.Refusef(conversation.CodeTooLarge, "at most %d settings", maxAccountValues)
	}
	return nil
}

func newPathKey() string { return rand.Text() }

// driver finds the driver of a kind that has accounts.
func (a *accounts) driver(kind conversation.ChannelKind) (channels.Configurable, error) {
	d, ok := a.registry().Configurable()[kind]
	if !ok {
		return nil, conversation.Refuse(conversation.CodeUnknownChannel, "this kind of channel has no accounts")
	}
	return d, nil
}

// Pause implements [gateway.Accounts].
func (a *accounts) Pause(ctx context.Context, inbox conversation.InboxID, kind conversation.ChannelKind, paused bool) (gateway.AccountView, error) { //nolint:revive // the state that is wanted, not a mode
	stored, err := a.store.Account(kind, inbox)
	if err == nil && stored.Paused != paused {
		stored.Paused = paused
		stored, err = a.store.PutAccount(ctx, stored)
	}
	if err != nil {
		return gateway.AccountView{}, err
	}
	return a.view(&stored), nil
}

// Delete implements [gateway.Accounts].
func (a *accounts) Delete(ctx context.Context, inbox conversation.InboxID, kind conversation.ChannelKind, version uint64) error {
	return a.store.DeleteAccount(ctx, conversation.Account{Inbox: inbox, Kind: kind, Version: version})
}

// Test implements [gateway.Accounts].
func (a *accounts) Test(ctx context.Context, inbox conversation.InboxID, kind conversation.ChannelKind) (gateway.AccountTest, error) {
	d, err := a.driver(kind)
	if err == nil {
		_, err = a.store.Account(kind, inbox)
	}
	if err != nil {
		return gateway.AccountTest{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	name, err := d.Check(ctx, inbox)
	if err == nil {
		return gateway.AccountTest{OK: true, Name: name}, nil
	}
	out := gateway.AccountTest{Error: "unknown"}
	if e := (*channels.SendError)(nil); errors.As(err, &e) {
		out.Error = e.Detail()
	}
	return out, nil
}

// accountsCheck says which accounts do not work. The node serves all the same.
func (e *Engine) accountsCheck(context.Context) error {
	var errs []error
	for _, v := range e.accounts.List() {
		switch {
		case v.Problem != "":
			errs = append(errs, fmt.Errorf("channel account %s of inbox %s: %s", v.Kind, v.Inbox, v.Problem))
		case v.Health.Broken:
			errs = append(errs, fmt.Errorf("channel account %s of inbox %s: the provider does not accept its credentials (%s)", v.Kind, v.Inbox, v.Health.Error))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return telemetry.Degraded(errors.Join(errs...))
}
