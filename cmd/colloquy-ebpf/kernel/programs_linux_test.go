package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/symbols"
	"github.com/colloquyhq/colloquy/conversation"
)

// The records in Go are those of the object, field by field.
func TestRecordsFitTheObject(t *testing.T) {
	t.Parallel()
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string]any{"key": Key{}, "turn": Turn{}, "talk": Talk{}, "line": Line{}, "event": Event{}} {
		var s *btf.Struct
		if err := spec.Types.TypeByName(name, &s); err != nil {
			t.Fatal(err)
		}
		r := reflect.TypeOf(record)
		if int(s.Size) != binary.Size(record) || uintptr(s.Size) != r.Size() || len(s.Members) != r.NumField() {
			t.Errorf("struct %s has %d bytes in %d fields; %v has %d in %d", name, s.Size, len(s.Members), r, r.Size(), r.NumField())
			continue
		}
		for i, m := range s.Members {
			if f := r.Field(i); uintptr(m.Offset.Bytes()) != f.Offset {
				t.Errorf("%s.%s is at %d, %v.%s at %d", name, m.Name, m.Offset.Bytes(), r, f.Name, f.Offset)
			}
		}
	}
	if n := int(spec.Variables["counts"].Size()); n != binary.Size(Counts{}) {
		t.Errorf("counts has %d bytes, Counts %d", n, binary.Size(Counts{}))
	}
}

// What programs count is exact, with stacks that move, a collector that never rests
// and a profiler's signals; in a program with and without symbols, by both ways of
// attaching, and for one process as for all.
func TestEveryTurnIsCounted(t *testing.T) {
	const goroutines, turns = 32, 2000
	for _, c := range []struct {
		name        string
		flags       []string
		single, one bool
	}{
		{name: "one link, stripped", flags: []string{"-trimpath", "-ldflags=-s -w"}},
		{name: "one link, one process", one: true},
		{name: "a trap each", single: true},
		{name: "a trap each, one process, stripped", flags: []string{"-ldflags=-s -w"}, single: true, one: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := loadedAs(t, c.single)
			path := builtTarget(t, c.flags...)
			r, other := start(t, path), start(t, path)
			pid := 0
			if c.one {
				pid = r.pid()
			}
			attached(t, p, path, pid)
			want := number(t, r.do("stress %d %d", goroutines, turns))
			if want != goroutines*turns {
				t.Fatalf("the target made %d turns", want)
			}
			other.do("begin 9 1")
			other.do("end 9 1 0")
			if !c.one {
				want++
			}
			got := counts(t, p)
			if got.Begun != want || got.Done != want || got != (Counts{Begun: want, Done: want}) {
				t.Errorf("counts = %+v, want %d begun and done and nothing else", got, want)
			}
			total := uint32(0)
			if err := p.Talks(func(_ Key, talk Talk) { total += talk.Turns }); err != nil || uint64(total) != want {
				t.Errorf("the conversations' turns add up to %d, %v; want %d", total, err, want)
			}
		})
	}
}

