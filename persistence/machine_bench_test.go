package persistence

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
)

// BenchmarkApply is what one replica does with the entries of the log: messages of
// 300 bytes of some hundred conversations that all talk, in bursts, with
// everything that an ordinary message brings along. The rows go to the disk after
// as much of the log as usual. The processor time has that of the database's
// background work in it.
func BenchmarkApply(b *testing.B) {
	const conversations, opsOfEntry, entriesOfBurst = 1500, 64, 4
	o := testOptions(vfs.Default)
	o.Dir, o.MemTableBytes, o.CacheBytes = b.TempDir(), DefaultMemTableBytes, DefaultCacheBytes
	s := openTest(b, o)
	text := conversation.Text(strings.Repeat("hello there ", 25))
	n, index := 0, s.logs.files.Last()
	entry := func() *raft.Log {
		data := appendProposalHeader(nil, proposalID{}, opsOfEntry)
		for range opsOfEntry {
			data = appendBytes(data, benchOp(b, s, n%conversations, n/conversations, text))
			n++
		}
		index++
		return &raft.Log{Index: index, Type: raft.LogCommand, Data: data}
	}
	var cpu time.Duration
	applied, logged := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		var burst []*raft.Log
		for range entriesOfBurst {
			burst = append(burst, entry())
			logged += len(burst[len(burst)-1].Data)
		}
		before := cpuTime(b)
		b.StartTimer()
		s.machine.ApplyBatch(burst)
		if logged > DefaultSnapshotEvery {
			logged = 0
			if err := s.truncateLog(trailingEntries); err != nil {
				b.Fatal(err)
			}
		}
		cpu += cpuTime(b) - before
		applied += entriesOfBurst * opsOfEntry
	}
	b.ReportMetric(float64(cpu)/float64(applied), "cpu-ns/append")
	b.ReportMetric(float64(b.Elapsed())/float64(applied), "ns/append")
}

func benchOp(b *testing.B, s *Store, of, version int, text conversation.Text) []byte {
	b.Helper()
	id := conv(of)
	binary.BigEndian.PutUint64(id[:], uint64(of)*0x9e3779b97f4a7c15) // as far apart as ids are
	seq := conversation.Seq(version) + 1
	a := step(id, seq-1, 0)
	ref := conversation.Ref(fmt.Sprint("ref", of, "-", version))
	at := testStart.Add(time.Duration(version) * 40 * time.Millisecond)
	a.Entries = []conversation.Entry{{Seq: seq, At: at, Event: conversation.MessageAccepted{Ref: ref, Text: text}}}
	a.Head.LastActivity, a.Head.Preview = at, text[:160]
	a.Refs = []conversation.RefRow{{Ref: ref, Seq: seq}}
	op, err := s.enc.encodeAppend(nil, a, 0)
	if err != nil {
		b.Fatal(err)
	}
	return op
}
