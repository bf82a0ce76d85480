// Command sql measures messages a second that are durable before they are
// answered, in two ways and one run: through POST /webhook of a node, and as
// one row each by GORM's Create into a MariaDB of its own, which is how a
// customer-service backend on a database stores them.
//
//	go run . -colloquy ../../bin/colloquy
//
// The node answers HTTP, recognizes repetitions, leads the conversation and
// orders it; the database only stores a row. Both have the same text, 16 and 64
// writers, and a disk that has to confirm each commit.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gorm.io/gorm"
)

// message is the row. What it has is what a message of the webhook has.
type message struct {
	ID           uint64    `gorm:"primaryKey"`
	Conversation uint64    `gorm:"index"`
	Channel      string    `gorm:"size:20"`
	Peer         string    `gorm:"size:64"`
	Ref          string    `gorm:"size:64;uniqueIndex"` // the sender's id, to know repetitions by
	Text         string    `gorm:"type:text"`
	Metadata     string    `gorm:"type:text"`
	CreatedAt    time.Time `gorm:"index"`
}

// result is a line of the answer.
type result struct {
	Writers       int     `json:"writers"`
	WebhookPS     float64 `json:"webhook_per_s"`
	WebhookMicros float64 `json:"webhook_cpu_us"`
	InsertPS      float64 `json:"gorm_create_per_s"`
	Ratio         float64 `json:"ratio"`
}

// options are the flags.
type options struct {
	colloquy string
	writers  []int
	bytes    int
	people   int
	warmup   time.Duration
	duration time.Duration
}

func main() {
	var o options
	var writers string
	asJSON := flag.Bool("json", false, "print JSON")
	flag.StringVar(&o.colloquy, "colloquy", "../../bin/colloquy", "the program")
	flag.StringVar(&writers, "writers", "16,64", "writers at a time, each with one message in flight")
	flag.IntVar(&o.bytes, "bytes", 200, "of a text")
	flag.IntVar(&o.people, "people", 1000, "people who write in turn")
	flag.DurationVar(&o.warmup, "warmup", 3*time.Second, "how long to run before")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o, writers, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // what was deferred only stops signals
	}
}

func run(ctx context.Context, o *options, writers string, asJSON bool) error {
	for _, w := range strings.Split(writers, ",") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 || n > 256 {
			return fmt.Errorf("-writers: %q is not a number from 1 to 256", w)
		}
		o.writers = append(o.writers, n)
	}
	if o.bytes < 1 || o.bytes > 8000 || o.people < 256 || o.duration <= 0 || o.warmup < 0 {
		return errors.New("-bytes is from 1 to 8000, -people at least 256, -duration above zero")
	}
	results, err := o.measure(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(results)
	}
	fmt.Println("writers  POST /webhook/s  CPU µs each  GORM Create/s  ratio")
	for _, r := range results {
		fmt.Printf("%7d  %15.0f  %11.1f  %13.0f  %5.1f\n", r.Writers, r.WebhookPS, r.WebhookMicros, r.InsertPS, r.Ratio)
	}
	return nil
}

// measure takes the two in turn, so that what else the machine does meets both.
func (o *options) measure(ctx context.Context) (results []result, err error) {
	dir, err := os.MkdirTemp("", "sql-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, n := range o.writers {
		r, err := o.webhook(ctx, n)
		if err != nil {
			return nil, err
		}
		if r.InsertPS, err = o.insert(ctx, dir, n); err != nil {
			return nil, err
		}
		r.Ratio = r.WebhookPS / r.InsertPS
		results = append(results, r)
	}
	return results, nil
}

// webhook runs the program's own benchmark.
func (o *options) webhook(ctx context.Context, writers int) (result, error) {
	cmd := exec.CommandContext(ctx, o.colloquy, "bench", "webhook", "--json", "--together", "--connections", strconv.Itoa(writers),
		"--people", strconv.Itoa(o.people), "--bytes", strconv.Itoa(o.bytes), "--duration", o.duration.String(), "--warmup", o.warmup.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", o.colloquy, err)
	}
	var got struct {
		PS     float64 `json:"deliveries_per_s"`
		CPU    float64 `json:"cpu_us_per_delivery"`
		Errors int64   `json:"errors"`
		First  string  `json:"first_error"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return result{}, err
	}
	if got.Errors > 0 {
		return result{}, fmt.Errorf("the node did not take %d messages: %s", got.Errors, got.First)
	}
	return result{Writers: writers, WebhookPS: got.PS, WebhookMicros: got.CPU}, nil
}

// insert runs a server for one measurement.
func (o *options) insert(ctx context.Context, dir string, writers int) (perSecond float64, err error) {
	if dir, err = os.MkdirTemp(dir, "db-"); err != nil {
		return 0, err
	}
	d, err := startDatabase(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	db, err := d.open(ctx, writers)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, closePool(db)) }()
	return o.create(ctx, db, writers)
}

// create lets the writers insert rows and counts those of the measured time.
func (o *options) create(ctx context.Context, db *gorm.DB, writers int) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	text := strings.Repeat("where is my order? ", o.bytes/19+1)[:o.bytes]
	var next, done atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for ctx.Err() == nil {
				n := next.Add(1)
				person := n % int64(o.people)
				m := message{
					Conversation: uint64(person), Channel: "sms", Peer: "visitor-" + strconv.FormatInt(person, 10), //nolint:gosec // not below zero
					Ref: "m-" + strconv.FormatInt(n, 10), Text: text, Metadata: `{"page":"/orders","lang":"en"}`, CreatedAt: time.Now(),
				}
				if err := db.WithContext(ctx).Create(&m).Error; err != nil {
					if ctx.Err() == nil {
						cancel(fmt.Errorf("insert: %w", err))
					}
					return
				}
				done.Add(1)
			}
		})
	}
	rest(ctx, o.warmup)
	began, before := time.Now(), done.Load()
	rest(ctx, o.duration)
	rows, took := done.Load()-before, time.Since(began)
	failed := context.Cause(ctx)
	cancel(nil)
	all.Wait()
	return float64(rows) / took.Seconds(), failed
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
