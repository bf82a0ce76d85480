package appends

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

// task is what a worker is told first.
type task struct {
	Dir     string   `json:"dir"`
	Number  int      `json:"number"` // of the node
	Writers int      `json:"writers"`
	Bytes   int      `json:"bytes"` // of a message
	Seeds   []string `json:"seeds,omitempty"`
	Key     string   `json:"key"` // of the cluster; empty = one node alone
	Nodes   int      `json:"nodes"`
	Profile string   `json:"profile"`
	Plain   bool     `json:"plain,omitempty"` // entry and head alone: nothing to recognize, nothing moves in a list
	CPU     string   `json:"cpu,omitempty"`   // file for a processor profile; empty = none
}

// The words by which the coordinator leads its workers.
const (
	wordWrite   = "write"   // begin, nothing counts yet
	wordMeasure = "measure" // from now on it counts
	wordStop    = "stop"    // tell what came of it
)

// outcome is what a worker has measured.
type outcome struct {
	Ready   bool      `json:"ready,omitempty"`  // the first line of a worker: nothing was measured yet
	Gossip  string    `json:"gossip,omitempty"` // with it: where the node is a member; empty = alone
	Appends uint64    `json:"appends"`
	Failed  uint64    `json:"failed"`
	CPUus   int64     `json:"cpu_us"` // of the whole process
	Leads   bool      `json:"leads"`
	Took    histogram `json:"took"`
	Reason  string    `json:"reason,omitempty"` // of the first failure
}

const (
	openTime   = time.Minute
	talkBytes  = 160 // of a message, in the row that lists show
	talkLength = 50  // messages of one conversation
	readyPause = 20 * time.Millisecond
)

// Work is the life of a worker: it reads its task and the coordinator's words
// from in, and writes what it has to say to out.
func Work(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.New("no task came")
	}
	var t task
	if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n, err := openNode(ctx, &t)
	if err != nil {
		return err
	}
	err = n.obey(ctx, lines, json.NewEncoder(out))
	cancel()
	return errors.Join(err, n.close())
}

// node is a journal, with a place in a cluster when there is one.
type node struct {
	task    *task
	member  *cluster.Node // nil = alone
	store   *persistence.Store
	running sync.WaitGroup
	text    conversation.Text

	counts  atomic.Bool // what is written counts
	appends atomic.Uint64
	failed  atomic.Uint64
	mu      struct {
		sync.Mutex
		took   histogram
		reason error
	}
}

