package engine

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// decision is what a node made of a message.
type decision struct {
	text       conversation.Text
	intent     string
	confidence float32
	model      string
}

// openingLines are the first messages of the dialogues of a built-in pack.
func openingLines(t *testing.T, pack string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "cmd", "colloquy", "testdata", "dialogues", pack+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	for s := bufio.NewScanner(f); s.Scan(); {
		var d struct {
			Turns []struct {
				Visitor string `json:"visitor"`
			} `json:"turns"`
		}
		if err := json.Unmarshal(s.Bytes(), &d); err != nil || len(d.Turns) == 0 {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		out = append(out, d.Turns[0].Visitor)
	}
	return out
}

// A node that has more to do than it can makes of every message what it makes of it when
// nothing else is to do: no score is left out, and those that come late are said later.
func TestFullLoadKeepsTheDecisions(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a pack")
	}
	t.Parallel()
	lines := openingLines(t, "ecommerce")
	for name, budget := range map[string]time.Duration{"as configured": 5 * time.Millisecond, "no time to wait": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			c.DataDir, c.Listen, c.OpsListen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0"
			c.Turns.Budget = budget
			e, _ := serving(t, Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
			packs := []string{"ecommerce"}
			putInbox(t, e, conversation.Inbox{ID: "shop", Packs: packs})
			if err := e.Library().Prepare(t.Context(), packs); err != nil {
				t.Fatal(err)
			}
			idle := make([]decision, len(lines))
			for i, text := range lines {
				idle[i] = decided(t, e, text)
			}
			ended := talkers(t, e, lines)
			compared, human := 0, 0
			for i, text := range lines {
				got := decided(t, e, text)
				if got.model == "" { // the machine stood still for longer than a turn may take; a human has it
					human++
					continue
				}
				if compared++; got != idle[i] {
					t.Errorf("%q: under load %+v, want %+v as without", text, got, idle[i])
				}
			}
			said := ended()
			if _, metrics := fetch(t, "http://"+e.OpsAddr()+"/metrics"); !strings.Contains(metrics, "\ncolloquy_intent_queue_full_total 0\n") {
				t.Error("the scoring queue refused an utterance")
			}
			t.Logf("%d lines, %d at a human for want of time, while %d other messages were answered", len(lines), human, said)
			if compared < len(lines)/2 || said == 0 {
				t.Errorf("%d of %d lines were compared, beside %d other messages", compared, len(lines), said)
			}
		})
	}
}

// decided gives what the bot makes of a first message.
func decided(t *testing.T, e *Engine, text string) decision {
	t.Helper()
	r := acknowledged(t, text, func() (conversation.Receipt, error) { return e.Actors().Deliver(t.Context(), visitor("shop", text)) })
	if len(r.Replies) == 0 || r.Replies[0].Bot == nil {
		t.Fatalf("%q: receipt %+v, want a reply of the bot", text, r)
	}
	m := r.Replies[0]
	return decision{m.Text, m.Bot.Intent, m.Bot.Confidence, m.Bot.Model}
}

// talkers has far more visitors write than there are processors, each as fast as it is
// answered. What it gives back ends them, and says how many messages were answered.
func talkers(t *testing.T, e *Engine, lines []string) (end func() int64) {
	t.Helper()
	var answered atomic.Int64
	var all sync.WaitGroup
	over, begun := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	for who := range 16 {
		all.Go(func() {
			for n := who; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				// What is refused is no matter here: the lines that are compared must not be.
				if r, err := e.Actors().Deliver(t.Context(), visitor("shop", lines[n%len(lines)])); err == nil && len(r.Replies) > 0 {
					answered.Add(1)
				}
				begin()
			}
		})
	}
	<-begun
	return func() int64 {
		close(over)
		all.Wait()
		return answered.Load()
	}
}
