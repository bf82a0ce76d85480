package conversation

import "time"

// Window is what a provider lets be sent after a visitor's own message. The zero
// Window is no limit.
type Window struct {
	For      time.Duration // zero = for ever
	Messages int           // zero = any number
}

// Window gives what the provider behind a kind allows. Other accounts of it may
// allow more, or templates; who needs those uses the kind webhook.
//
// Sources: WeChat, customer service messages, since June 2023; WeCom, send_msg;
// WhatsApp, customer service window.
func (k ChannelKind) Window() Window {
	const day = 24 * time.Hour
	switch k {
	case ChannelWeChat, ChannelWeCom:
		return Window{For: 2 * day, Messages: 5}
	case ChannelWhatsApp:
		return Window{For: day}
	case ChannelWeb, ChannelWebhook, ChannelEmail, ChannelTelegram, ChannelLine, ChannelSlack, ChannelFeishu, ChannelDingTalk,
		ChannelSMS, ChannelAPI:
	}
	return Window{}
}

// ReplyWindow says whether the provider lets the visitor be written to.
type ReplyWindow struct {
	CanReply  bool      `json:"can_reply"`
	Until     time.Time `json:"until,omitzero"`      // zero = for ever
	Remaining *int      `json:"remaining,omitempty"` // messages; nil = any number. Long ones may count more than once
	LastOne   bool      `json:"last_one,omitempty"`  // the next message is the last that the provider takes
}

// ReplyWindow gives the window as it is at a time, or nil where there is none: of
// kinds that know no window, and of a visitor of whose message the time is not
// known.
func (s *State) ReplyWindow(now time.Time) *ReplyWindow {
	w := s.Channel.Window()
	if w == (Window{}) || s.VisitorAt.IsZero() {
		return nil
	}
	out := &ReplyWindow{CanReply: true}
	if w.For > 0 {
		out.Until = s.VisitorAt.Add(w.For)
		out.CanReply = now.Before(out.Until)
	}
	if w.Messages > 0 {
		left := max(w.Messages-s.spent(), 0)
		out.Remaining, out.LastOne = &left, left == 1
		out.CanReply = out.CanReply && left > 0
	}
	return out
}

// messagesOf is how many messages of the provider's one of ours is: one for its
// text and one for each file.
func messagesOf(text Text, files []Attachment) int {
	if text == "" && len(files) > 0 {
		return len(files)
	}
	return 1 + len(files)
}

// apart is how many of the messages that wait may go out by themselves: one that
// is on its way already, and one that carries all behind it.
const apart = 2

// spent is how many messages of the window are gone, or will be: those that wait
// together are carried in one when few are left, unless they have files.
func (s *State) spent() int {
	waiting := 0
	for _, seq := range s.Unsent {
		if m, _ := s.MessageAt(seq); seq > s.LastVisitor && len(m.Attachments) == 0 {
			waiting++
		}
	}
	return s.Outgoing - max(min(waiting, s.Outgoing)-apart, 0)
}

// checkWindow refuses a reply that the provider would refuse, or of which it would
// take a part, before anybody takes it for sent.
func (s *State) checkWindow(now time.Time, text Text, files []Attachment) error {
	w := s.ReplyWindow(now)
	need := messagesOf(text, files)
	switch {
	case w == nil, w.CanReply && (w.Remaining == nil || need <= *w.Remaining):
		return nil
	case w.CanReply:
		return Refusef(CodeWindowClosed, "text and files are %d messages to the provider, which takes %d more until the visitor writes", need, *w.Remaining)
	case !now.Before(w.Until):
		return Refusef(CodeWindowClosed, "the visitor's last message is over %v old; the provider takes replies again when the visitor writes", s.Channel.Window().For)
	}
	return Refusef(CodeWindowClosed, "%d messages were sent since the visitor wrote last; the provider takes more when the visitor writes", s.spent())
}
