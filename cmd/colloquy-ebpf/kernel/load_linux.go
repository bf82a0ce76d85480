package kernel

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
)

//go:embed bpf/observer_bpfel.o
var object []byte

// Programs are the programs in the kernel, with their maps.
//
// Concurrency: safe for all but WatchLosses, WatchDistances and Close.
type Programs struct {
	in     parts
	limits Limits
	multi  bool // one link holds many probes, which needs no more than CAP_BPF and CAP_PERFMON
	ring   *ringbuf.Reader
	walker *link.Iter // nil = distances are not watched
	others []io.Closer
}

// parts are what every observer needs of the object, by its names.
type parts struct {
	TurnBegin *ebpf.Program `ebpf:"turn_begin"`
	TurnEnd   *ebpf.Program `ebpf:"turn_end"`
	ConnJoin  *ebpf.Program `ebpf:"conn_join"`

	Turns  *ebpf.Map      `ebpf:"turns"`
	Talks  *ebpf.Map      `ebpf:"talks"`
	Lines  *ebpf.Map      `ebpf:"lines"`
	Events *ebpf.Map      `ebpf:"events"`
	BSS    *ebpf.Map      `ebpf:".bss"`
	Counts *ebpf.Variable `ebpf:"counts"`
}

// Load puts the programs for the marks into the kernel. They see nothing until
// [Programs.Attach].
//
// Errors: what the system or the process lacks, in words.
func Load(l Limits) (*Programs, error) {
	if err := lacking(typeInformation, processStatus); err != nil {
		return nil, err
	}
	p := &Programs{limits: l, multi: haveMulti()}
	spec, err := specification(l, p.multi)
	if err != nil {
		return nil, err
	}
	if err := spec.LoadAndAssign(&p.in, nil); err != nil {
		return nil, fmt.Errorf("load programs into the kernel: %w", err)
	}
	if p.ring, err = ringbuf.NewReader(p.in.Events); err != nil {
		return nil, errors.Join(fmt.Errorf("read events: %w", err), p.Close())
	}
	return p, nil
}

// specification is the object with its settings.
func specification(l Limits, multi bool) (*ebpf.CollectionSpec, error) { //nolint:revive // a trait of the kernel
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	arm := uint32(0)
	if runtime.GOARCH == "arm64" {
		arm = 1
	}
	settings := map[string]any{
		"arm64": arm, "slow_ns": ns(l.Slow), "flood_ns": ns(l.FloodWindow), "flood_turns": l.FloodTurns,
		"lossy_least": l.LossyLeast, "lossy_percent": l.LossyPercent, "far_us": micros(l.Far),
	}
	for name, v := range settings {
		if err := spec.Variables[name].Set(v); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	if multi {
		for _, name := range []string{"turn_begin", "turn_end", "conn_join"} {
			spec.Programs[name].AttachType = ebpf.AttachTraceUprobeMulti
		}
	}
	return spec, nil
}

// micros rounds up: a limit does not become none.
func micros(d time.Duration) uint32 {
	return uint32(min((ns(d)+999)/1000, 1<<32-1)) //nolint:gosec // bounded
}

func ns(d time.Duration) uint64 { return uint64(max(d, 0)) } //nolint:gosec // not negative

// haveMulti reports whether one link can hold many probes (Linux 6.6). Whoever may
// not ask may use it all the same.
func haveMulti() bool {
	err := features.HaveBPFLinkUprobeMulti()
	return err == nil || !errors.Is(err, ebpf.ErrNotSupported)
}

// WatchLosses looks on when the kernel sends something again, from now on.
func (p *Programs) WatchLosses() error {
	prog, err := p.more("retransmit")
	if err != nil {
		return err
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: prog, AttachType: ebpf.AttachTraceRawTp})
	if err != nil {
		return fmt.Errorf("attach to the kernel's retransmissions: %w", err)
	}
	p.others = append(p.others, l)
	return nil
}

// WatchDistances makes [Programs.Walk] work.
func (p *Programs) WatchDistances() error {
	prog, err := p.more("walk")
	if err != nil {
		return err
	}
	if p.walker, err = link.AttachIter(link.IterOptions{Program: prog}); err != nil {
		return fmt.Errorf("attach to the kernel's list of sockets: %w", err)
	}
	p.others = append(p.others, p.walker)
	return nil
}

// more loads a program that is not for the marks, and that not every kernel has a
// place for. It shares the maps of the others.
func (p *Programs) more(name string) (*ebpf.Program, error) {
	spec, err := specification(p.limits, p.multi)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(spec.Programs, func(n string, _ *ebpf.ProgramSpec) bool { return n != name })
	shared := map[string]*ebpf.Map{
		"turns": p.in.Turns, "talks": p.in.Talks, "lines": p.in.Lines, "events": p.in.Events, ".bss": p.in.BSS,
	}
	all, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared})
	if err != nil {
		return nil, fmt.Errorf("load program %s into the kernel: %w", name, err)
	}
	defer all.Close()
	prog := all.DetachProgram(name)
	p.others = append(p.others, prog)
	return prog, nil
}

// Close takes everything out of the kernel. What is attached to files has to be
// closed before.
func (p *Programs) Close() error {
	errs := []error{p.in.TurnBegin.Close(), p.in.TurnEnd.Close(), p.in.ConnJoin.Close()}
	if p.ring != nil {
		errs = append(errs, p.ring.Close())
	}
	for _, c := range slices.Backward(p.others) {
		errs = append(errs, c.Close())
	}
	for _, m := range []*ebpf.Map{p.in.Turns, p.in.Talks, p.in.Lines, p.in.Events, p.in.BSS} {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
