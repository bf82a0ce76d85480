package loop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Listener is a listener that goes on accepting when the process has no
// descriptor left. Connections that nobody accepts would hang until their
// patience ends, and the loop that accepts would spin on its error. With one
// descriptor in reserve they are accepted and closed, so that their clients know
// and come back later, and those that are there are not disturbed.
//
// Concurrency: as for every listener.
type Listener struct {
	net.Listener

	shed func()

	mu struct {
		sync.Mutex
		reserve *os.File // nil = spent
		closed  bool
	}
}

// NewListener puts a reserve beside a listener. shed is called for every
// connection that is closed for want of a descriptor.
//
// Errors: those of the operating system when there is not even one descriptor.
func NewListener(ln net.Listener, shed func()) (*Listener, error) {
	l := &Listener{Listener: ln, shed: shed}
	if err := l.refill(); err != nil {
		return nil, fmt.Errorf("keep a descriptor in reserve: %w", err)
	}
	return l, nil
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil || !isOutOfFiles(err) {
			return c, err
		}
		if !l.spend() {
			if l.refill() != nil {
				return nil, err // somebody else was quicker; who accepts comes back
			}
			continue
		}
		// Linux says that it has no descriptor before it looks whether anybody
		// waits, so this may take a while, and there may be some again.
		c, err = l.Listener.Accept()
		if err == nil {
			if l.refill() == nil {
				return c, nil
			}
			_ = c.Close()
			l.shed()
		}
		_ = l.refill() // or later
		if err != nil && !isOutOfFiles(err) {
			return nil, err
		}
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	l.spend()
	return l.Listener.Close()
}

// spend gives the reserve up; false when it was spent already.
func (l *Listener) spend() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.reserve == nil {
		return false
	}
	_ = l.mu.reserve.Close()
	l.mu.reserve = nil
	return true
}

func (l *Listener) refill() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.reserve != nil || l.mu.closed {
		return nil
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	l.mu.reserve = f
	return nil
}

func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