// loadedAs loads programs for one way of attaching.
func loadedAs(t *testing.T, single bool) *Programs {
	t.Helper()
	p := loaded(t, Limits{})
	if !single {
		if !p.multi {
			t.Skip("this kernel has no links of many probes")
		}
		return p
	}
	p.multi = false
	spec, err := specification(Limits{}, false)
	if err != nil {
		t.Fatal(err)
	}
	again := &Programs{}
	if err := spec.LoadAndAssign(&again.in, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	return again
}

// A turn is open from its begin to its own end, and its records say whose it is.
func TestOpenTurns(t *testing.T) {
	p := loaded(t, Limits{Slow: time.Nanosecond, FloodTurns: 3, FloodWindow: time.Hour})
	path := builtTarget(t)
	r := start(t, path)
	r.do("begin 7 1") // nobody sees it
	attached(t, p, path, 0)
	r.do("end 7 1 0")
	r.do("begin 1 2")
	r.do("begin 2 3")
	r.do("end 2 3 1")
	r.do("begin 1 4") // in the place of 2
	r.do("end 1 2 0") // whose end means nothing any more
	r.do("begin 1 5")

	key := func(n byte) Key {
		return KeyOf(conversation.ConversationID{0: 0xc0, 15: n}, uint32(r.pid()))
	}
	open := map[Key]Turn{}
	if err := p.Turns(func(k Key, turn Turn) { open[k] = turn }); err != nil {
		t.Fatal(err)
	}
	if len(open) != 1 || open[key(1)].Attempt != 5 || open[key(1)].Began > Now() || open[key(1)].Began == 0 {
		t.Errorf("open turns = %v, want the one of %v with attempt 5", open, key(1))
	}
	if got, want := counts(t, p), (Counts{Begun: 4, Done: 2, Failed: 1, Unmatched: 2}); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
	for _, want := range []struct {
		kind EventKind
		n    byte
	}{{Failure, 2}, {Slow, 2}, {Flood, 1}} {
		e := event(t, p)
		if e.Kind != want.kind || e.Key != key(want.n) {
			t.Errorf("event = %+v, want kind %d of %v", e, want.kind, key(want.n))
		}
	}
	p.Forget(key(1))
	if err := p.Turns(func(k Key, _ Turn) { t.Errorf("%v is still open", k) }); err != nil {
		t.Error(err)
	}
}

// event waits for the next event.
func event(t *testing.T, p *Programs) Event {
	t.Helper()
	p.ring.SetDeadline(time.Now().Add(patience))
	e, err := p.Event()
	if err != nil {
		t.Fatalf("no event came: %v", err)
	}
	return e
}

// What is attached can be seen in the process's own instructions, and when it is
// not any more they are what they were.
func TestDetachLeavesNothingBehind(t *testing.T) {
	for name, single := range map[string]bool{"one link": false, "a trap each": true} {
		t.Run(name, func(t *testing.T) {
			p := loadedAs(t, single)
			path := builtTarget(t)
			r := start(t, path)
			before := instructions(t, path, r.pid())
			if got := r.do("watched"); got != "false" {
				t.Errorf("watched before anybody came: %s", got)
			}
			c := attached(t, p, path, 0)
			r.do("begin 1 1") // a kernel that puts a call in place does so at the first hit
			if got := r.do("watched"); got != "true" {
				t.Errorf("watched while somebody is there: %s", got)
			}
			if bytes.Equal(before, instructions(t, path, r.pid())) {
				t.Error("attaching changed nothing")
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if got := r.do("watched"); got != "false" {
				t.Errorf("watched after everybody left: %s", got)
			}
			if after := instructions(t, path, r.pid()); !bytes.Equal(before, after) {
				t.Errorf("the marks are % x, were % x", after, before)
			}
			r.do("end 1 1 0")
			if got := counts(t, p); got != (Counts{Begun: 1}) {
				t.Errorf("counts = %+v, want the one turn that began before", got)
			}
		})
	}
}

// instructions reads the marks as a process has them in its memory.
func instructions(t *testing.T, path string, pid int) []byte {
	t.Helper()
	marks, err := marksOf(path)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	var all []byte
	for _, name := range []string{symbols.TurnBegin, symbols.TurnEnd, symbols.ConnJoin} {
		b := make([]byte, 8)
		if _, err := memory.ReadAt(b, addressOf(t, path, marks.At[name])); err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// addressOf turns a place in a file into an address; programs built without cgo lie
// where their file says.
func addressOf(t *testing.T, path string, at uint64) int64 {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && at >= p.Off && at < p.Off+p.Filesz {
			return int64(at - p.Off + p.Vaddr)
		}
	}
	t.Fatalf("nothing is loaded from %#x", at)
	return 0
}

// A connection that loses segments is found, by its conversation, with the figures
// that the kernel has of it.
func TestLossyConnection(t *testing.T) {
	p := loaded(t, Limits{LossyLeast: 5, LossyPercent: 1, Far: time.Nanosecond})
	if err := errors.Join(p.WatchLosses(), p.WatchDistances()); err != nil {
		t.Fatal(err)
	}
	path := builtTarget(t)
	r := start(t, path)
	attached(t, p, path, r.pid())
	client, err := net.Dial("tcp", r.do("listen"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	r.line()
	cookie := number(t, r.do("join 5"))
	dropSome(t, client)

	const chunk = 512
	got, sent := make([]byte, chunk), 0
	for ; number(t, r.do("retransmits")) < 8; sent++ {
		if sent > 20_000 {
			t.Fatal("nothing is lost")
		}
		r.do("send %d", chunk)
		for read := 0; read < chunk; {
			n, err := client.Read(got[read:])
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
	}
	e := event(t, p)
	want := KeyOf(conversation.ConversationID{0: 0xc0, 15: 5}, uint32(r.pid()))
	if e.Kind != Lossy || e.Key != want || e.Value < 5 || uint64(e.Of) < e.Value {
		t.Errorf("event = %+v, want lossy of %v with at least 5", e, want)
	}
	if err := p.Walk(); err != nil {
		t.Fatal(err)
	}
	for e.Kind == Lossy {
		e = event(t, p)
	}
	if e.Kind != Far || e.Key != want || e.Value == 0 {
		t.Errorf("event = %+v, want far of %v", e, want)
	}
	known := 0
	err = p.Lines(func(c uint64, l Line) {
		known++
		if total := number(t, r.do("retransmits")); c != cookie || l.Key != want || uint64(l.Retransmits) != total || l.Segments < uint32(sent) {
			t.Errorf("socket %d = %+v; the process says socket %d with %d retransmissions of %d sends", c, l, cookie, total, sent)
		}
	})
	if err != nil || known != 1 {
		t.Errorf("%d connections are known, %v; want 1", known, err)
	}
}

// dropSome makes a client's socket lose one in four of the segments that come.
func dropSome(t *testing.T, c net.Conn) {
	t.Helper()
	const random, drop, keep = 0xfffff000 + 56, 0, 0xffffffff // SKF_AD_OFF + SKF_AD_RANDOM
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: 4},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: drop},
		{Code: unix.BPF_RET | unix.BPF_K, K: keep},
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
	if err := errors.Join(err, serr); err != nil {
		t.Fatal(err)
	}
}

// A program without marks, and a process that is not there, are said to be that.
func TestNothingToAttachTo(t *testing.T) {
	p := loaded(t, Limits{})
	if _, err := p.Attach("/proc/self/exe", 0); !errors.Is(err, symbols.ErrNoMarks) {
		t.Errorf("Attach(this test) = %v, want %v", err, symbols.ErrNoMarks)
	}
	if _, err := p.Attach(filepath.Join(t.TempDir(), "none"), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Attach(no file) = %v", err)
	}
	path := builtTarget(t)
	r := start(t, path)
	r.stop()
	if _, err := p.Attach(path, r.pid()); err == nil {
		t.Error("Attach to a process that has ended went well")
	}
}

func TestWhatIsLacking(t *testing.T) {
	t.Parallel()
	status := func(caps string) string {
		path := filepath.Join(t.TempDir(), "status")
		if err := os.WriteFile(path, []byte("Name:\tx\nCapEff:\t"+caps+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	types := status("")
	for _, c := range []struct{ name, types, status, want string }{
		{"no types", "/nowhere/vmlinux", status("1ffffffffff"), "CONFIG_DEBUG_INFO_BTF"},
		{"no capability", types, status("0000000000000000"), "lacks CAP_BPF and CAP_PERFMON"},
		{"one of them", types, status("0000008000000000"), "lacks CAP_PERFMON:"},
		{"the other", types, status("0000004000000000"), "lacks CAP_BPF:"},
		{"nonsense", types, status("many"), "read capabilities"},
		{"no status", types, "/nowhere/status", "read capabilities"},
	} {
		if err := lacking(c.types, c.status); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: lacking = %v, want %q", c.name, err, c.want)
		}
	}
	for _, enough := range []string{"000000c000000000", "0000000000200000"} {
		if caps, err := capabilities(status(enough)); err != nil || len(missingOf(caps)) > 0 {
			t.Errorf("missing of %s = %v, %v; want none", enough, missingOf(caps), err)
		}
	}
}
