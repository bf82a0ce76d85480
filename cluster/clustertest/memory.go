package clustertest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
)

// memory carries batches between the machines of a network without the actor
// library's connections.
type memory struct {
	network *Network
	machine string
	o       cluster.CarrierOptions
	address string
	done    chan struct{}
	once    sync.Once
	mu      struct {
		sync.Mutex
		queues map[string]chan []byte // by address
	}
}

var _ cluster.Carrier = (*memory)(nil)

func newMemory(n *Network, machine string, o cluster.CarrierOptions) *memory {
	m := &memory{network: n, machine: machine, o: o, done: make(chan struct{})}
	m.mu.queues = map[string]chan []byte{}
	return m
}

// Start implements [cluster.Carrier].
func (m *memory) Start() (string, error) {
	n := m.network
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.next++
	m.address = fmt.Sprintf("memory:%d", n.mu.next)
	if strings.HasPrefix(m.o.Listen, "memory:") { // that of a run before
		m.address = m.o.Listen
	}
	n.mu.carriers[m.address] = m
	return m.address, nil
}

// Send implements [cluster.Carrier].
func (m *memory) Send(address string, frame []byte) {
	m.mu.Lock()
	q := m.mu.queues[address]
	if q == nil {
		q = make(chan []byte, 4096)
		m.mu.queues[address] = q
		go m.carry(address, q)
	}
	m.mu.Unlock()
	select {
	case q <- frame:
	default: // lost, as a carrier may
	}
}

func (m *memory) carry(address string, q chan []byte) {
	for {
		select {
		case <-m.done:
			return
		case frame := <-q:
			m.bring(address, frame)
		}
	}
}

func (m *memory) bring(address string, frame []byte) {
	n := m.network
	n.mu.Lock()
	to := n.mu.carriers[address]
	n.mu.Unlock()
	for to != nil && n.separate(m.machine, to.machine) {
		select {
		case <-m.done:
			return
		case <-to.done:
			return
		case <-time.After(pollEvery):
		}
	}
	if to == nil {
		m.o.Broken(address)
		return
	}
	select {
	case <-to.done:
		m.o.Broken(address)
	default:
		to.o.Receive(frame)
	}
}

// Forget implements [cluster.Carrier].
func (m *memory) Forget(string) {}

// Stop implements [cluster.Carrier]. Peers notice as they would notice the end of
// a connection.
func (m *memory) Stop() {
	m.once.Do(func() {
		close(m.done)
		n := m.network
		n.mu.Lock()
		delete(n.mu.carriers, m.address)
		others := make([]*memory, 0, len(n.mu.carriers))
		for _, c := range n.mu.carriers {
			others = append(others, c)
		}
		n.mu.Unlock()
		for _, c := range others {
			go c.o.Broken(m.address)
		}
	})
}
