package engine

import (
	"context"
	"errors"

	"github.com/colloquyhq/colloquy/actors"
	"github.com/colloquyhq/colloquy/assist"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote"
)

// openBackends makes the engines that the operator brings: the one that
// understands, the one that is compared with it, and the one that drafts.
func (e *Engine) openBackends() error {
	allowed, _ := prefixes(e.config.Egress.AllowedCIDRs) // validated
	in := &e.config.Intent
	if in.Backend == BackendHTTP && e.opts.Classifier != nil {
		return errors.New("intent.backend: this program brings an intent engine of its own; http cannot take its place")
	}
	e.shadows = newShadows(e)
	if in.usesHTTP() {
		var err error
		e.remote, err = remote.New(remote.Options{
			URL: in.HTTP.URL, HTTP: newOwnEgressClient(allowed, in.HTTP.URL), Token: in.HTTP.Token, Labels: e.library,
			Foreign: remote.Foreign(in.HTTP.Foreign), Timeout: in.HTTP.Timeout, Batch: in.HTTP.Batch, InFlight: in.HTTP.InFlight,
			Queue: in.HTTP.Queue, Logger: e.opts.Logger, Registerer: e.registry,
		})
		if err != nil {
			return err
		}
	}
	e.shadows.ask = e.shadowed()
	if a := &e.config.Assist; a.URL != "" {
		client, err := assist.New(assist.Options{
			URL: a.URL, Model: a.Model, HTTP: newOwnEgressClient(allowed, a.URL), Token: a.Token, Timeout: a.Timeout,
			Logger: e.opts.Logger, Registerer: e.registry,
		})
		if err != nil {
			return err
		}
		e.drafts = &drafts{client: client, model: a.Model, messages: a.Messages, inboxes: e.store, library: e.library}
	}
	return nil
}

// classifier gives the engine whose predictions decide.
func (e *Engine) classifier() actors.Classifier {
	switch {
	case e.opts.Classifier != nil:
		return e.opts.Classifier
	case e.config.Intent.Backend == BackendHTTP:
		return e.remoteClassifier()
	}
	return e.library
}

func (e *Engine) remoteClassifier() *remote.Classifier {
	points, _ := remote.ParseCalibration(e.config.Intent.HTTP.Calibration) // validated
	return remote.NewClassifier(e.remote, packEngine{e.library}, points)
}

// packEngine is the intent library as [remote.Builtin].
type packEngine struct{ *intent.Library }

// Thresholds implements [remote.Builtin].
func (p packEngine) Thresholds(packs []string, intent string) (remote.Thresholds, bool) {
	l, ok := p.Limits(packs, intent)
	return remote.Thresholds{Auto: l.Auto, Suggest: l.Suggest, Margin: l.Margin}, ok
}

// predictAsync is how [shadows] asks.
type predictAsync func(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error))

// shadowed gives the engine that is compared.
func (e *Engine) shadowed() predictAsync {
	if e.config.Intent.Shadow == BackendHTTP {
		return e.remoteClassifier().ShadowAsync
	}
	return func(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error)) {
		p := &conversation.Prediction{}
		err := e.library.Predict(ctx, u, p)
		done(p, err)
	}
}
