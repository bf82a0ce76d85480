// Command sql measures messages a second that are durable before they are
// answered, in three ways and one run: as one row each by GORM's Create into a
// MariaDB of its own, which is how a customer-service backend on a database
// stores them; as one append each to the journal, which takes its place; and
// through POST /webhook of a whole node.
//
//	go run . -colloquy ../../bin/colloquy
//
// Row and append are called from the same process; each is a message that is
// known again by its sender's id, and moves its conversation to the top of a
// list or index. The node does more: it answers HTTP and leads the conversation.
// All have texts of the same length, 16 and 64 writers, and a disk that has to
// confirm each commit.
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
	AppendPS      float64 `json:"append_per_s"`
	AppendMicros  float64 `json:"append_cpu_us"`
	InsertPS      float64 `json:"gorm_create_per_s"`
	AppendRatio   float64 `json:"append_ratio"`  // appends to rows
	WebhookRatio  float64 `json:"webhook_ratio"` // messages of the webhook to rows
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
	fmt.Println("writers  GORM Create/s  append/s  CPU µs  ratio  POST /webhook/s  CPU µs  ratio")
	for _, r := range results {
		fmt.Printf("%7d  %13.0f  %8.0f  %6.1f  %5.1f  %15.0f  %6.1f  %5.1f\n", r.Writers, r.InsertPS,
			r.AppendPS, r.AppendMicros, r.AppendRatio, r.WebhookPS, r.WebhookMicros, r.WebhookRatio)
	}
	return nil
}

// measure takes the three in turn, so that what else the machine does meets all.
func (o *options) measure(ctx context.Context) (results []result, err error) {
	dir, err := os.MkdirTemp("", "sql-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, n := range o.writers {
		r := result{Writers: n}
		if err := errors.Join(o.webhook(ctx, &r), o.journal(ctx, &r)); err != nil {
			return nil, err
		}
		if r.InsertPS, err = o.insert(ctx, dir, n); err != nil {
			return nil, err
		}
		r.AppendRatio, r.WebhookRatio = r.AppendPS/r.InsertPS, r.WebhookPS/r.InsertPS
		results = append(results, r)
	}
	return results, nil
}

// bench runs one of the program's own benchmarks.
func (o *options) bench(ctx context.Context, out any, name string, args ...string) error {
	args = append([]string{"bench", name, "--json", "--bytes", strconv.Itoa(o.bytes), "--duration", o.duration.String(), "--warmup", o.warmup.String()}, args...)
	cmd := exec.CommandContext(ctx, o.colloquy, args...)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s bench %s: %w", o.colloquy, name, err)
	}
	return json.Unmarshal(raw, out)
}

func (o *options) webhook(ctx context.Context, r *result) error {
	var got struct {
		PS     float64 `json:"deliveries_per_s"`
		CPU    float64 `json:"cpu_us_per_delivery"`
		Errors int64   `json:"errors"`
		First  string  `json:"first_error"`
	}
	err := o.bench(ctx, &got, "webhook", "--connections", strconv.Itoa(r.Writers), "--people", strconv.Itoa(o.people))
	if err == nil && got.Errors > 0 {
		err = fmt.Errorf("the node did not take %d messages: %s", got.Errors, got.First)
	}
	r.WebhookPS, r.WebhookMicros = got.PS, got.CPU
	return err
}

func (o *options) journal(ctx context.Context, r *result) error {
	var got struct {
		PS     float64 `json:"appends_per_s"`
		CPU    float64 `json:"cpu_us_per_append"`
		Errors int64   `json:"errors"`
	}
	err := o.bench(ctx, &got, "appends", "--nodes", "1", "--writers", strconv.Itoa(r.Writers))
	if err == nil && got.Errors > 0 {
		err = fmt.Errorf("the journal did not take %d appends", got.Errors)
	}
	r.AppendPS, r.AppendMicros = got.PS, got.CPU
	return err
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
