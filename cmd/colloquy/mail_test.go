//go:build unix

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	netmail "net/mail"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// mailShop is a node whose shop has a mailbox at real mail servers.
type mailShop struct {
	*shopNode
	*mailServers

	token string
}

func setUpMailShop(t *testing.T) *mailShop {
	t.Helper()
	m := &mailShop{mailServers: startMailServers(t)}
	m.shopNode = setUpShop(t, "--set", "channels.key=0123456789abcdef0123456789abcdef", "--set", "egress.allowed_cidrs=127.0.0.0/8")
	var token struct{ Token string }
	m.do(t, "POST", "/v1/tokens", `{}`).is(t, http.StatusCreated).into(t, &token)
	m.token = token.Token
	return m
}

// connect gives the inbox its account by the program, which also tests it.
func (m *mailShop) connect(t *testing.T, more ...string) {
	t.Helper()
	args := []string{"channel", "add", "email", "--inbox", "shop", "--url", m.addr}
	for _, s := range append(m.account(), more...) {
		args = append(args, "--setting", s)
	}
	cmd := exec.CommandContext(t.Context(), os.Getenv(builtProgram), args...)
	cmd.Env = append(lab.CleanEnviron(os.Environ()), "COLLOQUY_API_TOKEN="+m.token)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "shop@shop.test") {
		t.Fatalf("channel add: %v\n%s", err, out)
	}
}

// talk is a conversation as an agent sees it.
type talk struct {
	ID      string `json:"id"`
	Peer    string `json:"peer"`
	Channel string `json:"channel"`
	Status  string `json:"status"`
}

type said struct {
	Seq         int               `json:"seq"`
	From        string            `json:"from"`
	Text        string            `json:"text"`
	Delivery    string            `json:"delivery"`
	Metadata    map[string]string `json:"metadata"`
	Attachments []struct{ ID, Name, Type, State string }
}

// talks lists the conversations by mail.
func (m *mailShop) talks(t *testing.T) []talk {
	t.Helper()
	var out []talk
	for _, status := range []string{"pending", "open", "snoozed", "resolved"} {
		var list struct{ Data []talk }
		m.do(t, "GET", "/v1/conversations?status="+status+"&limit=100", "").is(t, http.StatusOK).into(t, &list)
		out = append(out, list.Data...)
	}
	return out
}

func (m *mailShop) messages(t *testing.T, id string) []said {
	t.Helper()
	var list struct{ Data []said }
	m.do(t, "GET", "/v1/conversations/"+id+"/messages", "").is(t, http.StatusOK).into(t, &list)
	return list.Data
}

// mail writes a mail of a visitor.
func mailText(from, subject, id, text string, headers ...string) string {
	head := fmt.Sprintf("From: %s\nTo: shop@shop.test\nSubject: %s\nMessage-ID: <%s>\nDate: %s\n",
		from, subject, id, time.Now().Format(time.RFC1123Z))
	for _, h := range headers {
		head += h + "\n"
	}
	return head + "Content-Type: text/plain; charset=utf-8\n\n" + text + "\n"
}

func header(mail, name string) string {
	for line := range strings.SplitSeq(mail, "\n") {
		if value, ok := strings.CutPrefix(strings.ToLower(line), strings.ToLower(name)+":"); ok {
			return strings.TrimSpace(line[len(line)-len(value):])
		}
		if line == "" {
			break
		}
	}
	return ""
}

