package persistence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/colloquyhq/colloquy/conversation"
)

var rewriteGolden = flag.Bool("rewrite", false, "write the golden files anew")

// goldenRecord is a record of every kind: how it is written, and what reading
// it gives.
type goldenRecord struct {
	name  string
	write func() ([]byte, error)
	read  func([]byte) (any, error)
	want  any
}

func goldenAppend() *conversation.Append {
	a := step(conv(1), 7, 1)
	a.Epoch = 3
	a.Entries[0].At = testStart.Add(123 * time.Millisecond)
	a.Contact, a.NextDue = contact(1), testStart.Add(time.Hour)
	a.Refs = []conversation.RefRow{{Ref: "ref-8", Seq: 8}}
	a.Outbox = []conversation.Outbound{{Conversation: a.ID, Message: 8, Inbox: "sales", Text: "out", At: testStart}}
	a.Settled = []conversation.Seq{4}
	return a
}

func goldenRecords() []goldenRecord {
	enc := newEncoders()
	a := goldenAppend()
	entry := a.Entries[0]
	aRow := row{epoch: 3, version: 8, activity: testStart.UnixMilli(), due: noDue, inbox: "sales", status: conversation.StatusOpen}
	ref := refValue{id: conv(1), seq: 300}
	aMember := member{starts: 7, run: 1 << 60, acked: 300, removed: true, address: "10.0.0.7:7301", version: "v1.2.3"}
	aFile := fileRecord{day: 20000, sent: true, of: conv(1), blob: blobID{7}, size: 300, json: []byte(`{"id":"x"}`)}
	identity := Identity{Node: "node", Cluster: "cluster", Format: 1, Created: testStart}
	mark := storedMark{SnapshotMeta: raft.SnapshotMeta{
		Version: 1, ID: "2-9", Index: 9, Term: 2, ConfigurationIndex: 1,
		Configuration: raft.Configuration{Servers: []raft.Server{{ID: "node", Address: "node"}}},
	}, Applied: 8}
	log := raft.Log{Term: 2, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: testStart}
	state := conversation.State{ID: conv(1), Inbox: "sales", Version: 8, Status: conversation.StatusOpen, CreatedAt: testStart}
	return []goldenRecord{
		{"entry", func() ([]byte, error) { return enc.appendEntry(nil, &entry) }, anyOf(decodeEntry), entry},
		{"head", func() ([]byte, error) { return appendRow(nil, &aRow, []byte(`{"id":"x"}`)), nil }, func(b []byte) (any, error) {
			r, _, err := decodeRow(b)
			return r, err
		}, aRow},
		{"state", func() ([]byte, error) { return enc.appendJSON(nil, tagState, &state) }, jsonOf[conversation.State](tagState), state},
		{"ref", func() ([]byte, error) { return ref.append(nil), nil }, anyOf(decodeRef), ref},
		{"contact", func() ([]byte, error) { return appendContactValue(nil, conv(1)), nil }, anyOf(decodeContact), conv(1)},
		{"outbox", func() ([]byte, error) { return enc.appendJSON(nil, tagOutbox, &a.Outbox[0]) }, jsonOf[conversation.Outbound](tagOutbox), a.Outbox[0]},
		{"document", func() ([]byte, error) { return appendDocument(nil, 300, []byte("text")), nil }, func(b []byte) (any, error) {
			var d Doc
			err := d.decode(b)
			return d, err
		}, Doc{Version: 300, Data: []byte("text")}},
		{"file", func() ([]byte, error) { return aFile.append(nil), nil }, anyOf(decodeFile), aFile},
		{"blob", func() ([]byte, error) { return blobHead{size: 300, refs: 2}.append(nil), nil }, anyOf(decodeBlobHead), blobHead{size: 300, refs: 2}},
		{"applied", func() ([]byte, error) { return position{index: 9, ops: 2}.append(nil), nil }, anyOf(decodePosition), position{index: 9, ops: 2}},
		{"node", func() ([]byte, error) { return enc.appendJSON(nil, tagNode, identity) }, jsonOf[Identity](tagNode), identity},
		{"member", func() ([]byte, error) { return aMember.append(nil), nil }, anyOf(decodeMember), aMember},
		{"mark", func() ([]byte, error) { return encodeMark(&mark) }, jsonOf[storedMark](kindSnapshot), mark},
		{"log", func() ([]byte, error) { return appendLog(nil, &log), nil }, func(b []byte) (any, error) {
			var l raft.Log
			err := decodeLog(b, &l)
			return l, err
		}, log},
		{"proposal", func() ([]byte, error) { return goldenProposal(enc, a) }, func(b []byte) (any, error) {
			_, n, r, err := readProposal(b)
			if err != nil || n != 1 {
				return nil, errors.Join(err, errBadKey)
			}
			op := reader{b: r.bytes()}
			op.byte()
			return decodeCommit(&op)
		}, conversation.Commit{ID: a.ID, Entries: a.Entries, Head: a.Head, Outbox: a.Outbox, Settled: a.Settled, NextDue: a.NextDue}},
	}
}

