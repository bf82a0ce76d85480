package sockets

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/cmd/colloquy/pages"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// ServerOptions say which server a worker is.
type ServerOptions struct {
	Known bool // every visitor has a conversation already
}

// order is what a server is told. Programs that stand in for the gateway need
// to know gc only.
type order struct {
	GC      bool     `json:"gc,omitempty"`
	Publish *publish `json:"publish,omitempty"`
	Closes  bool     `json:"closes,omitempty"`
}

// publish gives commits to the hub: Events rounds of one for each conversation
// From up to To.
type publish struct {
	From   int `json:"from"`
	To     int `json:"to"`
	Events int `json:"events"`
	Bytes  int `json:"bytes"` // of a message
	// Most is how many bytes may wait for sockets before the next round; zero = any.
	Most int64 `json:"most,omitempty"`
}

// standing is what a server says about itself.
type standing struct {
	Addr       string `json:"addr,omitempty"` // the first line of all
	RSS        int64  `json:"rss,omitempty"`  // bytes, after collecting garbage
	Heap       uint64 `json:"heap,omitempty"`
	Stack      uint64 `json:"stack,omitempty"`
	Goroutines int    `json:"goroutines,omitempty"`
	ClosedSlow int    `json:"closed_slow,omitempty"` // connections, with 3008
}

// Serve is the life of a server: the gateway with its engine stubbed. It reads
// orders from in, answers each on out, and ends when in does.
func Serve(ctx context.Context, o *ServerOptions, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, metrics := newStub(o), prometheus.NewRegistry()
	g, err := newGateway(s, metrics)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan error, 3)
	go func() { ended <- g.Run(ctx) }()
	go func() { ended <- g.Serve(ctx, ln) }()
	answers := json.NewEncoder(out)
	if err := pages.Release(); err != nil { // as a node does
		return err
	}
	if err := answers.Encode(standing{Addr: ln.Addr().String()}); err != nil {
		return err
	}
	go func() {
		ended <- readLines(in, func(line []byte) error {
			var o order
			if err := json.Unmarshal(line, &o); err != nil {
				return fmt.Errorf("read an order: %w", err)
			}
			if o.Closes {
				return answers.Encode(standing{ClosedSlow: closedSlow(metrics)})
			}
			return answers.Encode(obey(&o, g, s))
		})
	}()
	return <-ended
}

func readLines(in io.Reader, take func([]byte) error) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := take(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// newGateway makes one whose limits per client are out of the way: the load
// asks more of a connection than a visitor may.
func newGateway(s *stub, metrics prometheus.Registerer) (*gateway.Gateway, error) {
	const plenty = 1 << 30
	return gateway.New(gateway.Options{
		Conversations: s, Journal: s, Contacts: s, Inboxes: s, Agents: s, Credentials: s, Secrets: s, Epoch: stubEpoch, Registerer: metrics,
		Limits: gateway.Limits{
			FramesPerSecond: plenty, AgentFramesPerSecond: plenty, HandshakesPerSecond: plenty, HandshakesPerIP: plenty,
			Connections: plenty, ConnectionsPerIdentity: plenty / 16,
		},
	})
}

// visitorTokens makes a token for each of n visitors. Any gateway over a stub
// can: their keys are the same.
func visitorTokens(first, n int) ([]string, error) {
	g, err := newGateway(newStub(&ServerOptions{}), nil)
	if err != nil {
		return nil, err
	}
	out := make([]string, n)
	for i := range out {
		if out[i], err = g.IssueVisitorToken(stubInbox, contactOf(first+i), time.Now()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func obey(o *order, g *gateway.Gateway, s *stub) standing {
	if p := o.Publish; p != nil {
		for range p.Events {
			for p.Most > 0 && g.Queued() > p.Most { // ends: who does not read is closed
				time.Sleep(time.Millisecond)
			}
			for i := p.From; i < p.To; i++ {
				g.Hub().Publish(s.commit(conversationOf(contactOf(i)), p.Bytes))
			}
		}
	}
	if !o.GC {
		return standing{}
	}
	return weigh()
}

// closedSlow counts the connections that were closed because they did not read.
func closedSlow(metrics prometheus.Gatherer) int {
	families, err := metrics.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() != "colloquy_gateway_closes_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); len(l) == 1 && l[0].GetValue() == strconv.Itoa(int(wire.CloseSlow)) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// weigh collects garbage, gives free memory back and says what is left.
func weigh() standing {
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return standing{RSS: residentBytes("self"), Heap: m.HeapAlloc, Stack: m.StackInuse, Goroutines: runtime.NumGoroutine()}
}

// anonBytes is the part of a process's memory that is its own and not a page of
// the program's file, which all processes of a program share.
func anonBytes(pid string) int64 {
	raw, err := os.ReadFile("/proc/" + pid + "/status") //nolint:gosec // a number
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "RssAnon:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// residentBytes is the memory that a process really holds; zero where the system
// does not say.
func residentBytes(pid string) int64 {
	raw, err := os.ReadFile("/proc/" + pid + "/statm") //nolint:gosec // a number or self
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// stubConversation is the conversation that everybody follows in a fan-out.
func stubConversation() conversation.ConversationID { return conversationOf(contactOf(0)) }
