package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Event waits for the next event. Errors: [io.EOF] after Stop.
func (p *Programs) Event() (Event, error) {
	r, err := p.ring.Read()
	if err != nil {
		return Event{}, io.EOF
	}
	var e Event
	if _, err := binary.Decode(r.RawSample, binary.NativeEndian, &e); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}

// Stop makes Event return, now and later.
func (p *Programs) Stop() { _ = p.ring.Close() }

// Turns calls do for every turn that is open.
func (p *Programs) Turns(do func(Key, Turn)) error { return each(p.in.Turns, do) }

// Talks calls do for every conversation that is remembered.
func (p *Programs) Talks(do func(Key, Talk)) error { return each(p.in.Talks, do) }

// Lines calls do for every connection that is remembered.
func (p *Programs) Lines(do func(cookie uint64, l Line)) error { return each(p.in.Lines, do) }

// each goes through a map that changes meanwhile: what comes or goes may be missed,
// and a table that changes too much ends the round early. The next one finds more.
func each[K, V any](m *ebpf.Map, do func(K, V)) error {
	var k K
	var v V
	it := m.Iterate()
	for it.Next(&k, &v) {
		do(k, v)
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read map: %w", err)
	}
	return nil
}

// Forget closes a turn whose process is gone.
func (p *Programs) Forget(k Key) { _ = p.in.Turns.Delete(k) } // by now it may have ended

// Counts gives the totals.
func (p *Programs) Counts() (Counts, error) {
	var c Counts
	if err := p.in.Counts.Get(&c); err != nil {
		return c, fmt.Errorf("read counts: %w", err)
	}
	return c, nil
}

// Walk looks at all TCP sockets of the network namespace. What is out of the
// ordinary comes as events; [Programs.Lines] has the figures.
func (p *Programs) Walk() error {
	r, err := p.walker.Open()
	if err != nil {
		return fmt.Errorf("walk the sockets: %w", err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("walk the sockets: %w", err)
	}
	return nil
}

// Now gives the time by the clock of the records.
func Now() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0 // no kernel that has these programs is without this clock
	}
	return uint64(ts.Nano()) //nolint:gosec // since boot
}
