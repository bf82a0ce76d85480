package cluster

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// NewSystem makes the actor system that grains and helpers run on. Its own
// logging goes to log without message contents: the library prints messages on
// dead letters and restarts, and messages hold what people wrote.
func NewSystem(log *slog.Logger) *actor.ActorSystem {
	quiet := slog.New(discreet{log.With("component", "actors").Handler()})
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterRequestLogging(false),
	)
}

// discreet drops the attributes in which the actor library puts messages and
// panic values, and lowers everything to debug: what matters about a restart is
// counted and logged by the gate.
type discreet struct{ next slog.Handler }

func (d discreet) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.next.Enabled(ctx, slog.LevelDebug)
}

func (d discreet) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "message", "msg", "reason", "envelope", "headers":
		default:
			clean.AddAttrs(a)
		}
		return true
	})
	return d.next.Handle(ctx, clean)
}

func (d discreet) WithAttrs(attrs []slog.Attr) slog.Handler { return discreet{d.next.WithAttrs(attrs)} }

func (d discreet) WithGroup(name string) slog.Handler { return discreet{d.next.WithGroup(name)} }
