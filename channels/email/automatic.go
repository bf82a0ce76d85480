package email

import (
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Why the bot must not answer a mail. They stand in its metadata.
const (
	autoSubmitted  = "auto_submitted" // a program wrote it
	autoList       = "list"           // it went to many
	autoSuppressed = "suppressed"     // it asks for no automatic answers
	autoOwn        = "own"            // it comes from this system, or from the account's own address
	autoSystem     = "system_address" // its sender reads no mail
	autoReport     = "report"         // it tells of another mail
	autoTooMany    = "too_many"       // its sender has had the bot's answer lately
	autoUnreadable = "unreadable"     // nobody knows what it says
	loopHeader     = "X-Loop"         // on every automatic mail of ours
	autoHeader     = "Auto-Submitted" // as above (RFC 3834, 5)
	autoReplied    = "auto-replied"   // its value there
	suppressHeader = "X-Auto-Response-Suppress"
)

// botReply says what becomes of a mail that the bot must not answer. Lists and
// forwarding addresses bring people's mail too, so a human looks at it; what a
// program wrote to nobody in particular waits until somebody cares.
func botReply(reason string) string {
	switch reason {
	case "":
		return ""
	case autoSubmitted, autoReport, autoSystem:
		return conversation.BotReplyNone
	}
	return conversation.BotReplyHuman
}

// automatic says why nothing may answer a mail by itself; empty when it may. Source:
// RFC 3834, section 2, and what mail programs do instead.
func (m *message) automatic(box *mailbox) string {
	h := func(name string) string { return strings.ToLower(strings.TrimSpace(m.header.Get(name))) }
	media, _, _ := strings.Cut(h("Content-Type"), ";")
	submitted, _, _ := strings.Cut(h(autoHeader), ";")
	switch {
	case m.isOwn(box):
		return autoOwn
	case strings.TrimSpace(media) == "multipart/report":
		return autoReport
	case submitted != "" && strings.TrimSpace(submitted) != "no":
		return autoSubmitted
	case m.header.Has("X-Autoreply"), m.header.Has("X-Autorespond"), h("Precedence") == "auto_reply":
		return autoSubmitted
	case m.header.Has("List-Id"), m.header.Has("List-Unsubscribe"), m.header.Has("List-Post"):
		return autoList
	case h("Precedence") == "bulk", h("Precedence") == "list", h("Precedence") == "junk":
		return autoList
	case m.header.Has(suppressHeader) && h(suppressHeader) != "none":
		return autoSuppressed
	case m.header.Has("Return-Path") && h("Return-Path") == "<>":
		return autoSubmitted
	case m.from == "" || systemAddress(m.from):
		return autoSystem
	}
	return ""
}

func (m *message) isOwn(box *mailbox) bool {
	for _, v := range m.header.Values(loopHeader) {
		if strings.EqualFold(strings.TrimSpace(v), box.address.Address) {
			return true
		}
	}
	local, domain, _ := cutLast(m.from, '@')
	base, _, _ := strings.Cut(local, "+")
	return strings.EqualFold(base, box.local) && strings.EqualFold(domain, box.domain)
}

// systemAddress reports whether nobody reads what is sent to an address.
func systemAddress(address string) bool {
	local, _, _ := cutLast(address, '@')
	plain := strings.NewReplacer("-", "", "_", "", ".", "").Replace(local)
	for _, name := range []string{"mailerdaemon", "postmaster", "noreply", "donotreply", "bounce", "bounces"} {
		if plain == name || strings.HasPrefix(plain, name+"+") {
			return true
		}
	}
	return strings.HasPrefix(local, "bounce-") || strings.HasPrefix(local, "bounces-") || strings.HasPrefix(plain, "noreply")
}

const (
	answerPeriod = time.Hour
	maxSenders   = 16_384 // within a period; beyond it nobody new is answered automatically
)

// answers counts the mails of each sender that the bot may answer, so that two
// programs that do not know each other for programs soon fall silent, and nobody
// can have somebody else's mailbox filled from here. It lives in memory: the node
// that fetches an account's mail decides, and its decision is stored with the mail.
//
// bound: maxSenders · when full: no automatic answers.
type answers struct {
	mu struct {
		sync.Mutex

		of map[sender][]answer
	}
}

type sender struct {
	inbox   conversation.InboxID
	address string
}

type answer struct {
	ref string
	at  time.Time
}

// allow reports whether a mail may be answered. The same mail again, because it
// could not be stored, gets the same verdict.
func (a *answers) allow(who sender, ref string, at time.Time, most int) bool {
	local, domain, _ := cutLast(who.address, '@')
	local, _, _ = strings.Cut(local, "+") // all of them are read by the same person
	who.address = local + "@" + domain
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.of == nil {
		a.mu.of = make(map[sender][]answer)
	}
	recent := since(a.mu.of[who], at.Add(-answerPeriod))
	for _, r := range recent {
		if r.ref == ref {
			return true
		}
	}
	if len(recent) >= most || len(recent) == 0 && !a.room(at) {
		return false
	}
	a.mu.of[who] = append(recent, answer{ref, at})
	return true
}

// room makes place for another sender; the lock is held.
func (a *answers) room(at time.Time) bool {
	if len(a.mu.of) < maxSenders {
		return true
	}
	for who, all := range a.mu.of {
		if all = since(all, at.Add(-answerPeriod)); len(all) == 0 {
			delete(a.mu.of, who)
		}
	}
	return len(a.mu.of) < maxSenders
}

func since(all []answer, begin time.Time) []answer {
	for len(all) > 0 && all[0].at.Before(begin) {
		all = all[1:]
	}
	return all
}
