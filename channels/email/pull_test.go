package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/colloquyhq/colloquy/channels"
)

// postbox is an IMAP server with one mailbox.
type postbox struct {
	user    atomic.Pointer[imapmemserver.User]
	address string
	server  *imapserver.Server
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	p := &postbox{}
	p.renumber(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.server = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			users := imapmemserver.New()
			users.AddUser(p.user.Load())
			return users.NewSession(), nil, nil
		},
		InsecureAuth: true,
	})
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.server.Serve(l) }()
	t.Cleanup(func() { _ = p.server.Close(); <-ended })
	return p
}

// renumber makes the mailbox anew: empty, with another UIDVALIDITY.
func (p *postbox) renumber(t *testing.T) {
	t.Helper()
	user := imapmemserver.NewUser("shop@example.com", "secret")
	if p.user.Load() != nil {
		if err := user.Create("another", nil); err != nil { // takes the number that the old one had
			t.Fatal(err)
		}
	}
	if err := user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	p.user.Store(user)
}

func (p *postbox) put(t *testing.T, mail string, at time.Time, flags ...imap.Flag) {
	t.Helper()
	if _, err := p.user.Load().Append("INBOX", literal{bytes.NewReader([]byte(mail))}, &imap.AppendOptions{Time: at, Flags: flags}); err != nil {
		t.Fatal(err)
	}
}

type literal struct{ *bytes.Reader }

// Size implements [imap.LiteralReader].
func (l literal) Size() int64 { return l.Reader.Size() }

func (p *postbox) settings(change map[string]string) map[string]string {
	out := map[string]string{settingIMAP: p.address, settingIMAPSecurity: securityNone}
	maps.Copy(out, change)
	return out
}

// fetched looks at the folder, as Pull does, until there is nothing new, and gives
// the Message-IDs of what came or the kind of what is none.
func fetched(t *testing.T, d *Driver, stored *[]byte) []string {
	t.Helper()
	var got []string
	for range 100 {
		box, err := d.mailbox(t.Context(), inbox)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newSession(t.Context(), d.o.Dial, box.imap, "", box.folder)
		if err != nil {
			t.Fatal(err)
		}
		r := &reading{Pull: channels.Pull{Account: inbox, Cursor: *stored, At: time.Now()}, driver: d, box: &box, cursor: parseCursor(*stored)}
		r.cursor.meet(s.validity, s.next, r.At)
		uids, err := r.news(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(uids) == 0 {
			*stored = r.cursor.encode()
			s.close()
			return got
		}
		out, err := d.read(t.Context(), s, r, uids)
		s.close()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			if e.Unsupported != "" {
				got = append(got, e.Unsupported+": "+e.Metadata[metaSubject])
				continue
			}
			got = append(got, e.Metadata[metaMessageID])
		}
		*stored = out.Cursor
	}
	t.Fatal("the folder does not end")
	return nil
}

