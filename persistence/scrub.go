package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
)

// A row that is deleted stays in the files of the database until they are written
// anew, and the entry that brought it stays in the raft log until that is cut.
// What was erased must not: each node cuts its log behind the erasure, has the
// database write its files anew where the erased rows lay, and drops the files of
// the log and the lists of files that would be kept for reuse.
//
// It is done twice. The first pass comes soon; the second one takes what others
// have written meanwhile that still had something in it, such as a book of what
// conversations taught, or an append that was refused because of the erasure.

// What goes because its time is over goes every day, and has been read for long:
// there one pass a day is enough.

// The pace of scrubbing.
const (
	scrubSoon  = 2 * time.Second
	scrubDaily = 24 * time.Hour
	scrubLater = 3 * time.Minute
	scrubRetry = 10 * time.Second
	scrubTime  = 30 * time.Minute // for a pass
	maxSpans   = 4096             // beyond it everything is written anew
	maxNudges  = 16               // flushes for a new list of files
)

// scrubPace is when passes come. The zero value is the pace above.
type scrubPace struct{ soon, later, daily time.Duration }

// span is a stretch of keys: from, and up to the key before to.
type span struct{ from, to []byte }

// scrubber knows where erased rows lay.
type scrubber struct {
	kick chan struct{} // room for one
	slow chan struct{} // the same, for what has time
	mu   struct {
		sync.Mutex
		spans []span
		whole bool // too many to remember, or of an earlier run
		soon  bool // somebody wants it soon, once the rows are gone
	}
}

func newScrubber() *scrubber {
	return &scrubber{kick: make(chan struct{}, 1), slow: make(chan struct{}, 1)}
}

// load takes up what an earlier run has left undone.
func (s *scrubber) load(db *pebble.DB) error {
	found, err := value(db, scrubKey(), func([]byte) error { return nil })
	if found {
		s.everything()
	}
	return err
}

// all has everything written anew, also after a restart.
func (s *scrubber) all(db *pebble.DB) error {
	err := setDurably(db, scrubKey(), appendHeader(nil, tagRaft))
	s.everything()
	return err
}

func (s *scrubber) everything() {
	s.mu.Lock()
	s.mu.whole, s.mu.spans = true, nil
	s.mu.Unlock()
	wake(s.kick)
}

// wake tells who listens; one word is enough.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wants adds a stretch.
func (s *scrubber) wants(from, to []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.whole:
	case len(s.mu.spans) >= maxSpans:
		s.mu.whole, s.mu.spans = true, nil
	default:
		s.mu.spans = append(s.mu.spans, span{from: from, to: to})
	}
}

// conversation adds the rows of a conversation; those of its senders' ids and of its
// files are added where they are found.
func (s *scrubber) conversation(id conversation.ConversationID, c conversation.ContactKey) {
	for _, tag := range []byte{tagEntry, tagHead, tagState, tagOutbox, tagFileOf} {
		prefix := append(tagPrefix(tag), id[:]...)
		s.wants(prefix, after(prefix))
	}
	key := appendContactKey(nil, c)
	s.wants(key, after(key))
}

// due says that a conversation is erased, and why.
func (s *scrubber) due(reason conversation.ErasureReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.soon = s.mu.soon || reason != conversation.ErasedRetention
}

// wake says that rows are gone.
func (s *scrubber) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.soon {
		s.mu.soon = false
		wake(s.kick)
		return
	}
	wake(s.slow)
}

// documents adds all documents: there are few, and they are small.
func (s *scrubber) documents() {
	s.wants(tagPrefix(tagDocument), endOf(tagDocument))
	s.due(conversation.ErasedContact)
}

// file adds the rows and bytes of a file.
func (s *scrubber) file(id conversation.AttachmentID, blob blobID) {
	s.wants(fileKey(id), after(fileKey(id)))
	s.wants(blobKey(blob), after(blobKey(blob)))
}

// work gives what is to be written anew, in order and without overlap. It keeps
// it: a second pass wants the same.
func (s *scrubber) work() []span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []span
	if s.mu.whole {
		for _, tag := range stateTags() {
			out = append(out, span{from: tagPrefix(tag), to: endOf(tag)})
		}
	}
	out = append(out, s.mu.spans...)
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, func(a, b span) int { return bytes.Compare(a.from, b.from) })
	merged := out[:1]
	for _, next := range out[1:] {
		last := &merged[len(merged)-1]
		if bytes.Compare(next.from, last.to) > 0 {
			merged = append(merged, next)
		} else if bytes.Compare(next.to, last.to) > 0 {
			last.to = next.to
		}
	}
	return merged
}

