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
	P50MS         float64 `json:"p50_ms"`        // of one command, from when it was posted
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
	m.ids = make([]conversation.ConversationID, m.options.Conversations)
	m.say("%d nodes are ready; beginning %d conversations", m.options.Nodes, len(everybody))
	began := time.Now()
	if _, err := m.post(ctx, everybody, 0); err != nil {
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
	took, err := m.post(ctx, moved, 1)
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

// post has something posted to the conversations of some people, many at the
// same time.
func (m *moves) post(ctx context.Context, people []int, round int) ([]answered, error) {
	next := make(chan int)
	results := make([][]answered, m.options.Clients)
	errs := make([]error, m.options.Clients)
	transport := &http.Transport{MaxIdleConnsPerHost: m.options.Clients, IdleConnTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i := range m.options.Clients {
		poster := &poster{moves: m, http: &http.Client{Transport: transport}, random: rand.New(rand.NewPCG(uint64(i), uint64(round)))} //nolint:gosec // which node to ask
		all.Go(func() {
			for person := range next {
				began := time.Now()
				if errs[i] = poster.deliver(ctx, person, round); errs[i] != nil {
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

// poster posts one thing after the other.
type poster struct {
	moves  *moves
	http   *http.Client
	random *rand.Rand
	at     string
}

// deliverTime bounds how long one post may take, with all its repetitions.
const deliverTime = time.Minute

// deliver posts something until a node has taken it.
func (p *poster) deliver(ctx context.Context, person, round int) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTime)
	defer cancel()
	if p.at == "" {
		p.at = p.moves.fleet.roster.pick(p.random, "")
	}
	for {
		err := p.once(ctx, person, round)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("something was not taken within %v: %w", deliverTime, err)
		}
		p.moves.repeats.Add(1)
		p.at = p.moves.fleet.roster.pick(p.random, p.at)
		pause(ctx, time.Duration(p.random.Int64N(int64(firstBackoff))))
	}
}

// once makes one attempt: a message that begins the conversation in the first
// round, and that an agent has read it in the second. The latter needs no bot,
// so that it is the move that is measured.
func (p *poster) once(ctx context.Context, person, round int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if round > 0 {
		_, err := p.call(ctx, "/v1/conversations/"+p.moves.ids[person].String()+"/read", p.moves.fleet.keys.Agents[0].Token, map[string]any{})
		return err
	}
	raw, err := p.call(ctx, "/webhook?wait_ms=0", p.moves.fleet.keys.Ingress, map[string]any{
		"user": fmt.Sprint("person-", person), "text": sayings()[person%len(sayings())], "id": fmt.Sprint(person),
	})
	if err != nil {
		return err
	}
	var answer struct {
		Conversation conversation.ConversationID `json:"conversation_id"`
	}
	err = json.Unmarshal(raw, &answer)
	p.moves.ids[person] = answer.Conversation
	return err
}

// call posts a body and gives the answer.
func (p *poster) call(ctx context.Context, path, token string, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.at+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
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
