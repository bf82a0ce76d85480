package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// waiting is a classifier that asks somebody else: it answers slow texts after a
// while, from another goroutine, and never holds up who called it.
type waiting struct {
	*script

	slow map[conversation.Text]time.Duration
	mu   sync.Mutex
	peak int // utterances under way at once
	now  int
}

// PredictAsync implements [AsyncClassifier].
func (w *waiting) PredictAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error)) {
	w.mu.Lock()
	w.now++
	w.peak = max(w.peak, w.now)
	w.mu.Unlock()
	answer := func() {
		p := &conversation.Prediction{}
		err := w.Predict(ctx, u, p)
		w.mu.Lock()
		w.now--
		w.mu.Unlock()
		done(p, err)
	}
	if d := w.slow[u.Text]; d > 0 {
		time.AfterFunc(d, answer)
		return
	}
	answer()
}

// A backend that takes its time holds up its own turns only: a hundred slow
// utterances wait at once, however few scoring actors there are, and a quick one
// behind them is answered on the short road.
func TestASlowBackendHoldsUpNobodyElse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := &waiting{slow: map[conversation.Text]time.Duration{"slow": 300 * time.Millisecond}}
		r := newRig(t, func(o *Options) {
			w.script, _ = o.Classifier.(*script)
			o.Classifier = w
		})
		r.script.means("slow", "hours")
		r.script.means("quick", "hours")
		const many = 100
		var slow sync.WaitGroup
		began := time.Now()
		for i := range many {
			slow.Go(func() {
				in := with(anna("slow"), "", time.Minute)
				in.Contact = conversation.ContactID{2, byte(i)}
				said(t, r.deliver(in), "We open at nine.")
			})
		}
		synctest.Wait()
		if took := time.Since(began); took != 0 {
			t.Fatalf("%v passed before the quick one was asked, want none", took)
		}
		said(t, r.say("quick"), "We open at nine.")
		if took := time.Since(began); took >= 300*time.Millisecond {
			t.Errorf("the quick one took %v behind the slow ones, want it before they come back", took)
		}
		slow.Wait()
		if took := time.Since(began); took > 350*time.Millisecond {
			t.Errorf("%d slow ones took %v together, want about as long as one", many, took)
		}
		if w.peak < many {
			t.Errorf("%d utterances were under way at once (%d scoring actors), want all %d", w.peak, max(1, runtime.GOMAXPROCS(0)-1), many)
		}
	})
}

// A score that comes after the budget ends in the two-step road: the message is
// stored and acknowledged at the end of the budget, and the answer follows in
// the same turn. One that never comes ends at a human. No turn is lost, and no
// late score changes anything.
func TestALateScoreIsNeverALostTurn(t *testing.T) {
	for _, tt := range []struct {
		takes    time.Duration
		answered bool
	}{{4 * time.Millisecond, true}, {300 * time.Millisecond, true}, {1900 * time.Millisecond, true}, {time.Minute, false}} {
		t.Run(fmt.Sprint(tt.takes), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := &waiting{slow: map[conversation.Text]time.Duration{"slow": tt.takes}}
				r := newRig(t, func(o *Options) {
					w.script, _ = o.Classifier.(*script)
					o.Classifier = w
				})
				r.script.means("slow", "hours")
				began := time.Now()
				got := r.deliver(with(anna("slow"), "r1", 0))
				if took := time.Since(began); took > 5*time.Millisecond {
					t.Errorf("acknowledged after %v, want within the budget", took)
				}
				time.Sleep(2 * time.Minute)
				turns := events[conversation.TurnCompleted](t, r.journal, got.Conversation)
				replies := events[conversation.ReplyComposed](t, r.journal, got.Conversation)
				handovers := events[conversation.HandoverRequested](t, r.journal, got.Conversation)
				if len(turns) != 1 || len(replies) != 1 || turns[0].Turn != got.Seq {
					t.Fatalf("%d turns %+v and %d replies, want one of each, for message %d", len(turns), turns, len(replies), got.Seq)
				}
				if tt.answered != (len(handovers) == 0) || tt.answered != (replies[0].Text == "We open at nine.") {
					t.Errorf("reply %q and %d handovers, want an answer: %v", replies[0].Text, len(handovers), tt.answered)
				}
				if stale := r.metric("colloquy_turns_stale_total"); tt.answered == (stale > 0) {
					t.Errorf("%v stale results, want one exactly when the score came too late", stale)
				}
			})
		})
	}
}

// A behavior that took over after the classifier had been given up is not started
// again by a score that comes after all.
func TestALateScoreDoesNotStartABehaviorTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		runs := 0
		w := &waiting{slow: map[conversation.Text]time.Duration{"slow": 3 * time.Second}}
		r := newRig(t, func(o *Options) {
			w.script, _ = o.Classifier.(*script)
			o.Classifier = w
			o.Bindings = []Binding{{Name: "mine", Inbox: "shop", Behavior: BehaviorFunc(func(_ context.Context, t *Turn) (conversation.Outcome, error) {
				runs++
				time.Sleep(5 * time.Second)
				return t.Reply("done"), nil
			})}}
		})
		r.script.means("slow", "hours")
		said(t, r.say("slow"), "done")
		if runs != 1 {
			t.Errorf("the behavior ran %d times, want once", runs)
		}
	})
}

