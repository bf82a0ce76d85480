//go:build !race

// The race detector costs more than the work itself.

package cpu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"
)

// roleVariable makes the test binary a process under test, or one that takes the
// processors away.
const roleVariable = "COLLOQUY_CPU_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "burn":
		burn()
	default:
		if err := json.NewEncoder(os.Stdout).Encode(underTest(role)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// burn uses the processor until its input ends.
func burn() {
	go func() {
		for block := make([]byte, 1<<12); ; {
			sum := sha256.Sum256(block)
			copy(block, sum[:])
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const (
	testSessions = 200
	testMessages = 25
	testWeights  = 8
	unitRounds   = 25 // SHA-256 of 4 KiB: fifty microseconds or more
)

// measured is what a process under test says of itself.
type measured struct {
	Spent   []float64 `json:"spent"` // by session, seconds
	Process float64   `json:"process"`
	GC      float64   `json:"gc"`
}

func weightOf(session int) int { return 1 + session%testWeights }

// underTest runs sessions whose weights are known.
func underTest(role string) measured {
	if role == "garbage" {
		debug.SetGCPercent(30)
	}
	ms := NewMeters(Options{Accounting: accountingOf(role)})
	processBefore := processTime()
	var sessions sync.WaitGroup
	meters := make([]*Meter, testSessions)
	slots := make(chan struct{}, 32) // mailboxes that run side by side
	for i := range meters {
		meters[i] = ms.Of(strconv.Itoa(i))
		ctx := With(context.Background(), meters[i])
		sessions.Go(func() {
			var garbage [][]byte // held for a while, so that the collector has something to mark
			for range testMessages {
				slots <- struct{}{}
				meters[i].Run(func() { garbage = message(role, SegmentOf(ctx), weightOf(i), garbage) })
				<-slots
			}
		})
	}
	sessions.Wait()
	out := measured{Process: (processTime() - processBefore).Seconds(), GC: gcTime().Seconds()}
	for _, m := range meters {
		out.Spent = append(out.Spent, m.Spent().Seconds())
	}
	return out
}

func accountingOf(role string) Accounting {
	if role == "sampled" {
		return Sampled
	}
	return Exact
}

func message(role string, s *Segment, weight int, garbage [][]byte) [][]byte {
	block := make([]byte, 1<<12)
	for i := range weight * unitRounds {
		sum := sha256.Sum256(block)
		copy(block, sum[:])
		if role == "garbage" && i%8 == 0 {
			garbage = append(garbage[max(0, len(garbage)-50):], make([]byte, 512))
		}
	}
	if role == "waiting" {
		// What a handler waits for, a disk or another node, is not a matter of
		// this test's time: the wait is the subject.
		s.Pause()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond)
		<-ctx.Done()
		cancel()
		s.Resume()
	}
	return garbage
}

// TestSharesAreRight compares what sessions of known weights are charged with
// what they used, where wall time, or the clock of a thread to which nobody is
// locked, would be far off.
func TestSharesAreRight(t *testing.T) {
	if Method != "thread" {
		t.Skip("this system has no clock of a thread")
	}
	for _, tc := range []struct {
		role       string
		burners    int
		attributed bool // all that the process used is charged to somebody
	}{
		{"plain", 0, true},
		{"waiting", 0, true},
		{"garbage", 0, false},
		{"burners", 2, true},
	} {
		t.Run(tc.role, func(t *testing.T) {
			for range tc.burners {
				startBurner(t)
			}
			m := runUnderTest(t, tc.role)
			sum := 0.0
			for _, s := range m.Spent {
				sum += s
			}
			worst := worstShare(m.Spent, sum)
			ratio := sum / m.Process
			t.Logf("charged %.3f s of %.3f s (ratio %.3f; collector %.3f s), worst share off by %.1f %%", sum, m.Process, ratio, m.GC, 100*worst)
			if worst >= 0.15 {
				t.Errorf("a session is charged %.1f %% off its share, want less than 15", 100*worst)
			}
			if tc.attributed && (ratio < 0.85 || ratio > 1.02) {
				t.Errorf("sessions are charged %.3f of what the process used, want 0.85 to 1.02", ratio)
			}
		})
	}
}

// worstShare gives how far, as a share of it, the sessions of a weight are from
// what is theirs.
func worstShare(spent []float64, sum float64) float64 {
	byWeight, weights, all := make([]float64, testWeights+1), make([]float64, testWeights+1), 0.0
	for i, s := range spent {
		w := weightOf(i)
		byWeight[w] += s
		weights[w] += float64(w)
		all += float64(w)
	}
	worst := 0.0
	for w := 1; w <= testWeights; w++ {
		want := weights[w] / all
		worst = max(worst, math.Abs(byWeight[w]/sum/want-1))
	}
	return worst
}

func startBurner(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=burn")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
}

func runUnderTest(t *testing.T, role string) measured {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var m measured
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return m
}

// TestSampledIsUnbiased compares a sample with what there was.
func TestSampledIsUnbiased(t *testing.T) {
	if Method != "thread" {
		t.Skip("this system has no clock of a thread")
	}
	m := runUnderTest(t, "sampled")
	sum := 0.0
	for _, s := range m.Spent {
		sum += s
	}
	// 5,000 messages, of which about 300 are measured: to be off by a third is what
	// chance does once in a million times.
	if ratio := sum / m.Process; ratio < 0.67 || ratio > 1.33 {
		t.Errorf("sessions are charged %.3f of what the process used, want about 1", ratio)
	}
}
