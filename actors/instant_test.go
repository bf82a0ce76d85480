package actors

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// instantScript is a script that answers at once what it does not hold up.
type instantScript struct{ *script }

// Instant implements [InstantClassifier].
func (s instantScript) Instant(u *conversation.Utterance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scenes[u.Text]
	return sc == nil || sc.release == nil && !sc.hangs
}

// lonely takes the scoring actors away: what they are given, nobody scores.
func (r *rig) lonely() { r.engine.pool.stop() }

func newInstantRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(o *Options) {
		o.Classifier = instantScript{o.Classifier.(*script)} //nolint:forcetypeassert // the rig made it
	})
}

func TestInstantUtterancesNeedNoScoringActor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newInstantRig(t)
		r.script.means("when?", "hours")
		r.script.on("boom", scene{panics: true})
		r.lonely()

		began := time.Now()
		said(t, r.say("when?"), "We open at nine.")
		said(t, r.say("boom"), "Something broke, a human comes.")
		if took := time.Since(began); took != 0 {
			t.Errorf("two turns took %v, want no waiting", took)
		}
		if n := r.journal.count(); n != 2 {
			t.Errorf("%d appends for two turns, want 2", n)
		}
		if n := r.engine.pool.here.Load(); n != 0 {
			t.Errorf("%d utterances count as being understood after all were", n)
		}
	})
}

// What takes its time is stored and acknowledged first, whoever else is instant.
func TestUtterancesThatTakeTimeGoToScoringActors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newInstantRig(t)
		release := r.script.blocks("when?", "hours")
		acked := r.deliver(with(anna("when?"), "", 0))
		if kinds := r.kinds(acked.Conversation); slices.Contains(kinds, conversation.ReplyComposed{}.Kind()) {
			t.Fatalf("at the receipt there is %v; want no reply", kinds)
		}
		close(release)
		synctest.Wait()
		if kinds := r.kinds(acked.Conversation); !slices.Contains(kinds, conversation.ReplyComposed{}.Kind()) {
			t.Errorf("in the end there is %v; want a reply", kinds)
		}
	})
}

// As many utterances are understood outside of the scoring actors as there are
// processors, and none while one waits for a scoring actor.
func TestInstantUtterancesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newInstantRig(t)
		p := r.engine.pool
		u := &conversation.Utterance{Text: "hello"}
		if _, _, done := p.predictHere(u); !done {
			t.Error("with nothing to do, the pool does not let the caller understand it")
		}
		p.here.Store(int64(runtime.GOMAXPROCS(0)))
		if _, _, done := p.predictHere(u); done {
			t.Error("more are understood at a time than there are processors")
		}
		p.here.Store(0)
		p.inflight.Store(1)
		if _, _, done := p.predictHere(u); done {
			t.Error("an utterance overtakes one that waits")
		}
		p.inflight.Store(0)
	})
}

// A sender's messages stay in order also when the first has to be looked for in
// the journal and those behind it would not.
func TestKnownContactsDoNotOvertake(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newInstantRig(t)
		found := make(chan struct{})
		r.journal.see(func(op string, _ conversation.ConversationID, _ *conversation.Append) {
			if op == "current" {
				<-found
			}
		})
		var mu sync.Mutex
		var order []string
		var id conversation.ConversationID
		deliver := func(text string) {
			r.engine.DeliverAsync(anna(text), func(got conversation.Receipt, err error) {
				if err != nil {
					t.Errorf("Deliver(%q) = %v", text, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order, id = append(order, text), got.Conversation
			})
		}
		deliver("one")
		synctest.Wait()
		who := anna("")
		shard := r.engine.shards.all[int(who.Contact[15])%len(r.engine.shards.all)]
		shard.remember(contactKey(&who), r.engine.ids.first(contactKey(&who)))
		deliver("two")
		deliver("three")
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("%v came before the one that is looked for", order)
		}
		close(found)
		synctest.Wait()
		if got := r.visitorTexts(id); !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("stored as %q", got)
		}
		if n := shard.waiting.Load(); n != 0 {
			t.Errorf("%d requests wait in a shard that has done all", n)
		}
	})
}

// Who is known is handed on by the entrance's own goroutine, and refused there.
func TestKnownContactsAreHandedOnAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newInstantRig(t)
		first := r.say("hello")
		r.engine.shards.stop() // nobody reads the mailboxes any more
		if again := r.say("hello again"); again.Conversation != first.Conversation {
			t.Errorf("the second message went to %v, want %v", again.Conversation, first.Conversation)
		}
		r.do(first.Conversation, conversation.ChangePriority{To: conversation.PriorityHigh})
		if _, err := r.engine.Do(context.Background(), conversation.ConversationID{1, 2, 3}, conversation.Close{}); !errors.Is(err, conversation.ErrNotFound) {
			t.Errorf("a command for nobody = %v, want class not found", err)
		}
	})
}
