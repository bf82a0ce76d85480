package gateway

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxOrigins      = 64
	maxVariables    = 128
	maxVariableSize = 4 << 10
	maxURLBytes     = 2048
)

// pathInbox gives the inbox that a path names.
func (g *Gateway) pathInbox(r *http.Request) (conversation.Inbox, error) {
	id, err := conversation.ParseInboxID(r.PathValue("inbox"))
	if err != nil {
		return conversation.Inbox{}, err
	}
	in, err := g.opts.Inboxes.Inbox(id)
	if err != nil && conversation.CodeOf(err) == conversation.CodeNotFound {
		err = errNoInbox()
	}
	return in, err
}

func (g *Gateway) listInboxes(w http.ResponseWriter, _ *http.Request, who caller) error {
	var out []conversation.Inbox
	for _, in := range g.opts.Inboxes.Inboxes() {
		if who.agent.agent.MaySee(in.ID) {
			out = append(out, in)
		}
	}
	slices.SortFunc(out, func(a, b conversation.Inbox) int { return cmp.Compare(a.ID, b.ID) })
	return answer(w, http.StatusOK, newPage(out, ""))
}

func (g *Gateway) showInbox(w http.ResponseWriter, r *http.Request, who caller) error {
	in, err := g.pathInbox(r)
	if err != nil {
		return err
	}
	if !who.agent.agent.MaySee(in.ID) {
		return errNoInbox()
	}
	w.Header().Set("ETag", etagOf(in.Version))
	return answer(w, http.StatusOK, in)
}

func (g *Gateway) createInbox(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in conversation.Inbox
	if err := decodeBody(r, &in); err != nil {
		return err
	}
	in.Version = 0
	if err := g.checkInbox(&in); err != nil {
		return err
	}
	if _, err := g.opts.Inboxes.Inbox(in.ID); err == nil {
		return conversation.Refusef(conversation.CodeConflict, "inbox %s exists already", in.ID)
	}
	in, err := g.opts.Inboxes.PutInbox(r.Context(), in)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(in.Version))
	return answer(w, http.StatusCreated, in)
}

// patchInbox sets what the body holds and leaves the rest. Lists and maps are
// replaced, not merged.
func (g *Gateway) patchInbox(w http.ResponseWriter, r *http.Request, _ caller) error {
	old, err := g.pathInbox(r)
	if err != nil {
		return err
	}
	if err := checkMatch(r, old.Version); err != nil {
		return err
	}
	in := old
	// The decoder would write into the lists and maps that it finds, and those
	// belong to the directory.
	in.Channels, in.Packs, in.Vars, in.Origins = nil, nil, nil, nil
	if err := decodeBody(r, &in); err != nil {
		return err
	}
	keep(&in.Channels, old.Channels)
	keep(&in.Packs, old.Packs)
	keep(&in.Origins, old.Origins)
	if in.Vars == nil {
		in.Vars = old.Vars
	}
	in.Version = old.Version
	if in.ID != old.ID {
		return conversation.Refuse(conversation.CodeInvalid, "an inbox's id does not change")
	}
	if err := g.checkInbox(&in); err != nil {
		return err
	}
	if in, err = g.opts.Inboxes.PutInbox(r.Context(), in); err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(in.Version))
	return answer(w, http.StatusOK, in)
}

func keep[T any](now *[]T, old []T) {
	if *now == nil {
		*now = old
	}
}

// checkInbox refuses settings that cannot work.
func (g *Gateway) checkInbox(in *conversation.Inbox) error {
	var err error
	if _, err = conversation.ParseInboxID(string(in.ID)); err != nil {
		return err
	}
	if in.Name == "" {
		in.Name = string(in.ID)
	}
	if in.Name, err = checkName(in.Name); err != nil {
		return err
	}
	if in.Lang == "" {
		in.Lang = "en"
	}
	if in.Lang != "en" && in.Lang != "zh" {
		return conversation.Refuse(conversation.CodeInvalid, "lang is en or zh")
	}
	for _, k := range in.Channels {
		if !k.Known() {
			return conversation.Refusef(conversation.CodeUnknownChannel, "channel %q is not known", k)
		}
	}
	if err := g.checkPacks(in.Packs); err != nil {
		return err
	}
	p := in.Policy
	if !p.Answers.Valid() {
		return conversation.Refuse(conversation.CodeInvalid, "policy.answers is proven, on or off")
	}
	if p.Auto < 0 || p.Auto > 1 || p.Suggest < 0 || p.Suggest > 1 || p.MaxAbstains < 0 || p.MaxAsks < 0 || in.ReopenWindow < 0 {
		return conversation.Refuse(conversation.CodeInvalid, "thresholds are 0 to 1, counts and times are not negative")
	}
	if !p.Anger.Known() {
		return conversation.Refuse(conversation.CodeInvalid, "anger in a policy is ignore, soften, escalate or handover")
	}
	if !p.Files.Known() {
		return conversation.Refuse(conversation.CodeInvalid, "files in a policy is handover or ask")
	}
	if p.AngerPriority.Rank() < 0 {
		return conversation.Refuse(conversation.CodeBadPriority, "anger_priority in a policy is none, low, medium, high or urgent")
	}
	if err := p.Anomalies.Validate(); err != nil {
		return err
	}
	if err := in.Retention.Validate(in.ReopenWindow); err != nil {
		return err
	}
	return checkInboxEdges(in)
}

func (g *Gateway) checkPacks(names []string) error {
	if g.opts.Packs == nil || len(names) == 0 {
		return nil
	}
	known := g.opts.Packs.Packs()
	for _, n := range names {
		if !slices.ContainsFunc(known, func(p PackInfo) bool { return p.Name == n }) {
			return conversation.Refusef(conversation.CodeInvalid, "there is no pack %q", n)
		}
	}
	return nil
}

func checkInboxEdges(in *conversation.Inbox) error {
	if len(in.Origins) > maxOrigins {
		return conversation.Refusef(conversation.CodeTooLarge, "at most %d origins", maxOrigins)
	}
	for _, o := range in.Origins {
		if !validOrigin(o) {
			return conversation.Refuse(conversation.CodeInvalid, `an origin is scheme://host or scheme://host:port in lower case, or "self"; patterns are not taken`)
		}
	}
	if in.CallbackURL != "" {
		u, err := url.Parse(in.CallbackURL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(in.CallbackURL) > maxURLBytes {
			return conversation.Refuse(conversation.CodeInvalid, "callback_url is an http or https address without a user name")
		}
	}
	if len(in.Vars) > maxVariables {
		return conversation.Refusef(conversation.CodeTooLarge, "at most %d variables", maxVariables)
	}
	for k, v := range in.Vars {
		if k == "" || len(k)+len(v) > maxVariableSize {
			return conversation.Refusef(conversation.CodeTooLarge, "a variable has at most %d bytes", maxVariableSize)
		}
	}
	return nil
}
