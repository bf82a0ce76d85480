package loop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen, on a machine that has
// other things to do.
const patience = time.Minute

// echo is a handler that sends back what it gets, and does what a test wants.
type echo struct {
	conn  Conn
	gone  atomic.Int32
	ended atomic.Int32
	onDue func(now, heard Time) Time
	onIn  func(t Turn, b []byte) bool // nil = send it back

	mu struct {
		sync.Mutex
		out  []byte
		end  bool
		in   int
		dues int
	}
}

func (e *echo) Input(t Turn, b []byte) bool {
	e.mu.Lock()
	e.mu.in += len(b)
	e.mu.Unlock()
	if e.onIn != nil {
		return e.onIn(t, b)
	}
	e.add(b)
	return true
}

func (e *echo) add(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.out = append(e.mu.out, b...)
}

func (e *echo) finish() {
	e.mu.Lock()
	e.mu.end = true
	e.mu.Unlock()
	e.conn.Flush()
}

func (e *echo) read() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.in
}

func (e *echo) Resume(t Turn) bool { return e.Input(t, nil) }

func (e *echo) Ended() {
	e.ended.Add(1)
	e.finish()
}

func (e *echo) Output(buf []byte) ([]byte, State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.mu.out), 64<<10)
	b := append(buf, e.mu.out[:n]...)
	switch {
	case n < len(e.mu.out):
		return b, More
	case e.mu.end:
		return b, End
	}
	return b, Drained
}

func (e *echo) Wrote(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.out = e.mu.out[n:]
}

func (e *echo) Due(now, heard Time) Time {
	e.mu.Lock()
	e.mu.dues++
	e.mu.Unlock()
	if e.onDue != nil {
		return e.onDue(now, heard)
	}
	return now.Add(time.Hour)
}

func (e *echo) Gone() { e.gone.Add(1) }

// rig is a group that runs, and a listener.
type rig struct {
	t      *testing.T
	g      *Group
	ln     net.Listener
	panics atomic.Int32
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t}
	o.Tick, o.Panicked = 5*time.Millisecond, func(any, []byte) { r.panics.Add(1) }
	r.g = New(o)
	var lc net.ListenConfig
	var err error
	if r.ln, err = lc.Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.ln.Close() })
	return r
}

// run keeps the group going until the test ends.
func (r *rig) run() (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.g.Run(ctx, func(int) {}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ran:
			if err != nil {
				r.t.Errorf("Run = %v", err)
			}
		case <-time.After(patience):
			r.t.Error("Run does not end")
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// pair makes a connection: what the client holds, and the server's side.
func (r *rig) pair() (client *net.TCPConn, server net.Conn) {
	r.t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := r.ln.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
	}()
	var d net.Dialer
	nc, err := d.DialContext(r.t.Context(), "tcp", r.ln.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { _ = nc.Close() })
	server, ok := <-accepted
	if !ok {
		r.t.Fatal("not accepted")
	}
	client, _ = nc.(*net.TCPConn)
	return client, server
}

func (r *rig) adopt(server net.Conn, e *echo, first []byte) {
	r.t.Helper()
	var err error
	if e.conn, err = r.g.Adopt(server, e); err != nil {
		r.t.Fatal(err)
	}
	e.conn.Start(first)
}

func (r *rig) serve(e *echo) *net.TCPConn {
	r.t.Helper()
	client, server := r.pair()
	r.adopt(server, e, nil)
	return client
}

func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func inModes(t *testing.T, test func(t *testing.T, o Options)) {
	t.Helper()
	for name, loops := range map[string]int{"loops": 2, "goroutines": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, Options{Loops: loops})
		})
	}
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

