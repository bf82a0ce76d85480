package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// MovesOptions say how the loss of a node that holds many conversations is
// measured.
type MovesOptions struct {
	Nodes         int // at least 3
	Conversations int // that are in memory when the node is lost, on all nodes
	Clients       int // that ask at the same time
	Pack          string
	PacksDir      string
	Profile       string
	Dir           string
	Version       string
	Progress      io.Writer // nil = nobody
}

// Validate reports everything that is wrong.
func (o *MovesOptions) Validate() error {
	var errs []error
	if o.Nodes < 3 || o.Nodes > maxNodes {
		errs = append(errs, fmt.Errorf("--nodes is 3 to %d", maxNodes))
	}
	if o.Conversations < 1 || o.Clients < 1 || o.Clients > maxClients {
		errs = append(errs, fmt.Errorf("--conversations is above zero, --clients 1 to %d", maxClients))
	}
	return errors.Join(errs...)
}

// MovesResult is what the loss of a node came to. Times are from the moment at
// which it was killed.
type MovesResult struct {
	Nodes         int     `json:"nodes"`
	Conversations int     `json:"conversations"` // in memory on all nodes
	Moved         int     `json:"moved"`         // of the node that was lost
	Led           bool    `json:"led"`           // it led the journal as well
	FirstMS       int64   `json:"first_ms"`      // until the first of them answered again
	AllMS         int64   `json:"all_ms"`        // until all of them had
	P50MS         float64 `json:"p50_ms"`        // of one command, from when it was sent
	P99MS         float64 `json:"p99_ms"`
	Repeats       int64   `json:"repeats"` // attempts that had to be repeated
	TouchedPerS   float64 `json:"touched_per_s"`
	CPUs          int     `json:"cpus"`
	Version       string  `json:"version"`
}

// Moves fills a cluster with conversations, kills the node that leads, and
// measures how long it takes until each conversation that lived there has taken
// a command again.
func Moves(ctx context.Context, o *MovesOptions) (*MovesResult, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-moves-")
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano()))) //nolint:gosec // which loopback addresses to take
	options := &Options{
		Nodes: o.Nodes, Pack: o.Pack, PacksDir: o.PacksDir, Profile: o.Profile, Heal: 2 * time.Minute, Agents: 1,
	}
	m := &moves{options: o, say: func(format string, args ...any) {
		if o.Progress != nil {
			_, _ = fmt.Fprintf(o.Progress, format+"\n", args...)
		}
	}}
	m.fleet = newFleet(options, &site{block: freeBlock(ctx, random)}, dir, m.say)
	m.fleet.idle = time.Hour
	result, err := m.do(ctx)
	return result, errors.Join(err, m.fleet.abandon(), os.RemoveAll(dir))
}

// moves is the state of a measurement.
type moves struct {
	options *MovesOptions
	fleet   *fleet
	say     func(format string, args ...any)
	repeats atomic.Int64
	desks   []*deskSocket
	ids     []conversation.ConversationID // by the number of the person
}

func (m *moves) do(ctx context.Context) (*MovesResult, error) {
	if _, err := m.fleet.found(ctx, func() error { return nil }); err != nil {
		return nil, err
	}
	everybody := make([]int, m.options.Conversations)
	for i := range everybody {
		everybody[i] = i
	}
	m.desks = make([]*deskSocket, min(deskSockets, m.options.Clients))
	for i := range m.desks {
		m.desks[i] = newDeskSocket(m.fleet.roster, m.fleet.keys.Agents[0].Token, uint64(i))
	}
	m.ids = make([]conversation.ConversationID, m.options.Conversations)
	m.say("%d nodes are ready; beginning %d conversations", m.options.Nodes, len(everybody))
	began := time.Now()
	if _, err := m.all(ctx, everybody, m.begins); err != nil {
		return nil, err
	}
	perSecond := float64(len(everybody)) / time.Since(began).Seconds()
	status, leader, err := m.fleet.status(ctx)
	if err != nil {
		return nil, err
	}
	lost := leader
	if lost == nil {
		lost = m.fleet.all()[0]
	}
	moved := m.livedOn(status, lost)
	m.say("%d of them live on node %d; killing it", len(moved), lost.number)
	m.fleet.roster.remove(lost.at.client)
	m.repeats.Store(0)
	killed := time.Now()
	lost.kill()
	took, err := m.all(ctx, moved, m.reads)
	if err != nil {
		return nil, err
	}
	out := &MovesResult{
		Nodes: m.options.Nodes, Conversations: len(everybody), Moved: len(moved), Led: lost == leader, AllMS: time.Since(killed).Milliseconds(),
		TouchedPerS: perSecond, Repeats: m.repeats.Load(), CPUs: runtime.NumCPU(), Version: m.options.Version,
	}
	if len(took) > 0 {
		out.FirstMS = slices.MinFunc(took, func(a, b answered) int { return a.at.Compare(b.at) }).at.Sub(killed).Milliseconds()
	}
	durations := make([]time.Duration, len(took))
	for i, a := range took {
		durations[i] = a.took
	}
	slices.Sort(durations)
	out.P50MS, out.P99MS = quantileFloat(durations, 0.5), quantileFloat(durations, 0.99)
	return out, nil
}

