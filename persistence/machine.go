package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	// maxBatchBytes and maxBatchOps bound what one state batch takes of a
	// burst. The second is far below the size of the row cache, so that no row
	// leaves the cache before it can be read.
	maxBatchBytes = 4 << 20
	maxBatchOps   = minRows / 4
)

// machine is the state machine: it turns committed operations into rows. It is
// deterministic: the same operations make the same rows on every node.
//
// Concurrency: raft calls it from one goroutine.
type machine struct {
	db        *pebble.DB
	buffer    *rowBuffer
	flights   *flights
	watchers  *watchers
	directory *directory
	roster    *roster
	blobs     *blobBook
	snapshots *snapshots
	scrubber  *scrubber
	halt      *halt
	metrics   *metrics

	applied position                 // what the buffer and the database hold
	shown   atomic.Pointer[position] // applied, for others
	next    position                 // what it will hold after the batch
	rows    *rowCache
	batch   rowBatch
	burst   uint64 // number of the batch
	docs    uint64 // the last batch with a document
	cleared bool   // the batch drops everything
	erased  bool   // the batch drops what must not stay on the disk
	commits []*conversation.Commit
	landed  []landing // what this process proposed of the burst
	key     []byte    // scratch
	value   []byte    // scratch
}

// position is a place in the raft log: all operations of the entries up to
// index, and so many of the entry after it. It lets a batch end inside an entry.
type position struct {
	index uint64
	ops   uint64
}

func (p position) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(appendHeader(b, tagApplied), p.index)
	return binary.AppendUvarint(b, p.ops)
}

func decodePosition(rec []byte) (position, error) {
	b, err := body(tagApplied, rec)
	if err != nil {
		return position{}, err
	}
	r := reader{b: b}
	p := position{index: r.uint64(), ops: r.uint()}
	return p, r.end("applied index")
}

// result is the answer to one operation.
type result struct {
	err error
	n   uint64 // epoch, version or count
}

// refused is the answer to an operation that the state does not allow. It is an
// answer like any other: every node gives the same.
func refused(err error) (result, error) { return result{err: err}, nil }

// load reads the applied index.
func (m *machine) load() error {
	rec, closer, err := m.db.Get(appliedKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read applied index: %w", err)
	}
	p, err := decodePosition(rec)
	m.next = p
	m.moved(p)
	return errors.Join(err, closer.Close())
}

// moved sets what the buffer and the database hold.
func (m *machine) moved(p position) {
	m.applied = p
	m.shown.Store(&p)
	m.metrics.applied.Set(float64(p.index))
}

// position says up to where everything can be read.
func (m *machine) position() position {
	if p := m.shown.Load(); p != nil {
		return *p
	}
	return position{}
}

// Apply implements [raft.FSM].
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements [raft.BatchingFSM]: the operations of a burst of
// entries become one batch, together with the applied index.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	for i, l := range logs {
		if l.Index <= m.next.index {
			continue // replayed after a restart
		}
		if l.Type == raft.LogCommand {
			out[i] = m.applyProposal(l)
		}
		m.next = position{index: l.Index}
	}
	m.flush()
	m.land()
	return out
}

// landing is a flight whose entry was applied.
type landing struct {
	flight  *flight
	results []result
}

// land tells the senders of this process that their entries are applied and can
// be read.
func (m *machine) land() {
	for i := range m.landed {
		if !m.halt.failed() {
			m.landed[i].flight.applied <- m.landed[i].results
		}
		m.landed[i] = landing{}
	}
	m.landed = m.landed[:0]
}

// applyProposal applies the operations of one entry. An entry that cannot be
// read ends the process: to go on would be to differ from the other nodes.
func (m *machine) applyProposal(l *raft.Log) []result {
	id, n, r, err := readProposal(l.Data)
	if err != nil {
		m.halt.fail(fmt.Errorf("raft entry %d: %w", l.Index, err))
		return nil
	}
	skip := m.skip(l.Index)
	origin := m.flights.take(id)
	if origin != nil && len(origin.requests) != n {
		m.halt.fail(fmt.Errorf("raft entry %d: %d operations, %d were sent: %w", l.Index, n, len(origin.requests), ErrCorrupt))
		return nil
	}
	results := make([]result, n)
	for i := range n {
		op := reader{b: r.bytes()}
		if uint64(i) < skip {
			continue
		}
		var req *request
		if origin != nil {
			req = origin.requests[i]
		}
		results[i], err = m.applyOp(&op, req)
		if err != nil || r.bad || op.bad {
			m.halt.fail(fmt.Errorf("raft entry %d, operation %d: %w", l.Index, i, errors.Join(ErrCorrupt, err)))
			return nil
		}
		m.next = position{index: l.Index - 1, ops: uint64(i) + 1}
		if m.cleared || m.batch.full() {
			m.flush()
		}
	}
	if origin != nil {
		m.landed = append(m.landed, landing{flight: origin, results: results})
	}
	return results
}