func say(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		// One that is taken in before the group runs waits for it.
		early := &echo{}
		client, server := r.pair()
		r.adopt(server, early, []byte("first "))
		say(t, client, "then")
		stop := r.run()
		expect(t, client, "first then")
		var clients []*net.TCPConn
		for range 50 {
			clients = append(clients, r.serve(&echo{}))
		}
		for i, c := range clients {
			say(t, c, fmt.Sprint("hello ", i))
		}
		for i, c := range clients {
			expect(t, c, fmt.Sprint("hello ", i))
		}
		stop()
		if n := early.gone.Load(); n != 1 {
			t.Errorf("gone %d times after the end, want once", n)
		}
		for _, c := range clients {
			if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Error("a connection outlives the group")
			}
		}
	})
}

// TestAdoptAfterTheEnd: nothing is left lying about.
func TestAdoptAfterTheEnd(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()()
		e := &echo{}
		client := r.serve(e)
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("it is served")
		}
	})
}

// TestHold: while a handler holds, nothing more is read, however much is sent,
// and then all of it.
func TestHold(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		e := &echo{}
		var holding atomic.Bool
		e.onIn = func(_ Turn, b []byte) bool {
			if len(b) > 0 && !holding.Swap(true) {
				e.conn.Hold()
			}
			return false
		}
		client := r.serve(e)
		say(t, client, "x")
		r.eventually("it holds", holding.Load)
		const much = 8 << 20
		wrote := make(chan error, 1)
		go func() {
			_, err := client.Write(make([]byte, much))
			wrote <- err
		}()
		other := r.serve(&echo{})
		for range 20 { // others are served meanwhile
			say(t, other, "x")
			expect(t, other, "x")
		}
		if n := e.read(); n != 1 {
			t.Errorf("%d bytes were read while it held", n)
		}
		select {
		case err := <-wrote:
			t.Fatalf("8 MB were taken while nobody reads: %v", err)
		default:
		}
		e.conn.Resume()
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		r.eventually("all is read", func() bool { return e.read() == much+1 })
	})
}

// TestHeldAndLost: a reset is noticed while nothing is read.
func TestHeldAndLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Loops: 1})
	if r.g.Loops() == 0 {
		t.Skip("no loops here")
	}
	r.run()
	e := &echo{}
	e.onIn = func(Turn, []byte) bool { e.conn.Hold(); return false }
	client := r.serve(e)
	say(t, client, "x")
	r.eventually("it holds", func() bool { return e.read() == 1 })
	_ = client.SetLinger(0)
	_ = client.Close()
	r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
}

// TestSlowReader: what the kernel does not take is written later, in order, and
// others are served meanwhile.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		e := &echo{}
		client := r.serve(e)
		want := make([]byte, 8<<20)
		for i := range want {
			want[i] = byte(i >> 8)
		}
		e.add(want)
		e.finish()
		other := r.serve(&echo{})
		for range 20 {
			say(t, other, "x")
			expect(t, other, "x")
		}
		if len(r.g.loops) > 0 {
			r.eventually("a write stalls", func() bool { return r.g.Load()[0].Stalls+r.g.Load()[1].Stalls > 0 })
		}
		got, err := io.ReadAll(client)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v, want the %d that were sent", len(got), err, len(want))
		}
	})
}

// TestEnd: the other side gets the last byte and the end, not a reset, although
// it has sent what nobody reads.
func TestEnd(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		e := &echo{onIn: func(Turn, []byte) bool { return false }}
		client := r.serve(e)
		say(t, client, "x")
		r.eventually("it is read", func() bool { return e.read() == 1 })
		e.add([]byte("goodbye"))
		e.finish()
		for range 10 {
			_, _ = client.Write(make([]byte, 10_000))
		}
		got, err := io.ReadAll(client)
		if err != nil || string(got) != "goodbye" {
			t.Errorf("read %q, %v", got, err)
		}
		if e.gone.Load() != 0 {
			t.Error("it is gone before the other side has ended")
		}
		_ = client.Close()
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
	})
}

// TestFlood: who goes on sending behind the end is cut off.
func TestFlood(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		e := &echo{}
		client := r.serve(e)
		e.finish()
		if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) { // what comes before the end would be answered
			t.Fatalf("read %d bytes, %v, want the end", n, err)
		}
		for {
			if _, err := client.Write(make([]byte, 64<<10)); err != nil {
				break
			}
		}
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
	})
}

