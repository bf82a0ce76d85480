package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/persistence"
)

// kiosk is a pack of two intents; the answer to the first is given.
func kiosk(answer string) string {
	return `colloquy: 1
pack: kiosk
lang: en
thresholds: {auto: 0.3, suggest: 0.2}
intents:
  - id: price
    ask: [how much is the paper, what does the newspaper cost, price of the daily paper, newspaper price]
    test: [what is the price of a newspaper]
    answer: ` + answer + `
  - id: stamps
    ask: [do you sell stamps, can I get stamps here, are there postage stamps, stamps for a letter]
    answer: Yes, at the counter.
`
}

// packsAPI is an admin's or agent's way to a node.
type packsAPI struct {
	t     *testing.T
	node  *Engine
	token string
}

func newAPI(t *testing.T, e *Engine, role conversation.Role) packsAPI {
	t.Helper()
	id := conversation.AgentID("a-" + string(role))
	return newAPIOf(t, e, conversation.Agent{ID: id, Name: string(id), Email: string(id) + "@example.com", Role: role})
}

// newAPIOf is newAPI for an agent of the test's own.
func newAPIOf(t *testing.T, e *Engine, a conversation.Agent) packsAPI {
	t.Helper()
	if _, err := e.Store().PutAgent(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	id := a.ID
	token, err := PutToken(t.Context(), e.Store(), persistence.Credential{
		ID: string(id), Kind: persistence.CredentialKind(gateway.CredentialAgent), Agent: id,
	})
	if err != nil {
		t.Fatal(err)
	}
	return packsAPI{t: t, node: e, token: token}
}

// call is a request. Match is its If-Match, empty for none.
type call struct {
	method, path, match string
	body                any
}

// do makes a request and reads the answer into out, which may be nil.
func (a packsAPI) do(c call, out any) (status int, etag string) {
	a.t.Helper()
	raw, err := json.Marshal(c.body)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), c.method, "http://"+a.node.Addr()+c.path, bytes.NewReader(raw))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	if c.match != "" {
		req.Header.Set("If-Match", c.match)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err = io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		a.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			a.t.Fatalf("%s %s = %d %s: %v", c.method, c.path, res.StatusCode, raw, err)
		}
	}
	return res.StatusCode, res.Header.Get("ETag")
}

// want is do for an answer whose status is known.
func (a packsAPI) want(status int, c call, out any) (etag string) {
	a.t.Helper()
	got, etag := a.do(c, out)
	if got != status {
		a.t.Fatalf("%s %s = %d, want %d: %+v", c.method, c.path, got, status, out)
	}
	return etag
}

type packText struct {
	Text    string `json:"text"`
	Comment string `json:"comment,omitempty"`
}

// listed finds a pack in GET /v1/packs.
func (a packsAPI) listed(name string) gateway.PackInfo {
	a.t.Helper()
	var page struct {
		Data []gateway.PackInfo `json:"data"`
	}
	a.want(http.StatusOK, call{method: http.MethodGet, path: "/v1/packs"}, &page)
	for _, p := range page.Data {
		if p.Name == name {
			return p
		}
	}
	return gateway.PackInfo{}
}

// answers asks a question and gives the bot's answer with the model it came
// from.
func answers(t *testing.T, e *Engine, inbox conversation.InboxID, text string) (answer, model string) {
	t.Helper()
	r := say(t, e, visitor(inbox, text))
	if len(r.Replies) == 0 || r.Replies[0].Bot == nil {
		return "", ""
	}
	return string(r.Replies[0].Text), r.Replies[0].Bot.Model
}