// skip says how many operations of an entry are applied already. Other
// entries between it and the applied index hold no operations.
func (m *machine) skip(index uint64) uint64 {
	if m.next == m.applied && m.applied.ops > 0 && m.applied.index+1 == index {
		return m.applied.ops
	}
	return 0
}

// applyOp applies one operation. Its error means that the operation cannot be
// read; refusals are part of the result.
func (m *machine) applyOp(r *reader, req *request) (result, error) {
	switch code := opCode(r.byte()); code {
	case opAppend:
		return m.applyAppend(r, req)
	case opAppendOnce:
		return m.applyAppendOnce(r, req)
	case opClaim:
		return m.applyClaim(r)
	case opSaveState:
		return m.applySaveState(r)
	case opPutDoc:
		return m.applyPutDoc(r)
	case opDeleteDoc:
		return m.applyDeleteDoc(r)
	case opExpireRefs:
		return m.applyExpire(r)
	case opClear:
		return m.applyClear()
	case opNothing:
		return result{}, r.end("barrier")
	case opMember:
		return m.applyMember(r)
	case opPutChunk:
		return m.applyPutChunk(r)
	case opPutFile:
		return m.applyPutFile(r)
	case opDropFiles:
		return m.applyDropFiles(r)
	case opSweepFiles:
		return m.applySweepFiles(r)
	case opErase:
		return m.applyErase(r, req)
	case opForget:
		return m.applyForget(r)
	default:
		return result{}, fmt.Errorf("%w: operation %d", ErrNewerFormat, code)
	}
}

// row finds the row of a conversation; there always is one, if only of zeros.
func (m *machine) row(id conversation.ConversationID) (*row, error) {
	if r := m.rows.get(id); r != nil {
		return r, nil
	}
	m.key = appendHeadKey(m.key[:0], id)
	r := row{due: noDue}
	_, err := m.buffer.lookup(m.key, func(rec []byte) (err error) {
		r, _, err = decodeRow(rec)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.rows.put(id, &r)
	return &r, nil
}

// settle ends the batch when it is the one of a row, so that the row can be read.
func (m *machine) settle(burst uint64) {
	if burst == m.burst {
		m.flush()
	}
}

// settleAll ends the batch and hands over what waits, so that the database can be
// searched.
func (m *machine) settleAll() {
	m.flush()
	if err := m.buffer.settle(); err != nil {
		m.halt.fail(fmt.Errorf("write state: %w", err))
	}
}

// get gives a copy of a value; nil when there is none.
func (m *machine) get(key []byte) ([]byte, error) {
	var out []byte
	_, err := m.buffer.lookup(key, func(rec []byte) error {
		out = bytes.Clone(rec)
		return nil
	})
	return out, err
}

// flush puts the batch where it can be read, moves the applied index and tells the
// watchers. Nothing is synced: the raft entries were.
func (m *machine) flush() {
	if m.next == m.applied {
		return
	}
	m.value = m.next.append(m.value[:0])
	m.batch.set(appliedKey(), m.value)
	if err := m.buffer.put(&m.batch); err != nil || m.halt.failed() {
		m.halt.fail(fmt.Errorf("write state: %w", err))
		return
	}
	m.burst++
	m.cleared = false
	m.moved(m.next)
	if m.erased {
		m.erased = false
		m.scrubber.wake()
	}
	if len(m.commits) > 0 {
		m.watchers.publish(m.commits)
		clear(m.commits)
		m.commits = m.commits[:0]
	}
}

// Snapshot implements [raft.FSM]. A snapshot is only a mark: the state lies in
// the database, and its content is read when a peer asks.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return mark{applied: m.applied.index}, nil }

// Restore implements [raft.FSM]: the state of this node is replaced by a
// received one.
func (m *machine) Restore(src io.ReadCloser) error {
	before := m.applied
	m.buffer.discard()
	p, err := m.snapshots.replaceState(src)
	if err != nil {
		// The old state may be gone, so that nothing can be applied to it.
		err = fmt.Errorf("replace state: %w", err)
		m.halt.fail(err)
		return err
	}
	m.next = p
	m.moved(p)
	m.metrics.installs.Inc()
	m.rows.clear()
	err = errors.Join(m.directory.load(m.db), m.roster.load(m.db), m.blobs.load(m.db))
	m.flights.lose()
	m.watchers.lose()
	if before.index > 0 {
		// What was erased meanwhile may still lie in the files of the old state.
		err = errors.Join(err, m.scrubber.all(m.db))
	}
	return err
}

// mark is a snapshot without content.
type mark struct{ applied uint64 }

// Persist implements [raft.FSMSnapshot].
func (m mark) Persist(sink raft.SnapshotSink) error {
	if k, ok := sink.(*snapshotSink); ok {
		k.mark.Applied = m.applied
	}
	return sink.Close()
}

// Release implements [raft.FSMSnapshot].
func (mark) Release() {}
