package loop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestOutOfDescriptors starts a process that accepts connections and runs out of
// descriptors. Clients are told at once, and served again when there are some.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	if os.Getenv("LOOP_TEST_CHILD") != "" {
		acceptWithoutDescriptors(t)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOutOfDescriptors$", "-test.v")
	child.Env = append(os.Environ(), "LOOP_TEST_CHILD=1")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func(prefix string) string {
		t.Helper()
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix+" "); ok {
				return rest
			}
		}
		t.Fatalf("the child ended without saying %q", prefix)
		return ""
	}
	ask := func(addr string) string {
		t.Helper()
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		b, _ := io.ReadAll(c)
		return string(b)
	}
	addr := next("listening")
	if got := ask(addr); got != "hello" {
		t.Errorf("with descriptors: %q", got)
	}
	_, _ = io.WriteString(in, "fill\n")
	next("filled")
	for range 3 {
		if got := ask(addr); got != "" {
			t.Errorf("without descriptors: %q, want the end", got)
		}
	}
	_, _ = io.WriteString(in, "free\n")
	next("freed")
	if got := ask(addr); got != "hello" {
		t.Errorf("with descriptors again: %q", got)
	}
	_ = in.Close()
	if shed := next("shed"); shed != "3" {
		t.Errorf("%s connections were shed, want 3", shed)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

// acceptWithoutDescriptors is the child. It greets who connects.
func acceptWithoutDescriptors(t *testing.T) {
	t.Helper()
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	raw, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var shed atomic.Int32
	ln, err := NewListener(raw, func() { shed.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	fmt.Println("listening", raw.Addr())
	var files []*os.File
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		if orders.Text() == "free" {
			for _, f := range files {
				_ = f.Close()
			}
			fmt.Println("freed all")
			continue
		}
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			files = append(files, f)
		}
		fmt.Println("filled", len(files))
	}
	_ = ln.Close()
	<-done
	fmt.Println("shed", shed.Load())
}
