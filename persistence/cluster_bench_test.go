package persistence

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/conversation"
)

// loopNet is a network over loopback TCP: an address is a name, and each
// protocol of it has a port.
type loopNet struct {
	mu    sync.Mutex
	ports map[string]string
}

type loopSite struct {
	net     *loopNet
	address string
}

func (s *loopSite) Listen(protocol string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.net.ports[s.address+"/"+protocol] = l.Addr().String()
	return l, nil
}

func (s *loopSite) Dial(ctx context.Context, address, protocol string) (net.Conn, error) {
	s.net.mu.Lock()
	port := s.net.ports[address+"/"+protocol]
	s.net.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", port)
}

// benchCluster opens so many stores on the disk, over loopback TCP.
func benchCluster(b *testing.B, n int) []*Store {
	b.Helper()
	dir := b.TempDir() // it goes after the cluster has ended
	c := newTestCluster(b)
	loop := &loopNet{ports: make(map[string]string)}
	c.timing = TimingFast()
	c.change = func(o *Options) {
		o.FS, o.Dir = vfs.Default, dir+"/"+o.Cluster.Address
		o.MemTableBytes, o.CacheBytes = DefaultMemTableBytes, DefaultCacheBytes
		o.Cluster.Network = &loopSite{net: loop, address: o.Cluster.Address}
	}
	var out []*Store
	for _, node := range c.grow(n) {
		out = append(out, node.store)
	}
	return out
}

// BenchmarkClusterAppend writes on all nodes of a cluster in one process, on one
// disk; the processor time is that of all replicas and the writers.
func BenchmarkClusterAppend(b *testing.B) {
	for _, writers := range []int{3, 96, 300, 768, 1536} {
		b.Run(fmt.Sprintf("nodes=3/writers=%d", writers), func(b *testing.B) {
			stores := benchCluster(b, 3)
			text := strings.Repeat("hello there ", 25)
			b.ReportAllocs()
			b.ResetTimer()
			start, cpu := time.Now(), cpuTime(b)
			done := make(chan error, writers)
			for w := range writers {
				go func() { done <- writeMany(b.Context(), stores[w%3], w, b.N/writers+1, text) }()
			}
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			n := float64((b.N/writers + 1) * writers)
			b.ReportMetric(n/time.Since(start).Seconds(), "appends/s")
			b.ReportMetric(float64(cpuTime(b)-cpu)/n, "cpu-ns/append")
		})
	}
}

// BenchmarkClusterLatency appends one message after the other, on the leader or
// on a follower.
func BenchmarkClusterLatency(b *testing.B) {
	for _, where := range []string{"leader", "follower", "follower-without-hints"} {
		b.Run("on="+where, func(b *testing.B) {
			stores := benchCluster(b, 3)
			at := slices.IndexFunc(stores, func(s *Store) bool { return s.Leads() == (where == "leader") })
			if where == "follower-without-hints" {
				h := stores[at].cluster.hints
				h.mu.Lock()
				h.mu.off = true
				h.mu.Unlock()
			}
			text := conversation.Text(strings.Repeat("hello there ", 25))
			times := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for i := range b.N {
				a := step(conv(i), 0, 1)
				a.Entries[0].Event = conversation.MessageAccepted{Text: text}
				start := time.Now()
				if err := stores[at].Append(b.Context(), a); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
		})
	}
}
