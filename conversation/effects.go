package conversation

import "time"

// Effects lists what has to happen outside because of entries that have just
// been folded into s (s is the state after them), in their order.
func Effects(s *State, before Head, entries []Entry) []Effect {
	var out []Effect
	for _, e := range entries {
		switch ev := e.Event.(type) {
		case MessageAccepted:
			if s.Status == StatusPending && e.Seq == s.LastVisitor && e.Seq > s.LastTurn {
				out = append(out, ClassifyUtterance{Turn: e.Seq})
			}
		case ReplyComposed:
			if s.firstDelivery(ev.Inline) == DeliveryPending {
				out = append(out, SendOutbound{s.outbound(e, PartyBot, ev.Text, ev.InReplyTo, ev.Buttons)})
			}
		case AgentReplied:
			if s.firstDelivery(false) == DeliveryPending {
				message := s.outbound(e, PartyAgent, ev.Text, 0, nil)
				message.Attachments = ev.Attachments
				out = append(out, SendOutbound{message})
			}
		case MessageSent:
			if row, ok := s.sendAgain(e, ev); ok {
				out = append(out, SendOutbound{row})
			}
		case TimerEnded:
			if ev.Fired {
				out = append(out, RunTimer{ID: ev.ID})
			}
		case ConversationStarted, NoteAdded, TurnCompleted, HandoverRequested, AgentAssigned, AgentUnassigned,
			StatusChanged, MessagesRead, MessagesDelivered, TagsChanged, PriorityChanged, TimerStarted, MoodChanged, AnswerJudged,
			AttachmentChanged, AnomalyFound, ConversationErased:
		}
	}
	return append(out, queueEffects(s, before)...)
}

// queueEffects compares where the conversation stood with where it stands, so
// that the queue's books cannot drift from the conversations', however the
// change came about.
func queueEffects(s *State, before Head) []Effect {
	var out []Effect
	waited, waits := before.Queue == QueueQueued, s.Queue == QueueQueued
	switch {
	case waits && (!waited || before.Priority != s.Priority):
		out = append(out, EnqueueConversation{ID: s.ID, Inbox: s.Inbox, Priority: s.Priority, Since: s.QueuedAt, Skip: before.Assignee})
	case waited && !waits:
		out = append(out, DequeueConversation{ID: s.ID, Inbox: s.Inbox})
	}
	if before.Assignee != s.Assignee {
		if before.Assignee != "" {
			out = append(out, ReleaseAgent{Agent: before.Assignee, Inbox: s.Inbox, ID: s.ID})
		}
		if s.Assignee != "" {
			out = append(out, OccupyAgent{Agent: s.Assignee, Inbox: s.Inbox, ID: s.ID})
		}
	}
	return out
}

func (s *State) outbound(e Entry, from Party, text Text, inReplyTo Seq, buttons []Button) Outbound {
	count, until := 0, time.Time{}
	if w := s.Channel.Window(); w.Messages > 0 {
		count, until = s.Outgoing, s.VisitorAt.Add(w.For)
	}
	return Outbound{
		Count: count, WindowTo: until,
		Conversation: s.ID, Message: e.Seq, Inbox: s.Inbox, Channel: s.Channel, Contact: s.Contact, Peer: s.Peer,
		From: from, InReplyTo: inReplyTo, Text: text, Buttons: buttons, At: e.At,
	}
}
