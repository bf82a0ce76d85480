// Command target has the marks of a node and does with them what a test says on its
// standard input, one command a line; it answers each with a line.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/colloquyhq/colloquy/telemetry/probe"
)

func main() {
	t := &target{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := t.do(lines.Text())
		if err != nil {
			answer = "error: " + err.Error()
		}
		fmt.Println(answer)
	}
}

type target struct {
	conn *net.TCPConn
}

func (t *target) do(line string) (string, error) {
	var verb string
	var n [4]uint64
	if _, err := fmt.Sscan(line, &verb, &n[0], &n[1], &n[2], &n[3]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && verb == "" {
		return "", err
	}
	id := [16]byte{15: byte(n[0]), 0: 0xc0}
	switch verb {
	case "begin":
		probe.TurnBegin(id, n[1])
	case "end":
		probe.TurnEnd(id, n[1], probe.Outcome(n[2]))
	case "watched":
		return fmt.Sprint(probe.ConnJoinWatched()), nil
	case "stress":
		return fmt.Sprint(stress(int(n[0]), int(n[1]))), nil
	case "listen":
		return t.listen()
	case "join":
		cookie, err := t.option(func(fd int) (uint64, error) { return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE) })
		if err != nil {
			return "", err
		}
		probe.ConnJoin(id, cookie)
		return fmt.Sprint(cookie), nil
	case "send":
		_, err := t.conn.Write(make([]byte, n[0]))
		return "sent", err
	case "retransmits":
		total, err := t.option(func(fd int) (uint64, error) {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				return 0, err
			}
			return uint64(info.Total_retrans), nil
		})
		return fmt.Sprint(total), err
	default:
		return "", fmt.Errorf("%q is no command", line)
	}
	return "done", nil
}

// listen takes one connection; its address is answered at once.
func (t *target) listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	fmt.Println(l.Addr())
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		return "", err
	}
	t.conn = conn.(*net.TCPConn)
	return "accepted", nil
}

func (t *target) option(get func(fd int) (uint64, error)) (v uint64, err error) {
	raw, err := t.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	return v, errors.Join(raw.Control(func(fd uintptr) { v, err = get(int(fd)) }), err)
}

// stress calls the marks from many goroutines whose stacks grow, and are moved,
// around the calls, while the collector runs all the time and the profiler's
// signals come in between. It gives the number of turns.
func stress(goroutines, turns int) uint64 {
	debug.SetGCPercent(5)
	if pprof.StartCPUProfile(io.Discard) == nil {
		defer pprof.StopCPUProfile()
	}
	var calls atomic.Uint64
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			for turn := range turns {
				fresh := make(chan struct{})
				go func() { // on a stack that has not grown yet
					defer close(fresh)
					dig(turn%64, [16]byte{0: 1, 14: byte(g >> 8), 15: byte(g)}, uint64(turn), &calls)
				}()
				<-fresh
			}
		})
	}
	running.Wait()
	return calls.Load()
}

// dig goes down before it begins a turn, and down again before it ends it.
func dig(depth int, id [16]byte, turn uint64, calls *atomic.Uint64) {
	if depth > 0 {
		var frame [256]byte
		frame[depth] = byte(depth)
		dig(depth-1, id, turn, calls)
		sink.Store(&garbage{frame[depth]})
		return
	}
	probe.TurnBegin(id, turn)
	deeper(100)
	probe.TurnEnd(id, turn, probe.Done)
	calls.Add(1)
}

func deeper(depth int) int {
	var frame [128]byte
	frame[depth] = byte(depth)
	if depth == 0 {
		return int(frame[0])
	}
	return deeper(depth-1) + int(frame[depth])
}

type garbage struct{ b byte }

// sink makes what is stored garbage of the heap.
var sink atomic.Pointer[garbage]
