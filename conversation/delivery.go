package conversation

import (
	"cmp"
	"slices"
)

// failsLate reports whether a message of ours that counts as sent has failed.
func (s *State) failsLate(c RecordDelivery) bool {
	m, ok := s.MessageAt(c.Message)
	return ok && c.Result == DeliveryFailed && m.Delivery == DeliverySent && s.Channel != ChannelWeb && s.Status != StatusClosed &&
		(m.From == PartyBot || m.From == PartyAgent)
}

// decideDelivery records the fate of an outbound message once; what comes later
// for the same message changes nothing, unless the provider took it and says
// afterwards that it could not deliver it: what failed is not shown as sent.
func decideDelivery(s *State, c RecordDelivery) (Decision, error) {
	switch c.Result {
	case DeliverySent, DeliveryUncertain, DeliveryFailed:
	case DeliveryPending:
		return Decision{}, Refuse(CodeInvalid, "pending is not an outcome")
	default:
		return Decision{}, Refuse(CodeInvalid, "a delivery is sent, uncertain or failed")
	}
	if !slices.Contains(s.Unsent, cmp.Or(c.Again, c.Message)) && !s.failsLate(c) {
		return nothing()
	}
	return events(MessageSent{Message: c.Message, Result: c.Result, ProviderID: c.ProviderID, Detail: c.Detail, Again: c.Again})
}

// decideSendAgain takes up a message that did not arrive, or may not have. One
// that is on its way or has been sent stays as it is, so that asking twice sends
// once.
func decideSendAgain(s *State, c SendAgain) (Decision, error) {
	m, ok := s.MessageAt(c.Message)
	switch {
	case !ok || m.From != PartyBot && m.From != PartyAgent || m.Note:
		return Decision{}, Refusef(CodeNotFound, "it is not among the newest %d messages of the conversation", recentMessages)
	case s.Channel == ChannelWeb || m.Delivery == DeliverySent || m.Delivery == DeliveryPending:
		return nothing()
	case s.Status == StatusClosed:
		return Decision{}, s.Status.guard(TriggerMessage)
	}
	return events(MessageSent{Message: c.Message, Result: DeliveryPending, By: c.By})
}

// applySent takes over the fate of a message.
func (s *State) applySent(e Entry, ev MessageSent) {
	if i := slices.Index(s.Unsent, cmp.Or(ev.Again, ev.Message)); i >= 0 {
		s.Unsent = slices.Delete(s.Unsent, i, i+1)
	}
	if ev.Result == DeliveryPending {
		s.Unsent = append(s.Unsent, e.Seq)
	}
	for i := range s.Recent {
		if s.Recent[i].Seq == ev.Message {
			s.Recent[i].Delivery = ev.Result
		}
	}
}

// sendAgain gives the row of a message that is to be sent once more.
func (s *State) sendAgain(e Entry, ev MessageSent) (Outbound, bool) {
	m, ok := s.MessageAt(ev.Message)
	if !ok || ev.Result != DeliveryPending {
		return Outbound{}, false
	}
	turn := m.InReplyTo
	if m.From == PartyAgent {
		turn = 0 // as when it was sent first
	}
	out := s.outbound(Entry{Seq: m.Seq, At: m.At}, m.From, m.Text, turn, m.Buttons)
	out.Again = e.Seq
	return out, true
}
