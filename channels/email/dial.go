package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/colloquyhq/colloquy/channels"
)

// Dial connects to a mail server.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// connect opens a connection, with TLS if it begins with that. Errors:
// [*channels.SendError]; nothing was sent.
func connect(ctx context.Context, dial Dial, l login) (net.Conn, error) {
	conn, err := dial(ctx, "tcp", l.address())
	if err != nil {
		return nil, l.unreachable(err)
	}
	if l.security == securityNone && !onThisMachine(conn) {
		_ = conn.Close()
		return nil, &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: l.protocol + "_tls_required"}
	}
	if l.security != securityTLS {
		return conn, nil
	}
	config, err := l.tls()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, l.notSecure(err)
	}
	return secure, nil
}

// onThisMachine reports whether nobody else can read along.
func onThisMachine(conn net.Conn) bool {
	at, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

func (l *login) unreachable(err error) *channels.SendError {
	e := &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: l.protocol + "_unreachable", Err: err}
	if errors.Is(err, channels.ErrAddressRefused) {
		e.Code = l.protocol + "_address_refused"
	}
	return e
}

// notSecure classes a TLS handshake that failed.
func (l *login) notSecure(err error) *channels.SendError {
	e := &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: l.protocol + "_tls_failed", Err: err}
	var bad *tls.CertificateVerificationError
	if errors.As(err, &bad) {
		e.Code = l.protocol + "_certificate_refused"
	}
	return e
}
