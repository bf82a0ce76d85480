package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadline is how long anything may take that the test waits for.
const deadline = 2 * time.Minute

const (
	ingress  = "ibx_otlp-test-token-of-the-demo-shop"
	password = "otlp-test-password"
)

// node is a process of the program under test.
type node struct {
	api, ops, gossip string
	log              *bytes.Buffer
}

// free gives an address that nobody listens at, with n free ports from there on.
// Where all of 127/8 is loopback it is of a host that nobody else uses, so that
// they stay free.
func free(t *testing.T, n int) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254))
	}
	for range 100 {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		ok := l.Close() == nil
		for i := 1; i < n && ok; i++ {
			next, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port+i))
			if ok = err == nil; ok {
				_ = next.Close()
			}
		}
		if ok {
			return fmt.Sprintf("%s:%d", host, port)
		}
	}
	t.Fatal("no free ports")
	return ""
}

// start runs a node of the cluster whose traces go to a receiver.
func start(t *testing.T, key, receiver string, more ...string) *node {
	t.Helper()
	program := os.Getenv("COLLOQUY")
	if program == "" {
		t.Fatal("COLLOQUY must name the program under test; use make otlp")
	}
	n := &node{api: free(t, 1), ops: free(t, 1), gossip: free(t, 3), log: &bytes.Buffer{}}
	args := append([]string{
		"serve", "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen", n.api, "--ops-listen", n.ops, "--cluster-listen", n.gossip,
		"--set", "tracing.ratio=1", "--set", "tracing.keep_per_second=1000",
		"--set", "tracing.otlp=http://" + receiver, "--set", "egress.allowed_cidrs=127.0.0.0/8",
		"--set", "health.disk_free_bytes=0", "--set", "health.fsync_p99=1m", "--log-level", "warn",
	}, more...)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "COLLOQUY_CLUSTER_KEY_FILE="+key, "COLLOQUY_DEMO_TOKEN="+ingress, "COLLOQUY_DEMO_PASSWORD="+password)
	cmd.Stdout, cmd.Stderr = io.Discard, n.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("node at %s:\n%s", n.api, n.log)
		}
	})
	eventually(t, "the node at "+n.api+" is ready", func() bool {
		res, err := http.Get("http://" + n.ops + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return n
}

// newKey makes the secret of a cluster.
func newKey(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(os.Getenv("COLLOQUY"), "cluster", "key").Output()
	if err != nil {
		t.Fatalf("colloquy cluster key: %v", err)
	}
	path := filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", deadline, what)
		case <-tick.C:
		}
	}
}

// call makes a request to a node's API that must succeed, and gives the answer.
func (n *node) call(t *testing.T, client *http.Client, method, path string, header http.Header, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.api+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Colloquy-Csrf", "1")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("%s %s = %d %s %v", method, path, res.StatusCode, raw, err)
	}
	return string(raw)
}