func wantMails(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestPullTakesWhatIsNew(t *testing.T) {
	p := newPostbox(t)
	d := newDriver(t, dialAnywhere, nil, p.settings(nil))
	now := time.Now()
	p.put(t, mailOf("ann@example.org", "old@x", "last month"), now.AddDate(0, -1, 0))
	p.put(t, mailOf("ann@example.org", "read@x", "read by somebody"), now.Add(-time.Hour), imap.FlagSeen)
	p.put(t, mailOf("ann@example.org", "unread@x", "unread"), now.Add(-time.Hour))
	var at []byte
	wantMails(t, "at first", fetched(t, d, &at), "unread@x")
	wantMails(t, "without news", fetched(t, d, &at)) // though UID FETCH n:* names the newest
	var want []string
	for i := range batchMails + 3 {
		id := fmt.Sprintf("new-%d@x", i)
		p.put(t, mailOf("ann@example.org", id, "new"), now, imap.FlagSeen)
		want = append(want, id)
	}
	wantMails(t, "more than a batch", fetched(t, d, &at), want...)
}

// When the server numbers its mails anew, those that were taken are not taken
// again, and none of the others is lost.
func TestPullSurvivesNewNumbers(t *testing.T) {
	p := newPostbox(t)
	d := newDriver(t, dialAnywhere, nil, p.settings(nil))
	now := time.Now()
	var mails, want []string
	for i := range 30 {
		id := fmt.Sprintf("m-%d@x", i)
		mails, want = append(mails, mailOf("ann@example.org", id, "hello")), append(want, id)
		p.put(t, mails[i], now)
	}
	var at []byte
	wantMails(t, "at first", fetched(t, d, &at), want...)
	before := parseCursor(at)
	p.renumber(t)
	p.put(t, mailOf("ann@example.org", "older@x", "from long ago"), now.AddDate(0, 0, -40))
	for i, m := range mails {
		p.put(t, m, now, imap.FlagSeen)
		if i == 10 {
			p.put(t, mailOf("ann@example.org", "between@x", "came meanwhile"), now)
		}
	}
	wantMails(t, "afterwards", fetched(t, d, &at), "between@x")
	if after := parseCursor(at); after.Validity == before.Validity {
		t.Error("the server did not number anew")
	}
	p.put(t, mailOf("ann@example.org", "last@x", "the last one"), now)
	wantMails(t, "then", fetched(t, d, &at), "last@x")
}

func TestPullPassesWhatIsTooLarge(t *testing.T) {
	p := newPostbox(t)
	d := newDriver(t, dialAnywhere, nil, p.settings(map[string]string{settingMaxMiB: "1"}))
	p.put(t, mailOf("ann@example.org", "large@x", strings.Repeat("0123456789\n", 150_000)), time.Now())
	p.put(t, mailOf("ann@example.org", "small@x", "hello"), time.Now())
	var at []byte
	wantMails(t, "both", fetched(t, d, &at), "too_large_mail: Parcel", "small@x")
}

// A mail at which the server fails is tried for a while and then passed.
func TestPullPassesWhatCannotBeFetched(t *testing.T) {
	p := newPostbox(t)
	d := newDriver(t, dialAnywhere, nil, p.settings(nil))
	box, err := d.mailbox(t.Context(), inbox)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSession(t.Context(), d.o.Dial, box.imap, "", box.folder)
	if err != nil {
		t.Fatal(err)
	}
	s.close() // so that everything fails
	r := &reading{Pull: channels.Pull{Account: inbox}, driver: d, box: &box}
	for i := range maxFailures - 1 {
		if events, err := r.take(t.Context(), s, size{uid: 5}); err == nil || len(events) != 0 {
			t.Fatalf("attempt %d gave %v and %v, want an error", i, events, err)
		}
	}
	events, err := r.take(t.Context(), s, size{uid: 5})
	if err != nil || len(events) != 1 || events[0].Unsupported != "unreachable_mail" {
		t.Errorf("the last attempt gave %v and %v, want a note", events, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * maxFailures {
		if events, err := r.take(ended, s, size{uid: 6}); err == nil || len(events) != 0 {
			t.Fatalf("a look that is given up gave %v and %v, want an error", events, err)
		}
	}
}

// A look that finds nothing waits for what the server tells, and the connection
// serves the next one.
func TestPullWaitsForNews(t *testing.T) {
	p := newPostbox(t)
	d := newDriver(t, dialAnywhere, nil, p.settings(nil))
	got, err := d.Pull(t.Context(), channels.Pull{Account: inbox, At: time.Now()})
	if err != nil || !got.More || got.Cursor == nil {
		t.Fatalf("the first look gave %+v and %v, want a cursor", got, err)
	}
	at := got.Cursor
	held := d.sessions.mu.kept[inbox].session
	news := make(chan channels.Pulled, 1)
	go func() {
		got, err := d.Pull(t.Context(), channels.Pull{Account: inbox, Cursor: at, At: time.Now()})
		if err != nil {
			t.Errorf("Pull: %v", err)
		}
		news <- got
	}()
	p.put(t, mailOf("ann@example.org", "new@x", "hello"), time.Now()) // before, while or after it begins to wait
	got = <-news
	if len(got.Events) == 0 {
		if !got.More {
			t.Fatalf("a look that was woken gave %+v, want more", got)
		}
		if got, err = d.Pull(t.Context(), channels.Pull{Account: inbox, Cursor: at, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if len(got.Events) != 1 || got.Events[0].Metadata[metaMessageID] != "new@x" {
		t.Errorf("events %+v, want the new mail", got.Events)
	}
	if d.sessions.mu.kept[inbox].session != held {
		t.Error("the connection was not kept")
	}
	held.close()
	if _, err := d.Pull(t.Context(), channels.Pull{Account: inbox, Cursor: at, At: time.Now()}); channels.ClassOf(err) != channels.Retry {
		t.Errorf("Pull over a broken connection: %v, want class retry", err)
	}
	if got, err := d.Pull(t.Context(), channels.Pull{Account: inbox, Cursor: at, At: time.Now()}); err != nil || len(got.Events) != 1 {
		t.Errorf("Pull after it gave %+v and %v, want the mail again", got, err)
	}
	d.sessions.drop(inbox, d.sessions.mu.kept[inbox].session)
	if len(d.sessions.mu.kept) != 0 {
		t.Error("a connection that nobody took is kept")
	}
}

func TestAccountsThatDoNotWork(t *testing.T) {
	p := newPostbox(t)
	refused := func(context.Context, string, string) (net.Conn, error) {
		return nil, fmt.Errorf("10.0.0.1: %w", channels.ErrAddressRefused)
	}
	elsewhere := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe() // its address is none of this machine's
		t.Cleanup(func() { _ = far.Close() })
		return near, nil
	}
	tests := []struct {
		name   string
		dial   Dial
		change map[string]string
		class  channels.Class
		code   string
	}{
		{"wrong password", dialAnywhere, map[string]string{settingPassword: "wrong"}, channels.Auth, "imap_login_refused"},
		{"no such folder", dialAnywhere, map[string]string{settingFolder: "nowhere"}, channels.Permanent, "imap_no_such_folder"},
		{"nobody listens", noDial, nil, channels.Retry, "imap_unreachable"},
		{"a private network", refused, nil, channels.Retry, "imap_address_refused"},
		{"in clear over a network", elsewhere, nil, channels.Permanent, "imap_tls_required"},
		{"no TLS there", dialAnywhere, map[string]string{settingIMAPSecurity: securityTLS}, channels.Retry, "imap_tls_failed"},
		{"no STARTTLS there", dialAnywhere, map[string]string{settingIMAPSecurity: securityStartTLS}, channels.Retry, "imap_tls_failed"},
		{"a port that is none", dialAnywhere, map[string]string{settingIMAP: "host:http"}, channels.Permanent, "wrong_setting_imap"},
		{"a host that is none", dialAnywhere, map[string]string{settingSMTP: "user@host"}, channels.Permanent, "wrong_setting_smtp"},
		{"an address that is none", dialAnywhere, map[string]string{settingAddress: "shop"}, channels.Permanent, "wrong_setting_address"},
		{"another way", dialAnywhere, map[string]string{settingSMTPSecurity: "ssl"}, channels.Permanent, "wrong_setting_smtp"},
		{"a certificate that is none", dialAnywhere, map[string]string{settingCA: "x"}, channels.Permanent, "wrong_setting_ca"},
		{"too much", dialAnywhere, map[string]string{settingMaxMiB: "65"}, channels.Permanent, "wrong_setting_max_mib"},
		{"too many", dialAnywhere, map[string]string{settingAuto: "-1"}, channels.Permanent, "wrong_setting_auto_replies"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDriver(t, tt.dial, nil, p.settings(tt.change))
			for what, call := range map[string]func() error{
				"Check": func() error { _, err := d.Check(t.Context(), inbox); return err },
				"Pull":  func() error { _, err := d.Pull(t.Context(), channels.Pull{Account: inbox, At: time.Now()}); return err },
			} {
				var e *channels.SendError
				if err := call(); !errors.As(err, &e) || e.Class != tt.class || e.Code != tt.code {
					t.Errorf("%s error = %v, want %s: %s", what, err, tt.class, tt.code)
				}
			}
		})
	}
}

func TestCheckLogsInAtBothServers(t *testing.T) {
	p, office := newPostbox(t), &postOffice{}
	both := p.settings(office.serve(t))
	if name, err := newDriver(t, dialAnywhere, nil, both).Check(t.Context(), inbox); err != nil || name != "shop@example.com" {
		t.Errorf("Check = %q, %v", name, err)
	}
	both[settingSMTPPassword] = "wrong"
	if _, err := newDriver(t, dialAnywhere, nil, both).Check(t.Context(), inbox); channels.ClassOf(err) != channels.Auth {
		t.Errorf("Check with another password for sending = %v, want class auth", err)
	}
}

func TestUsualPorts(t *testing.T) {
	for _, tt := range []struct{ imap, smtp, wantIMAP, wantSMTP string }{
		{"mail.example.com", "mail.example.com", "mail.example.com:993 tls", "mail.example.com:587 starttls"},
		{"mail.example.com:143", "mail.example.com:465", "mail.example.com:143 starttls", "mail.example.com:465 tls"},
		{"[2001:db8::1]:1993", "2001:db8::1", "[2001:db8::1]:1993 tls", "[2001:db8::1]:587 starttls"},
	} {
		box, err := open(channels.NewAccount("1", settingsOf(map[string]string{settingIMAP: tt.imap, settingSMTP: tt.smtp})))
		if err != nil {
			t.Fatal(err)
		}
		if got := box.imap.address() + " " + box.imap.security; got != tt.wantIMAP {
			t.Errorf("imap %q is %q, want %q", tt.imap, got, tt.wantIMAP)
		}
		if got := box.smtp.address() + " " + box.smtp.security; got != tt.wantSMTP {
			t.Errorf("smtp %q is %q, want %q", tt.smtp, got, tt.wantSMTP)
		}
	}
}
