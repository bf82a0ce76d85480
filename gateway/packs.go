package gateway

import (
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
)

func errNoPacks() error {
	return conversation.Refuse(conversation.CodeUnavailable, "this server runs without an intent library")
}

func (g *Gateway) listPacks(w http.ResponseWriter, _ *http.Request, _ caller) error {
	if g.opts.Packs == nil {
		return errNoPacks()
	}
	return answer(w, http.StatusOK, newPage(g.opts.Packs.Packs(), ""))
}

// reloadPacks reads the packs again. One that is broken keeps its old
// version, and the answer says file, line and reason.
func (g *Gateway) reloadPacks(w http.ResponseWriter, r *http.Request, _ caller) error {
	if g.opts.Packs == nil {
		return errNoPacks()
	}
	if err := optionalBody(r, &emptyBody{}); err != nil {
		return err
	}
	report, err := g.opts.Packs.Reload(r.Context())
	if err != nil && len(report.Failed) == 0 {
		return err
	}
	return answer(w, http.StatusOK, report)
}

// predict says what the packs make of a text, without any conversation.
func (g *Gateway) predict(w http.ResponseWriter, r *http.Request, who caller) error {
	if g.opts.Packs == nil {
		return errNoPacks()
	}
	var b struct {
		Text  conversation.Text    `json:"text"`
		Lang  string               `json:"lang"`
		Packs []string             `json:"packs"`
		Inbox conversation.InboxID `json:"inbox_id"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if err := checkText(b.Text); err != nil {
		return err
	}
	if b.Inbox != "" {
		in, err := g.opts.Inboxes.Inbox(b.Inbox)
		if err != nil || !who.agent.agent.MaySee(b.Inbox) {
			return errNoInbox()
		}
		if len(b.Packs) == 0 {
			b.Packs = in.Packs
		}
	}
	if err := g.checkPacks(b.Packs); err != nil {
		return err
	}
	var auto float32
	if in, err := g.opts.Inboxes.Inbox(b.Inbox); err == nil {
		auto = in.Policy.Auto
	}
	var p conversation.Prediction
	u := conversation.Utterance{Inbox: b.Inbox, Channel: string(conversation.ChannelAPI), Lang: b.Lang, Text: b.Text, Packs: b.Packs, Auto: auto}
	if err := g.opts.Packs.Predict(r.Context(), &u, &p); err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		*conversation.Prediction
		Nearest string `json:"nearest,omitempty"`
	}{&p, p.Nearest})
}
