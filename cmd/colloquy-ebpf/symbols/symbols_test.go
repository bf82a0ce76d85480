package symbols

import (
	"bytes"
	"debug/elf"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// built compiles a program with marks for linux.
func built(t *testing.T, arch string, flags ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), "../kernel/testdata/target")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The marks are found with and without a symbol table, where the symbol table says
// that they are.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		whole := built(t, arch)
		want, err := Find(bytes.NewReader(whole))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if want.ARM64 != (arch == "arm64") || len(want.At) != 3 {
			t.Errorf("%s: marks = %+v", arch, want)
		}
		for name, at := range want.At {
			if b := whole[at:]; arch == "amd64" && !bytes.HasPrefix(b, []byte{0x90, 0x0f, 0x1f, 0x44, 0, 0, 0xc3}) ||
				arch == "arm64" && !bytes.HasPrefix(b, []byte{0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6}) {
				t.Errorf("%s: %s begins % x", arch, name, b[:8])
			}
		}
		// The linker puts the code at the same place whether it writes symbols or not.
		got, err := Find(bytes.NewReader(built(t, arch, "-ldflags=-s -w")))
		if err != nil || !maps.Equal(got.At, want.At) {
			t.Errorf("%s, stripped: marks = %+v, %v; want %+v", arch, got, err, want)
		}
	}
}

// Whatever else a file is, it is an error.
func TestFindNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	without, err := os.ReadFile(self) // this package does not import the marks
	if err != nil {
		t.Fatal(err)
	}
	if f, err := elf.NewFile(bytes.NewReader(without)); err == nil {
		_ = f.Close()
		if _, err := Find(bytes.NewReader(without)); !errors.Is(err, ErrNoMarks) {
			t.Errorf("Find(a program without marks) = %v", err)
		}
	}
	other := built(t, "amd64")
	other[18] = byte(elf.EM_RISCV) // e_machine
	if _, err := Find(bytes.NewReader(other)); err == nil || !strings.Contains(err.Error(), "EM_RISCV") {
		t.Errorf("Find(a program for another processor) = %v", err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "text": []byte("#!/bin/sh\n"), "half a header": without[:20]} {
		if _, err := Find(bytes.NewReader(b)); err == nil {
			t.Errorf("Find(%s) went well", name)
		}
	}
}

// A damaged program is an error or has its marks, and never the end of the observer.
func TestFindInDamagedPrograms(t *testing.T) {
	t.Parallel()
	whole := built(t, "amd64", "-ldflags=-s -w")
	want, err := Find(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	table := f.Section(".gopclntab")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		b := slices.Clone(whole)
		for range 1 + round%8 {
			// In the headers, and in the head of the function table.
			at := random.Uint64N(1024)
			if round%2 == 1 {
				at = table.Offset + random.Uint64N(4096)
			}
			b[at] = byte(random.Uint32())
		}
		if got, err := Find(bytes.NewReader(b[:len(b)-round*len(b)/80])); err == nil && !maps.Equal(got.At, want.At) {
			t.Errorf("round %d: marks = %v, want %v or an error", round, got.At, want.At)
		}
	}
}

// The script for bpftrace asks for symbols that programs have.
func TestBpftraceScript(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../../deploy/colloquy.bt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(built(t, "amd64")))
	if err != nil {
		t.Fatal(err)
	}
	table, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?m)^uprobe:/usr/local/bin/colloquy:"([^"]+)"$`).FindAllSubmatch(script, -1)
	if len(asked) != 3 {
		t.Errorf("the script has %d probes, want 3", len(asked))
	}
	for _, m := range asked {
		if !slices.ContainsFunc(table, func(s elf.Symbol) bool { return s.Name == string(m[1]) }) {
			t.Errorf("programs have no symbol %s", m[1])
		}
	}
}
