package kernel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/symbols"
)

// Attach puts the programs on the marks of a program file: for one process, or,
// with pid 0, for every process that runs it, now or later. Closing what it gives
// ends that, and leaves the processes as they were.
//
// Errors: those of [symbols.Find] and of the file; [fs.ErrNotExist] for a process
// that is not there; what the kernel refuses.
func (p *Programs) Attach(path string, pid int) (io.Closer, error) {
	marks, err := marksOf(path)
	if err != nil {
		return nil, err
	}
	file, err := link.OpenExecutable(path)
	if err != nil {
		return nil, fmt.Errorf("open program: %w", err)
	}
	begin := place(marks)
	var all links
	for _, m := range []struct {
		name string
		prog *ebpf.Program
	}{ // the end first: a turn whose begin is seen has its end seen
		{symbols.TurnEnd, p.in.TurnEnd},
		{symbols.ConnJoin, p.in.ConnJoin},
		{symbols.TurnBegin, p.in.TurnBegin},
	} {
		l, err := p.probe(file, m.prog, marks.At[m.name]+begin, pid)
		if err != nil {
			return nil, errors.Join(explain(err, path), all.Close())
		}
		all = append(all, l)
	}
	return all, nil
}

func marksOf(path string) (symbols.Marks, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's choice
	if err != nil {
		return symbols.Marks{}, fmt.Errorf("open program: %w", err)
	}
	defer func() { _ = f.Close() }()
	marks, err := symbols.Find(f)
	if err != nil {
		return symbols.Marks{}, fmt.Errorf("%s: %w", path, err)
	}
	return marks, nil
}

// place says where in a mark this kernel is quickest. On amd64 Linux 6.18 and later
// replace the NOP of five bytes by a call; before, every probe is a trap, and the
// NOP of one byte is the one that the kernel need not single-step.
func place(m symbols.Marks) uint64 {
	const replaces = 6<<16 | 18<<8
	if v, err := features.LinuxVersionCode(); err == nil && v >= replaces && !m.ARM64 {
		return 1
	}
	return 0
}

func (p *Programs) probe(file *link.Executable, prog *ebpf.Program, at uint64, pid int) (link.Link, error) {
	if p.multi {
		return file.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{at}, PID: uint32(pid)}) //nolint:gosec // a process
	}
	return file.Uprobe("", prog, &link.UprobeOptions{Address: at, PID: pid})
}

// explain says what can be done about a refusal.
func explain(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("attach to %s: %w: before Linux 6.6 this takes CAP_SYS_ADMIN", path, err)
	}
	return fmt.Errorf("attach to %s: %w", path, err)
}

// links are closed together.
type links []link.Link

// Close implements [io.Closer].
func (l links) Close() error {
	var errs []error
	for _, one := range slices.Backward(l) { // what was seen to begin is still seen to end
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
