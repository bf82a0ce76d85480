package email

import (
	"fmt"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

func TestProgramsAreNotAnswered(t *testing.T) {
	tests := []struct{ name, from, header, want, reply string }{
		{name: "a person", from: "ann@example.org"},
		{name: "who says that it is none", from: "ann@example.org", header: "Auto-Submitted: no"},
		{name: "a vacation notice", from: "ann@example.org", header: "Auto-Submitted: auto-replied", want: autoSubmitted, reply: conversation.BotReplyNone},
		{name: "with a comment", from: "ann@example.org", header: "Auto-Submitted: Auto-Generated; owner=x", want: autoSubmitted, reply: conversation.BotReplyNone},
		{name: "an older one", from: "ann@example.org", header: "X-Autoreply: yes", want: autoSubmitted, reply: conversation.BotReplyNone},
		{name: "without a way back", from: "ann@example.org", header: "Return-Path: <>", want: autoSubmitted, reply: conversation.BotReplyNone},
		{name: "with one", from: "ann@example.org", header: "Return-Path: <ann@example.org>"},
		{name: "a list", from: "ann@example.org", header: "List-Id: <l.example.org>", want: autoList, reply: conversation.BotReplyHuman},
		{name: "bulk", from: "ann@example.org", header: "Precedence: Bulk", want: autoList, reply: conversation.BotReplyHuman},
		{name: "Exchange", from: "ann@example.org", header: "X-Auto-Response-Suppress: DR, OOF", want: autoSuppressed, reply: conversation.BotReplyHuman},
		{name: "Exchange without a wish", from: "ann@example.org", header: "X-Auto-Response-Suppress: None"},
		{name: "our own loop", from: "ann@example.org", header: "X-Loop: Shop@example.com", want: autoOwn, reply: conversation.BotReplyHuman},
		{name: "somebody else's", from: "ann@example.org", header: "X-Loop: else@example.com"},
		{name: "our own address", from: "shop+x@example.com", want: autoOwn, reply: conversation.BotReplyHuman},
		{name: "a daemon", from: "MAILER-DAEMON@mx.example.org", want: autoSystem, reply: conversation.BotReplyNone},
		{name: "no-reply", from: "no-reply-4711@example.org", want: autoSystem, reply: conversation.BotReplyNone},
		{name: "a read receipt", from: "ann@example.org", header: "Content-Type: multipart/report; report-type=disposition-notification; boundary=x", want: autoReport, reply: conversation.BotReplyNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReading(t, nil, nil)
			var headers []string
			if tt.header != "" {
				headers = []string{tt.header}
			}
			e := r.one(t, mailOf(tt.from, "x@example.org", "Hello", headers...))
			if got := e.Metadata[metaAutomatic]; got != tt.want || e.Metadata[conversation.MetadataBotReply] != tt.reply {
				t.Errorf("automatic = %q, metadata %v, want %q", got, e.Metadata, tt.want)
			}
		})
	}
}

// A sender gets as many answers an hour as the account says, wherever the mails
// belong and whatever is written behind a plus.
func TestAnswersOfASenderAreCounted(t *testing.T) {
	r := newReading(t, nil, map[string]string{settingAuto: "2"})
	got := func(from, id string, after time.Duration) string {
		at := r.At
		defer func() { r.At = at }()
		r.At = at.Add(after)
		return r.one(t, mailOf(from, id, "Hello")).Metadata[metaAutomatic]
	}
	for i, step := range []struct {
		from, id string
		after    time.Duration
		want     string
	}{
		{"ann@example.org", "1@x", 0, ""},
		{"ann@example.org", "1@x", time.Second, ""}, // the same mail again, after it was not stored
		{"ann+a@example.org", "2@x", time.Minute, ""},
		{"ann+b@example.org", "3@x", 2 * time.Minute, autoTooMany},
		{"bob@example.org", "4@x", 2 * time.Minute, ""},
		{"ann@example.org", "5@x", time.Hour + time.Second, ""},
		{"ann@example.org", "6@x", time.Hour + 2*time.Second, autoTooMany},
	} {
		if g := got(step.from, step.id, step.after); g != step.want {
			t.Errorf("step %d: automatic = %q, want %q", i, g, step.want)
		}
	}
}

