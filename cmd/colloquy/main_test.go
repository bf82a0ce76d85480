package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/colloquyhq/colloquy/cluster/clustertest"
)

// builtProgram is the variable that says where the program is that TestMain has
// built. Tests that kill nodes need the real one.
const builtProgram = "TEST_BUILT_COLLOQUY"

func TestMain(m *testing.M) {
	testscript.Main(&suite{m}, map[string]func(){"colloquy": main})
}

// suite builds the program before the tests run.
type suite struct{ m *testing.M }

// Run implements [testscript.TestingM].
func (s *suite) Run() int {
	dir, err := os.MkdirTemp("", "colloquy-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "colloquy")
	build := exec.CommandContext(context.Background(), "go", "build", "-ldflags", "-X main.version=1.2.3-test", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(builtProgram, program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return s.m.Run()
}

// The scripts run every subcommand that needs no running node. $PACKS is a
// folder of packs that are trained in no time.
func TestScripts(t *testing.T) {
	packs, err := filepath.Abs(filepath.Join("testdata", "packs"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "scripts"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PACKS", packs)
			for _, name := range []string{"API", "OPS", "GOSSIP", "LINK", "GRAINS", "NOBODY"} {
				address, err := freeAddress()
				if err != nil {
					return err
				}
				e.Setenv(name, address)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "sameexport": sameExport, "keep": keep, "spoil": spoil, "ready": ready,
		},
	})
}

// freeAddress gives an address that nobody listens on, and soon nobody else will.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", clustertest.LoopbackOfItsOwn()+":0") //nolint:noctx // ends at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready waits until the node with an operations address takes traffic: ready $OPS.
func ready(ts *testscript.TestScript, neg bool, args []string) { //nolint:revive // the signature is testscript's
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready ADDRESS")
	}
	for end := time.Now().Add(patience); ts.Exec("colloquy", "healthcheck", "--address", args[0]) != nil; {
		if time.Now().After(end) {
			ts.Fatalf("the node is not ready")
		}
		<-time.After(50 * time.Millisecond)
	}
}

// exits runs a command and checks its exit status: exits 3 colloquy check-config.
func exits(ts *testscript.TestScript, neg bool, args []string) { //nolint:revive // the signature is testscript's
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// sameExport compares exports without their first lines, which say when and
// where they were made.
func sameExport(ts *testscript.TestScript, neg bool, args []string) { //nolint:revive // the signature is testscript's
	if len(args) != 2 {
		ts.Fatalf("usage: sameexport FILE")
	}
	rest := func(name string) string {
		head, tail, ok := strings.Cut(ts.ReadFile(name), "\n")
		if !ok || !strings.Contains(head, `"type":"export"`) || len(tail) < 100 {
			ts.Fatalf("%s is no export with content", name)
		}
		return tail
	}
	if (rest(args[0]) == rest(args[1])) == neg {
		ts.Fatalf("same: %v\n--- %s\n%s\n--- %s\n%s", !neg, args[0], rest(args[0]), args[1], rest(args[1]))
	}
}

// keep puts the first word of the last output that begins with a prefix into a
// variable: keep TOKEN ibx_.
func keep(ts *testscript.TestScript, neg bool, args []string) { //nolint:revive // the signature is testscript's
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep VARIABLE PREFIX")
	}
	for word := range strings.FieldsSeq(ts.ReadFile("stdout")) {
		if strings.HasPrefix(word, args[1]) {
			ts.Setenv(args[0], word)
			return
		}
	}
	ts.Fatalf("no word begins with %s", args[1])
}

// spoil flips a bit in the middle of the first file that a pattern names.
func spoil(ts *testscript.TestScript, neg bool, args []string) { //nolint:revive // the signature is testscript's
	if neg || len(args) != 1 {
		ts.Fatalf("usage: spoil PATTERN")
	}
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no file is named %s", args[0])
	}
	raw, err := os.ReadFile(found[0])
	ts.Check(err)
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(found[0], raw, 0o600))
}

// The signal that ends a command in the middle ends it with an error, not with
// a hang; in-process, because a context is all it takes.
func TestRunHeedsItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{
		"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0",
	}, nil, &stdout, &stderr)
	if code != exitOK || !strings.Contains(stderr.String(), `"msg":"stopped"`) {
		t.Errorf("serve with an ended context exits with %d: %s", code, stderr.String())
	}
}