func goldenProposal(enc *encoders, a *conversation.Append) ([]byte, error) {
	op, err := enc.encodeAppend(nil, a, 0)
	return appendBytes(appendProposalHeader(nil, proposalID{nonce: 1, counter: 2}, 1), op), err
}

func anyOf[T any](f func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return f(b) }
}

func jsonOf[T any](kind byte) func([]byte) (any, error) {
	return func(b []byte) (any, error) {
		var v T
		err := decodeJSON(kind, b, &v)
		return v, err
	}
}

// TestRecordsAreWhatWasReleased compares what is written with the golden files,
// and reads those of every version. A change here means a new version.
func TestRecordsAreWhatWasReleased(t *testing.T) {
	t.Parallel()
	unexported := cmp.AllowUnexported(row{}, refValue{}, position{}, member{}, fileRecord{}, blobHead{})
	for _, g := range goldenRecords() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			rec, err := g.write()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "records", g.name+".v1")
			if *rewriteGolden {
				writeGolden(t, path, rec)
			}
			want, err := os.ReadFile(path + ".raw")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(rec, want) {
				t.Errorf("record differs from %s.raw:\n%s", path, cmp.Diff(hex.Dump(want), hex.Dump(rec)))
			}
			dump, err := os.ReadFile(path + ".hex")
			if err != nil || string(dump) != hex.Dump(want) {
				t.Errorf("%s.hex is not that of the raw file: %v", path, err)
			}
			got, err := g.read(want)
			if err != nil {
				t.Fatalf("read = %v", err)
			}
			if d := cmp.Diff(g.want, got, unexported); d != "" {
				t.Errorf("what is read differs (-want +got):\n%s", d)
			}
			newer := bytes.Clone(want)
			newer[1]++
			if _, err := g.read(newer); !errors.Is(err, ErrNewerFormat) {
				t.Errorf("read of a newer version = %v, want %v", err, ErrNewerFormat)
			}
			for _, bad := range [][]byte{nil, want[:1], append([]byte{'!'}, want[1:]...), append([]byte{want[0], 0}, want[2:]...)} {
				if _, err := g.read(bad); !errors.Is(err, ErrCorrupt) {
					t.Errorf("read of %q = %v, want %v", bad, err, ErrCorrupt)
				}
			}
		})
	}
}

