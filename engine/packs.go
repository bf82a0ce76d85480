package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/persistence"
)

// packs is the intent library as [gateway.Packs].
type packs struct{ *intent.Library }

// Packs implements [gateway.Packs].
func (p packs) Packs() []gateway.PackInfo {
	var out []gateway.PackInfo
	for _, i := range p.Library.Packs() {
		out = append(out, edgePack(i))
	}
	return out
}

// Reload implements [gateway.Packs].
func (p packs) Reload(ctx context.Context) (gateway.PackReport, error) {
	r, err := p.Library.Reload(ctx)
	out := gateway.PackReport{Loaded: r.Changed}
	for _, i := range r.Packs {
		if i.Err != "" {
			out.Failed = append(out.Failed, fmt.Sprintf("%s: %s", i.Name, i.Err))
		} else if !slices.Contains(r.Changed, i.Name) {
			out.Unchanged = append(out.Unchanged, i.Name)
		}
	}
	return out, err
}

func edgePack(i intent.PackInfo) gateway.PackInfo {
	return gateway.PackInfo{
		Name: i.Name, Version: i.Version, Intents: i.Intents, Questions: i.Questions, Langs: i.Langs, LoadedAt: i.LoadedAt,
		Source: i.Source, Origin: string(i.Origin), Saved: i.Saved, State: string(i.State), Calibrated: i.Calibrated,
		Models: edgeModels(i.Models), Error: i.Err,
	}
}

func edgeModels(models []intent.ModelInfo) []gateway.PackModel {
	return each(models, func(m intent.ModelInfo) gateway.PackModel { return gateway.PackModel(m) })
}

// each turns a list into one of another type; it is never nil.
func each[A, B any](list []A, turn func(A) B) []B {
	out := make([]B, 0, len(list))
	for i := range list {
		out = append(out, turn(list[i]))
	}
	return out
}

// shelf is the intent library as [gateway.Shelf].
type shelf struct {
	library *intent.Library
	store   *persistence.Store
}

// Pack implements [gateway.Shelf].
func (s shelf) Pack(ctx context.Context, name string) (gateway.PackView, error) {
	v, err := s.library.Pack(ctx, name)
	return gateway.PackView{
		PackInfo: edgePack(v.PackInfo), Stored: v.Stored,
		Files: each(v.Files, func(f intent.PackText) gateway.PackFile { return gateway.PackFile(f) }),
	}, err
}

// Intents implements [gateway.Shelf].
func (s shelf) Intents(q gateway.IntentQuery) (gateway.IntentPage, error) {
	page, total, more, err := s.library.Intents(intent.IntentQuery(q))
	question := func(q intent.Question) gateway.PackQuestion { return gateway.PackQuestion(q) }
	return gateway.IntentPage{Total: total, More: more, Intents: each(page, func(i intent.IntentView) gateway.PackIntent {
		return gateway.PackIntent{
			ID: i.ID, Title: i.Title, Answer: i.Answer, Ask: each(i.Ask, question), Not: each(i.Not, question), Test: each(i.Test, question),
			Buttons: i.Buttons, Need: i.Need, Flow: i.Flow, Handover: i.Handover, Background: i.Background, Own: i.Own, File: i.File, Line: i.Line,
		}
	})}, err
}

// Save implements [gateway.Shelf].
func (s shelf) Save(ctx context.Context, p gateway.PackSave) (gateway.PackSaved, error) {
	own := intent.PackSave{Name: p.Name, Text: []byte(p.Text), Expect: p.Expect, By: p.By, Comment: p.Comment}
	var saved intent.Saved
	var err error
	if p.Restores != 0 {
		saved, err = s.library.RestorePack(ctx, own, p.Restores)
	} else {
		saved, err = s.library.SavePack(ctx, own)
	}
	return edgeSaved(p.Name, saved), packRefusal(err)
}

func edgeSaved(name string, s intent.Saved) gateway.PackSaved {
	return gateway.PackSaved{
		Name: name, Saved: s.Pack.Current(), Hash: s.Hash, Models: edgeModels(s.Models), Unchanged: s.Unchanged, Version: s.Pack.Version,
	}
}

// packRefusal makes the list of what is wrong out of an error that holds one.
func packRefusal(err error) error {
	if list := intent.ProblemsOf(err); len(list) > 0 {
		return &gateway.PackRefusedError{Problems: edgeProblems(list), Err: err}
	}
	return err
}

func edgeProblems(list []*intent.PackError) []gateway.PackProblem {
	return each(list, func(p *intent.PackError) gateway.PackProblem { return gateway.PackProblem(*p) })
}

// Check implements [gateway.Shelf].
func (s shelf) Check(ctx context.Context, name string, t gateway.PackTrial) (gateway.PackCheck, error) {
	c, err := s.library.CheckPack(ctx, name, []byte(t.Text), intent.CheckOptions{Packs: t.Packs, Try: t.Try, Lang: t.Lang})
	out := gateway.PackCheck{
		Problems: edgeProblems(c.Problems), Hash: c.Hash, Packs: c.Packs, Model: c.Model,
		Intents: gateway.PackCounts(c.Intents), Questions: gateway.PackCounts(c.Questions),
		Repeated: each(c.Repeated, func(r intent.Repeated) gateway.PackRepeated { return gateway.PackRepeated(r) }),
		Tests: gateway.PackTests{
			N: c.Tests.N, Right: gateway.PackCounts(c.Tests.Right), Compared: c.Tests.Compared,
			Changed: each(c.Tests.Changed, func(t intent.TestChange) gateway.PackTestChange { return gateway.PackTestChange(t) }),
		},
	}
	if t.Try != "" {
		out.Try = &gateway.PackTried{Before: edgePrediction(c.Try.Before), After: edgePrediction(c.Try.After)}
	}
	return out, err
}

func edgePrediction(p *conversation.Prediction) *gateway.PackPrediction {
	if p == nil {
		return nil
	}
	return &gateway.PackPrediction{Prediction: p, Nearest: p.Nearest, Decision: intent.Decision(p)}
}

// Versions implements [gateway.Shelf].
func (s shelf) Versions(name string) (conversation.StoredPack, error) {
	return s.library.Versions(name)
}

// Version implements [gateway.Shelf].
func (s shelf) Version(ctx context.Context, name string, number uint64) (gateway.PackVersionView, error) {
	text, v, diff, err := s.library.DiffVersion(ctx, name, number)
	return gateway.PackVersionView{
		PackVersion: v, Text: text,
		Diff: each(diff, func(d intent.DiffLine) gateway.PackDiffLine {
			return gateway.PackDiffLine{Op: string(d.Op), Old: d.Old, New: d.New, Text: d.Text}
		}),
	}, err
}

// Delete implements [gateway.Shelf].
func (s shelf) Delete(ctx context.Context, name string, version uint64) error {
	var needed []string
	for _, in := range s.store.Inboxes() {
		needed = append(needed, in.Packs...)
	}
	return s.library.DeletePack(ctx, name, version, needed)
}