// beside is a shadow that understands by a script of its own.
type beside struct {
	*script

	inboxes []conversation.InboxID
	mu      sync.Mutex
	turns   []ShadowTurn
}

func (b *beside) Watches(inbox conversation.InboxID) bool {
	return slices.Contains(b.inboxes, inbox)
}

func (b *beside) PredictAsync(ctx context.Context, u *conversation.Utterance, done func(*conversation.Prediction, error)) {
	go func() {
		p := &conversation.Prediction{}
		err := b.Predict(ctx, u, p)
		done(p, err)
	}()
}

func (b *beside) Saw(t ShadowTurn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turns = append(b.turns, t)
}

func (b *beside) seen(t *testing.T, want int) []ShadowTurn {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.turns) != want {
		t.Fatalf("the shadow saw %d turns %+v, want %d", len(b.turns), b.turns, want)
	}
	return b.turns
}

// The shadow says what it would have said, on the dialogue as it was, and the
// visitor gets what the engine says and nothing else.
func TestTheShadowSaysWhatItWouldHaveSaid(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := &beside{script: newScript(), inboxes: []conversation.InboxID{"shop"}}
		r := newRig(t, func(o *Options) { o.Shadow = b })
		r.script.means("where is it", "refund")
		b.means("where is it", "hours")
		r.script.means("4711", "hours") // understood by the question that was asked
		b.on("4711", scene{err: errors.New("no connection")})

		said(t, r.say("where is it"), "Which order?")
		turns := b.seen(t, 1)
		got := turns[0]
		if got.Silent || got.Own.Intent != "refund" || got.Own.Text != "Which order?" || got.Own.Model != "m1" || got.Text != "where is it" {
			t.Errorf("own = %+v, want what was said", got.Own)
		}
		if got.Other == nil || got.Other.Action != conversation.ActionAnswer || got.Other.Intent != "hours" || got.Other.Text != "We open at nine." {
			t.Errorf("other = %+v, want the opening hours", got.Other)
		}
		if got.Other != nil && got.Own.Same(got.Other) {
			t.Error("the two are the same, want a difference")
		}

		said(t, r.say("4711"), "Refund for 4711.")
		got = b.seen(t, 2)[1]
		if got.Err == nil || got.Other != nil || got.Own.Action != conversation.ActionContinue {
			t.Errorf("turn = %+v, want the shadow's error beside what was said", got)
		}
	})
}

// In an inbox whose bot is silent every message shows what it would say: the
// first one, which goes to a human, and those that the human has to answer.
func TestASilentBotShowsWhatItWouldSay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := &beside{script: newScript()}
		r := newRig(t, func(o *Options) { o.Shadow = b })
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.Silent = true })
		r.script.means("when?", "hours")
		r.script.means("refund", "refund")
		first := r.say("when?")
		said(t, first)
		if first.Status != conversation.StatusOpen {
			t.Fatalf("status = %s, want the conversation with humans", first.Status)
		}
		said(t, r.say("refund"))
		turns := b.seen(t, 2)
		for i, want := range []string{"We open at nine.", "Which order?"} {
			if got := turns[i]; !got.Silent || got.Own.Text != want || got.Other != nil || got.Err != nil {
				t.Errorf("turn %d = %+v, want %q, not said", i, got, want)
			}
		}
		all := r.journal.log(t, first.Conversation)
		for _, e := range all {
			if _, ok := e.Event.(conversation.ReplyComposed); ok {
				t.Errorf("entry %d is a reply of a bot that is silent", e.Seq)
			}
		}
	})
}

// A silent bot is silent about its failures too.
func TestASilentBotFailsInSilence(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.directory.change("shop", func(i *conversation.Inbox) { i.Policy.Silent = true })
		r.script.on("when?", scene{err: errors.New("no model")})
		got := r.say("when?")
		said(t, got)
		if got.Status != conversation.StatusOpen {
			t.Errorf("status = %s, want the conversation with humans", got.Status)
		}
	})
}

// Without a shadow, and in inboxes that nobody watches, nothing is looked at.
func TestNobodyWatches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := &beside{script: newScript(), inboxes: []conversation.InboxID{"desk"}}
		r := newRig(t, func(o *Options) { o.Shadow = b })
		r.script.means("when?", "hours")
		r.say("when?")
		b.seen(t, 0)
		if len(b.asked) != 0 {
			t.Errorf("the shadow was asked about %d utterances of an inbox that it does not watch", len(b.asked))
		}
	})
}

// A shadow that is told of a behavior does not run it.
func TestTheShadowRunsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := &beside{script: newScript(), inboxes: []conversation.InboxID{"shop"}}
		runs := 0
		r := newRig(t, func(o *Options) {
			o.Shadow = b
			o.Bindings = []Binding{{Name: "clock", Intent: "hours", Behavior: BehaviorFunc(func(_ context.Context, t *Turn) (conversation.Outcome, error) {
				runs++
				return t.Reply("ticking"), nil
			})}}
		})
		r.script.means("a person please", "human")
		b.means("a person please", "hours")
		r.say("a person please")
		got := b.seen(t, 1)[0]
		if runs != 0 || got.Other == nil || got.Other.Behavior != "clock" || got.Other.Text != "" {
			t.Errorf("%d runs, other = %+v, want the behavior named and not run", runs, got.Other)
		}
		if !strings.Contains(got.Own.Text, "Somebody will look") {
			t.Errorf("own = %+v, want the pack's answer", got.Own)
		}
	})
}