// done forgets what has been written anew, unless more has come meanwhile.
func (s *scrubber) done(db *pebble.DB) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kick)+len(s.slow) > 0 {
		return nil
	}
	s.mu.spans, s.mu.whole = nil, false
	return db.Delete(scrubKey(), pebble.NoSync)
}

// scrubs runs the passes until the store closes.
func (s *Store) scrubs() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	passes := 0 // that are to come
	next := time.NewTimer(time.Hour)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.scrubber.kick:
			passes = 2
			next.Reset(s.options.scrub.soon)
		case <-s.scrubber.slow:
			if passes == 0 {
				passes = 1
				next.Reset(s.options.scrub.daily)
			}
		case <-next.C:
			var wait time.Duration
			passes, wait = s.pass(ctx, passes)
			next.Reset(wait)
		}
	}
}

// pass makes one of the passes that are to come, and says how many are left and
// when the next one is due.
func (s *Store) pass(ctx context.Context, passes int) (left int, wait time.Duration) {
	if passes == 0 {
		return 0, time.Hour
	}
	if err := s.scrub(ctx); err != nil {
		if ctx.Err() == nil {
			s.logger.Warn("bytes of what was erased are still in the files", "err", err)
		}
		return passes, scrubRetry
	}
	if passes > 1 {
		return passes - 1, s.options.scrub.later
	}
	if err := s.scrubber.done(s.db); err != nil {
		s.logger.Warn("scrubbing not written down; it is done again at the next start", "err", err)
	}
	return 0, time.Hour
}

// scrub makes one pass.
func (s *Store) scrub(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, scrubTime)
	defer cancel()
	began := time.Now()
	s.logs.files.Forget(true)
	defer s.logs.files.Forget(false)
	last := s.logs.files.Renew()
	// The other nodes get these entries from the log of whoever leads: one that
	// has not got them when they are cut has to get the whole state.
	if err := pause(ctx, s.options.scrub.soon, nil); err != nil {
		return err
	}
	if err := s.cutBehind(ctx, last); err != nil {
		return fmt.Errorf("cut the log: %w", err)
	}
	if err := s.rewrite(ctx); err != nil {
		return fmt.Errorf("write the files anew: %w", err)
	}
	s.metrics.scrubs.Inc()
	s.logger.Info("files written anew after an erasure", "took_ms", time.Since(began).Milliseconds())
	return nil
}

// cutBehind drops all entries up to one from the log, and the files that hold them.
func (s *Store) cutBehind(ctx context.Context, to uint64) error {
	for range 2 {
		// Something new, or there would be nothing to take a snapshot of.
		if err := s.Barrier(ctx); err != nil {
			return err
		}
	}
	last := s.raft.LastIndex()
	err := s.truncateLog(last - min(to, last))
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		err = nil
	}
	if first := s.logs.files.First(); err == nil && first <= to && first != 0 {
		err = fmt.Errorf("the log begins at entry %d, it was to be cut at %d", first, to)
	}
	return err
}

// rewrite has the database write its files anew where something was erased. Close
// waits for it before it closes the database.
func (s *Store) rewrite(ctx context.Context) error {
	lists, err := s.fileLists()
	if err != nil {
		return err
	}
	if err := s.db.Flush(); err != nil {
		return err
	}
	for _, w := range s.scrubber.work() {
		if err := s.db.Compact(ctx, w.from, w.to, false); err != nil {
			return err
		}
	}
	return s.freshList(lists)
}

// fileLists gives the names of the database's lists of its files, oldest first.
func (s *Store) fileLists() ([]string, error) {
	names, err := s.options.FS.List(s.options.Dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "MANIFEST-") })
	slices.Sort(names)
	return names, nil
}

// remove removes files of the journal's directory; one that is gone already is no
// error.
func (s *Store) remove(names []string) error {
	for _, name := range names {
		if err := s.options.FS.Remove(s.options.FS.PathJoin(s.options.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// freshList has the database begin a new list of its files, and removes those
// before: they name the first and last key of each file that ever was, and a
// sender's id may be one. It does so when enough has changed; where that takes too
// long, a new list comes by itself, at the latest with the next start.
func (s *Store) freshList(before []string) error {
	for range maxNudges {
		now, err := s.fileLists()
		if err != nil {
			return err
		}
		// One more edit, in any case: when it is written the list before it is
		// complete, and is the one that the database would open.
		if err := s.nudge(); err != nil {
			return err
		}
		if len(before) > 0 && len(now) > 0 && now[len(now)-1] > before[len(before)-1] {
			return s.remove(before)
		}
	}
	return nil
}

// nudge has the database change its list of files.
func (s *Store) nudge() error {
	if err := s.db.Set(scrubKey(), appendHeader(nil, tagRaft), pebble.NoSync); err != nil {
		return err
	}
	return s.db.Flush()
}
