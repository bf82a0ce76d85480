package cluster

import (
	"context"
	"encoding/json"
	"maps"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Census counts the active grains of every member by kind. Members that do not
// answer within a second or before ctx ends are left out.
func (g *Gate) Census(ctx context.Context) map[NodeID]map[string]int {
	view := g.view.Load()
	out := map[NodeID]map[string]int{view.Self(): g.Counts()}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range view.Members() {
		if m.ID == view.Self() || g.node == nil {
			continue
		}
		all.Add(1)
		g.askNode(m.ID, frame{op: opCount}, func(answer any, err error) {
			defer all.Done()
			counts := map[string]int{}
			b, ok := answer.([]byte)
			if err != nil || !ok || json.Unmarshal(b, &counts) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out[m.ID] = counts
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }() // each ask ends with its deadline
	select {
	case <-done:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	answered := make(map[NodeID]map[string]int, len(out))
	maps.Copy(answered, out)
	return answered
}

func (g *Gate) onCount(p *peer, f *frame) {
	b, _ := json.Marshal(g.Counts()) // of strings and numbers
	g.answer(p, &frame{op: opAnswer, request: f.request, payload: b})
}

// onLocate activates a grain for a peer that wants to write to its actor itself,
// and answers with the actor's name.
func (g *Gate) onLocate(p *peer, f *frame) {
	id := GrainID{Kind: f.kind, ID: f.id}
	pid, err := g.locateHere(id)
	if err != nil {
		g.reject(p, f.request, id, err)
		return
	}
	g.answer(p, &frame{op: opAnswer, request: f.request, payload: []byte(pid.Id)})
}

// locateHere activates a grain of this node. Errors: errMoved also while its
// former owner has it.
func (g *Gate) locateHere(id GrainID) (*actor.PID, error) {
	kind, err := g.open(id)
	if err != nil {
		return nil, err
	}
	if !g.Owns(id) {
		return nil, errMoved
	}
	sh := g.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.mu.cells[id]
	if c == nil {
		if c, err = g.activate(sh, kind, id); err != nil {
			return nil, err
		}
	}
	if !c.running() {
		return nil, errMoved
	}
	c.used.Store(g.clock.Load())
	return c.pid, nil
}
