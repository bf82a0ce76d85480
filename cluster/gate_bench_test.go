//go:build !race

package cluster_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

// benchPair gives two nodes in one process and the ids of grains that live on
// one of them.
func benchPair(b *testing.B, owner int) (*clustertest.Machine, []cluster.GrainID) {
	b.Helper()
	n := clustertest.New(b, clustertest.Options{Kinds: adders(newTally(), 0, nil), Carrier: clustertest.Library})
	ms := n.Start("a", "b")
	var ids []cluster.GrainID
	for i := 0; len(ids) < 1000; i++ {
		if id := (cluster.GrainID{Kind: "adder", ID: fmt.Sprint("bench", i)}); ms[owner].Gate.Owns(id) {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		if _, err := ms[0].Gate.Request(b.Context(), id, where{}); err != nil {
			b.Fatal(err)
		}
	}
	return ms[0], ids
}

func benchAsk(b *testing.B, owner, inFlight int) {
	m, ids := benchPair(b, owner)
	slots := make(chan struct{}, inFlight)
	var failed sync.Map
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		slots <- struct{}{}
		m.Gate.Ask(ids[i%len(ids)], where{}, time.Now().Add(10*time.Second), func(_ any, err error) {
			if err != nil {
				failed.Store(err.Error(), true)
			}
			<-slots
		})
	}
	for range inFlight {
		slots <- struct{}{}
	}
	b.StopTimer()
	failed.Range(func(err, _ any) bool { b.Error(err); return true })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "asks/s")
}

func BenchmarkAsk(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("local/inflight=%d", n), func(b *testing.B) { benchAsk(b, 0, n) })
	}
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("remote/inflight=%d", n), func(b *testing.B) { benchAsk(b, 1, n) })
	}
}

func BenchmarkTell(b *testing.B) {
	for name, owner := range map[string]int{"local": 0, "remote": 1} {
		b.Run(name, func(b *testing.B) {
			m, ids := benchPair(b, owner)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				for m.Gate.Tell(ids[i%len(ids)], "nothing, but two hundred bytes of it would be the same", nil) != nil {
					<-time.After(100 * time.Microsecond)
				}
			}
			if _, err := m.Gate.Request(b.Context(), ids[0], where{}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tells/s")
		})
	}
}
