package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// chaosSingleCmd is `colloquy chaos single`.
type chaosSingleCmd struct {
	botFlags

	Visitors int           `help:"Visitors who write at random." default:"200"`
	Kills    int           `help:"How often the node is killed with signal 9." default:"10"`
	Up       time.Duration `help:"How long the node lives between kills, give or take half." default:"2s"`
	Think    time.Duration `help:"Longest pause of a visitor between messages." default:"400ms"`
	Seed     uint64        `help:"Of the random choices; 0 means one from the clock." default:"0"`
	Dir      string        `help:"Where to put the data directory, which is removed when nothing was lost." type:"path"`
	JSON     bool          `help:"Print JSON."`
}

// Validate implements kong's check of flags.
func (c *chaosSingleCmd) Validate() error {
	if c.Visitors < 1 || c.Kills < 0 || c.Up <= 0 || c.Think <= 0 {
		return errors.New("--visitors, --up and --think must be above zero, --kills not below")
	}
	return nil
}

// chaosResult is the ledger of a run. A run passes when lost, duplicated,
// reordered and missed are all zero.
type chaosResult struct {
	Visitors   int     `json:"visitors"`
	Kills      int     `json:"kills"`
	Seed       uint64  `json:"seed"`
	Sent       int     `json:"sent"`        // messages that visitors wrote
	Acked      int     `json:"acked"`       // acknowledged as durable
	Stored     int     `json:"stored"`      // visitor messages in the journal at the end
	Replies    int     `json:"replies"`     // bot replies in the journal at the end
	Lost       int     `json:"lost"`        // acknowledged, not in the journal, or under another seq
	Duplicated int     `json:"duplicated"`  // in the journal more than once
	Reordered  int     `json:"reordered"`   // in the journal before one that the same visitor wrote earlier
	Missed     int     `json:"missed"`      // in the journal, never shown to the visitor's client
	ShownTwice int     `json:"shown_twice"` // shown to the client more than once
	Reconnects int     `json:"reconnects"`
	RecoveryMS []int64 `json:"recovery_ms"` // from each kill until the node served again
	Seconds    float64 `json:"seconds"`
}

func (r *chaosResult) passed() bool {
	return r.Acked > 0 && r.Lost+r.Duplicated+r.Reordered+r.Missed+r.ShownTwice == 0
}

// Run implements the subcommand.
func (c *chaosSingleCmd) Run(t *tool) error {
	dir, err := os.MkdirTemp(c.Dir, "colloquy-chaos-")
	if err != nil {
		return err
	}
	if err := c.prepareDir(t.ctx, filepath.Join(dir, "data")); err != nil {
		return err
	}
	result, err := c.storm(t, filepath.Join(dir, "data"))
	if err != nil {
		return errors.Join(err, fmt.Errorf("the data directory is kept in %s", dir))
	}
	if c.JSON {
		err = writeJSON(t.stdout, result)
	} else {
		_, err = fmt.Fprintf(t.stdout, "%d kills, %d messages acknowledged: %d lost, %d duplicated, %d reordered, %d missed by clients, %d shown twice (seed %d)\n",
			result.Kills, result.Acked, result.Lost, result.Duplicated, result.Reordered, result.Missed, result.ShownTwice, result.Seed)
	}
	if err != nil {
		return err
	}
	if !result.passed() {
		return &failure{exitCheck, fmt.Errorf("messages were harmed; the data directory is kept in %s", dir)}
	}
	return os.RemoveAll(dir)
}

// storm runs the visitors against a node that dies, and audits what is left.
func (c *chaosSingleCmd) storm(t *tool, dir string) (*chaosResult, error) {
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	began := time.Now()
	random := rand.New(rand.NewPCG(c.Seed, 1)) //nolint:gosec // repeatable choices, not secrets
	n, err := startNode(t.ctx, dir, "127.0.0.1:0", c.flags()...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	quiet := make(chan struct{})
	chatters, err := c.invite(ctx, n.addr)
	if err != nil {
		n.kill()
		return nil, err
	}
	var all sync.WaitGroup
	for i, v := range chatters {
		all.Go(func() { v.chat(ctx, quiet, rand.New(rand.NewPCG(c.Seed, uint64(i+2)))) }) //nolint:gosec // as above
	}
	result := &chaosResult{Visitors: c.Visitors, Kills: c.Kills, Seed: c.Seed}
	for range c.Kills {
		pause(t.ctx, c.Up/2+time.Duration(random.Int64N(int64(c.Up))))
		n.kill()
		at := time.Now()
		if n, err = startNode(t.ctx, dir, n.addr, c.flags()...); err != nil {
			return nil, err
		}
		result.RecoveryMS = append(result.RecoveryMS, time.Since(at).Milliseconds())
	}
	pause(t.ctx, c.Up)
	close(quiet)
	err = waitAll(&all, chatters)
	cancel()
	if err = errors.Join(err, n.stop()); err != nil {
		return nil, err
	}
	result.Seconds = time.Since(began).Seconds()
	return result, audit(t.ctx, dir, chatters, result)
}

func (c *chaosSingleCmd) invite(ctx context.Context, addr string) ([]*chatter, error) {
	out := make([]*chatter, c.Visitors)
	for i := range out {
		token, err := visitorToken(ctx, addr, benchInbox)
		if err != nil {
			return nil, err
		}
		out[i] = newChatter(i, addr, token, c.Think)
	}
	return out, nil
}

// settleTime is how long the visitors may take, at the end, to get the last
// acks and to catch up with the journal.
const settleTime = 60 * time.Second

func waitAll(all *sync.WaitGroup, chatters []*chatter) error {
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(settleTime):
		open := 0
		for _, v := range chatters {
			open += v.open()
		}
		return fmt.Errorf("%d messages were not acknowledged within %v after the last start", open, settleTime)
	}
}

// audit compares the visitors' ledgers with the journal on disk.
func audit(ctx context.Context, dir string, chatters []*chatter, r *chaosResult) error {
	s, err := persistence.Open(persistence.Options{Dir: dir})
	if err != nil {
		return err
	}
	for _, v := range chatters {
		if err := v.audit(ctx, s, r); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.Close()
}

// stored is what the journal holds of one visitor.
type stored struct {
	bySeq    map[conversation.Seq]string // ref of each visitor message
	count    map[string]int              // by ref
	messages []conversation.Seq          // everything that shows a message, in order
	order    []string                    // refs in order
}

func readStored(ctx context.Context, s *persistence.Store, id conversation.ConversationID, r *chaosResult) (*stored, error) {
	out := &stored{bySeq: map[conversation.Seq]string{}, count: map[string]int{}}
	const page = 1024
	for after := conversation.Seq(0); ; {
		entries, err := s.Entries(ctx, id, after, page)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Seq != after+1 {
				return nil, fmt.Errorf("%s: seq %d follows %d", id, e.Seq, after)
			}
			after = e.Seq
			switch ev := e.Event.(type) {
			case conversation.MessageAccepted:
				out.bySeq[e.Seq] = string(ev.Ref)
				out.count[string(ev.Ref)]++
				out.order = append(out.order, string(ev.Ref))
				out.messages = append(out.messages, e.Seq)
				r.Stored++
			case conversation.ReplyComposed:
				out.messages = append(out.messages, e.Seq)
				r.Replies++
			case conversation.AgentReplied:
				out.messages = append(out.messages, e.Seq)
			default: // nothing that a visitor reads
			}
		}
		if len(entries) < page {
			return out, nil
		}
	}
}
