package persistence

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// links are the streams that this node opened to the journals of others, one to
// each, and the questions that wait on them.
type links struct {
	dialer    dialer
	addresses *addresses
	patience  time.Duration
	ended     chan struct{}
	readers   sync.WaitGroup
	mu        struct {
		sync.Mutex
		open    map[string]*link // by address and node
		dialing map[string]*dialing
		closed  bool
	}
}

// dialing is a stream that is being opened; done is closed when it is, or not.
type dialing struct {
	done chan struct{}
	link *link
	err  error
}

func newLinks(d dialer, a *addresses, patience time.Duration) *links {
	l := &links{dialer: d, addresses: a, patience: patience, ended: make(chan struct{})}
	l.mu.open = make(map[string]*link)
	l.mu.dialing = make(map[string]*dialing)
	return l
}

// errLinkLost says that a stream ended before the answer came.
var errLinkLost = errors.New("the stream to the peer ended")

// to gives the stream to a node, which is opened if need be. An empty node is
// whoever has the address.
func (l *links) to(ctx context.Context, node, address string) (*link, error) {
	if address == "" {
		return nil, fmt.Errorf("no address is known of node %s", node)
	}
	key := string(joinAddress(node, address))
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	if c := l.mu.open[key]; c != nil {
		l.mu.Unlock()
		return c, nil
	}
	d := l.mu.dialing[key]
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		l.mu.dialing[key] = d
		l.readers.Go(func() { l.open(d, key, node, address) })
	}
	l.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// open opens a stream for everybody who waits for it.
func (l *links) open(d *dialing, key, node, address string) {
	conn, err := l.dial(node, address)
	if err != nil {
		d.err = fmt.Errorf("reach %s: %w", address, err)
	} else {
		d.link = newLink(conn)
	}
	l.mu.Lock()
	delete(l.mu.dialing, key)
	switch {
	case d.link == nil:
	case l.mu.closed:
		d.err = ErrClosed
		d.link.end(ErrClosed)
		d.link = nil
	default:
		l.mu.open[key] = d.link
	}
	l.mu.Unlock()
	close(d.done)
	if d.link == nil {
		return
	}
	d.link.read()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.open[key] == d.link {
		delete(l.mu.open, key)
	}
}

// dial opens a stream unless the links are closed meanwhile.
func (l *links) dial(node, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.patience)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-l.ended:
			cancel()
		case <-stop:
		}
	}()
	return l.dialer.dial(ctx, address, node)
}

func (l *links) close() {
	l.mu.Lock()
	if !l.mu.closed {
		close(l.ended)
	}
	l.mu.closed = true
	open := make([]*link, 0, len(l.mu.open))
	for _, c := range l.mu.open {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		c.end(ErrClosed)
	}
	l.readers.Wait()
}

// ask sends a control question and waits for its answer, which it puts into
// out.
func (l *links) ask(ctx context.Context, to Peer, op linkOp, in, out any) error {
	payload, err := json.Marshal(in)
	if err != nil {
		return err
	}
	c, err := l.to(ctx, to.Node, to.Address)
	if err != nil {
		return err
	}
	a, err := c.ask(ctx, op, payload)
	if err != nil {
		return err
	}
	if err := a.err(); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.payload, out); err != nil {
		return fmt.Errorf("%w: answer of a peer: %w", ErrCorrupt, err)
	}
	return nil
}

// answer is what came back for a question.
type answer struct {
	status  linkStatusCode
	payload []byte
	lost    error // the stream ended instead
}

// err is what an answer means, as far as it is not success.
func (a *answer) err() error {
	if a.lost != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, a.lost)
	}
	switch a.status {
	case statusOK:
		return nil
	case statusAgain:
		return newAgain(a.payload)
	case statusUnknown:
		return ErrUnknown
	case statusRefused:
		return &RefusedError{Reason: string(a.payload)}
	case statusRemoved:
		return ErrRemoved
	case statusOldDisk:
		return fmt.Errorf("%w: %s", ErrOldDisk, a.payload)
	case statusOverload:
		return fmt.Errorf("%w: the leader has too much to do", errAgain)
	}
	return fmt.Errorf("%w: answer %d", ErrIncompatible, a.status)
}

// againError is an errAgain that names the leader to ask instead.
type againError struct{ leader Peer }

// newAgain reads the leader that an answer names, if it does.
func newAgain(payload []byte) error {
	e := new(againError)
	if json.Unmarshal(payload, &e.leader) != nil {
		e.leader = Peer{}
	}
	return e
}

// Error implements error.
func (e *againError) Error() string { return errAgain.Error() }

// Unwrap gives errAgain.
func (*againError) Unwrap() error { return errAgain }

// RefusedError says why a change of the cluster was refused.
type RefusedError struct{ Reason string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Reason }

// link is one stream to a peer.
type link struct {
	conn net.Conn
	mu   struct {
		sync.Mutex
		w       *bufio.Writer
		next    uint64
		waiting map[uint64]chan answer
		err     error // why the stream ended
	}
}

func newLink(conn net.Conn) *link {
	c := &link{conn: conn}
	c.mu.w = bufio.NewWriterSize(conn, 64<<10)
	c.mu.waiting = make(map[uint64]chan answer)
	return c
}

// ask sends a question and waits for the answer.
func (c *link) ask(ctx context.Context, op linkOp, payload []byte) (answer, error) {
	id, wait, err := c.send(op, payload)
	if err != nil {
		return answer{}, err
	}
	select {
	case a := <-wait:
		return a, nil
	case <-ctx.Done():
		c.forget(id)
		return answer{}, fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx))
	}
}

// send writes a question. Its answer, or the end of the stream, comes by the
// channel. An error means that it certainly did not get to the peer as a whole.
func (c *link) send(op linkOp, payload []byte) (uint64, chan answer, error) {
	c.mu.Lock()
	if c.mu.err != nil {
		defer c.mu.Unlock()
		return 0, nil, c.mu.err
	}
	c.mu.next++
	id := c.mu.next
	wait := make(chan answer, 1)
	c.mu.waiting[id] = wait
	err := c.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		err = writeFrame(c.mu.w, &frame{request: id, code: byte(op), payload: payload})
	}
	if err == nil {
		err = c.mu.w.Flush()
	}
	if err != nil {
		delete(c.mu.waiting, id)
	}
	c.mu.Unlock()
	if err != nil {
		c.end(err)
		return 0, nil, fmt.Errorf("%w: %w", errLinkLost, err)
	}
	return id, wait, nil
}

// writeTime is how long a peer may take to take what is written to it.
const writeTime = 5 * time.Second

func (c *link) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.waiting, id)
}

// read hands answers to those who wait, until the stream ends.
func (c *link) read() {
	r := bufio.NewReaderSize(c.conn, 32<<10)
	for {
		f, err := readFrame(r, answerLimit)
		if err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		wait := c.mu.waiting[f.request]
		delete(c.mu.waiting, f.request)
		c.mu.Unlock()
		if wait != nil {
			wait <- answer{status: linkStatusCode(f.code), payload: f.payload}
		}
	}
}

// end closes the stream and tells everybody who waits.
func (c *link) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err != nil {
		return
	}
	c.mu.err = fmt.Errorf("%w: %w", errLinkLost, cause)
	_ = c.conn.Close() // it is given up
	for id, wait := range c.mu.waiting {
		wait <- answer{lost: c.mu.err}
		delete(c.mu.waiting, id)
	}
}