// TestOtherSideEnds: what waits is still written, once.
func TestOtherSideEnds(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		e := &echo{}
		client := r.serve(e)
		say(t, client, "last words")
		_ = client.CloseWrite()
		got, err := io.ReadAll(client)
		if err != nil || string(got) != "last words" {
			t.Errorf("read %q, %v", got, err)
		}
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
		if e.ended.Load() != 1 {
			t.Errorf("ended %d times", e.ended.Load())
		}
	})
}

func TestReset(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		e := &echo{}
		client := r.serve(e)
		_ = client.SetLinger(0)
		_ = client.Close()
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
		e.conn.Flush()
		e.conn.Resume()
		e.conn.Remind()
		e.conn.Abort()
		say(t, r.serve(&echo{}), "x")
		if e.gone.Load() != 1 {
			t.Errorf("gone %d times", e.gone.Load())
		}
	})
}

func TestAbort(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		begun, never := &echo{}, &echo{}
		client := r.serve(begun)
		begun.conn.Abort()
		_, server := r.pair()
		var err error
		if never.conn, err = r.g.Adopt(server, never); err != nil {
			t.Fatal(err)
		}
		never.conn.Abort()
		for _, e := range []*echo{begun, never} {
			r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
		}
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still there")
		}
	})
}

// TestPanic: a handler that panics loses its connection, the others do not.
func TestPanic(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		other := r.serve(&echo{})
		e := &echo{onIn: func(Turn, []byte) bool { panic("broken invariant") }}
		client := r.serve(e)
		say(t, client, "x")
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 && r.panics.Load() == 1 })
		say(t, other, "x")
		expect(t, other, "x")
	})
}

// TestDue: time limits are kept, and put off by what is heard.
func TestDue(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, o Options) {
		r := newRig(t, o)
		r.run()
		var early atomic.Int32
		var said atomic.Bool
		e := &echo{}
		const silence = 60 * time.Millisecond
		e.onDue = func(now, heard Time) Time {
			if now.Sub(heard) > silence && said.Load() {
				e.conn.Abort()
			} else if now.Sub(heard) < 0 {
				early.Add(1)
			}
			return now.Add(silence + time.Millisecond)
		}
		client := r.serve(e)
		for range 5 {
			say(t, client, "x")
			expect(t, client, "x")
		}
		said.Store(true)
		r.eventually("it is gone", func() bool { return e.gone.Load() == 1 })
		if early.Load() > 0 {
			t.Error("heard in the future")
		}
		armed := &echo{onDue: func(now, _ Time) Time { return now.Add(time.Hour) }}
		armed.onIn = func(t Turn, _ []byte) bool { armed.conn.Arm(t.Now.Add(10 * time.Millisecond)); return false }
		say(t, r.serve(armed), "x")
		dues := func() int {
			armed.mu.Lock()
			defer armed.mu.Unlock()
			return armed.mu.dues
		}
		r.eventually("what was armed is due", func() bool { return dues() >= 2 })
		n := dues()
		armed.conn.Remind()
		r.eventually("what was reminded is due", func() bool { return dues() > n })
	})
}

// TestChurn: descriptors and places are used again and again, and no connection
// ever gets what another one's was.
func TestChurn(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Loops: 2})
	r.run()
	var mu sync.Mutex
	accept := func() (*net.TCPConn, *echo) {
		mu.Lock() // pairs are made one at a time
		defer mu.Unlock()
		client, server := r.pair()
		e := &echo{}
		r.adopt(server, e, nil)
		return client, e
	}
	var workers sync.WaitGroup
	var wrong atomic.Int32
	for w := range 8 {
		workers.Go(func() {
			for i := range 60 {
				c, e := accept()
				msg := fmt.Sprintf("worker %d, connection %d", w, i)
				got := make([]byte, len(msg))
				_, err := io.WriteString(c, msg)
				if err == nil {
					_, err = io.ReadFull(c, got)
				}
				if err != nil || string(got) != msg {
					wrong.Add(1)
				}
				switch i % 3 {
				case 0:
					_ = c.SetLinger(0)
				case 1:
					e.conn.Abort()
				}
				_ = c.Close()
			}
		})
	}
	workers.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d connections got something else than they sent", n)
	}
	r.eventually("all are gone", func() bool {
		n := 0
		for _, l := range r.g.Load() {
			n += l.Connections
		}
		return n == 0
	})
}