// A mail comes in while the node waits by IDLE, and the bot's answer stands in the
// visitor's mailbox in the thread of the question. The visitor's reply goes on with
// the conversation, by what it answers or by the address that it goes to;
// somebody else who answers the same mail gets a conversation of their own, and
// what a program wrote gets no answer.
func TestMailRoundTrip(t *testing.T) {
	t.Parallel()
	m := setUpMailShop(t)
	m.connect(t)
	began := time.Now()
	question := mailText("Ann <ann@visitor.test>", "Hours", "q1@visitor.test", "when are you open")
	m.swaks(t, question, "--from", "ann@visitor.test", "--to", "shop@shop.test,ann@visitor.test") // to herself for the thread
	answer := m.awaitAnswer(t, "ann@visitor.test", "<q1@visitor.test>")
	t.Logf("from the visitor's hand-over to the answer in the visitor's mailbox: %v", time.Since(began))
	if !strings.Contains(answer, "nine to five") || header(answer, "Subject") != "Re: Hours" || header(answer, "Auto-Submitted") != "auto-replied" {
		t.Errorf("the answer is\n%s", answer)
	}
	if got := m.threads(t, "ann@visitor.test"); !strings.Contains(got, "(1 2)") && !strings.Contains(got, "(2 1)") {
		t.Errorf("THREAD=REFERENCES gives %q, want the question and the answer in one thread", got)
	}
	id := header(answer, "Message-ID")

	m.swaks(t, mailText("ann@visitor.test", "Re: Hours", "q2@visitor.test", "where can I park\n\n> We are open", "In-Reply-To: "+id),
		"--from", "ann@visitor.test", "--to", "shop@shop.test")
	m.awaitAnswer(t, "ann@visitor.test", "<q2@visitor.test>")
	m.swaks(t, mailText("ann@visitor.test", "something else", "q3@visitor.test", "where can I park"),
		"--from", "ann@visitor.test", "--to", address(header(answer, "Reply-To")))
	m.awaitAnswer(t, "ann@visitor.test", "<q3@visitor.test>")
	m.swaks(t, mailText("ann@visitor.test", "Out of office", "vacation@visitor.test", "I am away", "In-Reply-To: "+id, "Auto-Submitted: auto-replied"),
		"--from", "ann@visitor.test", "--to", "shop@shop.test")
	m.swaks(t, mailText("bob@visitor.test", "Re: Hours", "q4@visitor.test", "when are you open", "In-Reply-To: "+id, "References: <q1@visitor.test> "+id),
		"--from", "bob@visitor.test", "--to", "shop@shop.test")
	toBob := m.awaitAnswer(t, "bob@visitor.test", "<q4@visitor.test>")
	if strings.Contains(toBob, "q2@visitor.test") || strings.Contains(toBob, "park") {
		t.Errorf("somebody else got what is not theirs:\n%s", toBob)
	}

	// Postfix may bring the last two mails in either order.
	eventually(t, "what the program wrote is stored", func() bool {
		for _, talk := range m.talks(t) {
			for _, s := range m.messages(t, talk.ID) {
				if s.Metadata["message_id"] == "vacation@visitor.test" {
					return true
				}
			}
		}
		return false
	})
	talks := m.talks(t)
	if len(talks) != 2 {
		t.Fatalf("%d conversations, want one of Ann's and one of Bob's: %+v", len(talks), talks)
	}
	for _, talk := range talks {
		var got []string
		for _, s := range m.messages(t, talk.ID) {
			got = append(got, s.From+" "+s.Metadata["message_id"]+" "+s.Metadata["automatic"])
		}
		want := []string{"visitor q4@visitor.test ", "bot  "}
		if strings.HasPrefix(talk.Peer, "ann@visitor.test/") {
			want = []string{
				"visitor q1@visitor.test ", "bot  ", "visitor q2@visitor.test ", "bot  ", "visitor q3@visitor.test ", "bot  ",
				"visitor vacation@visitor.test auto_submitted",
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", talk.Peer, got, want)
		}
	}
	// A mail that is being renamed is not seen for a moment.
	eventually(t, "her own mail and three answers in Ann's mailbox", func() bool { return len(m.mails(t, "ann@visitor.test")) >= 4 })
	if n := len(m.mails(t, "ann@visitor.test")); n > 4 {
		t.Errorf("%d mails in Ann's mailbox, want her own and three answers", n)
	}
}

// A mail that Postfix could not deliver comes back as a report, which becomes the
// fate of the message and no conversation.
func TestMailBounce(t *testing.T) {
	t.Parallel()
	m := setUpMailShop(t)
	m.connect(t)
	m.swaks(t, mailText("gone@visitor.test", "Hours", "g1@visitor.test", "when are you open"), "--from", "gone@visitor.test", "--to", "shop@shop.test")
	var talks []talk
	eventually(t, "the answer is shown as failed", func() bool {
		talks = m.talks(t)
		if len(talks) != 1 {
			return false
		}
		all := m.messages(t, talks[0].ID)
		return len(all) == 2 && all[1].From == "bot" && all[1].Delivery == "failed"
	})
	eventually(t, "the question and Postfix's report in the shop's mailbox", func() bool {
		reports := m.mails(t, "shop@shop.test")
		return len(reports) == 2 && strings.Contains(strings.Join(reports, ""), "Action: failed")
	})
	m.swaks(t, mailText("bob@visitor.test", "Hours", "b1@visitor.test", "when are you open"), "--from", "bob@visitor.test", "--to", "shop@shop.test")
	m.awaitAnswer(t, "bob@visitor.test", "<b1@visitor.test>")
	if talks = m.talks(t); len(talks) != 2 { // what came after the report is there, so the report has been read
		t.Errorf("%d conversations, want those of the two visitors", len(talks))
	}

	m.do(t, "PUT", "/v1/inboxes/shop/channels/email", `{"settings":{"password":"wrong"}}`).is(t, http.StatusOK)
	got := m.do(t, "POST", "/v1/inboxes/shop/channels/email/test", "").is(t, http.StatusOK)
	if !strings.Contains(got.body, "auth: imap_login_refused") {
		t.Errorf("test with a wrong password: %s", got.body)
	}
}

// A file that a visitor sends is stored with the message and can be fetched, and one
// that an agent sends stands in the visitor's mailbox.
func TestMailFiles(t *testing.T) {
	t.Parallel()
	drawing, contract := "%PDF-1.4 a drawing\r\n.\r\n"+everyByte(50_000), "%PDF-1.4 a contract\n.\n"+everyByte(300_000)
	m := setUpMailShop(t)
	m.connect(t)
	mail := strings.Replace(mailText("ann@visitor.test", "Drawing", "f1@visitor.test", "--B\n\nI need a human\n--B\nContent-Type: application/pdf\n"+
		"Content-Disposition: attachment; filename*=utf-8''%E5%9B%BE.pdf\nContent-Transfer-Encoding: base64\n\n"+
		inLines(base64.StdEncoding.EncodeToString([]byte(drawing)))+"--B--"), "text/plain; charset=utf-8", "multipart/mixed; boundary=B", 1)
	m.swaks(t, mail, "--from", "ann@visitor.test", "--to", "shop@shop.test")
	var talks []talk
	eventually(t, "the mail is a conversation", func() bool { talks = m.talks(t); return len(talks) == 1 })
	first := m.messages(t, talks[0].ID)[0]
	if len(first.Attachments) != 1 || first.Attachments[0].Name != "图.pdf" || first.Attachments[0].State != "stored" {
		t.Fatalf("the message is %+v", first)
	}
	got := m.do(t, "GET", "/v1/attachments/"+first.Attachments[0].ID, "").is(t, http.StatusOK)
	if got.body != drawing || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the file of %d bytes came as %d", len(drawing), len(got.body))
	}

	at := "/v1/conversations/" + talks[0].ID
	m.do(t, "POST", at+"/claim", "{}")
	var file struct{ ID string }
	send(t, "POST", m.addr+at+"/attachments?name=contract.pdf", contract, "Cookie", m.cookie, "X-Colloquy-CSRF", "1", "Origin", m.addr,
		"Content-Type", "application/pdf").is(t, http.StatusCreated).into(t, &file)
	m.do(t, "POST", at+"/messages", fmt.Sprintf(`{"text":"Here it is.","attachments":[%q]}`, file.ID)).is(t, http.StatusCreated)
	var answer string
	eventually(t, "the agent's answer arrives", func() bool {
		mails := m.mails(t, "ann@visitor.test")
		i := slices.IndexFunc(mails, func(mail string) bool { return strings.Contains(mail, "Here it is.") })
		if i >= 0 {
			answer = mails[i]
		}
		return i >= 0
	})
	if header(answer, "Auto-Submitted") != "" || header(answer, "In-Reply-To") != "<f1@visitor.test>" {
		t.Errorf("the answer is automatic or stands alone:\n%.500s", answer)
	}
	if name, content := enclosedIn(t, answer); name != "contract.pdf" || content != contract {
		t.Errorf("the file of %d bytes arrived as %q with %d", len(contract), name, len(content))
	}
}

