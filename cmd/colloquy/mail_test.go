package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
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
	Seq      int               `json:"seq"`
	From     string            `json:"from"`
	Text     string            `json:"text"`
	Delivery string            `json:"delivery"`
	Metadata map[string]string `json:"metadata"`
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

// A mail comes in while the node waits by IDLE, the bot answers, the answer stands
// in the visitor's mailbox in the thread of the question, and the visitor's reply
// goes on with the conversation.
func TestMailRoundTrip(t *testing.T) {
	t.Parallel()
	m := setUpMailShop(t)
	m.connect(t)
	began := time.Now()
	m.swaks(t, mailText("Ann <ann@visitor.test>", "Hours", "q1@visitor.test", "when are you open"), "--from", "ann@visitor.test", "--to", "shop@shop.test")
	var answer string
	eventually(t, "the visitor gets an answer", func() bool {
		for _, mail := range m.mails(t, "ann@visitor.test") {
			answer = mail
		}
		return answer != ""
	})
	t.Logf("from the visitor's server to the visitor's mailbox: %v", time.Since(began))
	t.Log(answer)
	if !strings.Contains(answer, "nine to five") || header(answer, "Subject") != "Re: Hours" ||
		header(answer, "In-Reply-To") != "<q1@visitor.test>" || header(answer, "Auto-Submitted") != "auto-replied" {
		t.Errorf("the answer is\n%s", answer)
	}
	_ = syscall.SIGKILL
}
