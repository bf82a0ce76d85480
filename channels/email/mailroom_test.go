package email

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
)

// mailroom is an IMAP server whose connections are pipes, so that it can stand in a
// bubble of fake time. To the suite it is a transport that nobody uses.
type mailroom struct {
	user   *imapmemserver.User
	server *imapserver.Server

	calls  chan net.Conn
	closed chan struct{}
}

var errNoHTTP = errors.New("mail makes no HTTP calls")

// RoundTrip implements [http.RoundTripper].
func (*mailroom) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoHTTP }

// Accept implements [net.Listener].
func (m *mailroom) Accept() (net.Conn, error) {
	select {
	case c := <-m.calls:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (m *mailroom) Close() error { close(m.closed); return nil }

// Addr implements [net.Listener].
func (*mailroom) Addr() net.Addr { return &net.TCPAddr{} }

func (m *mailroom) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.calls <- theirs:
		return nearby{ours}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// nearby is a pipe that counts as one of this machine, where no TLS is needed.
type nearby struct{ net.Conn }

// RemoteAddr implements [net.Conn].
func (nearby) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 143} }

// newMailroom gives a server at which mails wait.
func newMailroom(t testing.TB, messages []channeltest.Message) http.RoundTripper {
	t.Helper()
	m := &mailroom{user: imapmemserver.NewUser("shop@example.com", "secret"), calls: make(chan net.Conn), closed: make(chan struct{})}
	if err := m.user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range messages {
		mail := "From: ann@example.org\r\nTo: shop@example.com\r\nMessage-ID: <" + c.Ref + ">\r\n" + // without a subject, which would stand above the text
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + c.Text + "\r\n"
		if c.Kind != "" {
			mail = "From: ann@example.org\r\nMessage-ID: <" + c.Ref + ">\r\nContent-Type: multipart/mixed\r\n\r\nno boundary, no parts\r\n"
		}
		if _, err := m.user.Append("INBOX", literal{bytes.NewReader([]byte(mail))}, &imap.AppendOptions{Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	m.server = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			users := imapmemserver.New()
			users.AddUser(m.user)
			return users.NewSession(), nil, nil
		},
		InsecureAuth: true, Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	})
	ended := make(chan struct{})
	go func() { defer close(ended); _ = m.server.Serve(m) }()
	t.Cleanup(func() { _ = m.server.Close(); <-ended })
	return m
}

// failingRoom is a mailroom that fails at every other of the first connections.
type failingRoom struct {
	*mailroom

	status int

	mu    sync.Mutex
	dials int
}

var errRefused = errors.New("connection refused")

// dial fails as a server does that is not there (0), has too many connections (429),
// or ends in the middle of an answer (502).
func (f *failingRoom) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.mu.Lock()
	f.dials++
	fails := f.dials <= 12 && f.dials%2 == 1
	f.mu.Unlock()
	switch {
	case !fails:
		return f.mailroom.dial(ctx, network, address)
	case f.status == 0:
		return nil, errRefused
	case f.status == http.StatusTooManyRequests:
		ours, theirs := net.Pipe()
		go func() {
			_, _ = io.WriteString(theirs, "* BYE too many connections\r\n")
			_ = theirs.Close()
		}()
		return nearby{ours}, nil
	}
	conn, err := f.mailroom.dial(ctx, network, address)
	return channeltest.Cut(conn, 4096), err
}

// pulled says how the suite puts mails into a folder.
func pulled() *channeltest.Pulled {
	return &channeltest.Pulled{
		New: func(t testing.TB, provider http.RoundTripper) channels.Driver {
			t.Helper()
			room, ok := provider.(interface {
				dial(ctx context.Context, network, address string) (net.Conn, error)
			})
			if !ok {
				return newDriver(t, noDial, nil, nil)
			}
			return newDriver(t, room.dial, known{}, map[string]string{settingIMAP: "127.0.0.1:143", settingIMAPSecurity: securityNone})
		},
		Provider: newMailroom,
		Failing: func(p http.RoundTripper, status int) http.RoundTripper {
			room, ok := p.(*mailroom)
			if !ok {
				return p
			}
			return &failingRoom{mailroom: room, status: status}
		},
		Kinds: []string{"unreadable_mail"},
	}
}