// everyByte is a text of so many bytes in which all of them occur.
func everyByte(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return string(b)
}

// inLines breaks base64 as mails have it.
func inLines(s string) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(s), 76) {
		_, _ = fmt.Fprintf(&b, "%s\n", line)
	}
	return b.String()
}

// enclosedIn gives the file that a mail has, as the standard library reads it.
func enclosedIn(t *testing.T, mail string) (name, content string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(mail))
	if err != nil {
		t.Fatalf("read the mail: %v", err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("read the mail's type: %v", err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("no file in the mail: %v", err)
		}
		if part.FileName() == "" {
			continue
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil {
			t.Fatalf("read the file: %v", err)
		}
		return part.FileName(), string(b)
	}
}

// Killing the node again and again while it fetches loses no mail and stores none
// twice; neither does a mailbox whose mails all get new numbers.
func TestMailFetchSurvivesKills(t *testing.T) {
	t.Parallel()
	const threads, each = 8, 50
	m := setUpMailShop(t)
	m.fill(t, threads, each)
	m.connect(t, "auto_replies=0")
	for _, least := range []int{1, threads * each / 4, threads * each / 2} {
		eventually(t, fmt.Sprintf("%d mails are stored", least), func() bool { return m.stored(t) >= least })
		m.end(t, syscall.SIGKILL)
		m.start(t)
		t.Logf("killed when at least %d of %d were stored, %d after the start", least, threads*each, m.stored(t))
	}
	eventually(t, "all mails are stored", func() bool { return m.stored(t) == threads*each })
	m.eachOnce(t, threads, each)

	m.end(t, syscall.SIGKILL)
	before := m.doveadm(t, "mailbox", "status", "-u", "shop@shop.test", "uidvalidity", "INBOX")
	m.renumber(t)
	if after := m.doveadm(t, "mailbox", "status", "-u", "shop@shop.test", "uidvalidity", "INBOX"); after == before {
		t.Fatalf("the mailbox kept its %s", after)
	}
	m.start(t)
	m.swaks(t, mailText("bob@visitor.test", "last", "last@visitor.test", "the last one"), "--from", "bob@visitor.test", "--to", "shop@shop.test")
	eventually(t, "the mail that came afterwards is stored", func() bool { return m.stored(t) > threads*each })
	m.eachOnce(t, threads, each)
}

// awaitAnswer waits for the mail in a visitor's mailbox that answers another.
func (m *mailShop) awaitAnswer(t *testing.T, user, to string) string {
	t.Helper()
	var answer string
	eventually(t, user+" gets an answer to "+to, func() bool {
		for _, mail := range m.mails(t, user) {
			if header(mail, "In-Reply-To") == to {
				answer = mail
			}
		}
		return answer != ""
	})
	return answer
}

func address(header string) string {
	_, rest, _ := strings.Cut(header, "<")
	a, _, _ := strings.Cut(rest, ">")
	return a
}

// fill puts mails into the shop's mailbox: threads of so many each, all by Ann.
func (m *mailShop) fill(t *testing.T, threads, each int) {
	t.Helper()
	m.doveadm(t, "mailbox", "status", "-u", "shop@shop.test", "uidvalidity", "INBOX") // makes the folders
	for i := range threads * each {
		root := fmt.Sprintf("<t%d-0@visitor.test>", i%threads)
		id := fmt.Sprintf("t%d-%d@visitor.test", i%threads, i/threads)
		mail := mailText("ann@visitor.test", fmt.Sprintf("Thread %d", i%threads), id, fmt.Sprintf("mail %d", i), "References: "+root)
		if i < threads {
			mail = mailText("ann@visitor.test", fmt.Sprintf("Thread %d", i%threads), id, fmt.Sprintf("mail %d", i))
		}
		name := fmt.Sprintf("mail/shop@shop.test/new/%d.%d.test", 1_700_000_000+i, i)
		m.write(t, name, mail)
		if err := os.Chown(m.at(name), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if err := os.Chtimes(m.at(name), now, now); err != nil {
			t.Fatal(err)
		}
	}
}

// renumber makes Dovecot forget which mail has which number.
func (m *mailShop) renumber(t *testing.T) {
	t.Helper()
	paths, err := filepath.Glob(m.at("mail/shop@shop.test/dovecot*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no index to remove: %v", err)
	}
	for _, p := range paths {
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
}

// stored counts the visitors' messages.
func (m *mailShop) stored(t *testing.T) int {
	t.Helper()
	n := 0
	for _, talk := range m.talks(t) {
		for _, s := range m.messages(t, talk.ID) {
			if s.From == "visitor" {
				n++
			}
		}
	}
	return n
}

// eachOnce fails unless every mail of [mailShop.fill] is stored once, and those of
// a thread in one conversation and in order.
func (m *mailShop) eachOnce(t *testing.T, threads, each int) {
	t.Helper()
	whole := 0
	for _, talk := range m.talks(t) {
		var got []string
		for _, s := range m.messages(t, talk.ID) {
			if s.From == "visitor" {
				got = append(got, s.Metadata["message_id"])
			}
		}
		if len(got) == 0 || got[0] == "last@visitor.test" {
			continue
		}
		thread, _, _ := strings.Cut(got[0], "-")
		var want []string
		for i := range each {
			want = append(want, fmt.Sprintf("%s-%d@visitor.test", thread, i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("conversation %s holds %q, want %d of %s in order", talk.ID, got, each, thread)
		}
		whole++
	}
	if whole != threads {
		t.Errorf("%d conversations, want %d", whole, threads)
	}
}

// threads asks Dovecot which mails of a mailbox belong together.
func (m *mailShop) threads(t *testing.T, user string) string {
	t.Helper()
	raw, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", m.clear)
	if err != nil {
		t.Fatal(err)
	}
	conn := textproto.NewConn(raw)
	defer func() { _ = conn.Close() }()
	_ = raw.SetDeadline(time.Now().Add(patience))
	found := ""
	for i, command := range []string{"", "LOGIN " + user + " " + mailPassword, "EXAMINE INBOX", "THREAD REFERENCES UTF-8 ALL"} {
		if command == "" {
			if _, err := conn.ReadLine(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := conn.PrintfLine("a%d %s", i, command); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := conn.ReadLine()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, "* THREAD ") {
				found = line
			}
			if strings.HasPrefix(line, fmt.Sprintf("a%d ", i)) {
				if !strings.Contains(line, " OK ") {
					t.Fatalf("%s: %s", command, line)
				}
				break
			}
		}
	}
	return found
}
