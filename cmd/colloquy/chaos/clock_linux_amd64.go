package chaos

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// wallClock shifts the wall clock that one process sees, and no other.
//
// A Go program reads the time by a function that the kernel maps into each
// process, the vDSO. Its first bytes are replaced, in the memory of that process
// only, by a jump to a few bytes that ask the kernel and add an offset to the
// wall clock; the monotonic clock stays as it is. So an unchanged program lives
// through what a wrong time server, or an operator, would do to it.
type wallClock struct {
	memory *os.File
	offset int64 // where the offset in seconds is
}

// clockCode is the replacement, machine code of amd64. The arguments come in edi and rsi.
func clockCode() []byte {
	return []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xc0, // test eax, eax
		0x75, 14, // jne end
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 10, // jne end
		0x48, 0x8b, 0x0d, 10, 0, 0, 0, // mov rcx, [rip+10]: the offset
		0x48, 0x01, 0x0e, // add [rsi], rcx
		0xc3,             // end: ret
		0, 0, 0, 0, 0, 0, // to a multiple of 8
		0, 0, 0, 0, 0, 0, 0, 0, // the offset
	}
}

const (
	codeBytes   = 40
	offsetPlace = 32 // in the code
	jumpBytes   = 5
	stopTries   = 200
	stopPause   = 5 * time.Millisecond
)

// errNoClock says that the vDSO is not as it is known.
var errNoClock = errors.New("the vDSO of this kernel has no room for another clock")

// newWallClock prepares the clock of a process. The process stands still for a
// few milliseconds.
func newWallClock(pid int) (*wallClock, error) {
	low, image, memory, err := readVDSO(pid)
	if err != nil {
		return nil, err
	}
	entry, err := findSymbol(image, "__vdso_clock_gettime")
	if err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	end := (len(bytes.TrimRight(image, "\x00")) + 63) &^ 63
	if end+codeBytes > len(image) {
		return nil, errors.Join(errNoClock, memory.Close())
	}
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(int32(end-entry-jumpBytes))) //nolint:gosec // both are inside of two pages
	err = whileStopped(pid, low+int64(entry), func() error {
		if _, err := memory.WriteAt(clockCode(), low+int64(end)); err != nil {
			return err
		}
		_, err := memory.WriteAt(jump, low+int64(entry))
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("replace the clock: %w", err), memory.Close())
	}
	return &wallClock{memory: memory, offset: low + int64(end) + offsetPlace}, nil
}

// shift sets how far the wall clock is off. Zero sets it right.
func (c *wallClock) shift(d time.Duration) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(int64(d/time.Second))) //nolint:gosec // the bits are wanted as they are
	_, err := c.memory.WriteAt(b[:], c.offset)
	return err
}

func (c *wallClock) close() { _ = c.memory.Close() }

// readVDSO gives where a process has the vDSO, a copy of it, and the process's
// memory.
func readVDSO(pid int) (int64, []byte, *os.File, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	maps, err := os.ReadFile(filepath.Join(proc, "maps")) //nolint:gosec // the kernel's word on a process of ours
	if err != nil {
		return 0, nil, nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		var low, high int64
		if _, err := fmt.Sscanf(line, "%x-%x", &low, &high); err != nil {
			return 0, nil, nil, err
		}
		memory, err := os.OpenFile(filepath.Join(proc, "mem"), os.O_RDWR, 0) //nolint:gosec // the kernel's word on a process of ours
		if err != nil {
			return 0, nil, nil, err
		}
		image := make([]byte, high-low)
		if _, err := memory.ReadAt(image, low); err != nil {
			return 0, nil, nil, errors.Join(err, memory.Close())
		}
		return low, image, memory, nil
	}
	return 0, nil, nil, errNoClock
}

func findSymbol(image []byte, name string) (int, error) {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == name && s.Value > 0 && int(s.Value)+jumpBytes < len(image) { //nolint:gosec // of two pages
			return int(s.Value), nil //nolint:gosec // as above
		}
	}
	return 0, errNoClock
}

// whileStopped calls f while the process stands still and none of its threads is
// inside the bytes at entry that f changes.
func whileStopped(pid int, entry int64, f func() error) error {
	for range stopTries {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		if away, err := threadsAway(pid, entry); err != nil || away {
			if err == nil {
				err = f()
			}
			return errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			return err
		}
		wait := time.NewTimer(stopPause)
		<-wait.C
	}
	return errors.New("the process did not come to rest outside of its clock")
}

// threadsAway reports whether every thread is stopped outside of the bytes at
// entry.
func threadsAway(pid int, entry int64) (bool, error) {
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	for range stopTries {
		threads, err := os.ReadDir(tasks)
		if err != nil {
			return false, err
		}
		running := false
		for _, t := range threads {
			raw, err := os.ReadFile(filepath.Join(tasks, t.Name(), "syscall")) //nolint:gosec // the kernel's word on a process of ours
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			fields := strings.Fields(string(raw))
			if err != nil || len(fields) < 3 { // "running"
				running = true
				continue
			}
			at, err := strconv.ParseInt(strings.TrimPrefix(fields[len(fields)-1], "0x"), 16, 64)
			if err == nil && at >= entry && at < entry+jumpBytes {
				return false, nil
			}
		}
		if !running {
			return true, nil
		}
		wait := time.NewTimer(stopPause)
		<-wait.C
	}
	return false, nil
}
