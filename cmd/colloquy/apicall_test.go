package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// operator runs subcommands against a node as an admin with a token.
type operator struct {
	t       *testing.T
	environ []string
}

func (n *shopNode) operator(t *testing.T) *operator {
	t.Helper()
	var made struct{ Token string }
	n.do(t, "POST", "/v1/tokens", "{}").is(t, http.StatusCreated).into(t, &made)
	return &operator{t: t, environ: []string{variableURL + "=" + n.addr, variableToken + "=" + made.Token}}
}

// run gives what a command printed, and its exit status.
func (o *operator) run(args ...string) (stdout, stderr string, code int) {
	o.t.Helper()
	var out, problems bytes.Buffer
	code = run(o.t.Context(), args, o.environ, &out, &problems)
	return out.String(), problems.String(), code
}

// ok runs a command that has to work.
func (o *operator) ok(args ...string) string {
	o.t.Helper()
	stdout, stderr, code := o.run(args...)
	if code != exitOK {
		o.t.Fatalf("colloquy %s: %d %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// refused runs a command that has to end with a status and say something.
func (o *operator) refused(status int, want string, args ...string) {
	o.t.Helper()
	if _, stderr, code := o.run(args...); code != status || !strings.Contains(stderr, want) {
		o.t.Errorf("colloquy %s: %d %q, want %d and %q", strings.Join(args, " "), code, stderr, status, want)
	}
}

func wantIn(t *testing.T, out string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

// says reports whether somebody new is answered with want.
func says(t *testing.T, n *shopNode, text, want string) bool {
	t.Helper()
	who := rand.Text()
	got, _ := n.post(t, who, who, text)
	return got.Reply != nil && strings.Contains(got.Reply.Text, want)
}

const faqText = `colloquy: 1
pack: faq
lang: en
thresholds: {auto: 0.9, suggest: 0.89}
intents:
  - id: gift_cards
    title: Gift cards
    ask: [do you sell gift cards, gift card please, can I buy a voucher, vouchers]
    answer: At the till.
`

// A pack is saved, changed, refused, compared and rolled back from the command
// line, and visitors get the answers of it.
func TestPacksFromTheCommandLine(t *testing.T) {
	t.Parallel()
	n := setUpShop(t)
	o := n.operator(t)
	file := filepath.Join(t.TempDir(), "faq.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantIn(t, o.ok("pack", "list"), "house", "file", "ecommerce", "built-in")

	write(faqText)
	wantIn(t, o.ok("pack", "save", "faq", file, "--check"), "faq would be saved, hash ", "intents    0 → 1", "questions  0 → 4")
	o.refused(exitFailed, `no pack "faq" is saved`, "pack", "versions", "faq", "--json")
	wantIn(t, o.ok("pack", "save", "faq", file, "--comment", "opening"), "faq is saved: version 1, hash ")
	n.do(t, "PATCH", "/v1/inboxes/shop", `{"packs":["faq"]}`).is(t, http.StatusOK)
	eventually(t, "the saved pack answers", func() bool { return says(t, n, "do you sell gift cards", "till") })

	write(strings.Replace(faqText, "    answer: At the till.\n", "    answer: At the till.\n    nonsense: 1\n", 1))
	o.refused(exitFailed, "faq.yaml:10: ", "pack", "save", "faq", file)
	o.refused(exitCheck, "faq.yaml:10: ", "pack", "save", "faq", file, "--check")

	write(strings.Replace(faqText, "At the till.", "Online too.", 1))
	o.refused(exitFailed, "", "pack", "save", "faq", file, "--only-over", "0")
	wantIn(t, o.ok("pack", "save", "faq", file, "--comment", "more", "--only-over", "1"), "version 2", "inboxes with faq: answers will carry ")
	eventually(t, "the new answer is given", func() bool { return says(t, n, "do you sell gift cards", "Online") })
	wantIn(t, o.ok("pack", "save", "faq", file), "was the same already: version 2")
	wantIn(t, o.ok("pack", "show", "faq"), "Online too.")
	wantIn(t, o.ok("pack", "show", "faq", "--version", "1"), "At the till.")
	diff := o.ok("pack", "show", "faq", "--version", "1", "--diff")
	wantIn(t, diff, "-    9  ", "At the till.", "+    9  ", "Online too.")
	if strings.Contains(diff, "gift_cards") {
		t.Errorf("the diff has lines that are the same:\n%s", diff)
	}
	o.refused(exitUsage, "--diff needs --version", "pack", "show", "faq", "--diff")

	wantIn(t, o.ok("pack", "rollback", "faq", "1", "--comment", "too early"), "version 3")
	eventually(t, "the old answer is back", func() bool { return says(t, n, "do you sell gift cards", "till") })
	wantIn(t, o.ok("pack", "versions", "faq"), "3 *", "version 1 again: too early", "more", "opening")
	var versions []conversation.PackVersion
	if err := json.Unmarshal([]byte(o.ok("pack", "versions", "faq", "--json")), &versions); err != nil || len(versions) != 3 ||
		versions[0].Hash != versions[2].Hash || versions[0].Hash == versions[1].Hash || versions[0].Restores != 1 {
		t.Errorf("versions %+v, %v", versions, err)
	}
	o.refused(exitFailed, "", "pack", "rollback", "faq", "99")
	o.refused(exitFailed, "", "pack", "save", "house", file) // the node has a file of this name
	o.refused(exitUsage, "no name of a pack", "pack", "show", "../agents")
	o.refused(exitUsage, "no such file", "pack", "save", "faq", filepath.Join(t.TempDir(), "missing.yaml"))
}

// Whoever calls the API needs a token, and the token leaves the machine only
// under TLS.
func TestCallsToTheAPINeedAToken(t *testing.T) {
	t.Parallel()
	o := &operator{t: t}
	o.refused(exitUsage, "--token-file or COLLOQUY_API_TOKEN", "pack", "list")
	o.environ = []string{variableToken + "=pat_x"}
	o.refused(exitUsage, "without TLS", "pack", "list", "--url", "http://chat.example.com")
	o.refused(exitUsage, "is no address", "pack", "list", "--url", "chat.example.com")
	o.refused(exitUsage, "is no address", "pack", "list", "--url", "http://ann:pw@127.0.0.1")
	o.refused(exitUsage, "more than one word", "pack", "list", "--token-file", "apicall_test.go")

	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		switch len(asked) {
		case 1:
			http.Redirect(w, r, "http://elsewhere.example.com/", http.StatusFound)
		case 2:
			_, _ = io.WriteString(w, "<html>")
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("pat_filed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.environ = []string{variableURL + "=" + srv.URL, variableTokenFile + "=" + file}
	o.refused(exitFailed, "the node answers 302", "pack", "list")
	o.refused(exitFailed, "is not this program's", "pack", "list")
	o.refused(exitFailed, "the node answers 502", "pack", "list")
	for _, got := range asked {
		if got != "Bearer pat_filed" {
			t.Errorf("asked as %q", got)
		}
	}
	srv.Close()
	o.refused(exitFailed, "the node does not answer", "pack", "list")
}

// What the bot did not understand becomes an intent of a saved pack.
func TestSuggestionsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	n := setUpShop(t)
	o := n.operator(t)
	file := filepath.Join(t.TempDir(), "faq.yaml")
	if err := os.WriteFile(file, []byte(faqText), 0o600); err != nil {
		t.Fatal(err)
	}
	o.ok("pack", "save", "faq", file)
	n.do(t, "PATCH", "/v1/inboxes/shop", `{"packs":["faq"]}`).is(t, http.StatusOK)
	wantIn(t, o.ok("intent", "suggest", "--inbox", "shop"), "Nothing was asked in shop")
	eventually(t, "the pack answers", func() bool { return says(t, n, "do you sell gift cards", "till") })
	for i, text := range []string{"is there a playground for children", "do lizards sleep\u202e standing up"} {
		for j := range 2 { // not understood twice, it goes to a human, which is when books are written
			n.post(t, fmt.Sprint("u", i), fmt.Sprint("m", i, j), text)
		}
	}

	var got struct{ Data []conversation.Suggestion }
	eventually(t, "both questions are suggested", func() bool {
		if err := json.Unmarshal([]byte(o.ok("intent", "suggest", "--inbox", "shop", "--json")), &got); err != nil {
			t.Fatal(err)
		}
		return len(got.Data) == 2
	})
	list := o.ok("intent", "suggest", "--inbox", "shop")
	wantIn(t, list, got.Data[0].ID, "1 visitors, ", "playground", "not understood ", "--approve ID")
	if strings.Contains(list, "\u202e") {
		t.Errorf("the list commands the terminal: %q", list)
	}
	playground, lizards := got.Data[0], got.Data[1]
	if !strings.Contains(string(playground.Examples[0]), "playground") {
		playground, lizards = lizards, playground
	}
	o.refused(exitUsage, "--approve needs --intent", "intent", "suggest", "--inbox", "shop", "--approve", playground.ID)
	o.refused(exitUsage, "belong to --approve", "intent", "suggest", "--inbox", "shop", "--intent", "x")
	o.refused(exitFailed, "needs a title and an answer", "intent", "suggest", "--inbox", "shop", "--approve", playground.ID, "--intent", "playground")
	o.refused(exitFailed, "no such suggestion", "intent", "suggest", "--inbox", "shop", "--dismiss", "nothing")
	wantIn(t, o.ok("intent", "suggest", "--inbox", "shop", "--dismiss", lizards.ID), "is off the list")
	wantIn(t, o.ok("intent", "suggest", "--inbox", "shop", "--approve", playground.ID, "--intent", "playground", "--title", "Playground",
		"--answer", "Behind the till."), "is in the packs now")
	wantIn(t, o.ok("pack", "show", "faq"), "is there a playground for children", "Behind the till.")
	wantIn(t, o.ok("intent", "suggest", "--inbox", "shop"), "Nothing was asked in shop")
}

// What the shadow would have said is compared, also with what an agent said.
func TestShadowReport(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Utterances []struct{} }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"model":"test","version":"7","results":[%s]}`,
			strings.TrimSuffix(strings.Repeat(`{"candidates":[{"intent":"parking","confidence":0.95}]},`, len(q.Utterances)), ","))
	}))
	defer srv.Close()
	n := setUpShop(t, "--set", "intent.shadow=http", "--set", "intent.http.url="+srv.URL, "--set", "intent.http.timeout=1500ms")
	o := n.operator(t)
	wantIn(t, o.ok("intent", "shadow"), "http, nothing seen yet", "compared 0")
	first, _ := n.post(t, "u1", "m1", "when are you open")
	n.post(t, "u2", "m2", "where can I park")
	var r shadowReport
	eventually(t, "both turns are compared", func() bool {
		if err := json.Unmarshal([]byte(o.ok("intent", "shadow", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		return r.Totals.Compared == 2
	})
	if r.Judged.Turns != 0 {
		t.Errorf("judged before anybody has: %+v", r.Judged)
	}
	n.do(t, "POST", "/v1/conversations/"+first.Conversation+"/judge", fmt.Sprintf(`{"seq":%d,"verdict":"right"}`, answerSeq(t, n, first.Conversation)))
	if err := json.Unmarshal([]byte(o.ok("intent", "shadow", "--json", "--inbox", "shop")), &r); err != nil {
		t.Fatal(err)
	}
	want := shadowJudged{Turns: 1, Known: 1, Own: shadowScore{Understood: 1, Answers: 1, RightAnswer: 1}, Other: shadowScore{Answers: 1}}
	if r.Judged != want {
		t.Errorf("judged %+v, want %+v", r.Judged, want)
	}
	model := shadowModel{Model: "http:test@7", Turns: 2, Same: 1, OwnAnswers: 2, OtherAnswers: 2}
	if len(r.Models) != 1 || r.Models[0] != model || r.Totals.OwnAnswers != 2 || r.Totals.OtherAnswers != 2 || len(r.Examples) != 1 {
		t.Errorf("models %+v, totals %+v, %d examples", r.Models, r.Totals, len(r.Examples))
	}
	wantIn(t, o.ok("intent", "shadow"), "compared 2", "50.0 % (1 of 2)", "http:test@7", "1 of the newest 200 turns, what was asked is known of 1",
		"«when are you open»", "answer opening_hours", "answer parking 0.95", "own was right, it was opening_hours")
	if out := o.ok("intent", "shadow", "--examples", "0", "--inbox", "other"); strings.Contains(out, "«") || !strings.Contains(out, "compared 0") {
		t.Errorf("of another inbox:\n%s", out)
	}
}

// answerSeq gives the seq of the bot's first message.
func answerSeq(t *testing.T, n *shopNode, conversationID string) int {
	t.Helper()
	var list struct {
		Data []struct {
			From string
			Seq  int
		}
	}
	n.do(t, "GET", "/v1/conversations/"+conversationID+"/messages", "").is(t, http.StatusOK).into(t, &list)
	for _, m := range list.Data {
		if m.From == "bot" {
			return m.Seq
		}
	}
	t.Fatalf("no answer in %+v", list)
	return 0
}

// Shares are told with their numbers, and what is empty is no share.
func TestShadowShares(t *testing.T) {
	t.Parallel()
	var r shadowReport
	r.compare([]gateway.ShadowTurn{{Failed: true}, {Silent: true}})
	if len(r.Models) != 0 || r.Judged != (shadowJudged{}) {
		t.Errorf("of turns without a shadow: %+v", r)
	}
	if got := share(0, 0) + share(1, 3); got != "–33.3 % (1 of 3)" {
		t.Errorf("shares %q", got)
	}
}
