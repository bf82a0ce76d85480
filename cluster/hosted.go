package cluster

import (
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// hosted runs a grain's actor and keeps its panics in: a message that panics is
// tried once more on a fresh instance, and set aside when it panics again. The
// grain lives on either way.
type hosted struct {
	gate  *Gate
	kind  *hosting
	cell  *cell
	inner actor.Actor
}

// Receive implements [actor.Actor].
func (h *hosted) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		h.cell = h.gate.cellOf(h.kind, ctx.Self().Id)
		h.rebuild(ctx)
	case *actor.Stopped:
		_ = h.try(ctx)
		h.gate.stopped(h.cell)
	case *actor.Stopping, *actor.Restarting, *Passivate:
		_ = h.try(ctx)
	case actor.AutoReceiveMessage:
		_ = h.try(ctx)
	default:
		h.deliver(ctx, msg)
	}
}

func (h *hosted) deliver(ctx actor.Context, msg any) {
	if _, own := msg.(Internal); !own {
		defer h.cell.inflight.Add(-1)
	}
	if h.try(ctx) == nil {
		return
	}
	h.gate.metrics.restarts.WithLabelValues(h.kind.Name).Inc()
	h.rebuild(ctx)
	second := h.try(ctx)
	if second == nil {
		return
	}
	h.gate.metrics.parked.WithLabelValues(h.kind.Name).Inc()
	second.Message = msg
	h.gate.log.Error("message parked", "kind", h.kind.Name, "id", h.cell.id.ID,
		"message_type", fmt.Sprintf("%T", msg), "err", second.Reason)
	h.rebuild(ctx)
	if h.gate.onParked != nil {
		h.gate.onParked(second)
	}
	if ctx.Sender() != nil {
		ctx.Respond(second)
	}
}

// rebuild makes a fresh instance and tells it that it has started. The one
// before, if there is one, first hears that it is being replaced, so that it can
// tell those who wait for it.
func (h *hosted) rebuild(ctx actor.Context) {
	_ = h.tryAs(replaced{ctx})
	h.inner = h.kind.New(h.cell.id.ID)
	_ = h.tryAs(started{ctx})
}

// started shows an actor that it has been started while another message is
// being handled.
type started struct{ actor.Context }

// Message implements [actor.Context].
func (started) Message() any { return &actor.Started{} }

// replaced shows an actor that another instance takes its place.
type replaced struct{ actor.Context }

// Message implements [actor.Context].
func (replaced) Message() any { return &actor.Restarting{} }

func (h *hosted) try(ctx actor.Context) *Parked { return h.tryAs(ctx) }

func (h *hosted) tryAs(ctx actor.Context) (failed *Parked) {
	if h.inner == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			failed = &Parked{Grain: h.cell.id, Reason: describe(r), Stack: string(debug.Stack())}
		}
	}()
	h.inner.Receive(ctx)
	return nil
}

// describe names a panic without the values that a formatted message could
// carry: runtime errors speak only of code, others are reduced to their type.
func describe(r any) string {
	if e, ok := r.(interface {
		error
		RuntimeError()
	}); ok {
		return e.Error()
	}
	return fmt.Sprintf("panic with a %T", r)
}
