package appends

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/persistence"
)

// Options say what is measured.
type Options struct {
	Nodes    int  // 1 to 7
	Writers  int  // of each node, with one append in flight each
	Bytes    int  // of a message
	Plain    bool // appends of two rows instead of five
	Warmup   time.Duration
	Duration time.Duration
	Profile  string   // of failure detection
	Dir      string   // where the data goes; it is removed
	CPU      string   // file for processor profiles: each node adds its number; empty = none
	Worker   []string // arguments of this program that make it a worker
	Version  string
}

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	const most = 7
	var errs []error
	if o.Nodes < 1 || o.Nodes > most {
		errs = append(errs, fmt.Errorf("--nodes is 1 to %d", most))
	}
	if o.Writers < 1 || o.Bytes < 1 || o.Bytes > 16<<10 {
		errs = append(errs, errors.New("--writers is above zero, --bytes 1 to 16384"))
	}
	if o.Duration <= 0 || o.Warmup < 0 {
		errs = append(errs, errors.New("--duration must be above zero, --warmup not below"))
	}
	return errors.Join(errs...)
}

// Result is what a measurement comes to. CPU is of all nodes together, the
// coordinator's own is not in it.
type Result struct {
	Nodes      int     `json:"nodes"`
	Writers    int     `json:"writers"` // of all nodes
	Bytes      int     `json:"bytes"`
	Plain      bool    `json:"plain"`
	Seconds    float64 `json:"seconds"`
	Appends    uint64  `json:"appends"`
	AppendsPS  float64 `json:"appends_per_s"`
	CPUMicros  float64 `json:"cpu_us_per_append"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Errors     uint64  `json:"errors"` // 0 in a valid run
	FirstError string  `json:"first_error,omitempty"`
	Leaders    int     `json:"leaders"` // 1 in a valid run
	// The yardstick is what the database alone does on this machine, right after:
	// single synced rows of as many bytes. An append is several rows on each node.
	YardstickPS  float64 `json:"yardstick_rows_per_s"`
	YardstickCPU float64 `json:"yardstick_cpu_us_per_row"`
	CPUs         int     `json:"cpus"`
	Version      string  `json:"version"`
}

// worker is a process that writes.
type worker struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *strings.Builder
}

// Run measures.
func Run(ctx context.Context, o *Options) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-appends-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &bench{options: o, dir: dir}
	result, err := r.do(ctx)
	if err != nil {
		cancel() // kills what still runs
	}
	defer cancel()
	for i, w := range r.workers {
		_ = w.in.Close()
		// Who was killed above has nothing to say; who ended by itself says why.
		if werr := w.cmd.Wait(); werr != nil && (err == nil || w.cmd.ProcessState.Exited()) {
			err = errors.Join(err, fmt.Errorf("worker %d: %w: %s", i+1, werr, w.stderr))
		}
	}
	if err == nil {
		err = r.yardstick(ctx, result)
	}
	return result, errors.Join(err, os.RemoveAll(dir))
}

type bench struct {
	options *Options
	dir     string
	workers []*worker
}

func (b *bench) do(ctx context.Context) (*Result, error) {
	tasks := b.tasks()
	var seeds []string
	for i := range tasks {
		tasks[i].Seeds = seeds
		w, err := b.start(ctx, &tasks[i])
		if err != nil {
			return nil, err
		}
		ready, err := w.hear() // one after the other: the first founds the cluster
		if err != nil {
			return nil, err
		}
		if ready.Gossip != "" && seeds == nil {
			seeds = []string{ready.Gossip}
		}
	}
	if err := b.say(wordWrite); err != nil {
		return nil, err
	}
	if err := rest(ctx, b.options.Warmup); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := b.say(wordMeasure); err != nil {
		return nil, err
	}
	if err := rest(ctx, b.options.Duration); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if err := b.say(wordStop); err != nil {
		return nil, err
	}
	return b.sum(took)
}

// tasks gives each worker its place.
func (b *bench) tasks() []task {
	o := b.options
	key := ""
	if o.Nodes > 1 {
		key = cluster.NewKey()
	}
	var out []task
	for i := range o.Nodes {
		t := task{
			Dir: filepath.Join(b.dir, fmt.Sprint("node", i+1)), Number: i, Writers: o.Writers, Bytes: o.Bytes, Nodes: o.Nodes, Key: key,
			Plain: o.Plain, Profile: o.Profile,
		}
		if o.CPU != "" {
			t.CPU = fmt.Sprint(o.CPU, ".", i+1)
		}
		out = append(out, t)
	}
	return out
}

// start starts a worker. It is killed when ctx ends.
func (b *bench) start(ctx context.Context, t *task) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.CommandContext(ctx, self, b.options.Worker...), stderr: &strings.Builder{}} //nolint:gosec // this program
	w.cmd.Stderr = w.stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	b.workers = append(b.workers, w)
	return w, json.NewEncoder(w.in).Encode(t)
}

// say says a word to all workers.
func (b *bench) say(word string) error {
	for _, w := range b.workers {
		if _, err := fmt.Fprintln(w.in, word); err != nil {
			return fmt.Errorf("a worker is gone: %w", err)
		}
	}
	return nil
}

// hear waits for the next thing that a worker says.
func (w *worker) hear() (*outcome, error) {
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("a worker ended: %w", err)
	}
	var o outcome
	return &o, json.Unmarshal(line, &o)
}

// sum adds up what the workers have measured.
func (b *bench) sum(took time.Duration) (*Result, error) {
	o := b.options
	out := &Result{
		Nodes: o.Nodes, Writers: o.Nodes * o.Writers, Bytes: o.Bytes, Plain: o.Plain, Seconds: took.Seconds(), CPUs: runtime.NumCPU(), Version: o.Version,
	}
	var all histogram
	var cpu int64
	for _, w := range b.workers {
		r, err := w.hear()
		if err != nil {
			return nil, err
		}
		out.Appends += r.Appends
		out.Errors += r.Failed
		if out.FirstError == "" {
			out.FirstError = r.Reason
		}
		cpu += r.CPUus
		all.merge(&r.Took)
		if r.Leads {
			out.Leaders++
		}
	}
	out.AppendsPS = float64(out.Appends) / took.Seconds()
	if out.Appends > 0 {
		out.CPUMicros = float64(cpu) / float64(out.Appends)
	}
	out.P50, out.P99 = millis(all.quantile(0.5)), millis(all.quantile(0.99))
	return out, nil
}

// yardstick measures the database alone. The workers have ended.
func (b *bench) yardstick(ctx context.Context, r *Result) error {
	const writers, longest = 256, 5 * time.Second
	d := min(b.options.Duration, longest)
	before := processTime()
	rows, err := persistence.Yardstick(ctx, filepath.Join(b.dir, "yardstick"), writers, b.options.Bytes, d)
	if err != nil || rows == 0 {
		return err
	}
	r.YardstickPS = float64(rows) / d.Seconds()
	r.YardstickCPU = float64(processTime()-before) / float64(rows)
	return nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
