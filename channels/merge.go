package channels

import (
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// scarce is how many messages left in a provider's window are few.
const scarce = 2

// Merge joins the first of the messages that wait in a conversation, oldest
// first, into one that the provider counts once, if the provider counts and few
// are left. It gives the message and how many are in it, at least one.
func (s *Sender) Merge(rows []conversation.Outbound) (conversation.Outbound, int) {
	first := rows[0]
	if len(rows) < 2 || !few(rows) {
		return first, 1
	}
	c, ok := s.registry.For(first.Channel, first.Inbox)
	if !ok {
		return first, 1
	}
	n := 1
	for n < len(rows) && c.fits(rows[:n+1]) {
		n++
	}
	if n == 1 {
		return first, 1
	}
	first.Text = oneText(rows[:n])
	for i := range rows[1:n] {
		first.Carries = append(first.Carries, rows[i+1].Message)
	}
	return first, n
}

// few reports whether the window has hardly room for the messages that wait, or
// not at all.
func few(rows []conversation.Outbound) bool {
	newest := rows[len(rows)-1]
	room := newest.Channel.Window().Messages
	if room == 0 || newest.Count == 0 {
		return false
	}
	left := min(room-(newest.Count-len(rows)), room)
	return left <= scarce || len(rows) > left
}

// fits reports whether messages can be one: texts of the same side without
// buttons or files, which the provider takes in one piece.
func (c *Channel) fits(rows []conversation.Outbound) bool {
	for i := range rows {
		if rows[i].From != rows[0].From || len(rows[i].Buttons) > 0 || len(rows[i].Attachments) > 0 {
			return false
		}
	}
	text := oneText(rows)
	if c.limits.Dialect != nil {
		text = c.limits.Dialect(text)
	}
	return len(Split(text, c.limits.MaxText, c.limits.Unit)) == 1
}

// oneText is what several messages say.
func oneText(rows []conversation.Outbound) conversation.Text {
	texts := make([]string, len(rows))
	for i := range rows {
		texts[i] = string(rows[i].Text)
	}
	return conversation.Text(strings.Join(texts, "\n\n"))
}
