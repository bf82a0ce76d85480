//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

// mailServers are Dovecot and Postfix as processes of the test's own: on loopback
// ports, with their files in one folder, and nothing of the system's. The domain
// shop.test is the account's, visitor.test the visitors'; one Dovecot holds all
// mailboxes, and Postfix brings mail to it and takes it in from both sides.
type mailServers struct {
	dir                           string
	host                          string // a loopback address
	imap, lmtp, auth, smtp, clear string // addresses; imap has TLS from the first byte on, clear has none
	ca                            string // file
}

const (
	mailPassword = "correct-horse"
	mailUID      = "65534" // nobody, to whom all mailboxes belong
)

// startMailServers starts them. They are ended with the test, by their own process
// ids. The test is skipped where the programs are not installed, unless
// COLLOQUY_REQUIRE_MAIL is 1.
func startMailServers(t *testing.T) *mailServers {
	t.Helper()
	for _, program := range []string{"dovecot", "postfix", "swaks", "doveadm"} {
		if _, err := exec.LookPath(program); err == nil && os.Getuid() == 0 {
			continue
		}
		if os.Getenv("COLLOQUY_REQUIRE_MAIL") == "1" {
			t.Fatalf("needs root and %s (Debian: dovecot-imapd dovecot-lmtpd postfix swaks)", program)
		}
		t.Skipf("needs root and %s (Debian: dovecot-imapd dovecot-lmtpd postfix swaks)", program)
	}
	dir, err := os.MkdirTemp("", "mail") //nolint:usetesting // only root may enter the parents of t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &mailServers{dir: dir, host: clustertest.LoopbackOfItsOwn(), ca: filepath.Join(dir, "ca.pem")}
	for _, at := range []*string{&m.imap, &m.lmtp, &m.auth, &m.smtp, &m.clear} {
		*at = m.freePort(t)
	}
	m.mkdir(t, ".", "mail", "dovecot", "dovecot/run", "dovecot/state", "postfix", "postfix/conf", "postfix/queue", "postfix/data", "postfix/log")
	m.owned(t, mailUID, "mail")
	m.owned(t, "postfix", "postfix/data", "postfix/log")
	m.certificate(t)
	m.startDovecot(t)
	m.startPostfix(t)
	return m
}

func (m *mailServers) freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", m.host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (m *mailServers) at(name string) string { return filepath.Join(m.dir, name) }

