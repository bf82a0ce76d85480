//go:build !race

// As in pitfall_test.go: the actor library races with itself.

package cluster_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

// exchange opens connections that can be made half-open: the other end seems to
// take everything, and nothing comes any more, as behind a machine that has lost its
// power or a firewall that has forgotten the connection.
type exchange struct {
	cluster.Dialer

	mu    sync.Mutex
	lines map[string][]*line // by address
}

func (e *exchange) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := e.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l := &line{Conn: conn, dead: make(chan struct{}), hungUp: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines[address] = append(e.lines[address], l)
	return l, nil
}

// to gives the connections that were opened to an address.
func (e *exchange) to(address string) []*line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*line(nil), e.lines[address]...)
}

type line struct {
	net.Conn

	dead, hungUp chan struct{}
	once         sync.Once
}

func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	select {
	case <-l.dead:
		<-l.hungUp
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (l *line) Write(b []byte) (int, error) {
	select {
	case <-l.dead:
		return len(b), nil
	default:
		return l.Conn.Write(b)
	}
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.hungUp) })
	return l.Conn.Close()
}

// A connection between grains that has died without a word is noticed although
// nobody sends anything, and the next message goes over a new one. The gossip says
// all the while that its peer is well.
func TestHalfOpenConnectionIsNoticed(t *testing.T) {
	t.Parallel()
	wires := &exchange{lines: map[string][]*line{}}
	n := clustertest.New(t, clustertest.Options{
		Kinds: adders(newTally(), 0, nil),
		Change: func(machine string, o *cluster.NodeOptions) {
			if machine == "a" {
				wires.Dialer = o.Dialer
				o.Dialer = wires
			}
		},
	})
	ms := n.Start("a", "b")
	id := grain(t, ms[1], "adder", "h")
	if _, err := ms[0].Gate.Request(t.Context(), id, where{}); err != nil {
		t.Fatal(err)
	}
	before := wires.to(ms[1].Node.GrainsAddress())
	if len(before) == 0 {
		t.Fatal("the message went over no connection")
	}
	for _, l := range before {
		close(l.dead)
	}
	for _, l := range before {
		select {
		case <-l.hungUp:
		case <-time.After(clustertest.Patience):
			t.Fatal("nobody has noticed that the connection is dead")
		}
	}
	if got := len(ms[0].Gate.View().Members()); got != 2 {
		t.Fatalf("%d members, want 2: the peer is well", got)
	}
	n.Await("an answer over a new connection", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := ms[0].Gate.Request(ctx, id, where{})
		return err == nil
	})
	if after := wires.to(ms[1].Node.GrainsAddress()); len(after) <= len(before) {
		t.Errorf("%d connections, want more than the %d that died", len(after), len(before))
	}
}