// Whoever writes under very many names gets no answers any more, and does not
// fill the memory.
func TestAnswersAreBounded(t *testing.T) {
	var a answers
	now := time.Unix(1_772_000_000, 0)
	for i := range maxSenders {
		if !a.allow(sender{inbox, fmt.Sprintf("%d@example.org", i)}, "r", now, 1) {
			t.Fatalf("sender %d was refused", i)
		}
	}
	if a.allow(sender{inbox, "one-more@example.org"}, "r", now, 1) {
		t.Error("one sender too many was allowed")
	}
	if !a.allow(sender{inbox, "one-more@example.org"}, "r", now.Add(answerPeriod+time.Second), 1) || len(a.mu.of) != 1 {
		t.Errorf("after an hour %d senders are remembered, want the new one", len(a.mu.of))
	}
}

func TestReportsBecomeReceipts(t *testing.T) {
	r, conv, _, answer := answeredTo(t, nil)
	report := func(about, action, status string) string {
		return "From: MAILER-DAEMON@mx.example.org\nMessage-ID: <r@mx.example.org>\nSubject: Undelivered\n" +
			"Content-Type: multipart/report; report-type=\"delivery-status\"; boundary=B\n\n--B\nContent-Type: text/plain\n\nSorry.\n\n" +
			"--B\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; ann@example.org\n" +
			"Action: " + action + "\nStatus: " + status + "\n\n--B\nContent-Type: message/rfc822\n\nFrom: shop@example.com\nMessage-ID: " + about +
			"\n\nHello\n--B--\n"
	}
	gmail := "From: mailer-daemon@googlemail.com\nX-Failed-Recipients: ann@example.org\nMessage-ID: <g@example.net>\nSubject: Failure\n\n" +
		"Delivery failed.\n\n----- Original message -----\n\nFrom: shop@example.com\nMessage-ID:\n " + answer + "\nSubject: Re: Hello\n\nHello\n"
	tests := []struct {
		name, mail string
		want       *channels.Receipt
	}{
		{name: "failed", mail: report(answer, "failed", "5.1.1"), want: &channels.Receipt{Status: channels.ReceiptFailed, Detail: "permanent: bounced 5.1.1"}},
		{name: "given up", mail: report(answer, "FAILED", "4.4.7 (too long)"), want: &channels.Receipt{Status: channels.ReceiptFailed, Detail: "permanent: bounced 4.4.7"}},
		{name: "delivered", mail: report(answer, "delivered", "2.0.0"), want: &channels.Receipt{Status: channels.ReceiptDelivered}},
		{name: "delayed", mail: report(answer, "delayed", "4.4.1")},
		{name: "about nobody's mail", mail: report("<x@example.com>", "failed", "5.1.1")},
		{name: "Gmail", mail: gmail, want: &channels.Receipt{Status: channels.ReceiptFailed, Detail: "permanent: bounced 5.0.0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, err := r.translate(t.Context(), []byte(tt.mail), size{uid: 7})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil {
				if len(events) != 0 {
					t.Errorf("events %+v, want none", events)
				}
				return
			}
			tt.want.Key = conversation.MessageID(conv, 4)
			if len(events) != 1 || events[0].Receipt == nil || *events[0].Receipt != *tt.want {
				t.Errorf("events %+v, want the receipt %+v", events, *tt.want)
			}
		})
	}
}

func TestSendersAreVerifiedByOurServerOnly(t *testing.T) {
	tests := []struct {
		name, results string
		want          verdict
	}{
		{"nothing", "", verifiedUnknown},
		{"DMARC", "mx.example.com; dmarc=pass header.from=example.org", verifiedYes},
		{"DMARC failed", "mx.example.com; dkim=pass header.d=evil.example; dmarc=fail header.from=example.org", verifiedNo},
		{"signed by the domain", "mx.example.com; dkim=pass header.d=Example.org", verifiedYes},
		{"signed by somebody else", "mx.example.com; dkim=pass header.d=evil.example", verifiedUnknown},
		{"signed by a domain that ends alike", "mx.example.com; dkim=pass header.d=notexample.org", verifiedUnknown},
		{"sent from the domain", "mx.example.com 1; spf=pass smtp.mailfrom=bounce@mail.example.org", verifiedYes},
		{"not from the domain", "mx.example.com; spf=fail smtp.mailfrom=example.org", verifiedNo},
		{"said by somebody else", "mx.example.net; dmarc=pass", verifiedUnknown},
		{"garbage", "mx.example.com; ;;=;", verifiedUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReading(t, nil, map[string]string{settingAuthServ: "MX.example.com"})
			e := r.one(t, mailOf("ann@example.org", "x@example.org", "Hello", "Authentication-Results: "+tt.results))
			if got := verdict(e.Metadata[metaVerified]); got != tt.want {
				t.Errorf("sender_verified = %q, want %q", got, tt.want)
			}
		})
	}
}