func TestPacksThroughTheAPI(t *testing.T) {
	t.Parallel()
	e, _ := serving(t, quietOptions(t, io.Discard))
	admin := newAPI(t, e, conversation.RoleAdmin)
	const path = "/v1/packs/kiosk"

	var refused struct {
		Code     conversation.Code     `json:"code"`
		Problems []gateway.PackProblem `json:"problems"`
	}
	admin.want(http.StatusBadRequest, call{http.MethodPut, path, "", packText{Text: kiosk("Two {coins}.")}}, &refused)
	if len(refused.Problems) != 1 || refused.Problems[0].Line != 6 || refused.Problems[0].File != "saved:kiosk" || refused.Code != conversation.CodeInvalid {
		t.Errorf("a bad pack is refused with %+v", refused)
	}
	admin.want(http.StatusNotFound, call{method: http.MethodGet, path: path}, nil)
	admin.want(http.StatusPreconditionFailed, call{http.MethodPut, path, `"3"`, packText{Text: kiosk("Two coins.")}}, nil)

	var saved gateway.PackSaved
	first := admin.want(http.StatusCreated, call{http.MethodPut, path, `"0"`, packText{Text: kiosk("Two coins."), Comment: "a beginning"}}, &saved)
	eventually(t, "the pack is loaded", func() bool { return admin.listed("kiosk").Version == saved.Hash })
	putInbox(t, e, conversation.Inbox{ID: "kiosk", Name: "Kiosk", Lang: "en", Packs: []string{"kiosk"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	eventually(t, "the pack is live and calibrated", func() bool {
		p := admin.listed("kiosk")
		return p.State == "live" && p.Calibrated && p.Saved == 1
	})
	if answer, model := answers(t, e, "kiosk", "how much is the paper"); answer != "Two coins." || model != admin.listed("kiosk").Models[0].Live {
		t.Errorf("the bot says %q by model %s, live is %+v", answer, model, admin.listed("kiosk").Models)
	}

	var check gateway.PackCheck
	admin.want(http.StatusOK, call{http.MethodPost, path + "/check", "", map[string]any{
		"text": strings.Replace(kiosk("Three coins."), "newspaper price]", "newspaper price, is the gazette dear]", 1), "try": "is the gazette dear",
	}}, &check)
	if !check.OK || check.Questions != (gateway.PackCounts{Before: 8, After: 9}) || check.Tests.N != 1 || !check.Tests.Compared ||
		check.Tests.Right.After != 1 || check.Try.After.Nearest != "is the gazette dear" || check.Try.After.Best().Intent != "price" {
		t.Errorf("the check says %+v, try %+v", check, check.Try)
	}
	admin.want(http.StatusOK, call{http.MethodPost, path + "/check", "", packText{Text: "colloquy: 1\npack: kiosk\nintents: 7\n"}}, &check)
	if check.OK || len(check.Problems) != 1 || check.Problems[0].Line != 3 {
		t.Errorf("the check of a bad pack says %+v", check)
	}

	second := admin.want(http.StatusOK, call{http.MethodPut, path, first, packText{Text: kiosk("Three coins.")}}, &saved)
	if len(saved.Models) != 1 || saved.Saved.Number != 2 || saved.Saved.By != "a-admin" {
		t.Errorf("the save says %+v", saved)
	}
	eventually(t, "the second version answers", func() bool {
		answer, model := answers(t, e, "kiosk", "how much is the paper")
		return answer == "Three coins." && strings.HasPrefix(model, saved.Models[0].Hash)
	})
	admin.want(http.StatusPreconditionFailed, call{http.MethodPut, path, first, packText{Text: kiosk("Four coins.")}}, nil)

	var old gateway.PackVersionView
	admin.want(http.StatusOK, call{method: http.MethodGet, path: path + "/versions/1"}, &old)
	changed := map[string]string{}
	for _, l := range old.Diff {
		changed[l.Op] += strings.TrimSpace(l.Text)
	}
	if old.Text != kiosk("Two coins.") || changed["-"] != "answer: Two coins." || changed["+"] != "answer: Three coins." || old.Comment != "a beginning" {
		t.Errorf("version 1 is %+v", old)
	}
	admin.want(http.StatusNotFound, call{method: http.MethodGet, path: path + "/versions/9"}, nil)

	admin.want(http.StatusOK, call{http.MethodPost, path + "/rollback", second, map[string]any{"version": 1, "comment": "too dear"}}, &saved)
	if saved.Saved.Restores != 1 || saved.Saved.Number != 3 {
		t.Errorf("the rollback says %+v", saved)
	}
	eventually(t, "the first version answers again", func() bool {
		answer, _ := answers(t, e, "kiosk", "how much is the paper")
		return answer == "Two coins."
	})
	var versions struct {
		Data []conversation.PackVersion `json:"data"`
	}
	admin.want(http.StatusOK, call{method: http.MethodGet, path: path + "/versions"}, &versions)
	if len(versions.Data) != 3 || versions.Data[0].Number != 3 || versions.Data[2].Comment != "a beginning" {
		t.Errorf("the versions are %+v", versions)
	}
	var intents struct {
		Data  []gateway.PackIntent `json:"data"`
		Total int                  `json:"total"`
	}
	admin.want(http.StatusOK, call{method: http.MethodGet, path: path + "/intents?q=POSTAGE"}, &intents)
	if intents.Total != 1 || intents.Data[0].ID != "stamps" || len(intents.Data[0].Ask) != 4 || !intents.Data[0].Own || intents.Data[0].Line != 10 {
		t.Errorf("the intents are %+v", intents)
	}
	admin.want(http.StatusConflict, call{method: http.MethodDelete, path: path}, nil)
	putInbox(t, e, conversation.Inbox{ID: "kiosk", Name: "Kiosk", Lang: "en", Packs: []string{"house"}, Version: 1, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	admin.want(http.StatusNoContent, call{method: http.MethodDelete, path: path}, nil)
	eventually(t, "the pack is gone", func() bool { return admin.listed("kiosk").Name == "" })
	admin.want(http.StatusNotFound, call{method: http.MethodDelete, path: path}, nil)
}

func TestPacksAreForAdmins(t *testing.T) {
	t.Parallel()
	e, _ := serving(t, quietOptions(t, io.Discard))
	agent := newAPI(t, e, conversation.RoleAgent)
	for _, c := range [][2]string{
		{"GET", ""}, {"PUT", ""}, {"DELETE", ""}, {"POST", "/check"}, {"GET", "/intents"}, {"GET", "/versions"}, {"GET", "/versions/1"}, {"POST", "/rollback"},
	} {
		if status, _ := agent.do(call{method: c[0], path: "/v1/packs/house" + c[1], body: struct{}{}}, nil); status != http.StatusForbidden {
			t.Errorf("%s %s by an agent = %d, want 403", c[0], c[1], status)
		}
	}
}

// A file in packs.dir cannot be shadowed by saving a pack of its name.
func TestAFilePackIsNotSavedOver(t *testing.T) {
	t.Parallel()
	e, _ := serving(t, quietOptions(t, io.Discard))
	admin := newAPI(t, e, conversation.RoleAdmin)
	var problem struct {
		Detail string `json:"detail"`
	}
	text, err := os.ReadFile(filepath.Join("testdata", "packs", "house.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	admin.want(http.StatusConflict, call{http.MethodPut, "/v1/packs/house", "", packText{Text: string(text)}}, &problem)
	if !strings.Contains(problem.Detail, "house.yaml") {
		t.Errorf("the conflict says %q", problem.Detail)
	}
	var view gateway.PackView
	admin.want(http.StatusOK, call{method: http.MethodGet, path: "/v1/packs/house"}, &view)
	if view.Origin != "file" || len(view.Files) != 1 || view.Files[0].Text != string(text) {
		t.Errorf("the file pack is shown as %+v", view)
	}
}

// What was saved and not yet trained when the process ended serves after the
// restart.
func TestASavedPackServesAfterARestart(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	// Nothing that trains runs yet, as between save and training.
	if _, err := e.Library().SavePack(t.Context(), intent.PackSave{Name: "kiosk", Text: []byte(kiosk("Two coins."))}); err != nil {
		t.Fatal(err)
	}
	putInbox(t, e, conversation.Inbox{ID: "kiosk", Name: "Kiosk", Lang: "en", Packs: []string{"kiosk"}, Policy: conversation.Policy{Answers: conversation.AnswersOn}})
	e.Close()
	o.Registry = nil
	again, _ := serving(t, o)
	if answer, _ := answers(t, again, "kiosk", "do you sell stamps"); answer != "Yes, at the counter." {
		t.Errorf("after the restart the bot says %q", answer)
	}
}

// A stored pack that does not fit is told and does not take the node away: all
// nodes have it.
func TestABadStoredPackIsToldAndTheNodeServes(t *testing.T) {
	t.Parallel()
	e, _ := serving(t, quietOptions(t, io.Discard))
	// Past the check of a save, as when the file that it extends is gone.
	v := conversation.PackVersion{Hash: "h", At: time.Now()}
	if _, err := e.Store().PutPack(t.Context(), "kiosk", 0, v, []byte("colloquy: 1\npack: kiosk\nextends: [gone]\n")); err != nil {
		t.Fatal(err)
	}
	url := "http://" + e.OpsAddr() + "/readyz?verbose"
	eventually(t, "the reason in /readyz", func() bool {
		status, body := fetch(t, url)
		return status == http.StatusOK && strings.Contains(body, "[!] packs: pack kiosk: saved:kiosk:3: extends gone")
	})
	admin := newAPI(t, e, conversation.RoleAdmin)
	if p := admin.listed("kiosk"); p.State != "failed" || !strings.Contains(p.Error, "extends gone") {
		t.Errorf("the pack is listed as %+v", p)
	}
	admin.want(http.StatusOK, call{http.MethodPut, "/v1/packs/kiosk", "", packText{Text: kiosk("Two coins.")}}, nil)
	eventually(t, "the repair in /readyz", func() bool {
		_, body := fetch(t, url)
		return strings.Contains(body, "[+] packs: ok")
	})
}
