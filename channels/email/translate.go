package email

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// What is kept with a message beside its text.
const (
	metaSubject    = "subject"
	metaMessageID  = "message_id"
	metaReferences = "references" // with message_id, what a reply refers to
	metaName       = "name"
	metaVerified   = "sender_verified" // yes, no, unknown
	metaAutomatic  = "automatic"       // why the bot does not answer; none when it may
	metaOthers     = "answers_to"      // the conversation of somebody else that the mail answers
	metaUID        = "uid"             // where the mail lies in the folder
)

const (
	maxReferencesSize = 1000 // bytes kept of References; the limit of all is conversation.MaxMetadataBytes
)

// translate makes events of a mail: none of our own ones and of reports that say
// nothing, else one.
func (r *reading) translate(ctx context.Context, raw []byte, s size) ([]channels.Event, error) {
	m := parse(raw)
	if _, _, ours := r.box.marks.message(m.id); ours {
		return nil, nil // a copy of what was sent from here
	}
	if _, known := r.cursor.knows(m.name()); known && s.uid <= r.cursor.Until {
		return nil, nil // taken before the folder was numbered anew
	}
	if report, ok := m.bounce(); ok {
		event, about := report.receipt(&r.box.marks)
		if !about {
			return nil, nil
		}
		return []channels.Event{event}, nil
	}
	m.verify(r.box.authServ)
	at, err := r.find(ctx, m)
	if err != nil {
		return nil, err
	}
	r.cursor.learn(m.name(), at.thread)
	return []channels.Event{r.event(m, at, s)}, nil
}

// event makes the message of a mail.
func (r *reading) event(m *message, at place, s size) channels.Event {
	address := m.from
	if address == "" {
		address = nobody
	}
	e := channels.Event{Peer: peerOf(address, at.thread), Ref: conversation.Ref(m.ref())}
	e.Metadata = map[string]string{
		metaSubject: m.subject, metaName: m.fromName, metaVerified: string(m.verified), metaUID: strconv.FormatUint(uint64(s.uid), 10),
		metaReferences: referencesOf(m), metaAutomatic: m.automatic(r.box),
	}
	if m.id != "" {
		e.Metadata[metaMessageID] = m.id
	}
	if at.others {
		e.Metadata[metaOthers] = at.of.String()
	}
	switch {
	case s.bytes > r.box.maxSize:
		e.Keep("too_large_mail", nil)
		e.Metadata[metaAutomatic] = cmp.Or(e.Metadata[metaAutomatic], autoUnreadable)
	case m.broken != nil && m.plain == "" && m.html == "":
		delete(e.Metadata, metaReferences) // the room is needed for what cannot be read
		e.Keep("unreadable_mail", m.raw)
		e.Metadata[metaAutomatic] = cmp.Or(e.Metadata[metaAutomatic], autoUnreadable)
	}
	e.Text = m.content(len(m.ancestors()) == 0)
	e.Files = r.filesOf(m)
	if e.Metadata[metaAutomatic] == "" && !r.driver.answers.allow(sender{r.Account, m.from}, m.ref(), r.At, r.box.autoReplies) {
		e.Metadata[metaAutomatic] = autoTooMany
	}
	e.Metadata[conversation.MetadataBotReply] = botReply(e.Metadata[metaAutomatic])
	maps.DeleteFunc(e.Metadata, func(_, v string) bool { return v == "" })
	return e
}

// referencesOf gives what a reply has to refer to besides the mail itself: the
// first of the thread and the newest (RFC 5322, 3.6.4).
func referencesOf(m *message) string {
	list := m.references
	if len(list) == 0 && len(m.inReplyTo) == 1 {
		list = m.inReplyTo
	}
	if len(list) == 0 {
		return ""
	}
	out, size := []string{}, len(list[0])
	for _, id := range slices.Backward(list[1:]) {
		if size += len(id) + 1; size > maxReferencesSize {
			break
		}
		out = append(out, id)
	}
	slices.Reverse(out)
	return strings.Join(append([]string{list[0]}, out...), " ")
}

// filesOf gives what rides on the message: the mail's files, its HTML as it may be
// shown, and the mail itself when it could not be read.
func (r *reading) filesOf(m *message) []channels.File {
	var out []channels.File
	for _, f := range m.files {
		out = append(out, channels.File{Name: f.name, Type: f.media, Size: int64(len(f.data)), Body: f.data})
	}
	if strings.TrimSpace(m.html) != "" {
		out = append(out, channels.File{Name: "mail.html", Type: "text/html", Body: r.driver.policy.SanitizeBytes([]byte(m.html))})
	}
	if m.broken != nil {
		out = append(out, channels.File{Name: "mail.eml", Type: "message/rfc822", Body: m.raw})
	}
	return out
}
