package email

import (
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// sessionIdle is how long a connection is kept that nobody takes: longer than the
// pause between two looks, and not much longer, because nobody tells the driver
// that an account is gone.
const sessionIdle = 2 * time.Minute

// sessions keeps the connections of accounts between two looks, one for each.
//
// bound: one for each account that is fetched · how it ends: after sessionIdle.
type sessions struct {
	mu struct {
		sync.Mutex

		kept map[conversation.InboxID]kept
	}
}

type kept struct {
	session *session
	timer   *time.Timer
}

// take gives the connection of an account; nil when there is none that still fits.
// It belongs to the caller until it is put back or closed.
func (k *sessions) take(inbox conversation.InboxID, box *mailbox) *session {
	k.mu.Lock()
	held, ok := k.mu.kept[inbox]
	delete(k.mu.kept, inbox)
	k.mu.Unlock()
	if ok {
		held.timer.Stop()
		if held.session.login == box.imap && held.session.folder == box.folder {
			return held.session
		}
		held.session.close()
	}
	return nil
}

// put keeps a connection for the next look.
func (k *sessions) put(inbox conversation.InboxID, s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.kept == nil {
		k.mu.kept = make(map[conversation.InboxID]kept)
	}
	if other, ok := k.mu.kept[inbox]; ok { // of a look at the same account that ended in between
		other.timer.Stop()
		other.session.close()
	}
	k.mu.kept[inbox] = kept{session: s, timer: time.AfterFunc(sessionIdle, func() { k.drop(inbox, s) })}
}

// drop closes a connection that nobody took.
func (k *sessions) drop(inbox conversation.InboxID, s *session) {
	k.mu.Lock()
	held, ok := k.mu.kept[inbox]
	ok = ok && held.session == s
	if ok {
		delete(k.mu.kept, inbox)
	}
	k.mu.Unlock()
	if ok {
		s.close()
	}
}
