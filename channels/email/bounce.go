package email

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const maxStatuses = 20 // of one report

// report is what a mail server says became of a mail.
type report struct {
	action string // failed, delayed, delivered, relayed, expanded
	status string // such as 5.1.1
	about  string // Message-ID of the mail; empty when the report does not say
}

// bounce reads a report of delivery (RFC 3464), or what Gmail and Exim write
// instead; false for any other mail.
func (m *message) bounce() (report, bool) {
	media, params, _ := m.header.ContentType()
	switch {
	case media == "multipart/report" && strings.EqualFold(params["report-type"], "delivery-status"):
		return readReport(m.raw), true
	case m.header.Has("X-Failed-Recipients"):
		return report{action: "failed", status: "5.0.0", about: aboutID(m.raw)}, true
	}
	return report{}, false
}

// readReport takes what can be read; a report that breaks off is one all the same.
func readReport(raw []byte) report {
	var out report
	entity, _ := gomessage.ReadWithOptions(bytes.NewReader(raw), &gomessage.ReadOptions{MaxHeaderBytes: maxHeader})
	if entity == nil || entity.MultipartReader() == nil {
		return out
	}
	parts := entity.MultipartReader()
	for range maxParts {
		part, _ := parts.NextPart()
		if part == nil {
			break
		}
		media, _, _ := part.Header.ContentType()
		switch media {
		case "message/delivery-status", "message/global-delivery-status":
			out.readStatus(part.Body)
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "message/rfc822-headers":
			if h, err := textproto.ReadHeader(bufio.NewReader(io.LimitReader(part.Body, maxHeader))); err == nil || h.Len() > 0 {
				out.about = first(messageIDs(h.Get("Message-Id")))
			}
		}
	}
	if out.about == "" {
		out.about = aboutID(raw)
	}
	return out
}

// readStatus reads the groups of fields, one for each recipient. Our mails have
// one recipient, so whatever failed is it.
func (r *report) readStatus(body io.Reader) {
	b := bufio.NewReader(io.LimitReader(body, maxHeader))
	for range maxStatuses {
		h, err := textproto.ReadHeader(b)
		if action := strings.ToLower(strings.TrimSpace(h.Get("Action"))); action != "" && r.action != "failed" {
			r.action = action
			r.status, _, _ = strings.Cut(strings.TrimSpace(h.Get("Status")), " ")
		}
		if err != nil {
			return
		}
	}
}

// aboutID looks for the mail that a report quotes in its text: the last field of
// that name in it, since the first is the report's own.
func aboutID(raw []byte) string {
	const field = "\nmessage-id:"
	lower := bytes.ToLower(raw[:min(len(raw), maxBody)])
	at := bytes.LastIndex(lower, []byte(field))
	if at < 0 || at == bytes.Index(lower, []byte(field)) {
		return ""
	}
	line, _, _ := strings.Cut(string(raw[at+len(field):min(len(raw), at+len(field)+2*maxIDSize)]), "\n\n")
	return first(messageIDs(line))
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// receipt makes of a report what became of a message; false when it is about no
// message of ours, or says nothing that is final.
func (r report) receipt(m *marks) (channels.Event, bool) {
	id, seq, ok := m.message(r.about)
	if !ok {
		return channels.Event{}, false
	}
	out := &channels.Receipt{Key: conversation.MessageID(id, seq)}
	switch r.action {
	case "failed":
		out.Status, out.Detail = channels.ReceiptFailed, "permanent: bounced"
		if status := oneLine(r.status, 12); status != "" {
			out.Detail += " " + status
		}
	case "delivered":
		out.Status = channels.ReceiptDelivered
	default: // delayed: its server goes on trying; relayed, expanded: nobody will tell
		return channels.Event{}, false
	}
	return channels.Event{Receipt: out}, true
}
