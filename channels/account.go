package channels

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// Configurable is a driver whose inboxes need an account with the provider
// before they can speak through it.
type Configurable interface {
	Driver
	// Settings lists what an account consists of; it never changes.
	Settings() []Setting
	// Check makes a call that shows whether an inbox's account works, and gives
	// the provider's name for it. Errors: [*SendError].
	Check(ctx context.Context, inbox conversation.InboxID) (name string, err error)
}

// Checked is a [Configurable] whose settings depend on each other.
type Checked interface {
	Configurable
	// CheckValues says what is wrong with the settings of an account together.
	// Errors: class [conversation.ErrInvalid]; they do not quote values.
	CheckValues(values map[string]string) error
}

// Paced is a [Driver] with accounts that may send at different rates.
type Paced interface {
	Driver
	// Pace gives the rate of an account's sends; false when it is that of Limits.
	// It is asked before every send and must be fast.
	Pace(ctx context.Context, inbox conversation.InboxID) (Rate, bool)
}

// Setting is one thing that an account consists of.
type Setting struct {
	Name     string `json:"name"`
	Help     string `json:"help"`
	Secret   bool   `json:"secret,omitempty"` // stored encrypted, never shown
	Required bool   `json:"required,omitempty"`
}

// Account is what an inbox needs to know to speak through a provider. It never
// prints its values: formatting and logging give a placeholder.
type Account struct {
	id     string // differs between accounts, and between the states of one
	values map[string]string
}

// NewAccount makes an account of its values. id names this state of it: access
// tokens that were got with other values belong to another id.
func NewAccount(id string, values map[string]string) Account {
	return Account{id: id, values: maps.Clone(values)}
}

// ID names this state of the account.
func (a Account) ID() string { return a.id }

// Value gives a setting; empty when it is not set.
func (a Account) Value(name string) string { return a.values[name] }

// Or gives a setting, or what applies when it is not set.
func (a Account) Or(name, otherwise string) string {
	if v := a.values[name]; v != "" {
		return v
	}
	return otherwise
}

// Address gives the setting with the address of a provider's interface, or the
// usual one, so that a path can be put behind it.
func (a Account) Address(name, usual string) string { return strings.TrimRight(a.Or(name, usual), "/") }

// String implements [fmt.Stringer] without the values.
func (a Account) String() string { return "account" }

// Format implements [fmt.Formatter] without the values, for every verb.
func (a Account) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(a.String())) }

// LogValue implements [slog.LogValuer] without the values.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Accounts gives an inbox's account with a provider. It is asked at every
// delivery and send, so a change is effective at once.
//
// Errors: class ErrNotFound when there is none, others when it cannot be read
// now.
type Accounts func(ctx context.Context, inbox conversation.InboxID) (Account, error)

// CheckSettings says what is wrong with the values of an account: a name that
// the driver does not know, or one that it needs.
// Errors: class [conversation.ErrInvalid]; they do not quote values.
func CheckSettings(d Configurable, values map[string]string) error {
	known := make(map[string]bool)
	for _, s := range d.Settings() {
		known[s.Name] = true
		if s.Required && values[s.Name] == "" {
			return conversation.Refusef(conversation.CodeInvalid, "%s is needed: %s", s.Name, s.Help)
		}
	}
	for name := range values {
		if !known[name] {
			return conversation.Refusef(conversation.CodeUnknownField, "an account of kind %s has no setting of that name", d.Kind())
		}
	}
	if c, ok := d.(Checked); ok {
		return c.CheckValues(values)
	}
	return nil
}
