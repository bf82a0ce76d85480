// Package symbols finds the marks of package telemetry/probe in a program, also
// in one without a symbol table.
package symbols

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The marks, as they are called in package telemetry/probe.
const (
	TurnBegin = "turnBegin"
	TurnEnd   = "turnEnd"
	ConnJoin  = "connJoin"
)

const (
	pkg = "github.com/colloquyhq/colloquy/telemetry/probe."
	// maxTable bounds the function table that is read; colloquy's has 20 MB.
	maxTable = 512 << 20
)

// ErrNoMarks is what a program has that nobody can attach to.
var ErrNoMarks = errors.New("the program has no marks for an observer: " +
	"it is not colloquy, is older than its marks, or was packed (UPX) or obfuscated (garble)")

// Marks is where the marks of a program are.
type Marks struct {
	ARM64 bool              // otherwise amd64
	At    map[string]uint64 // offsets in the file, by name
}

// Find reads the marks of the program in a file.
//
// Errors: [ErrNoMarks]; those of a file that is no ELF program for amd64 or arm64.
func Find(r io.ReaderAt) (Marks, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return Marks{}, fmt.Errorf("read program: %w", err)
	}
	m := Marks{At: make(map[string]uint64, 3)}
	want, err := code(f.Machine)
	if err != nil {
		return Marks{}, err
	}
	m.ARM64 = f.Machine == elf.EM_AARCH64
	for name, addrs := range candidates(f) {
		for _, addr := range addrs {
			if at, ok := offset(f, addr); ok && hasCode(r, at, want) {
				m.At[name] = at
			}
		}
	}
	for _, name := range []string{TurnBegin, TurnEnd, ConnJoin} {
		if m.At[name] == 0 {
			return Marks{}, ErrNoMarks
		}
	}
	return m, nil
}

// code gives the bytes of a mark.
func code(m elf.Machine) ([]byte, error) {
	switch m { //nolint:exhaustive // the two that have marks
	case elf.EM_X86_64:
		return []byte{0x90, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3}, nil
	case elf.EM_AARCH64:
		return []byte{0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6}, nil
	}
	return nil, fmt.Errorf("programs for %v have no marks; amd64 and arm64 do", m)
}

// candidates gives the addresses of functions that are called like the marks. A
// mark and a wrapper that the compiler may make for it share their name.
func candidates(f *elf.File) map[string][]uint64 {
	out := make(map[string][]uint64, 3)
	add := func(symbol string, addr uint64) {
		if name, ours := strings.CutPrefix(symbol, pkg); ours {
			name = strings.TrimSuffix(name, ".abi0")
			out[name] = append(out[name], addr)
		}
	}
	if table, err := f.Symbols(); err == nil {
		for _, s := range table {
			add(s.Name, s.Value)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, fn := range functions(f) {
		add(fn.Name, fn.Entry)
	}
	return out
}

// functions reads the table that the Go runtime needs itself, so that no
// stripping takes it away.
func functions(f *elf.File) []gosym.Func {
	text := f.Section(".text")
	i := slices.IndexFunc(f.Sections, func(s *elf.Section) bool {
		return s.Name == ".gopclntab" || s.Name == ".data.rel.ro.gopclntab"
	})
	if text == nil || i < 0 || f.Sections[i].Size > maxTable {
		return nil
	}
	data, err := f.Sections[i].Data()
	if err != nil {
		return nil
	}
	return parse(data, text.Addr)
}

// parse reads a function table. The standard library's reader panics on some
// damaged ones.
func parse(data []byte, text uint64) (found []gosym.Func) {
	defer func() {
		if recover() != nil {
			found = nil
		}
	}()
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text))
	if err != nil {
		return nil
	}
	return table.Funcs
}

// offset turns an address into a place in the file.
func offset(f *elf.File, addr uint64) (uint64, bool) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr < p.Vaddr+p.Filesz {
			return addr - p.Vaddr + p.Off, true
		}
	}
	return 0, false
}

func hasCode(r io.ReaderAt, at uint64, want []byte) bool {
	got := make([]byte, len(want))
	if _, err := r.ReadAt(got, int64(at)); err != nil { //nolint:gosec // within the file, or an error
		return false
	}
	return bytes.Equal(got, want)
}
