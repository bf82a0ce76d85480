package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shopNode is a node that was set up the way the documentation says: init, the
// first admin by the token it prints, an inbox, its credential.
type shopNode struct {
	*served
	*staff

	dir     string
	packs   string
	ingress string
	args    []string // beside those of every start
}

func setUpShop(t *testing.T, args ...string) *shopNode {
	t.Helper()
	n := &shopNode{args: args, dir: filepath.Join(t.TempDir(), "data"), packs: t.TempDir()}
	n.writePack(t, n.goodPack(t))
	out, code := runProgram(t, "init", "--data-dir", n.dir)
	_, token, ok := strings.Cut(out, "setup_")
	if code != 0 || !ok {
		t.Fatalf("init: %d %s", code, out)
	}
	token, _, _ = strings.Cut("setup_"+token, "\n")
	n.start(t)
	if r := send(t, "GET", n.addr+"/v1/auth/setup", ""); r.body != "{\"open\":true}\n" {
		t.Errorf("before the first admin: %s", r.body)
	}
	admin := fmt.Sprintf(`{"token":%q,"name":"Ann","email":"ann@example.com","password":"correct horse battery"}`, token)
	send(t, "POST", n.addr+"/v1/auth/setup", strings.Replace(admin, token, "setup_guessed", 1)).is(t, http.StatusUnauthorized)
	n.staff = signedIn(t, n.addr, send(t, "POST", n.addr+"/v1/auth/setup", admin).is(t, http.StatusCreated))
	send(t, "POST", n.addr+"/v1/auth/setup", admin).is(t, http.StatusNotFound)
	n.do(t, "POST", "/v1/inboxes", `{"id":"shop","name":"Shop","lang":"en","packs":["house"],"origins":["self"],"policy":{"answers":"on"}}`).is(t, http.StatusCreated)
	var secret struct{ Token string }
	for range 2 { // the first token goes on for a while beside the second
		n.do(t, "POST", "/v1/inboxes/shop/rotate_secret", "").is(t, http.StatusCreated).into(t, &secret)
		if n.ingress == "" {
			n.ingress = secret.Token
		}
	}
	return n
}

func (n *shopNode) start(t *testing.T) {
	t.Helper()
	n.served = serveProgram(t, nil, append([]string{"--data-dir", n.dir, "--packs-dir", n.packs, "--set", grace}, n.args...)...)
	if n.staff != nil {
		n.at = n.addr
	}
}

