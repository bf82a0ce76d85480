package cluster

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	watchProtocol = "watch"
	watchAgain    = time.Second
)

// watches hold a connection to every other member that carries nothing: its end
// is the first sign of the end of a process, long before the gossip misses it.
//
// bound: one stream a member each way · how it ends: with the member, or with
// the node.
type watches struct {
	node *Node
	mu   struct {
		sync.Mutex
		stops map[NodeID]context.CancelFunc
		held  map[net.Conn]struct{}
		done  bool
	}
}

func newWatches(n *Node) *watches {
	w := &watches{node: n}
	w.mu.stops = map[NodeID]context.CancelFunc{}
	w.mu.held = map[net.Conn]struct{}{}
	return w
}

// answer holds the streams that others open, until the listener ends.
func (w *watches) answer(streams net.Listener) {
	for {
		conn, err := streams.Accept()
		if err != nil {
			return
		}
		if !w.keep(conn) {
			_ = conn.Close()
			return
		}
		w.node.ended.Go(func() {
			_, _ = conn.Read(make([]byte, 1)) // nothing comes but the end
			w.drop(conn)
		})
	}
}

func (w *watches) keep(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mu.done {
		w.mu.held[conn] = struct{}{}
	}
	return !w.mu.done
}

func (w *watches) drop(conn net.Conn) {
	w.mu.Lock()
	delete(w.mu.held, conn)
	w.mu.Unlock()
	_ = conn.Close()
}

// follow watches the members of a view, and nobody else.
func (w *watches) follow(ctx context.Context, v *View) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.done {
		return
	}
	for _, m := range v.Members() {
		if w.mu.stops[m.ID] != nil || m.ID == v.Self() {
			continue
		}
		one, stop := context.WithCancel(ctx)
		w.mu.stops[m.ID] = stop
		w.node.ended.Go(func() { w.watch(one, m) })
	}
	for id, stop := range w.mu.stops {
		if _, still := v.Member(id); !still {
			stop()
			delete(w.mu.stops, id)
		}
	}
}

func (w *watches) watch(ctx context.Context, m Member) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if w.hold(ctx, m) {
			w.node.steward.suspect(m.ID)
		}
		timer.Reset(watchAgain)
	}
}

// hold keeps one stream until it ends, and reports whether there was one that
// ended by itself.
func (w *watches) hold(ctx context.Context, m Member) bool {
	trying, cancel := context.WithTimeout(ctx, linkHandshake)
	conn, err := w.node.link.Dial(trying, m.Address, watchProtocol)
	cancel()
	if err != nil {
		return ctx.Err() == nil
	}
	if !w.keep(conn) {
		_ = conn.Close()
		return false
	}
	stop := context.AfterFunc(ctx, func() { w.drop(conn) })
	_, _ = conn.Read(make([]byte, 1))
	stop()
	w.drop(conn)
	return ctx.Err() == nil
}

// close ends all streams.
func (w *watches) close() {
	w.mu.Lock()
	w.mu.done = true
	held := make([]net.Conn, 0, len(w.mu.held))
	for conn := range w.mu.held {
		held = append(held, conn)
	}
	for _, stop := range w.mu.stops {
		stop()
	}
	w.mu.Unlock()
	for _, conn := range held {
		w.drop(conn)
	}
}
