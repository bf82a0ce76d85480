package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// member is a node of the run, over all the processes and disks that it has.
type member struct {
	number int // from 1
	at     addresses
	dir    string // data directory
	space  *namespace
	disk   *smallDisk // nil = a folder like any other
	log    *boundedLog
	spec   lab.Spec

	mu struct {
		sync.Mutex
		node   *lab.Node
		wanted bool // it should run; if it has ended, it is started again
		frozen bool
		clock  *wallClock
		ended  []int // statuses with which it ended by itself
	}
}

// setSettings changes the settings, from the next start on.
func (m *member) setSettings(pairs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spec.Settings = pairs
}

// upgrade has the member run this program from its next start on. It reports
// whether it ran another one until now.
func (m *member) upgrade() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	older := m.spec.Program != ""
	m.spec.Program = ""
	return older
}

// start starts the process.
func (m *member) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.startLocked()
}

func (m *member) startLocked() error {
	n, err := lab.Launch(&m.spec)
	if err != nil {
		return fmt.Errorf("start node %d: %w", m.number, err)
	}
	m.mu.node, m.mu.wanted, m.mu.frozen = n, true, false
	m.forgetClock()
	return nil
}

// forgetClock lets the clock of a process go that is no more.
func (m *member) forgetClock() {
	if m.mu.clock != nil {
		m.mu.clock.close()
		m.mu.clock = nil
	}
}

// kill ends the process as a power cut would.
func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.wanted = false; m.mu.node != nil {
		m.mu.node.Kill()
	}
}

// stop ends the process as an operator would.
func (m *member) stop() error {
	m.mu.Lock()
	m.mu.wanted = false
	n := m.mu.node
	m.mu.Unlock()
	if n == nil || n.Ended() {
		return nil
	}
	if err := n.Stop(); err != nil {
		return fmt.Errorf("node %d: %w", m.number, err)
	}
	return nil
}

// wipe empties the disk of a node that does not run.
func (m *member) wipe() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != "lost+found" {
			errs = append(errs, os.RemoveAll(filepath.Join(m.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// freeze stops the process in its tracks, and thaw lets it go on as if nothing
// had been.
func (m *member) freeze() error { return m.signal(stopSignal, true) }

func (m *member) thaw() error { return m.signal(continueSignal, false) }

func (m *member) signal(s syscall.Signal, frozen bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.node == nil || m.mu.node.Ended() {
		return fmt.Errorf("node %d does not run", m.number)
	}
	m.mu.frozen = frozen
	return m.mu.node.Signal(s)
}

// shiftClock sets how far the wall clock of the process is off. A process that
// was started since then has the right time already.
func (m *member) shiftClock(d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d == 0 && m.mu.clock == nil {
		return nil
	}
	if m.mu.node == nil || m.mu.node.Ended() {
		return fmt.Errorf("node %d does not run", m.number)
	}
	if m.mu.clock == nil {
		c, err := newWallClock(m.mu.node.PID())
		if err != nil {
			return fmt.Errorf("clock of node %d: %w", m.number, err)
		}
		m.mu.clock = c
	}
	return m.mu.clock.shift(d)
}

// revive starts the process again when it has ended by itself. It reports the
// status that it ended with.
func (m *member) revive() (status int, revived bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.wanted || m.mu.node == nil || !m.mu.node.Ended() {
		return 0, false, nil
	}
	status = m.mu.node.ExitCode()
	m.mu.ended = append(m.mu.ended, status)
	return status, true, m.startLocked()
}

// tail is the end of the log of the present process.
func (m *member) tail() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.node == nil {
		return ""
	}
	return m.mu.node.Log()
}

// ready asks the node whether it is.
func (m *member) ready(ctx context.Context, c *http.Client) error {
	body, err := m.ask(ctx, c, "/readyz?verbose")
	if err != nil {
		return fmt.Errorf("node %d is not ready: %w %s", m.number, err, body)
	}
	return nil
}

// ask gets a page of the operations address.
func (m *member) ask(ctx context.Context, c *http.Client, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.at.ops+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return body, err
}
