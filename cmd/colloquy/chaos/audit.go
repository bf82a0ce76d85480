package chaos

import (
	"context"
	"fmt"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// auditor compares what was promised with what is on the disks.
type auditor struct {
	findings *Findings
	byRef    map[string]*operation
	byPlace  map[conversation.ConversationID][]*operation // acknowledged
	views    map[conversation.ConversationID][]*view
	counted  map[string]bool // findings that another replica has shown already
}

// named is a replica with the number of its node.
type named struct {
	node int
	replica
}

// audit checks every replica. The clients and the nodes are at rest.
func audit(ctx context.Context, replicas []named, operations []*operation, views []*view) (*Findings, error) {
	a := &auditor{
		findings: &Findings{Notes: []string{}}, byRef: map[string]*operation{}, byPlace: map[conversation.ConversationID][]*operation{},
		views: map[conversation.ConversationID][]*view{}, counted: map[string]bool{},
	}
	a.index(operations)
	for _, v := range views {
		a.views[v.id] = append(a.views[v.id], v)
	}
	if len(replicas) == 0 {
		a.findings.violated("there is no replica to look at")
		return a.findings, nil
	}
	digests := make([]map[conversation.ConversationID]string, len(replicas))
	for i, r := range replicas {
		var err error
		if digests[i], err = a.checkReplica(ctx, r, i == 0); err != nil {
			return nil, fmt.Errorf("node %d: %w", r.node, err)
		}
		a.compareDigests(replicas[0].node, r.node, digests[0], digests[i])
	}
	for id := range a.views { // checkViews has taken out those that exist
		a.findings.violated("a client was shown %s, which is not on node %d", id, replicas[0].node)
	}
	if err := a.compareHashes(ctx, replicas); err != nil {
		return nil, err
	}
	if result := linearizable(operations); result != "" {
		a.findings.violated("%s", result)
	}
	return a.findings, nil
}

// index takes the ledger in, and checks what needs no replica: an id has one
// place, and a place has one id.
func (a *auditor) index(operations []*operation) {
	at := map[place]*operation{}
	for _, o := range operations {
		a.findings.Sent++
		a.byRef[o.ref()] = o
		if o.acked == 0 {
			continue
		}
		a.findings.Acked++
		a.byPlace[o.place.id] = append(a.byPlace[o.place.id], o)
		if o.saw.id == o.place.id && o.place.seq <= o.saw.seq {
			a.findings.violated("%s was written after its author had seen %s at %d, and acknowledged at %d", o.ref(), o.saw.id, o.saw.seq, o.place.seq)
		}
		for _, p := range o.conflict {
			a.findings.violated("%s was acknowledged twice: %s at %d and %s at %d", o.ref(), o.place.id, o.place.seq, p.id, p.seq)
		}
		if other := at[o.place]; other != nil {
			a.findings.violated("%s and %s were both acknowledged as %s at %d", other.ref(), o.ref(), o.place.id, o.place.seq)
		}
		at[o.place] = o
	}
}

// once reports whether a finding is new: the same one on another replica does
// not count again.
func (a *auditor) once(what, ref string) bool {
	key := what + " " + ref
	if a.counted[key] {
		return false
	}
	a.counted[key] = true
	return true
}

// checkReplica checks every conversation that a replica has, and that it has
// every one that was acknowledged. The first replica also stands for the
// views and for the figures. It gives a sum over each conversation.
func (a *auditor) checkReplica(ctx context.Context, r named, first bool) (map[conversation.ConversationID]string, error) { //nolint:revive // one of several replicas
	sums := map[conversation.ConversationID]string{}
	err := r.Conversations(ctx, func(id conversation.ConversationID) error {
		log, err := readLog(ctx, r, id)
		if err != nil {
			return err
		}
		if sums[id], err = digest(log); err != nil {
			return err
		}
		a.checkLog(r.node, id, log)
		if first {
			a.findings.Conversations++
			a.findings.Entries += len(log)
			a.countMessages(log)
			a.checkViews(id, log)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id, operations := range a.byPlace {
		if _, ok := sums[id]; ok {
			continue
		}
		for _, o := range operations {
			a.lose(r.node, o, "its conversation is not there")
		}
	}
	return sums, nil
}

func (a *auditor) countMessages(log []conversation.Entry) {
	for _, e := range log {
		switch e.Event.(type) { //nolint:gochecksumtype // what people and the bot say
		case conversation.MessageAccepted:
			a.findings.Stored++
		case conversation.ReplyComposed, conversation.AgentReplied:
			a.findings.Replies++
		}
	}
}

func (a *auditor) lose(node int, o *operation, why string) {
	if a.once("lost", o.ref()) {
		a.findings.Lost++
		a.findings.note("node %d: %s was acknowledged as %s at %d, but %s", node, o.ref(), o.place.id, o.place.seq, why)
	}
}

// checkLog checks one conversation of one replica.
func (a *auditor) checkLog(node int, id conversation.ConversationID, log []conversation.Entry) {
	stored := map[string]int{}          // how often
	at := map[conversation.Seq]string{} // by which id
	newest := map[author]int{}          // number of each author's newest message so far
	for i, e := range log {
		if want := conversation.Seq(i) + 1; e.Seq != want && a.once("gap", id.String()) {
			a.findings.violated("node %d: %s has seq %d where %d belongs", node, id, e.Seq, want)
		}
		ref, said := refOf(e.Event)
		if !said {
			continue
		}
		at[e.Seq] = ref
		if stored[ref]++; stored[ref] > 1 && a.once(fmt.Sprint("twice ", stored[ref]), ref) {
			a.findings.Duplicated++
			a.findings.note("node %d: %s is stored twice, again at %d of %s", node, ref, e.Seq, id)
			continue
		}
		a.checkMessage(node, id, e, ref)
		a.checkOrder(node, id, ref, newest)
	}
	for _, o := range a.byPlace[id] {
		switch have := at[o.place.seq]; {
		case have == o.ref():
		case have != "":
			a.lose(node, o, have+" is there")
		default:
			a.lose(node, o, "nothing of a client is there")
		}
	}
}

// refOf gives the client's id of a message; false for everything that no client
// of the run has written.
func refOf(e conversation.Event) (string, bool) {
	switch e := e.(type) { //nolint:gochecksumtype // the others carry no id
	case conversation.MessageAccepted:
		return string(e.Ref), true
	case conversation.AgentReplied:
		return string(e.Ref), true
	case conversation.NoteAdded:
		return string(e.Ref), true
	}
	return "", false
}

// checkMessage compares a stored message with what its author wrote.
func (a *auditor) checkMessage(node int, id conversation.ConversationID, e conversation.Entry, ref string) {
	o := a.byRef[ref]
	switch {
	case o == nil:
		if a.once("foreign", ref) {
			a.findings.violated("node %d: %s at %d holds %q, which nobody wrote", node, id, e.Seq, ref)
		}
	case textOf(e.Event) != o.text:
		if a.once("altered", ref) {
			a.findings.violated("node %d: %s at %d of %s says something else than its author", node, ref, e.Seq, id)
		}
	}
}

// checkOrder checks that an author's messages stand in the order in which they
// were written. One that its author has given up may come at any time.
func (a *auditor) checkOrder(node int, id conversation.ConversationID, ref string, newest map[author]int) {
	who, number, ok := parseRef(ref)
	if o := a.byRef[ref]; !ok || o == nil || o.given {
		return
	}
	if before, known := newest[who]; known && number < before && a.once("order", ref) {
		a.findings.Reordered++
		a.findings.note("node %d: %s stands behind message %d of the same client in %s", node, ref, before, id)
	}
	newest[who] = max(newest[who], number)
}

// checkViews compares what clients were shown with the log.
func (a *auditor) checkViews(id conversation.ConversationID, log []conversation.Entry) {
	for _, v := range a.views[id] {
		f := v.compare(v.due(log))
		a.findings.Missed += f.missed
		a.findings.ShownTwice += f.twice
		if f.missed+f.twice > 0 {
			a.findings.note("%s, shown from %d to %d: %d missed, %d shown twice", id, v.from, v.cursor, f.missed, f.twice)
		}
		if f.strange > 0 {
			a.findings.violated("%s, shown from %d to %d: %d events out of order, or other than in the log", id, v.from, v.cursor, f.strange)
		}
	}
	delete(a.views, id)
}

// compareHashes checks that the replicas that have come equally far have the
// same state.
func (a *auditor) compareHashes(ctx context.Context, replicas []named) error {
	hashes := map[uint64]string{}
	for _, r := range replicas {
		sum, err := r.StateHash(ctx)
		if err != nil {
			return fmt.Errorf("node %d: %w", r.node, err)
		}
		if other, known := hashes[r.Applied()]; known && other != sum {
			a.findings.violated("node %d: its state at %d is %s, another node's is %s", r.node, r.Applied(), sum, other)
		}
		hashes[r.Applied()] = sum
	}
	if len(hashes) > 1 {
		a.findings.note("the nodes did not come to rest at the same place of the journal, so that not all state hashes could be compared")
	}
	return nil
}

// compareDigests checks that two replicas hold the same conversations.
func (a *auditor) compareDigests(one, other int, left, right map[conversation.ConversationID]string) {
	var ids []conversation.ConversationID
	for id := range left {
		ids = append(ids, id)
	}
	for id := range right {
		if _, ok := left[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(x, y conversation.ConversationID) int { return slices.Compare(x[:], y[:]) })
	for _, id := range ids {
		if left[id] != right[id] && a.once("unequal", id.String()) {
			a.findings.violated("%s is not the same on node %d and node %d", id, one, other)
		}
	}
}