func (m *mailServers) mkdir(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(m.at(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(m.at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *mailServers) owned(t *testing.T, user string, names ...string) {
	t.Helper()
	for _, name := range names {
		if out, err := exec.CommandContext(t.Context(), "chown", user, m.at(name)).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v %s", err, out)
		}
	}
}

func (m *mailServers) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(m.at(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// certificate makes one that both servers show, and that is its own authority.
func (m *mailServers) certificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.shop.test"}, NotAfter: time.Now().Add(24 * time.Hour),
		NotBefore: time.Now().Add(-time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.ParseIP(m.host)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	m.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

func (m *mailServers) startDovecot(t *testing.T) {
	t.Helper()
	m.write(t, "dovecot/users", "shop@shop.test:{PLAIN}"+mailPassword+"::::::\nann@visitor.test:{PLAIN}"+mailPassword+"::::::\nbob@visitor.test:{PLAIN}"+mailPassword+"::::::\n")
	m.write(t, "dovecot/dovecot.conf", strings.NewReplacer(
		"HOST", m.host, "DIR", m.at("dovecot"), "MAIL", m.at("mail"), "UID", mailUID, "CERT", m.at("ca.pem"), "KEY", m.at("key.pem"),
		"P_IMAPS", port(m.imap), "P_IMAP", port(m.clear), "P_LMTP", port(m.lmtp), "P_AUTH", port(m.auth),
	).Replace(`
base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/log
protocols = imap lmtp
listen = HOST
first_valid_uid = 1
default_vsz_limit = 0
ssl = yes
ssl_cert = <CERT
ssl_key = <KEY
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:MAIL/%u
recipient_delimiter = +
lmtp_rcpt_check_quota = no
passdb {
  driver = passwd-file
  args = username_format=%u DIR/users
}
userdb {
  driver = passwd-file
  args = username_format=%u DIR/users
  default_fields = uid=UID gid=UID home=MAIL/%u
}
service imap-login {
  inet_listener imap {
    port = P_IMAP
  }
  inet_listener imaps {
    port = P_IMAPS
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = P_LMTP
  }
}
service auth {
  inet_listener {
    port = P_AUTH
  }
}
`))
	m.run(t, "dovecot/log", "dovecot", "-F", "-c", m.at("dovecot/dovecot.conf"))
	m.listens(t, "dovecot/log", m.imap, m.clear, m.lmtp, m.auth)
}

func (m *mailServers) startPostfix(t *testing.T) {
	t.Helper()
	m.write(t, "postfix/conf/main.cf", strings.NewReplacer(
		"DIR", m.at("postfix"), "LMTP", m.lmtp, "AUTH", m.auth, "CERT", m.at("ca.pem"), "KEY", m.at("key.pem"),
	).Replace(`
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = DIR/log/mail
maillog_file_prefixes = DIR/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.shop.test
mydestination =
local_recipient_maps =
alias_maps =
mynetworks =
recipient_delimiter = +
virtual_mailbox_domains = shop.test, visitor.test
virtual_transport = lmtp:inet:LMTP
smtpd_tls_security_level = may
smtpd_tls_cert_file = CERT
smtpd_tls_key_file = KEY
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:AUTH
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_peername_lookup = no
disable_dns_lookups = yes
default_transport = error:5.1.2 no such place
`))
	m.write(t, "postfix/conf/master.cf", strings.NewReplacer("SMTP", m.smtp).Replace(`
SMTP      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
lmtp      unix  -       -       n       -       -       lmtp
smtp      unix  -       -       n       -       -       smtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
`))
	m.run(t, "postfix/log/mail", "postfix", "-c", m.at("postfix/conf"), "start-fg")
	t.Cleanup(m.endPostfix) // before the group is, to which its master does not belong
	m.listens(t, "postfix/log/mail", m.smtp)
}

// endPostfix asks Postfix's master, which made a session of its own, to end with all
// of its servers.
func (m *mailServers) endPostfix() {
	raw, err := os.ReadFile(m.at("postfix/queue/pid/master.pid"))
	if err != nil {
		return // it did not get so far
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// run starts a server in a process group of its own and ends that with the test.
func (m *mailServers) run(t *testing.T, log, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...) //nolint:noctx // it is ended by hand, in a way that it survives
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.Create(m.at(filepath.Base(name) + ".out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(patience):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		_ = out.Close()
		if t.Failed() {
			t.Logf("%s: %s%s", name, m.tail(out.Name()), m.tail(m.at(log)))
		}
	})
}

func (m *mailServers) tail(path string) string {
	raw, _ := os.ReadFile(path)
	return string(raw[max(0, len(raw)-4000):])
}

// listens waits until all addresses are served.
func (m *mailServers) listens(t *testing.T, log string, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		eventually(t, "a mail server listens on "+a+"; "+log, func() bool {
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", a)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
	}
}

// swaks sends a mail as a visitor's program does: to the server that the recipient's
// domain names, without a login.
func (m *mailServers) swaks(t *testing.T, mail string, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(file, []byte(mail), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--server", m.smtp, "--data", "@" + file, "--suppress-data"}, args...)
	if out, err := exec.CommandContext(t.Context(), "swaks", args...).CombinedOutput(); err != nil {
		t.Fatalf("swaks: %v\n%s", err, out)
	}
}

// mails gives the mails in a mailbox, by the file names that Dovecot gave them.
func (m *mailServers) mails(t *testing.T, user string) []string {
	t.Helper()
	var out []string
	for _, sub := range []string{"new", "cur"} {
		paths, _ := filepath.Glob(filepath.Join(m.at("mail"), user, sub, "*"))
		for _, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				continue // moved from new to cur meanwhile
			}
			out = append(out, strings.ReplaceAll(string(raw), "\r\n", "\n"))
		}
	}
	return out
}

// doveadm asks Dovecot about a mailbox.
func (m *mailServers) doveadm(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"-c", m.at("dovecot/dovecot.conf")}, args...)
	out, err := exec.CommandContext(t.Context(), "doveadm", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("doveadm %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// account gives the settings of the shop's account.
func (m *mailServers) account() []string {
	return []string{
		"address=shop@shop.test", "name=Shop", "password=" + mailPassword, "ca=@" + m.ca, "plus_addresses=on",
		"imap=" + m.imap, "imap_security=tls", "smtp=" + m.smtp, "smtp_security=starttls", fmt.Sprintf("auto_replies=%d", 30),
	}
}