func openNode(ctx context.Context, t *task) (*node, error) {
	n := &node{task: t, text: conversation.Text(strings.Repeat("hello there ", t.Bytes/12+1)[:t.Bytes])}
	// What ends a worker by itself has to be seen.
	o := persistence.Options{Dir: t.Dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	if t.Key != "" {
		if err := n.join(&o); err != nil {
			return nil, err
		}
	}
	opening, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	var err error
	if n.store, err = persistence.OpenContext(opening, o); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.running.Go(func() { _ = n.store.Run(ctx) }) // it ends with ctx, or says why in close
	if n.member != nil {
		n.member.SetJournal(n.store.Identity().Node, n.store.Identity().Cluster)
		n.member.SetServing(cluster.Serving)
	}
	if err := n.awaitVoters(opening); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// join makes the node a member, as the engine does.
func (n *node) join(o *persistence.Options) error {
	t, quiet := n.task, slog.New(slog.DiscardHandler)
	// A port that was free a moment ago may be somebody else's by now.
	free := cluster.Endpoint{Listen: "127.0.0.1:0"}
	var err error
	n.member, err = cluster.Open(cluster.NodeOptions{
		System: cluster.NewSystem(quiet), Key: t.Key, Seeds: t.Seeds, Profile: cluster.Profile(t.Profile), Version: "bench",
		Gossip: free, Link: free, Grains: free,
		Logger: quiet, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	timing := persistence.TimingCareful()
	if n.member != nil && t.Profile == string(cluster.Fast) {
		timing = persistence.TimingFast()
	}
	o.Cluster = &persistence.ClusterOptions{
		Network: n.member.Link(), Address: n.member.LinkAddress(), Version: "bench", Timing: timing, Peers: n.peers,
		Join: func(ctx context.Context, _ persistence.Identity) ([]string, error) { return n.member.Found(ctx, 0) },
	}
	return nil
}

func (n *node) peers() []persistence.Peer {
	var out []persistence.Peer
	for _, m := range n.member.View().Members() {
		if m.Journal != "" {
			out = append(out, persistence.Peer{Node: m.Journal, Address: m.Address})
		}
	}
	return out
}

// awaitVoters waits until as many nodes vote as will with those that are there
// now: from then on every append is stored by most of them.
func (n *node) awaitVoters(ctx context.Context) error {
	want := voters(n.task.Number + 1)
	for n.member != nil {
		servers, err := n.store.Servers(ctx)
		if err != nil {
			return err
		}
		vote := 0
		for _, s := range servers {
			if s.Voter {
				vote++
			}
		}
		if vote >= want {
			return nil
		}
		if err := rest(ctx, readyPause); err != nil {
			return fmt.Errorf("%d nodes vote with node %d, not %d: %w", vote, n.task.Number+1, want, err)
		}
	}
	return nil
}

// voters is how many of so many nodes get a vote: an even number above two would
// survive no more losses than one less.
func voters(nodes int) int {
	if nodes > 2 && nodes%2 == 0 {
		nodes--
	}
	return min(nodes, persistence.DefaultVoters)
}

func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// obey does what the coordinator says, until it says stop.
func (n *node) obey(ctx context.Context, words *bufio.Scanner, out *json.Encoder) error {
	ready := outcome{Ready: true}
	if n.member != nil {
		ready.Gossip = n.member.GossipAddress()
	}
	if err := out.Encode(ready); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var writers sync.WaitGroup
	var before int64
	profiled := func() error { return nil }
	for words.Scan() {
		switch words.Text() {
		case wordWrite:
			for w := range n.task.Writers {
				writers.Go(func() { n.write(ctx, w) })
			}
		case wordMeasure:
			stop, err := profile(n.task.CPU)
			if err != nil {
				return err
			}
			profiled = stop
			before = processTime()
			n.counts.Store(true)
		case wordStop:
			n.counts.Store(false)
			r := outcome{Appends: n.appends.Load(), Failed: n.failed.Load(), CPUus: processTime() - before, Leads: n.store.Leads()}
			if err := profiled(); err != nil {
				return err
			}
			cancel()
			writers.Wait()
			n.mu.Lock()
			r.Took = n.mu.took
			if n.mu.reason != nil {
				r.Reason = n.mu.reason.Error()
			}
			n.mu.Unlock()
			return out.Encode(r)
		}
	}
	return errors.New("the coordinator is gone")
}

// profile writes a processor profile to a file until stop is called.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// write is one writer: a message after the other, to conversations of its own,
// each with everything that an ordinary message brings along.
func (n *node) write(ctx context.Context, writer int) {
	var took histogram
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.mu.took.merge(&took)
	}()
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		err := n.append(ctx, writer, i)
		counts := n.counts.Load()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.failed.Add(1)
			n.mu.Lock()
			n.mu.reason = errors.Join(n.mu.reason, err)
			n.mu.Unlock()
			return // a writer whose append failed does not know where its conversation stands
		case counts:
			n.appends.Add(1)
			took.add(time.Since(began))
		}
	}
}

// append stores one message. It is tried until ctx ends.
func (n *node) append(ctx context.Context, writer, i int) error {
	seq := conversation.Seq(i%talkLength + 1) //nolint:gosec // small
	var id conversation.ConversationID
	binary.BigEndian.PutUint32(id[:], uint32(n.task.Number+1)) //nolint:gosec // small
	binary.BigEndian.PutUint32(id[4:], uint32(writer))         //nolint:gosec // small
	binary.BigEndian.PutUint64(id[8:], uint64(i/talkLength)+1) //nolint:gosec // not negative
	contact, now := conversation.ContactID(id), time.Now().UTC().Truncate(time.Millisecond)
	ref := conversation.Ref("ref" + strconv.Itoa(i))
	a := &conversation.Append{
		ID: id, Expect: seq - 1,
		Entries: []conversation.Entry{{Seq: seq, At: now, Event: conversation.MessageAccepted{Ref: ref, Text: n.text}}},
		Head: conversation.Head{
			ID: id, Inbox: "bench", Channel: conversation.ChannelWeb, Contact: contact, Status: conversation.StatusPending,
			Handler: conversation.HandlerBot, Queue: conversation.QueueNone, CreatedAt: now, LastActivity: now, Version: seq,
			Preview: n.text[:min(len(n.text), talkBytes)],
		},
		Refs: []conversation.RefRow{{Ref: ref, Seq: seq}},
	}
	if n.task.Plain {
		a.Refs, a.Head.LastActivity = nil, time.UnixMilli(0)
	}
	if seq == 1 {
		a.Contact = conversation.ContactKey{Inbox: "bench", Contact: contact}
	}
	return n.store.Append(ctx, a)
}

func (n *node) close() error {
	var err error
	if n.store != nil {
		err = n.store.Close()
	}
	n.running.Wait()
	if n.member != nil {
		err = errors.Join(err, n.member.Close())
	}
	return err
}
