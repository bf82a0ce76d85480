package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// dumpedOperation is a message as it stands in the file of a kept run.
type dumpedOperation struct {
	Ref          string        `json:"ref"`
	Due          time.Duration `json:"due"` // nanoseconds since the start, as all times
	Acked        time.Duration `json:"acked,omitempty"`
	Conversation string        `json:"conversation,omitempty"`
	Seq          uint64        `json:"seq,omitempty"`
	GivenUp      bool          `json:"given_up,omitempty"`
	Conflicts    int           `json:"conflicts,omitempty"`
	Attempts     []attempt     `json:"attempts"`
}

// dumpedEvent is a fault as it stands in the file of a kept run.
type dumpedEvent struct {
	Kind   Kind          `json:"fault"`
	Node   int           `json:"node,omitempty"`
	Leader bool          `json:"leader,omitempty"`
	Began  time.Duration `json:"began"`
	Ended  time.Duration `json:"ended"`
}

// dump writes the ledger of a kept run beside its data, one JSON object a line.
func dump(dir string, events []event, operations []*operation) error {
	f, err := os.Create(filepath.Join(dir, "ledger.jsonl")) //nolint:gosec // the run's own folder
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	lines := json.NewEncoder(w)
	for _, e := range events {
		err = errors.Join(err, lines.Encode(dumpedEvent{e.kind, e.node, e.leader, e.began, e.ended}))
	}
	for _, o := range operations {
		d := dumpedOperation{Ref: o.ref(), Due: o.due, Acked: o.acked, GivenUp: o.given, Conflicts: len(o.conflict), Attempts: o.attempts}
		if o.acked > 0 {
			d.Conversation, d.Seq = o.place.id.String(), uint64(o.place.seq)
		}
		err = errors.Join(err, lines.Encode(d))
	}
	return errors.Join(err, w.Flush(), f.Close())
}
