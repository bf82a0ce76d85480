package email

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/mail"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
)

// The settings of an account.
const (
	settingAddress      = "address"
	settingName         = "name"
	settingUser         = "username"
	settingPassword     = "password"
	settingIMAP         = "imap"
	settingIMAPSecurity = "imap_security"
	settingFolder       = "folder"
	settingSMTP         = "smtp"
	settingSMTPSecurity = "smtp_security"
	settingSMTPUser     = "smtp_username"
	settingSMTPPassword = "smtp_password"
	settingCA           = "ca"
	settingAuthServ     = "authserv_id"
	settingTags         = "plus_addresses"
	settingMaxMiB       = "max_mib"
	settingAuto         = "auto_replies"
	settingHTML         = "html_files"
	settingOAuth        = "oauth_provider"
	settingTokenURL     = "oauth_token_url" //nolint:gosec // the name of a setting
	settingScope        = "oauth_scope"
	settingClientID     = "oauth_client_id"
	settingClientSecret = "oauth_client_secret" //nolint:gosec // likewise
	settingRefresh      = "oauth_refresh_token" //nolint:gosec // likewise
	settingRate         = "sends_per_hour"
)

// How a connection is kept from being read by others.
const (
	securityTLS      = "tls"      // from the first byte on
	securityStartTLS = "starttls" // before anything is said
	securityNone     = "none"     // on this machine only
)

const (
	defaultFolder  = "INBOX"
	defaultMaxMiB  = 25
	mostMaxMiB     = 64
	defaultAuto    = 1
	mostAuto       = 60
	maxAddressSize = 230 // so that a peer's name holds address and thread
)

// settings lists what an account consists of.
func settings() []channels.Setting {
	return []channels.Setting{
		{Name: settingAddress, Required: true, Help: "the address that visitors write to"},
		{Name: settingName, Help: "the name that stands before it in replies"},
		{Name: settingUser, Help: "login at both servers; empty = the address"},
		{Name: settingPassword, Secret: true, Help: "password, or app password, of the login; not needed with an oauth_refresh_token"},
		{Name: settingOAuth, Help: "google or microsoft: log in at both servers with tokens of theirs"},
		{Name: settingClientID, Help: "id of the application that you registered with the provider"},
		{Name: settingClientSecret, Secret: true, Help: "its secret; empty = it has none"},
		{Name: settingRefresh, Secret: true, Help: "refresh token that the mailbox's owner gave it; a new one that the provider sends takes its place"},
		{Name: settingTokenURL, Help: "where tokens are got, of another provider, or of a Microsoft tenant; https"},
		{Name: settingScope, Help: "what is asked for; empty = what the provider needs"},
		{Name: settingRate, Help: "mails that are sent in an hour at most, by each node; empty = 18000, as fast as 5 a second"},
		{Name: settingIMAP, Required: true, Help: "IMAP server, host or host:port; without a port 993"},
		{Name: settingIMAPSecurity, Help: "tls, starttls, or none for a server on this machine; empty = starttls at port 143, else tls"},
		{Name: settingFolder, Help: "folder that is read; empty = " + defaultFolder},
		{Name: settingSMTP, Required: true, Help: "submission server, host or host:port; without a port 587"},
		{Name: settingSMTPSecurity, Help: "tls, starttls, or none for a server on this machine; empty = tls at port 465, else starttls"},
		{Name: settingSMTPUser, Help: "login at the submission server if it is another one"},
		{Name: settingSMTPPassword, Secret: true, Help: "password of that login"},
		{Name: settingCA, Help: "certificates (PEM) of an authority of your own that both servers' certificates come from"},
		{Name: settingAuthServ, Help: "name that your mail server gives itself in Authentication-Results; empty = no sender counts as verified"},
		{Name: settingTags, Help: "on = replies go to address+tag, which your server must deliver to the same mailbox"},
		{Name: settingMaxMiB, Help: "largest mail that is read, in MiB; empty = " + strconv.Itoa(defaultMaxMiB)},
		{Name: settingHTML, Help: "on = a mail's HTML rides on the message as a file, cleaned; text/html must be among attachments.types"},
		{Name: settingAuto, Help: "mails of one sender within an hour that the bot may answer; empty = " + strconv.Itoa(defaultAuto)},
	}
}

