//go:build !linux

package loop

import (
	"net"
	"sync/atomic"
	"time"
)

const canLoop = false

// eventLoop stands for what only Linux has; none is ever made.
type eventLoop struct {
	on    int
	count atomic.Int32
}

func newEventLoop(_ *Group, on int) *eventLoop { return &eventLoop{on: on} }

func (l *eventLoop) adopt(net.Conn, Handler) (Conn, bool, error) { return nil, false, nil }
func (l *eventLoop) run() error                                  { return nil }
func (l *eventLoop) stop()                                       {}
func (l *eventLoop) wake()                                       {}
func (l *eventLoop) nudge(time.Time)                             {}
func (l *eventLoop) load() Load                                  { return Load{} }
