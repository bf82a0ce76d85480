package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func testIdentity(t *testing.T, key, name string, given *Certificates) *identity {
	t.Helper()
	id, err := newIdentity(key, name, newNodeID(), given)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func testLink(t *testing.T, id *identity) *Link {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(listener, id, &net.Dialer{}, slog.New(slog.DiscardHandler), newNodeMetrics(prometheus.NewRegistry()))
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// echo serves a protocol until its listener ends.
func echo(t *testing.T, l *Link, protocol, prefix string) {
	t.Helper()
	streams, err := l.Listen(protocol)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Write([]byte(prefix))
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

func hear(t *testing.T, conn net.Conn, say, want string) {
	t.Helper()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte(say)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("heard %q, %v, want %q", got, err, want)
	}
}

func TestLinkRoutesByProtocol(t *testing.T) {
	t.Parallel()
	key := NewKey()
	a, b := testLink(t, testIdentity(t, key, "c", nil)), testLink(t, testIdentity(t, key, "c", nil))
	echo(t, a, "raft", "raft:")
	echo(t, a, "journal", "journal:")
	for _, protocol := range []string{"raft", "journal", "raft"} {
		conn, err := b.Dial(t.Context(), a.listener.Addr().String(), protocol)
		if err != nil {
			t.Fatalf("dial %s: %v", protocol, err)
		}
		hear(t, conn, "hello", protocol+":hello")
	}
	if _, err := b.Dial(t.Context(), a.listener.Addr().String(), "nobody"); err == nil {
		t.Error("a protocol that nobody serves was dialed")
	}
	if _, err := a.Listen("raft"); err == nil {
		t.Error("a protocol was served twice")
	}
	if err := b.ping(t.Context(), a.listener.Addr().String()); err != nil {
		t.Errorf("ping = %v", err)
	}
}

func TestStrangersDoNotGetThroughTheLink(t *testing.T) {
	t.Parallel()
	key := NewKey()
	a := testLink(t, testIdentity(t, key, "c", nil))
	echo(t, a, "raft", "raft:")
	address := a.listener.Addr().String()
	for name, id := range map[string]*identity{
		"another key":          testIdentity(t, NewKey(), "c", nil),
		"another cluster name": testIdentity(t, key, "d", nil),
	} {
		stranger := testLink(t, id)
		if conn, err := stranger.Dial(t.Context(), address, "raft"); err == nil {
			_ = conn.Close()
			t.Errorf("%s: dialed", name)
		}
		echo(t, stranger, "raft", "x")
		if conn, err := a.Dial(t.Context(), stranger.listener.Addr().String(), "raft"); err == nil {
			_ = conn.Close()
			t.Errorf("%s: was dialed", name)
		}
	}
	// One who does not check us and shows nothing: the server speaks last, so the
	// refusal is seen with the first read.
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"raft"}}}).DialContext(t.Context(), "tcp", address)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("without a certificate: %d bytes were heard", n)
		}
		_ = conn.Close()
	}
}

func TestJunkDoesNotDisturbTheLink(t *testing.T) {
	t.Parallel()
	key := NewKey()
	a, b := testLink(t, testIdentity(t, key, "c", nil)), testLink(t, testIdentity(t, key, "c", nil))
	echo(t, a, "raft", "raft:")
	address := a.listener.Addr().String()
	// As many silent connections as may be in the handshake, less one, and some
	// that talk nonsense.
	for i := range linkHalfOpen - 1 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			_, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := b.Dial(t.Context(), address, "raft")
		if err == nil {
			hear(t, conn, "hello", "raft:hello")
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no way through the junk: %v", err)
		}
	}
}

func TestOperatorsCertificates(t *testing.T) {
	t.Parallel()
	key := NewKey()
	ours := certificates(t, "node.cluster.internal")
	a, b := testLink(t, testIdentity(t, key, "c", ours)), testLink(t, testIdentity(t, key, "c", ours))
	echo(t, a, "raft", "raft:")
	conn, err := b.Dial(t.Context(), a.listener.Addr().String(), "raft")
	if err != nil {
		t.Fatal(err)
	}
	hear(t, conn, "hello", "raft:hello")
	picky := *ours
	picky.Name = "other.internal"
	for name, given := range map[string]*Certificates{"another authority": certificates(t, "node.cluster.internal"), "another name": &picky} {
		if conn, err := testLink(t, testIdentity(t, key, "c", given)).Dial(t.Context(), a.listener.Addr().String(), "raft"); err == nil {
			_ = conn.Close()
			t.Errorf("%s: dialed", name)
		}
	}
	if _, err := newIdentity(key, "c", "x", &Certificates{Cert: "nowhere", Key: "nowhere", CA: "nowhere"}); err == nil {
		t.Error("missing files were taken")
	}
}

// certificates writes an authority and a node's certificate.
func certificates(t *testing.T, name string) *Certificates {
	t.Helper()
	dir := t.TempDir()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "operator"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, ca, ca, authority.Public(), authority)
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, ca, own.Public(), authority)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return &Certificates{
		Cert: write("cert.pem", "CERTIFICATE", signed), Key: write("key.pem", "PRIVATE KEY", private),
		CA: write("ca.pem", "CERTIFICATE", root), Name: name,
	}
}

func TestClosedLinkEndsItsListeners(t *testing.T) {
	t.Parallel()
	l := testLink(t, testIdentity(t, NewKey(), "c", nil))
	streams, err := l.Listen("raft")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := streams.Accept()
		ended <- err
	}()
	_ = l.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept = %v, want closed", err)
		}
	case <-time.After(time.Minute):
		t.Error("Accept goes on after Close")
	}
	if _, err := l.Listen("journal"); err == nil {
		t.Error("a closed link takes another listener")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := l.Dial(ctx, l.listener.Addr().String(), "raft"); err == nil {
		t.Error("a closed link was dialed")
	}
}
