package loop

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// unixPair makes two ends of which one has what the other writes as soon as the
// write returns; on TCP the kernel may take its time.
func unixPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		ends[i], err = net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends[0], ends[1]
}

// TestLettersDoNotHoldUpWhatComes: however many connections have something to
// write at once, and however much, one that has been sent something is read after
// a few of them.
func TestLettersDoNotHoldUpWhatComes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ bytes, most int }{
		"many":  {bytes: 1, most: lettersAtOnce},
		"large": {bytes: 32 << 10, most: mailBytes / (32 << 10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lettersBefore(t, c.bytes, c.most)
		})
	}
}

func lettersBefore(t *testing.T, bytes, most int) {
	t.Helper()
	const letters = 4 * lettersAtOnce
	r := newRig(t, Options{Loops: 1, Moderation: -1})
	r.g.o.Tick = time.Hour // nothing but its work wakes the loop
	r.run()
	var written, before atomic.Int32
	var many [letters]*counted
	for i := range many {
		many[i] = &counted{echo: &echo{}, all: &written}
		_, server := unixPair(t)
		many[i].serve(r, server)
	}
	witness := &echo{onIn: func(Turn, []byte) bool { before.CompareAndSwap(0, 1+written.Load()); return false }}
	speaks, server := unixPair(t)
	r.adopt(server, witness, nil)
	busy, free := make(chan struct{}), make(chan struct{})
	blocks := &echo{onIn: func(Turn, []byte) bool { close(busy); <-free; return false }}
	begins, server := unixPair(t)
	r.adopt(server, blocks, nil)
	r.eventually("all are served", func() bool { l := r.g.Load()[0]; return l.Connections == letters+2 && l.Waiting == 0 })

	say(t, begins, "x") // the loop is busy, and much comes together
	<-busy
	for _, c := range many {
		c.add(make([]byte, bytes))
		c.conn.Flush()
	}
	if n := r.g.Load()[0].Waiting; n != letters {
		t.Errorf("%d letters wait, want %d", n, letters)
	}
	say(t, speaks, "x")
	close(free)
	r.eventually("all is written and read", func() bool { return written.Load() == letters && before.Load() > 0 })
	if n := before.Load() - 1; int(n) > most {
		t.Errorf("%d others were written to before the witness was read, want at most %d", n, most)
	}
}

// counted notes how many writes all of its kind have made.
type counted struct {
	*echo

	all *atomic.Int32
}

func (c *counted) Wrote(n int) {
	c.all.Add(1)
	c.echo.Wrote(n)
}

func (c *counted) serve(r *rig, server net.Conn) {
	r.t.Helper()
	var err error
	if c.conn, err = r.g.Adopt(server, c); err != nil {
		r.t.Fatal(err)
	}
	c.conn.Start(nil)
}

// TestYield: a loop that waits looks for what has come although nothing has, and
// waits again; one that has just looked is left alone.
func TestYield(t *testing.T) {
	t.Parallel()
	turns := &turns{}
	g := New(Options{Loops: 1, Tick: time.Hour, Moderation: 1, Ledger: func(int) Ledger { return turns }})
	r := &rig{t: t, g: g}
	r.run()
	l := g.loops[0]
	for want := range int32(20) {
		r.eventually("the loop waits", l.waits)
		if n := turns.Load(); n != want {
			t.Fatalf("%d turns, want %d", n, want)
		}
		g.Yield()
		r.eventually("the loop has looked", func() bool { return turns.Load() == want+1 })
	}
	if n := g.Load()[0].Nudges; n != 20 {
		t.Errorf("%d waits were ended, want 20", n)
	}
	r.eventually("the loop waits", l.waits)
	g.o.Moderation = time.Hour
	if g.Yield(); g.Load()[0].Nudges != 20 {
		t.Error("a loop was called that has just looked")
	}
}

// turns counts those of a loop.
type turns struct{ atomic.Int32 }

func (c *turns) Begin() bool { c.Add(1); return false }
func (*turns) End([]Work)    {}

func (l *eventLoop) waits() bool {
	l.mail.Lock()
	defer l.mail.Unlock()
	return l.mail.parked && !l.mail.nudged
}

// TestModeration: a loop lets events gather while many come, and never longer than
// 300 µs; one that has little to do looks at once.
func TestModeration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{Loops: 1})
		if g.o.Moderation > 300*time.Microsecond {
			t.Errorf("a loop rests for %v", g.o.Moderation)
		}
		l := g.loops[0]
		for i, look := range []struct {
			after  time.Duration
			events int
			busy   bool
		}{
			{0, 1000, false}, // counting begins
			{busyWindow / 2, busyEvents / 2, false},
			{busyWindow / 2, busyEvents / 2, true},
			{busyWindow, busyEvents - 1, false},
			{busyWindow, busyEvents, true},
			{2 * busyWindow, 10 * busyEvents, false}, // much at once after a pause
		} {
			time.Sleep(look.after)
			if l.measure(look.events); l.isBusy != look.busy {
				t.Errorf("after look %d, %v later with %d events: busy %v, want %v", i, look.after, look.events, l.isBusy, look.busy)
			}
		}
	})
}

// TestStandstillIsNobodysSilence: whoever has spoken while the loop stood still is
// heard before it is asked who was silent, however many they are.
func TestStandstillIsNobodysSilence(t *testing.T) {
	t.Parallel()
	const many = 3*maxEvents + 7
	r := newRig(t, Options{Loops: 1, Moderation: -1})
	r.g.o.Tick = time.Millisecond
	r.g.loops[0].wheel = newWheel(time.Millisecond)
	r.run()
	var unheard atomic.Int32
	var spoken atomic.Uint32 // when all had
	var clients [many]net.Conn
	var all [many]*echo
	for i := range all {
		e := &echo{onIn: func(Turn, []byte) bool { return false }}
		e.onDue = func(now, _ Time) Time {
			if at := spoken.Load(); at > 0 && now.Sub(Time(at)) > 0 && e.read() == 0 {
				unheard.Add(1)
			}
			return now.Add(time.Millisecond)
		}
		var server net.Conn
		clients[i], server = unixPair(t)
		all[i] = e
		r.adopt(server, e, nil)
	}
	busy, free := make(chan struct{}), make(chan struct{})
	begins, server := unixPair(t)
	r.adopt(server, &echo{onIn: func(Turn, []byte) bool { close(busy); <-free; return false }}, nil)
	r.eventually("all are served", func() bool { l := r.g.Load()[0]; return l.Connections == many+1 && l.Waiting == 0 })
	say(t, begins, "x")
	<-busy
	for _, c := range clients {
		say(t, c, "x")
	}
	spoken.Store(uint32(r.g.at(time.Now())))
	close(free)
	r.eventually("all are heard", func() bool {
		for _, e := range all {
			if e.read() == 0 {
				return false
			}
		}
		return true
	})
	if n := unheard.Load(); n > 0 {
		t.Errorf("%d were asked about although what they had said lay there", n)
	}
}
