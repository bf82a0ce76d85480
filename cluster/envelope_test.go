package cluster

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sampleFrames() []frame {
	return []frame{
		{op: opAsk, request: 7, millis: 1500, kind: "conversation", id: "cnv_1", payload: []byte("hello")},
		{op: opTell, kind: "queue", id: "main", node: "b", payload: []byte{}},
		{op: opAnswer, request: 1 << 40, payload: []byte{0, 1, 2}},
		{op: opFailure, request: 3, kind: "overloaded", id: "the grain's mailbox is full", millis: 20, payload: []byte{}},
		{op: opNack, request: 4, node: "c", payload: []byte{}},
		{op: 99, request: 5, payload: []byte("of a newer version")},
	}
}

func TestBatchComesBack(t *testing.T) {
	t.Parallel()
	h := header{from: "a", address: "10.0.0.1:7948", sent: 1 << 50, heard: 12}
	b := appendHeader(nil, h)
	want := sampleFrames()
	for i := range want {
		before := len(b)
		b = appendFrame(b, &want[i])
		if got := len(b) - before; got > want[i].size() {
			t.Errorf("frame %d takes %d bytes, size says %d", i, got, want[i].size())
		}
	}
	var got []frame
	var begun header
	err := decodeBatch(b, func(h header) bool { begun = h; return true }, func(f *frame) { got = append(got, *f) })
	if err != nil || begun != h {
		t.Errorf("decodeBatch = %+v, %v, want %+v", begun, err, h)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(frame{})); d != "" {
		t.Errorf("frames differ: %s", d)
	}
	for n := range len(b) - 1 {
		err := decodeBatch(b[:n], func(header) bool { return true }, func(*frame) {})
		if err != nil && !errors.Is(err, errFrame) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if err := decodeBatch(append([]byte{2}, b[1:]...), func(header) bool { return true }, func(*frame) {}); !errors.Is(err, errFrame) {
		t.Errorf("another version: %v", err)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	b := appendHeader(nil, header{from: "a", address: "x:1", sent: 5, heard: 2})
	for _, s := range sampleFrames() {
		b = appendFrame(b, &s)
	}
	f.Add(b)
	f.Add(appendHeader(nil, header{from: "a"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		err := decodeBatch(b, func(h header) bool {
			again = appendHeader(nil, h)
			return true
		}, func(f *frame) { again = appendFrame(again, f) })
		if err != nil {
			return
		}
		var once []byte
		if err := decodeBatch(again, func(h header) bool {
			once = appendHeader(nil, h)
			return true
		}, func(f *frame) { once = appendFrame(once, f) }); err != nil || !bytes.Equal(again, once) {
			t.Errorf("what was read is not what is written: %v", err)
		}
	})
}
