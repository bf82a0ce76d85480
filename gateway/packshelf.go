package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// packBody bounds a body with a pack's text: 4 MiB of it, whose line ends
	// and quotes take two bytes in JSON.
	packBody = 9 << 20
	// checkTimeout bounds a check, which trains. It leaves time to answer before
	// the server gives up on writing.
	checkTimeout = 40 * time.Second
	// maxQueryBytes bounds what is searched for.
	maxQueryBytes = 200
)

// onShelf is a handler that needs the shelf.
func onShelf(h func(*Gateway, http.ResponseWriter, *http.Request, caller) error) func(*Gateway, http.ResponseWriter, *http.Request, caller) error {
	return func(g *Gateway, w http.ResponseWriter, r *http.Request, who caller) error {
		if g.opts.Shelf == nil {
			return errNoPacks()
		}
		return h(g, w, r, who)
	}
}

// storedVersion gives the version of the saved pack that a path names, 0 when
// none is saved, and holds it against If-Match.
func (g *Gateway) storedVersion(r *http.Request) (uint64, error) {
	p, err := g.opts.Shelf.Versions(r.PathValue("pack"))
	if err != nil && !errors.Is(err, conversation.ErrNotFound) {
		return 0, err
	}
	return p.Version, checkMatch(r, p.Version)
}

func (g *Gateway) showPack(w http.ResponseWriter, r *http.Request, _ caller) error {
	v, err := g.opts.Shelf.Pack(r.Context(), r.PathValue("pack"))
	if err != nil {
		return err
	}
	body := struct {
		PackView

		Current *conversation.PackVersion `json:"saved,omitempty"` // as stored; it may not be loaded yet
	}{PackView: v}
	if v.Stored != nil {
		now := v.Stored.Current()
		body.Current = &now
		w.Header().Set("ETag", etagOf(v.Stored.Version))
	}
	return answer(w, http.StatusOK, body)
}

func (g *Gateway) listIntents(w http.ResponseWriter, r *http.Request, _ caller) error {
	q := IntentQuery{Pack: r.PathValue("pack"), Text: r.URL.Query().Get("q"), After: r.URL.Query().Get("cursor")}
	if len(q.Text) > maxQueryBytes {
		return conversation.Refusef(conversation.CodeTooLarge, "q has %d bytes, the limit is %d", len(q.Text), maxQueryBytes)
	}
	var err error
	if q.Limit, err = limitOf(r); err != nil {
		return err
	}
	p, err := g.opts.Shelf.Intents(q)
	if err != nil {
		return err
	}
	next := ""
	if p.More {
		next = p.Intents[len(p.Intents)-1].ID
	}
	return answer(w, http.StatusOK, struct {
		page[PackIntent]

		Total int `json:"total"`
	}{newPage(p.Intents, next), p.Total})
}

// putPack saves a text. Nothing is stored when anything is wrong with it.
func (g *Gateway) putPack(w http.ResponseWriter, r *http.Request, who caller) error {
	version, err := g.storedVersion(r)
	if err != nil {
		return err
	}
	var b struct {
		Text    *string `json:"text"`
		Comment string  `json:"comment"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if b.Text == nil {
		return conversation.Refuse(conversation.CodeInvalid, "text is needed: the YAML of the pack")
	}
	s := PackSave{Name: r.PathValue("pack"), Text: *b.Text, Expect: version, By: who.agent.agent.ID, Comment: b.Comment}
	saved, err := g.opts.Shelf.Save(r.Context(), s)
	if err != nil {
		return err
	}
	return g.packSaved(w, who, version, saved)
}

// rollbackPack saves an earlier version again.
func (g *Gateway) rollbackPack(w http.ResponseWriter, r *http.Request, who caller) error {
	version, err := g.storedVersion(r)
	if err != nil {
		return err
	}
	var b struct {
		Version uint64 `json:"version"`
		Comment string `json:"comment"`
	}
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if b.Version == 0 {
		return conversation.Refuse(conversation.CodeInvalid, "version is needed: the number of the one to save again")
	}
	s := PackSave{Name: r.PathValue("pack"), Restores: b.Version, Expect: version, By: who.agent.agent.ID, Comment: b.Comment}
	saved, err := g.opts.Shelf.Save(r.Context(), s)
	if err != nil {
		return err
	}
	return g.packSaved(w, who, version, saved)
}

func (g *Gateway) packSaved(w http.ResponseWriter, who caller, before uint64, s PackSaved) error {
	if s.Models == nil {
		s.Models = []PackModel{}
	}
	status := http.StatusOK
	if before == 0 {
		status = http.StatusCreated
	}
	if !s.Unchanged {
		g.log.Info("pack saved", slog.String("pack", s.Name), slog.Uint64("version", s.Version), slog.String("hash", s.Hash),
			slog.Uint64("restores", s.Saved.Restores), slog.String("agent_id", string(who.agent.agent.ID)))
	}
	w.Header().Set("ETag", etagOf(s.Version))
	return answer(w, status, s)
}

func (g *Gateway) deletePack(w http.ResponseWriter, r *http.Request, who caller) error {
	version, err := g.storedVersion(r)
	if err != nil {
		return err
	}
	name := r.PathValue("pack")
	if err := g.opts.Shelf.Delete(r.Context(), name, version); err != nil {
		return err
	}
	g.log.Info("pack deleted", slog.String("pack", name), slog.Uint64("version", version), slog.String("agent_id", string(who.agent.agent.ID)))
	return noContent(w)
}

// checkPack is a dry run: what is wrong with the text is a part of the answer,
// which is 200. It has more time than other calls, and goes on when its caller
// leaves: who asks again finds the model, if it was trained in that time.
func (g *Gateway) checkPack(w http.ResponseWriter, r *http.Request, _ caller) error {
	var b PackTrial
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if b.Try != "" {
		if err := checkText(b.Try); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), checkTimeout)
	defer cancel()
	c, err := g.opts.Shelf.Check(ctx, r.PathValue("pack"), b)
	if errors.Is(err, context.DeadlineExceeded) {
		return conversation.Refusef(conversation.CodeUnavailable, "the training takes longer than %v now", checkTimeout)
	}
	if err != nil {
		return err
	}
	c.OK = len(c.Problems) == 0
	return answer(w, http.StatusOK, c)
}

func (g *Gateway) listPackVersions(w http.ResponseWriter, r *http.Request, _ caller) error {
	p, err := g.opts.Shelf.Versions(r.PathValue("pack"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(p.Version))
	return answer(w, http.StatusOK, newPage(p.Versions, ""))
}

func (g *Gateway) showPackVersion(w http.ResponseWriter, r *http.Request, _ caller) error {
	n, err := strconv.ParseUint(r.PathValue("version"), 10, 64)
	if err != nil {
		return conversation.Refuse(conversation.CodeBadID, "a version is a number")
	}
	v, err := g.opts.Shelf.Version(r.Context(), r.PathValue("pack"), n)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, v)
}
