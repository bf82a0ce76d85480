package cluster

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

// meteredMailbox is a mailbox whose runs are charged to a meter. A run may take
// many messages, so that a busy grain is not slowed by being measured.
type meteredMailbox struct {
	actor.Mailbox

	meterOf func(actorID string) *cpu.Meter
}

// metered makes the mailboxes of a kind whose grains have meters.
func (h *hosting) metered() actor.MailboxProducer {
	plain := actor.Unbounded()
	return func() actor.Mailbox {
		return &meteredMailbox{Mailbox: plain(), meterOf: func(actorID string) *cpu.Meter { return h.Meter(h.grainOf(actorID).ID) }}
	}
}

// RegisterHandlers implements [actor.Mailbox]. It is told of its actor here, and
// of nothing but its messages later.
func (m *meteredMailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	if of, ok := invoker.(interface{ Self() *actor.PID }); ok {
		if meter := m.meterOf(of.Self().Id); meter != nil {
			dispatcher = &meteredDispatcher{Dispatcher: dispatcher, meter: meter}
		}
	}
	m.Mailbox.RegisterHandlers(invoker, dispatcher)
}

// meteredDispatcher runs the mailbox of one actor.
type meteredDispatcher struct {
	actor.Dispatcher

	meter *cpu.Meter
}

// Schedule implements [actor.Dispatcher].
func (d *meteredDispatcher) Schedule(run func()) {
	d.Dispatcher.Schedule(func() { d.meter.Run(run) })
}