func (n *shopNode) goodPack(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(testPacks(t), "house.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func (n *shopNode) writePack(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(n.packs, "house.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// webhookPath has the webhook wait for the reply as long as it does for anybody.
const webhookPath = "/webhook?wait_ms=25000"

// received is the answer of the webhook.
type received struct {
	Conversation string `json:"conversation_id"`
	MessageID    string `json:"message_id"`
	Seq          int    `json:"seq"`
	Reply        *struct{ Text string }
}

func (n *shopNode) post(t *testing.T, user, id, text string) (received, *reply) {
	t.Helper()
	body := fmt.Sprintf(`{"user":%q,"id":%q,"text":%q,"metadata":{}}`, user, id, text)
	r := send(t, "POST", n.addr+webhookPath, body, "Authorization", "Bearer "+n.ingress)
	var got received
	r.into(t, &got)
	return got, r
}

func (n *shopNode) answerTo(t *testing.T, user, text string) string {
	t.Helper()
	got, r := n.post(t, user, fmt.Sprint(time.Now().UnixNano()), text)
	if got.Reply == nil {
		t.Fatalf("no reply: %d %s", r.status, r.body)
	}
	return got.Reply.Text
}

// A node that is set up by hand answers; what it has acknowledged survives the
// process, however that ends.
func TestNodeKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	n := setUpShop(t)
	first, r := n.post(t, "u1", "m1", "when are you open")
	if r.status != http.StatusOK || first.Reply == nil || !strings.Contains(first.Reply.Text, "nine to five") {
		t.Fatalf("webhook: %d %s", r.status, r.body)
	}
	bytesBefore := r.body

	if code := n.end(t, syscall.SIGKILL); code != -1 {
		t.Errorf("exit status after kill -9 = %d", code)
	}
	n.start(t)
	again, r := n.post(t, "u1", "m1", "when are you open")
	if r.body != bytesBefore || r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same message after kill -9:\n%s\nwant the first answer again:\n%s", r.body, bytesBefore)
	}
	var list struct {
		Data []struct{ From, Text string }
	}
	n.do(t, "GET", "/v1/conversations/"+again.Conversation+"/messages", "").is(t, http.StatusOK).into(t, &list)
	if len(list.Data) != 2 || list.Data[0].Text != "when are you open" || list.Data[1].From != "bot" {
		t.Errorf("messages after kill -9: %+v", list.Data)
	}

	second, _ := n.post(t, "u1", "m2", "where can I park")
	if second.Conversation != first.Conversation || second.Seq <= first.Seq {
		t.Errorf("the conversation does not go on: %+v after %+v", second, first)
	}
	began := time.Now()
	if code := n.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit status after SIGTERM = %d:\n%s", code, n.log)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("stopping took %v, all of the grace", took)
	}
	if strings.Contains(n.log.String(), "when are you open") || strings.Contains(n.log.String(), n.ingress) {
		t.Error("the log holds a message or a credential")
	}

	backup := filepath.Join(t.TempDir(), "backup")
	if out, code := runProgram(t, "backup", "--data-dir", n.dir, "--to", backup); code != 0 {
		t.Errorf("backup: %d %s", code, out)
	}
	out, code := runProgram(t, "export", "--data-dir", n.dir)
	if code != 0 || strings.Count(out, `"kind":"message.accepted"`) != 2 || strings.Contains(out, "argon2") {
		t.Errorf("export: %d, two messages and no password hash wanted:\n%s", code, out)
	}
}

// A pack that is saved takes effect while the node runs. A bad one does not, and
// readiness says why; the healthcheck repeats it.
func TestPacksAreTakenUpWhileServing(t *testing.T) {
	t.Parallel()
	n := setUpShop(t)
	if got := n.answerTo(t, "u1", "when are you open"); !strings.Contains(got, "nine to five") {
		t.Fatalf("answer = %q", got)
	}
	ops := strings.TrimPrefix(n.ops, "http://")
	if out, code := runProgram(t, "healthcheck", "--address", ops); code != exitOK || !strings.Contains(out, "[+] packs: ok") {
		t.Errorf("healthcheck: %d\n%s", code, out)
	}

	n.writePack(t, strings.Replace(n.goodPack(t), "from nine to five", "around the clock", 1))
	eventually(t, "the new answer is given", func() bool {
		return strings.Contains(n.answerTo(t, "u1", "when are you open"), "around the clock")
	})

	n.writePack(t, "colloquy: 1\npack: house\nintents: nonsense\n")
	// While the file is being written the node may see half of it, and tell of that.
	eventually(t, "the bad pack is told with its name and the line", func() bool {
		r := send(t, "GET", n.ops+"/readyz?verbose", "")
		return r.status == http.StatusServiceUnavailable && strings.Contains(r.body, "[-] packs: pack house: ") && strings.Contains(r.body, "house.yaml:3")
	})
	out, code := runProgram(t, "healthcheck", "--address", ops)
	if code != exitCheck || !strings.Contains(out, "[-] packs: ") {
		t.Errorf("healthcheck: %d\n%s", code, out)
	}
	if got := n.answerTo(t, "u1", "when are you open"); !strings.Contains(got, "around the clock") {
		t.Errorf("with a bad pack in the folder the answer is %q, want the last good one", got)
	}

	n.writePack(t, n.goodPack(t))
	eventually(t, "the repaired pack answers", func() bool {
		return send(t, "GET", n.ops+"/readyz", "").status == http.StatusOK &&
			strings.Contains(n.answerTo(t, "u1", "when are you open"), "nine to five")
	})
}
