package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// ErrRemoved says that this node was removed from its cluster. What it holds may
// be stale, so it takes no part any more.
var ErrRemoved = errors.New("this node was removed from its cluster; empty its directory to let it join as a new node")

// ErrOldDisk says that a directory is an old copy of itself: the node has been
// seen with a later start, or with a longer log. It has forgotten what it
// acknowledged, so it must not vote.
var ErrOldDisk = errors.New("the directory is an older copy of this node's disk; empty it to let it join as a new node")

// member is what all nodes remember of one, whether it belongs to the cluster
// or did once. It is replicated state.
type member struct {
	starts  uint64 // how often it has started, as far as known
	run     uint64 // of the start that was counted last
	acked   uint64 // it has had all entries up to this one on its disk
	removed bool
	address string
	version string
}

// introduction is a member that reports its start.
type introduction struct {
	node string
	member
	last uint64 // the end of its log
}

const memberRemoved byte = 1

func (m *member) append(b []byte) []byte {
	b = appendHeader(b, tagMember)
	b = binary.AppendUvarint(b, m.starts)
	b = binary.BigEndian.AppendUint64(b, m.run)
	b = binary.AppendUvarint(b, m.acked)
	var flags byte
	if m.removed {
		flags |= memberRemoved
	}
	b = append(b, flags)
	b = appendBytes(b, m.address)
	return appendBytes(b, m.version)
}

func decodeMember(rec []byte) (member, error) {
	b, err := body(tagMember, rec)
	if err != nil {
		return member{}, err
	}
	r := reader{b: b}
	m := member{starts: r.uint(), run: r.uint64(), acked: r.uint()}
	m.removed = r.byte()&memberRemoved != 0
	m.address, m.version = string(r.bytes()), string(r.bytes())
	return m, r.end("member")
}

// admits says what is wrong with a node that reports its start.
func (m *member) admits(i *introduction) error {
	switch {
	case m.removed:
		return ErrRemoved
	case i.starts == m.starts && i.run == m.run:
		return nil // it is known already
	case i.starts <= m.starts && m.starts > 0:
		return fmt.Errorf("%w: this is start %d, start %d was seen", ErrOldDisk, i.starts, m.starts)
	case i.last < m.acked:
		return fmt.Errorf("%w: its log ends at %d, it had entry %d", ErrOldDisk, i.last, m.acked)
	}
	return nil
}

// roster keeps the members decoded. The state machine keeps it level with the
// database.
type roster struct {
	mu struct {
		sync.RWMutex
		members map[string]member
	}
}

func newRoster() *roster {
	r := new(roster)
	r.mu.members = make(map[string]member)
	return r
}

func (r *roster) load(db pebble.Reader) error {
	members := make(map[string]member)
	err := scan(db, prefixBounds(tagPrefix(tagMember), nil), func(key, rec []byte) (bool, error) {
		m, err := decodeMember(rec)
		members[string(key[prefixBytes:])] = m
		return true, err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.members = members
	return err
}

func (r *roster) get(node string) member {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.members[node]
}

func (r *roster) put(node string, m member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.members[node] = m
}

const (
	introduceHello byte = 1 << iota // the node has started
	introduceRemoved
)

// encodeHello makes the operation by which a started node is remembered.
func (i *introduction) encodeHello() []byte { return i.encode(introduceHello) }

// encodeMember makes the operation that remembers what i says beside that.
func (i *introduction) encodeMember() []byte {
	if i.removed {
		return i.encode(introduceRemoved)
	}
	return i.encode(0)
}

func (i *introduction) encode(flags byte) []byte {
	b := append([]byte{byte(opMember)}, flags)
	b = appendBytes(b, i.node)
	b = binary.AppendUvarint(b, i.starts)
	b = binary.BigEndian.AppendUint64(b, i.run)
	b = binary.AppendUvarint(b, i.last)
	b = binary.AppendUvarint(b, i.acked)
	b = appendBytes(b, i.address)
	return appendBytes(b, i.version)
}

// applyMember remembers something of a member, or refuses a start that must not
// be. What is known only grows, so the same may be said twice.
func (m *machine) applyMember(r *reader) (result, error) {
	flags := r.byte()
	i := introduction{node: string(r.bytes())}
	i.starts, i.run, i.last, i.acked = r.uint(), r.uint64(), r.uint(), r.uint()
	i.address, i.version = string(r.bytes()), string(r.bytes())
	if err := r.end("member"); err != nil {
		return result{}, err
	}
	known := m.roster.get(i.node)
	if flags&introduceHello != 0 {
		if err := known.admits(&i); err != nil {
			return refused(err)
		}
		known.starts, known.run, known.address, known.version = i.starts, i.run, i.address, i.version
	}
	known.removed = known.removed || flags&introduceRemoved != 0
	// What a node has since a start counts from the report of that start on, or
	// the report, which says what it had at its start, would contradict it.
	if i.starts <= known.starts {
		known.acked = max(known.acked, i.acked)
	}
	m.value = known.append(m.value[:0])
	m.batch.set(memberKey(i.node), m.value)
	m.roster.put(i.node, known)
	return result{n: known.starts}, nil
}
