package pages

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const smaps = `00400000-01691000 r-xp 00000000 fe:00 9997849                            /usr/bin/colloquy
Size:              19012 kB
Rss:               12404 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd 
01691000-02cfa000 r--p 01291000 fe:00 9997849                            /usr/bin/colloquy
Rss:               15652 kB
Anonymous:             4 kB
02cfa000-035cd000 rw-p 028fa000 fe:00 9997849                            /usr/bin/colloquy
Anonymous:             0 kB
14a9a9000000-14a9a9c00000 r--p 00000000 00:00 0 
Anonymous:             0 kB
7f1a1dd10000-7f1a1e000000 r--p 00000000 fe:00 9997850                    /usr/bin/colloquy.so
Anonymous:             0 kB
7f1a1e000000-7f1a1e001000 r--p 00000000 fe:00 9997849                    /usr/bin/colloquy
Anonymous:             0 kB
`

// Only what holds the file as it is may go: not what can be written to, and not
// a part with marks in it.
func TestUnwritten(t *testing.T) {
	got, err := unwritten(strings.NewReader(smaps), "/usr/bin/colloquy")
	want := []part{{0x400000, 0x1691000}, {0x7f1a1e000000, 0x7f1a1e001000}}
	if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(part{})) {
		t.Errorf("unwritten() = %x, %v, want %x", got, err, want)
	}
	if _, err := unwritten(strings.NewReader("what-ever r-xp 0 fe:00 1 /x\n"), "/x"); err == nil {
		t.Error("an address that is none is no error")
	}
}

func TestReleaseGivesBackTheProgram(t *testing.T) {
	before := fileKB(t)
	if err := Release(); err != nil {
		t.Fatal(err)
	}
	if after := fileKB(t); after >= before {
		t.Errorf("%d kB of files are in memory after Release, %d before", after, before)
	}
}

// fileKB gives how much of files is in this process's memory.
func fileKB(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssFile:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Skip("this kernel does not tell")
	return 0
}