// mailbox is an account in the terms of mail.
type mailbox struct {
	address     mail.Address
	local       string
	domain      string
	imap, smtp  login
	folder      string
	authServ    string
	tags, html  bool
	maxSize     int64 // bytes of one mail
	autoReplies int
	marks       marks
	oauth       *oauth // nil = with a password
}

// login is what it takes to speak to a server. It can be compared.
type login struct {
	protocol             string // imap or smtp; begins the codes of its failures
	host, port, security string
	user, password       string
	ca                   string // PEM; empty = the system's
}

// open reads the settings. Errors: [*channels.SendError], which names the setting
// that is wrong and not its value.
func open(a channels.Account) (mailbox, error) {
	address, err := mail.ParseAddress(a.Value(settingAddress))
	if err != nil || len(address.Address) > maxAddressSize {
		return mailbox{}, wrong(settingAddress)
	}
	box := mailbox{
		address: mail.Address{Name: oneLine(a.Or(settingName, address.Name), maxNameSize), Address: address.Address},
		folder:  a.Or(settingFolder, defaultFolder), authServ: strings.ToLower(a.Value(settingAuthServ)), tags: a.Value(settingTags) == "on", html: a.Value(settingHTML) == "on",
	}
	box.local, box.domain, _ = cutLast(address.Address, '@')
	user := a.Or(settingUser, address.Address)
	var bad string
	if box.oauth, bad = openOAuth(a.Value); bad != "" {
		return mailbox{}, wrong(bad)
	}
	if box.oauth != nil {
		box.oauth.user = user
	}
	box.imap = login{protocol: "imap", security: a.Value(settingIMAPSecurity), user: user, password: a.Value(settingPassword), ca: a.Value(settingCA)}
	box.smtp = login{
		protocol: "smtp", security: a.Value(settingSMTPSecurity), user: a.Or(settingSMTPUser, user),
		password: a.Or(settingSMTPPassword, a.Value(settingPassword)), ca: a.Value(settingCA),
	}
	if !box.imap.at(a.Value(settingIMAP), "993", map[string]string{"143": securityStartTLS, "": securityTLS}) {
		return mailbox{}, wrong(settingIMAP)
	}
	if !box.smtp.at(a.Value(settingSMTP), "587", map[string]string{"465": securityTLS, "": securityStartTLS}) {
		return mailbox{}, wrong(settingSMTP)
	}
	if _, err := box.imap.tls(); err != nil {
		return mailbox{}, err
	}
	mib, ok := number(a.Value(settingMaxMiB), defaultMaxMiB, 1, mostMaxMiB)
	if !ok {
		return mailbox{}, wrong(settingMaxMiB)
	}
	box.maxSize = int64(mib) << 20
	if box.autoReplies, ok = number(a.Value(settingAuto), defaultAuto, 0, mostAuto); !ok {
		return mailbox{}, wrong(settingAuto)
	}
	return box, nil
}

func wrong(setting string) error {
	return &channels.SendError{Class: channels.Permanent, Scope: channels.ScopeAccount, Code: "wrong_setting_" + setting}
}

// at fills in where the server is, and how it is spoken to if nothing is said;
// usual gives that by port.
func (l *login) at(address, port string, usual map[string]string) bool {
	host, given, err := net.SplitHostPort(address)
	if err != nil {
		host, given = strings.Trim(address, "[]"), port
	}
	if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ \t\r\n") {
		return false
	}
	l.host, l.port = host, given
	if l.security == "" {
		l.security = usual[""]
		if s, ok := usual[given]; ok {
			l.security = s
		}
	}
	return l.security == securityTLS || l.security == securityStartTLS || l.security == securityNone
}

func (l *login) address() string { return net.JoinHostPort(l.host, l.port) }

// tls gives how the server proves who it is.
func (l *login) tls() (*tls.Config, error) {
	c := &tls.Config{ServerName: l.host, MinVersion: tls.VersionTLS12}
	if l.ca == "" {
		return c, nil
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM([]byte(l.ca)) {
		return nil, wrong(settingCA)
	}
	return c, nil
}

// number reads a setting that may be empty.
func number(s string, otherwise, least, most int) (int, bool) {
	if s == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= least && n <= most
}
