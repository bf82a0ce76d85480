package kernel

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

const (
	typeInformation = "/sys/kernel/btf/vmlinux"
	processStatus   = "/proc/self/status"
	pidNamespace    = "/proc/self/ns/pid"
	// firstPIDNamespace is what that link says in the namespace of the system
	// (PROC_PID_INIT_INO in include/linux/proc_ns.h).
	firstPIDNamespace = "pid:[4026531836]"
)

// The capabilities that are needed (include/uapi/linux/capability.h).
const (
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

// lacking says what the system or the process lacks, or nil.
func lacking(types, status string) error {
	if _, err := os.Stat(types); err != nil {
		return fmt.Errorf("the kernel does not describe its types (%s, CONFIG_DEBUG_INFO_BTF), which the observer reads them by: %w", types, err)
	}
	caps, err := capabilities(status)
	if err != nil {
		return err
	}
	if missing := missingOf(caps); len(missing) > 0 {
		return fmt.Errorf("the process lacks %s: run it as root, by deploy/colloquy-ebpf.service, "+
			"or after `setcap cap_bpf,cap_perfmon+ep` on its file (have: %#x)", strings.Join(missing, " and "), caps)
	}
	if ns, err := os.Readlink(pidNamespace); err == nil && ns != firstPIDNamespace {
		return errors.New("the process is in a PID namespace of its own, and the kernel tells processes by their number outside it: " +
			"start the container with the host's PID namespace (--pid=host)")
	}
	return nil
}

// missingOf names the capabilities that are not in a set.
func missingOf(caps uint64) []string {
	var missing []string
	has := func(c int) bool { return caps>>c&1 == 1 || caps>>capSysAdmin&1 == 1 }
	if !has(capBPF) {
		missing = append(missing, "CAP_BPF")
	}
	if !has(capPerfmon) {
		missing = append(missing, "CAP_PERFMON")
	}
	return missing
}

// capabilities reads the effective ones out of a process's status.
func capabilities(status string) (uint64, error) {
	f, err := os.Open(status) //nolint:gosec // of this process
	if err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if hex, ok := strings.CutPrefix(lines.Text(), "CapEff:"); ok {
			caps, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("read capabilities: %w", err)
			}
			return caps, nil
		}
	}
	return 0, fmt.Errorf("read capabilities: %w in %s", fs.ErrNotExist, status)
}