func TestTimeWraps(t *testing.T) {
	t.Parallel()
	const late Time = 1<<32 - 10
	if d := late.Add(30 * time.Millisecond).Sub(late); d != 30*time.Millisecond {
		t.Errorf("30 ms over the edge are %v", d)
	}
	if d := late.Sub(late.Add(time.Second)); d != -time.Second {
		t.Errorf("a second back is %v", d)
	}
}

func TestWheel(t *testing.T) {
	t.Parallel()
	w := newWheel(time.Second)
	for slot := range int32(4) {
		w.grow(slot)
	}
	var got []int32
	advance := func(sec int, want ...int32) {
		t.Helper()
		got = nil
		w.advance(w.tickOf(time.Duration(sec)*time.Second), func(slot int32) { got = append(got, slot) })
		slices.Sort(got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after %d s: %v, want %v", sec, got, want)
		}
	}
	w.arm(0, 3*time.Second)
	w.arm(1, 3*time.Second)
	w.arm(1, time.Second) // earlier: counts
	w.arm(2, 2*time.Second)
	w.arm(2, 5*time.Second) // later: does not
	w.arm(3, time.Hour)     // as far as the wheel can see
	advance(1, 1)
	advance(2, 2)
	w.due[0] = 0 // its place was freed
	advance(10)
	advance(62)
	advance(63, 3)
	w.arm(1, 4*time.Second)
	w.arm(2, 63*time.Second)
	advance(100_000, 1, 2) // asleep for a day
	advance(100_001)
}

// TestMailHoldsASocketOnce: however often it is asked for something.
func TestMailHoldsASocketOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Loops: 1})
	if r.g.Loops() == 0 {
		t.Skip("no loops here")
	}
	e := &echo{}
	client := r.serve(e)
	for range 1000 {
		e.conn.Flush()
		e.conn.Remind()
	}
	if n := r.g.Load()[0].Waiting; n != 1 {
		t.Errorf("the mailbox holds %d, want 1", n)
	}
	r.run()
	say(t, client, "x")
	expect(t, client, "x")
}

// TestManyWritesAreOne: what gathers in a turn leaves with one call.
func TestManyWritesAreOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Loops: 1})
	if r.g.Loops() == 0 {
		t.Skip("no loops here")
	}
	r.run()
	counted := &counting{echo: &echo{}}
	client, server := r.pair()
	counted.onIn = func(Turn, []byte) bool {
		for i := range 100 {
			counted.add(fmt.Appendf(nil, "%03d", i))
			counted.conn.Flush()
		}
		return true
	}
	var err error
	if counted.conn, err = r.g.Adopt(server, counted); err != nil {
		t.Fatal(err)
	}
	counted.conn.Start(nil)
	say(t, client, "go")
	for i := range 100 {
		expect(t, client, fmt.Sprintf("%03d", i))
	}
	r.eventually("the loop says what was written", func() bool { return counted.writes.Load() > 0 })
	if n := counted.writes.Load(); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
}

type counting struct {
	*echo

	writes atomic.Int32
}

func (c *counting) Wrote(n int) {
	c.writes.Add(1)
	c.echo.Wrote(n)
}

// TestPipes: what has no descriptor is served by goroutines.
func TestPipes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Loops: 1})
	r.run()
	client, server := net.Pipe()
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(patience))
	r.adopt(server, &echo{}, nil)
	say(t, client, "through a pipe")
	expect(t, client, "through a pipe")
}