// livedOn gives the people whose conversations a node holds, by the rule that
// places them.
func (m *moves) livedOn(s *gateway.ClusterStatus, lost *member) []int {
	var members []cluster.Member
	var run cluster.NodeID
	for _, n := range s.Nodes {
		if n.State != gateway.NodeServing {
			continue
		}
		members = append(members, cluster.Member{ID: cluster.NodeID(n.Run), Serving: true})
		if n.Address == lost.at.client {
			run = cluster.NodeID(n.Run)
		}
	}
	view := cluster.NewView(run, members...)
	var out []int
	for person, id := range m.ids {
		if owner, ok := view.Owner(cluster.GrainID{Kind: "conversation", ID: id.String()}); ok && owner.ID == run {
			out = append(out, person)
		}
	}
	return out
}

// answered is when a message was taken, and how long that took.
type answered struct {
	at   time.Time
	took time.Duration
}

// deed does one thing to the conversation of a person, once.
type deed func(ctx context.Context, person int) error

// all has something done to the conversations of some people, by many clients
// at the same time. deeds gives each client its way to do it, and what ends it.
func (m *moves) all(ctx context.Context, people []int, deeds func(client int) (deed, func())) ([]answered, error) {
	next := make(chan int)
	results := make([][]answered, m.options.Clients)
	errs := make([]error, m.options.Clients)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i := range m.options.Clients {
		do, end := deeds(i)
		defer end()
		all.Go(func() {
			for person := range next {
				began := time.Now()
				if errs[i] = m.until(ctx, do, person); errs[i] != nil {
					cancel()
					return
				}
				results[i] = append(results[i], answered{time.Now(), time.Since(began)})
			}
		})
	}
	for _, person := range people {
		select {
		case next <- person:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	return slices.Concat(results...), errors.Join(errs...)
}

// deliverTime bounds how long one thing may take, with all its repetitions.
const deliverTime = time.Minute

// until makes attempts until a node has taken one.
func (m *moves) until(ctx context.Context, do deed, person int) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTime)
	defer cancel()
	for {
		err := do(ctx, person)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("something was not taken within %v: %w", deliverTime, err)
		}
		m.repeats.Add(1)
		pause(ctx, time.Duration(rand.Int64N(int64(firstBackoff)))) //nolint:gosec // how long to wait
	}
}

// begins posts first messages.
func (m *moves) begins(client int) (deed, func()) {
	transport := &http.Transport{IdleConnTimeout: time.Minute}
	p := &poster{moves: m, http: &http.Client{Transport: transport}, random: rand.New(rand.NewPCG(uint64(client), 0))} //nolint:gosec // which node to ask
	return p.begin, transport.CloseIdleConnections
}

// reads says at a console that messages were read. It needs no bot, so that it
// is the move that is measured.
func (m *moves) reads(client int) (deed, func()) {
	d := m.desks[client%len(m.desks)]
	return func(ctx context.Context, person int) error { return d.read(ctx, m.ids[person]) }, d.close
}

// poster posts one message after the other.
type poster struct {
	moves  *moves
	http   *http.Client
	random *rand.Rand
	at     string
}

// begin posts the message that begins the conversation of a person.
func (p *poster) begin(ctx context.Context, person int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.at == "" {
		p.at = p.moves.fleet.roster.pick(p.random, "")
	}
	raw, err := p.post(ctx, "/webhook?wait_ms=0", map[string]any{
		"user": fmt.Sprint("person-", person), "text": sayings()[person%len(sayings())], "id": fmt.Sprint(person),
	})
	var answer struct {
		Conversation conversation.ConversationID `json:"conversation_id"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	if err != nil {
		p.at = p.moves.fleet.roster.pick(p.random, p.at)
		return err
	}
	p.moves.ids[person] = answer.Conversation
	return nil
}

// post posts a body and gives the answer.
func (p *poster) post(ctx context.Context, path string, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.at+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.moves.fleet.keys.Ingress)
	req.Header.Set("X-Channel-Type", string(conversation.ChannelWeb)) // the reply goes to whoever is connected, and nowhere else
	res, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err = io.ReadAll(io.LimitReader(res.Body, webhookBytes))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("status %d: %s", res.StatusCode, bytes.TrimSpace(raw))
	}
	return raw, err
}
