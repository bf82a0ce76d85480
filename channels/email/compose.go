package email

import (
	"bytes"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	gomessage "github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"

	"github.com/colloquyhq/colloquy/conversation"
)

const maxReplyReferences = 20

// repliesTo knows a subject that says already that it is an answer.
var repliesTo = regexp.MustCompile(`(?i)^\s*(re|aw|sv|antw|答复|回复|回覆)\s?[:：]`) //nolint:gochecknoglobals // compiled once, never changed

// letter is a mail that is to be sent.
type letter struct {
	from, to  mail.Address
	replyTo   string // empty = from
	id        string
	subject   string
	ancestors []string // oldest first; the last one is answered
	automatic bool
	out       *conversation.Outbound
}

// compose makes the letter for a message, from what is known of the conversation.
func compose(box *mailbox, o *conversation.Outbound, s *conversation.State) letter {
	address, _ := addressOf(o.Peer)
	l := letter{
		from: box.address, to: mail.Address{Address: address}, id: box.marks.messageID(o.Conversation, o.Message, box.domain),
		automatic: o.From == conversation.PartyBot, out: o, subject: "Re: your message",
	}
	if box.tags {
		l.replyTo = box.local + "+" + box.marks.tag(o.Conversation) + "@" + box.domain
	}
	if answered, ok := answeredBy(o, s); ok {
		l.to.Name = answered.Metadata[metaName]
		l.ancestors = append(strings.Fields(answered.Metadata[metaReferences]), answered.Metadata[metaMessageID])
		if subject := answered.Metadata[metaSubject]; subject != "" {
			l.subject = "Re: " + subject
			if repliesTo.MatchString(subject) {
				l.subject = subject
			}
		}
	}
	l.ancestors = slices.DeleteFunc(l.ancestors, func(id string) bool { return !plainID(id) })
	if n := len(l.ancestors); n > maxReplyReferences {
		l.ancestors = slices.Delete(l.ancestors, 1, n-maxReplyReferences+1)
	}
	return l
}

// answeredBy gives the visitor's mail that a message answers: the one that it says,
// else the newest before it.
func answeredBy(o *conversation.Outbound, s *conversation.State) (conversation.Message, bool) {
	var out conversation.Message
	for _, m := range s.Recent {
		if m.From == conversation.PartyVisitor && m.Seq < o.Message && (out.Seq == 0 || o.InReplyTo == 0 || m.Seq <= o.InReplyTo) {
			out = m
		}
	}
	return out, out.Seq != 0
}

// write writes the letter. All fields are encoded by who knows how, so that
// nothing that a visitor or an agent wrote can become a header of its own.
func (l *letter) write(w io.Writer) error {
	var h gomail.Header
	h.SetDate(l.out.At)
	h.SetAddressList("From", []*gomail.Address{(*gomail.Address)(&l.from)})
	h.SetAddressList("To", []*gomail.Address{(*gomail.Address)(&l.to)})
	if l.replyTo != "" {
		h.SetAddressList("Reply-To", []*gomail.Address{{Name: l.from.Name, Address: l.replyTo}})
	}
	h.SetSubject(oneLine(l.subject, maxSubject))
	h.SetMessageID(l.id)
	if n := len(l.ancestors); n > 0 {
		h.SetMsgIDList("In-Reply-To", l.ancestors[n-1:])
		h.SetMsgIDList("References", l.ancestors)
	}
	if l.automatic {
		h.Set(autoHeader, autoReplied)
		h.Set(loopHeader, l.from.Address)
		h.Set(suppressHeader, "All")
	}
	h.Set("MIME-Version", "1.0")
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	body, err := gomessage.CreateWriter(w, h.Header)
	if err != nil {
		return fmt.Errorf("write the header: %w", err)
	}
	text := strings.TrimRight(strings.ReplaceAll(string(l.out.Text), "\r\n", "\n"), "\n") + "\n"
	if _, err := io.WriteString(body, text); err != nil {
		return fmt.Errorf("write the text: %w", err)
	}
	if err := body.Close(); err != nil {
		return fmt.Errorf("end the text: %w", err)
	}
	return nil
}

// bytes gives the letter as it is sent.
func (l *letter) bytes() ([]byte, error) {
	var b bytes.Buffer
	err := l.write(&b)
	return b.Bytes(), err
}
