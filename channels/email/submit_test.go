package email

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// postOffice is a submission server that refuses where it is told to.
type postOffice struct {
	auth, from, to, end error // at this step
	cut                 bool  // the connection, in place of the answer to the final dot
	conns               chan net.Conn

	mu    sync.Mutex
	mails []string
}

type clerk struct {
	*postOffice

	conn *smtp.Conn
}

func (p *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) { return &clerk{p, c}, nil }
func (c *clerk) AuthMechanisms() []string                           { return []string{sasl.Plain} }
func (c *clerk) Reset()                                             {}
func (c *clerk) Logout() error                                      { return nil }
func (c *clerk) Mail(string, *smtp.MailOptions) error               { return c.from }
func (c *clerk) Rcpt(string, *smtp.RcptOptions) error               { return c.to }

func (c *clerk) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "shop@example.com" || password != "secret" {
			return smtp.ErrAuthFailed
		}
		return c.auth
	}), nil
}

func (c *clerk) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mails = append(c.mails, string(b))
	if c.cut {
		return c.conn.Conn().Close()
	}
	return c.end
}

// serve starts the server and gives the settings of an account that uses it.
func (p *postOffice) serve(t *testing.T) map[string]string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(p)
	s.Domain, s.AllowInsecureAuth = "example.com", true
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return map[string]string{settingSMTP: l.Addr().String(), settingSMTPSecurity: securityNone}
}

func dialAnywhere(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func TestSendIsClassified(t *testing.T) {
	say := func(code int, c smtp.EnhancedCode) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: c, Message: "no"}
	}
	tests := []struct {
		name     string
		office   postOffice
		settings map[string]string
		class    channels.Class
		scope    channels.Scope
		code     string
		arrives  bool
	}{
		{name: "taken", arrives: true},
		{name: "wrong password", settings: map[string]string{settingPassword: "wrong"}, class: channels.Auth, scope: channels.ScopeAccount, code: "smtp_535_5.7.8"},
		{name: "login not now", office: postOffice{auth: say(454, smtp.EnhancedCode{4, 7, 0})}, class: channels.Retry, scope: channels.ScopeAccount, code: "smtp_454_4.7.0"},
		{name: "sender refused", office: postOffice{from: say(550, smtp.EnhancedCode{5, 7, 1})}, class: channels.Permanent, scope: channels.ScopeAccount, code: "smtp_550_5.7.1"},
		{name: "greylisted", office: postOffice{to: say(451, smtp.EnhancedCode{4, 7, 1})}, class: channels.Retry, code: "smtp_451_4.7.1"},
		{name: "no such mailbox", office: postOffice{to: say(550, smtp.EnhancedCode{5, 1, 1})}, class: channels.Gone, code: "smtp_550_5.1.1"},
		{name: "recipient refused", office: postOffice{to: say(554, smtp.EnhancedCode{5, 7, 1})}, class: channels.Permanent, code: "smtp_554_5.7.1"},
		{name: "content not now", office: postOffice{end: say(452, smtp.EnhancedCode{4, 3, 1})}, class: channels.Retry, code: "smtp_452_4.3.1", arrives: true},
		{name: "content refused", office: postOffice{end: say(554, smtp.EnhancedCode{5, 6, 0})}, class: channels.Permanent, code: "smtp_554_5.6.0", arrives: true},
		{name: "cut after the final dot", office: postOffice{cut: true}, class: channels.Unknown, code: "smtp_no_answer", arrives: true},
		{name: "TLS wanted, none there", settings: map[string]string{settingSMTPSecurity: securityStartTLS}, class: channels.Retry, scope: channels.ScopeAccount, code: "smtp_tls_failed"},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			settings := tt.office.serve(t)
			for k, v := range tt.settings {
				settings[k] = v
			}
			o, s := answering(conversation.PartyBot, "Hello", map[string]string{metaMessageID: "q@example.org"})
			d := newDriver(t, dialAnywhere, known{s.ID: s}, settings)
			id, err := d.Send(t.Context(), channels.Part{Outbound: *o})
			var e *channels.SendError
			switch {
			case tt.class == "" && err != nil:
				t.Fatalf("Send: %v", err)
			case tt.class == "" && !strings.Contains(tt.office.mails[0], "Message-Id: <"+id+">"):
				t.Errorf("the mail lacks the id %s that Send gave:\n%s", id, tt.office.mails[0])
			case tt.class == "":
			case !errors.As(err, &e) || e.Class != tt.class || e.Scope != tt.scope || e.Code != tt.code:
				t.Errorf("Send error = %v (%+v), want %s %s of scope %v", err, e, tt.class, tt.code, tt.scope)
			}
			if arrived := len(tt.office.mails) == 1; arrived != tt.arrives {
				t.Errorf("%d mails at the server, want arrives = %v", len(tt.office.mails), tt.arrives)
			}
		})
	}
}

// The same message has the same Message-ID at every attempt, so a receiver can
// tell that it is one.
func TestRepetitionsCanBeTold(t *testing.T) {
	office := &postOffice{cut: true}
	o, s := answering(conversation.PartyBot, "Hello", nil)
	d := newDriver(t, dialAnywhere, known{s.ID: s}, office.serve(t))
	for range 2 {
		if _, err := d.Send(t.Context(), channels.Part{Outbound: *o}); channels.ClassOf(err) != channels.Unknown {
			t.Fatalf("Send error = %v, want class unknown", err)
		}
	}
	if len(office.mails) != 2 || office.mails[0] != office.mails[1] {
		t.Errorf("two attempts sent %q", office.mails)
	}
}

func TestWhatIsNotSent(t *testing.T) {
	o, s := answering(conversation.PartyBot, "Hello", map[string]string{metaAutomatic: autoList})
	d := newDriver(t, noDial, known{s.ID: s}, nil)
	want := func(name string, change func(*channels.Part), class channels.Class, code string) {
		t.Helper()
		p := channels.Part{Outbound: *o}
		change(&p)
		_, err := d.Send(t.Context(), p)
		var e *channels.SendError
		if !errors.As(err, &e) || e.Class != class || e.Code != code {
			t.Errorf("%s: Send error = %v, want %s: %s", name, err, class, code)
		}
	}
	want("the bot to a list", func(*channels.Part) {}, channels.Permanent, "not_to_be_answered_list")
	want("an agent to a list", func(p *channels.Part) { p.From = conversation.PartyAgent }, channels.Retry, "smtp_unreachable")
	want("to nobody", func(p *channels.Part) { p.Peer = peerOf(nobody, thread{1}) }, channels.Permanent, "no_address")
	want("without an account", func(p *channels.Part) { p.Inbox = "other" }, channels.Permanent, "no_account")
}

// A send that is given up ends, whatever the server does.
func TestSendEndsWithItsContext(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept() // and says nothing
		if err == nil {
			accepted <- conn
		}
		cancel()
	}()
	o, s := answering(conversation.PartyBot, "Hello", nil)
	d := newDriver(t, dialAnywhere, known{s.ID: s}, map[string]string{settingSMTP: l.Addr().String(), settingSMTPSecurity: securityNone})
	if _, err := d.Send(ctx, channels.Part{Outbound: *o}); channels.ClassOf(err) != channels.Retry {
		t.Errorf("Send error = %v, want class retry", err)
	}
	_ = (<-accepted).Close()
}