func writeGolden(t *testing.T, path string, rec []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{".raw": rec, ".hex": []byte(hex.Dump(rec))} {
		if err := os.WriteFile(path+name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEntriesOfOtherWritersAreRead gives the decoder JSON of other orders and
// spacings than its own.
func TestEntriesOfOtherWritersAreRead(t *testing.T) {
	t.Parallel()
	want := conversation.Entry{Seq: 3, At: testStart, Event: conversation.MessageAccepted{Text: "hi", Ref: "r"}}
	for _, text := range []string{
		`{"seq":3,"at":"2026-11-02T09:00:00Z","kind":"message.accepted","data":{"text":"hi","ref":"r"}}`,
		`{"seq":3,"at":"2026-11-02T10:00:00+01:00","kind":"message\u002eaccepted","data":{"text":"hi","ref":"r","new":1}}`,
		` { "data": {"ref":"r", "text":"hi"}, "kind":"message.accepted", "at":"2026-11-02T09:00:00.000Z", "seq":3, "x":[] } `,
	} {
		got, err := decodeEntry(append(appendHeader(nil, tagEntry), text...))
		if err != nil {
			t.Errorf("decodeEntry(%s) = %v", text, err)
			continue
		}
		diff(t, text, want, got)
	}
}

// FuzzRecords reads arbitrary bytes as every kind of record: nothing may panic,
// and what is read is what is written again for the binary kinds.
func FuzzRecords(f *testing.F) {
	for _, g := range goldenRecords() {
		rec, err := g.write()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(rec)
		f.Add(rec[:len(rec)/2])
	}
	records := goldenRecords()
	f.Fuzz(func(t *testing.T, rec []byte) {
		for _, g := range records {
			_, err := g.read(rec)
			if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerFormat) && !errors.Is(err, errBadKey) {
				t.Errorf("%s: %v is neither corrupt nor newer", g.name, err)
			}
		}
		if r, head, err := decodeRow(rec); err == nil {
			again, _, err := decodeRow(appendRow(nil, &r, head))
			if err != nil || again != r {
				t.Errorf("head row changed: %+v, %+v, %v", r, again, err)
			}
		}
		for _, parse := range []func([]byte) error{
			func(b []byte) error { _, _, err := entryKeySeq(b); return err },
			func(b []byte) error { _, err := readListPlace(b); return err },
			func(b []byte) error { _, _, err := listKeyInbox(b); return err },
			func(b []byte) error { _, _, _, err := refKeyParts(b); return err },
			func(b []byte) error { _, err := contactKeyParts(b); return err },
			func(b []byte) error { _, _, err := dueKeyParts(b); return err },
			func(b []byte) error { _, _, err := documentKeyParts(b); return err },
		} {
			if err := parse(rec); err != nil && !errors.Is(err, errBadKey) {
				t.Errorf("key: %v", err)
			}
		}
	})
}

func TestKeysComeApartAgainAndSort(t *testing.T) {
	t.Parallel()
	day, c, ref, err := refKeyParts(appendRefKey(nil, 77, contact(3), "a\x00b"))
	if err != nil || day != 77 || c != contact(3) || ref != "a\x00b" {
		t.Errorf("ref key = %d, %v, %q, %v", day, c, ref, err)
	}
	if got, err := contactKeyParts(appendContactKey(nil, contact(3))); err != nil || got != contact(3) {
		t.Errorf("contact key = %v, %v", got, err)
	}
	if due, id, err := dueKeyParts(appendDueKey(nil, -5, conv(1))); err != nil || due != -5 || id != conv(1) {
		t.Errorf("due key = %d, %s, %v", due, id, err)
	}
	if kind, id, err := documentKeyParts(documentKey("kind", "i\x00d")); err != nil || kind != "kind" || id != "i\x00d" {
		t.Errorf("document key = %q, %q, %v", kind, id, err)
	}
	r := row{inbox: "sales", status: conversation.StatusOpen, activity: -1}
	place, err := readListPlace(appendListKey(nil, &r, conv(9)))
	if err != nil || place != (listPlace{activity: -1, id: conv(9)}) {
		t.Errorf("list key = %+v, %v", place, err)
	}
	ordered := [][]byte{
		appendDueKey(nil, noDue, conv(9)), appendDueKey(nil, -5, conv(9)), appendDueKey(nil, 0, conv(1)),
		appendDueKey(nil, 0, conv(2)), appendDueKey(nil, 1<<40, conv(1)),
	}
	for i := 1; i < len(ordered); i++ {
		if bytes.Compare(ordered[i-1], ordered[i]) >= 0 {
			t.Errorf("due key %d does not sort before %d", i-1, i)
		}
	}
	if got := after([]byte{'m', 0xff, 0xff}); !bytes.Equal(got, []byte{'n'}) {
		t.Errorf("after = %x", got)
	}
}
