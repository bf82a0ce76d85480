package sockets

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/sockets/load"
)

// Options say what is measured, and how.
type Options struct {
	Connections int
	Duration    time.Duration
	Warmup      time.Duration
	Rate        float64 // messages a second over all connections; zero = each asks again when it is answered
	Burst       int     // messages in one write of a client
	Bytes       int     // of a message's frame
	Kind        string  // of the messages: [load.KindPing] or [load.KindSend]
	Against     string  // another server: a ws:// address, or a command; empty = the gateway
	Known       bool    // every visitor has a conversation already
	Processes   int     // servers, each with a load of its own
	Queued      int     // events given at once in a fan-out
	Rounds      int     // of a fan-out
	Stalled     int     // clients that do not read
	Messages    int     // a visitor sends before a storm
	Sigterm     bool    // a storm's node is told to end, not killed
	Dir         string  // for the data of a real node

	ServerWorker []string // arguments of this program that make it a server
	LoadWorker   []string // the same of a load
	Version      string
	Progress     io.Writer // nil = silent
}

// Limits of what can be asked for: a process may have 20,000 files open.
const (
	mostConnections = 19_000
	mostProcesses   = 8
	leastBytes      = 96
	mostBytes       = 16 << 10
)

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(o.Connections < 1 || o.Connections > mostConnections, "--connections is 1 to %d", mostConnections)
	wrong(o.Duration <= 0 || o.Warmup < 0, "--duration must be above zero, --warmup not below")
	wrong(o.Rate < 0, "--rate must not be below zero")
	wrong(o.Burst < 1 || o.Burst > 32, "--burst is 1 to 32")
	wrong(o.Bytes < leastBytes || o.Bytes > mostBytes, "--bytes is %d to %d", leastBytes, mostBytes)
	wrong(o.Processes < 1 || o.Processes > mostProcesses, "--processes is 1 to %d", mostProcesses)
	wrong(o.Queued < 1 || o.Queued > 256, "--queued is 1 to 256")
	wrong(o.Rounds < 1, "--rounds must be above zero")
	wrong(o.Stalled < 1 || o.Stalled > 500, "--stalled is 1 to 500")
	wrong(o.Messages < 1 || o.Messages > 60, "--messages is 1 to 60")
	return errors.Join(errs...)
}

func (o *Options) say(format string, args ...any) {
	if o.Progress != nil {
		_, _ = fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

// Result is what a measurement comes to. What a benchmark does not measure is
// left out.
type Result struct {
	Bench       string  `json:"bench"`
	Server      string  `json:"server"`
	Connections int     `json:"connections"`
	Seconds     float64 `json:"seconds,omitempty"`

	BytesPerConn float64 `json:"bytes_per_conn,omitempty"` // resident, after collecting garbage
	RSSBefore    int64   `json:"rss_before,omitempty"`
	RSSAfter     int64   `json:"rss_after,omitempty"`     // all connected
	RSSTouched   int64   `json:"rss_touched,omitempty"`   // each has sent three messages
	RSSAfterGC   int64   `json:"rss_after_gc,omitempty"`  // and garbage is collected
	AnonAfterGC  int64   `json:"anon_after_gc,omitempty"` // of that, without the pages of the program's file
	AnonPerConn  float64 `json:"anon_bytes_per_conn,omitempty"`
	HeapPerConn  float64 `json:"heap_bytes_per_conn,omitempty"`
	StackPerConn float64 `json:"stack_bytes_per_conn,omitempty"`
	ConnectUS    float64 `json:"connect_cpu_us,omitempty"`
	Answering    int     `json:"answering,omitempty"`

	Messages   int     `json:"messages,omitempty"`
	MsgsPerS   float64 `json:"msgs_per_s,omitempty"`
	CPUMicros  float64 `json:"cpu_us_per_msg,omitempty"`
	UserMicros float64 `json:"user_us_per_msg,omitempty"`
	Busy       float64 `json:"server_busy,omitempty"` // share of its core
	LoadBusy   float64 `json:"load_busy,omitempty"`   // the same of the load; to look for answers in vain is no work
	P50        float64 `json:"p50_ms,omitempty"`
	P99        float64 `json:"p99_ms,omitempty"`
	P999       float64 `json:"p999_ms,omitempty"`
	MaxMS      float64 `json:"max_ms,omitempty"`
	LateMS     float64 `json:"late_ms,omitempty"` // by which the load was behind its schedule at worst

	Queued        int     `json:"queued,omitempty"`
	Deliveries    int     `json:"deliveries,omitempty"`
	DeliveriesPS  float64 `json:"deliveries_per_s,omitempty"`
	DeliverMicros float64 `json:"cpu_us_per_delivery,omitempty"`

	Stalled        int     `json:"stalled,omitempty"`
	UserPerStalled float64 `json:"user_bytes_per_stalled,omitempty"`
	KernPerStalled float64 `json:"kernel_bytes_per_stalled,omitempty"`
	ClosedSlow     int     `json:"closed_slow,omitempty"` // of the stalled, with 3008
	SawSlow        int     `json:"saw_slow,omitempty"`    // of those, who read soon enough to see the code
	AloneP99       float64 `json:"alone_p99_ms,omitempty"`
	ReadingP99     float64 `json:"reading_p99_ms,omitempty"` // while as many clients that read are offered the same

	Resumed  int     `json:"resumed,omitempty"`
	Outage   float64 `json:"outage_s,omitempty"`
	ResumeS  float64 `json:"resume_s,omitempty"`  // from the moment at which the node serves again
	SettledS float64 `json:"settled_s,omitempty"` // until nothing was left unacknowledged or unseen
	Missed   *int    `json:"events_missed,omitempty"`
	Twice    *int    `json:"events_twice,omitempty"`
	Resent   int     `json:"resent,omitempty"`
	Refused  int     `json:"refused,omitempty"` // attempts to connect

	CPUs    int    `json:"cpus"`
	Version string `json:"version"`
}

func (o *Options) result(bench string) *Result {
	server := "colloquy"
	if o.Against != "" {
		server = o.Against
	}
	return &Result{Bench: bench, Server: server, Connections: o.Connections, CPUs: processors(), Version: o.Version}
}

// fill takes over what the load measured.
func (r *Result) fill(a *load.Answer, used usage) {
	r.Seconds, r.Messages = a.Seconds, a.Answers
	r.P50, r.P99, r.P999, r.MaxMS, r.LateMS = a.P50, a.P99, a.P999, a.Max, a.Late
	r.Answering = a.Answering
	if a.Seconds > 0 {
		r.MsgsPerS = float64(a.Answers) / a.Seconds
		r.Busy, r.LoadBusy = used.total.Seconds()/a.Seconds, (a.CPUMicros-a.IdleMicros)/1e6/a.Seconds
	}
	if a.Answers > 0 {
		r.CPUMicros, r.UserMicros = micros(used.total)/float64(a.Answers), micros(used.user)/float64(a.Answers)
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
