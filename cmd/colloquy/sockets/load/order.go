package load

import "time"

// Order is what the process is told to do. Exactly one field is set.
type Order struct {
	Connect *Connect `json:"connect,omitempty"`
	Ask     *Ask     `json:"ask,omitempty"`
	Await   *Await   `json:"await,omitempty"`
	Stall   *Stall   `json:"stall,omitempty"`
	Herd    *Herd    `json:"herd,omitempty"`
}

// Connect opens sockets and takes each through the protocol's opening.
type Connect struct {
	Addr      string   `json:"addr"` // host:port, IPv4
	Path      string   `json:"path"`
	Tokens    []string `json:"tokens"` // one a socket; a single one serves all
	Count     int      `json:"count"`
	First     int      `json:"first"`               // number of the first source address, so that processes do not share them
	Subscribe string   `json:"subscribe,omitempty"` // conversation that agents follow
	RecvBytes int      `json:"recv_bytes,omitempty"`
	// Return makes lost sockets wait for a [Herd] instead of ending the run.
	Return bool `json:"return,omitempty"`
}

// The kinds of questions.
const (
	KindPing = "ping" // the protocol's own ping, answered by a pong of the same bytes
	KindSend = "send" // message.send, answered by its ack
)

// Ask sends questions and measures how long their answers take.
type Ask struct {
	Kind     string        `json:"kind"`
	Duration time.Duration `json:"duration,omitempty"`
	Each     int           `json:"each,omitempty"`  // instead of a duration: so many from every socket
	Rate     float64       `json:"rate,omitempty"`  // open loop, questions a second over all; zero = closed loop
	Burst    int           `json:"burst,omitempty"` // questions in one write, and in flight on a socket in a closed loop
	Bytes    int           `json:"bytes"`           // of a message frame's payload
	From     int           `json:"from,omitempty"`  // the sockets that ask: From up to To
	To       int           `json:"to,omitempty"`    // zero = all
	Leave    bool          `json:"leave,omitempty"` // do not wait for the answers
}

// Await waits until every socket has heard so many events since it was opened.
type Await struct {
	Events  int           `json:"events"`
	From    int           `json:"from,omitempty"`
	To      int           `json:"to,omitempty"`
	Timeout time.Duration `json:"timeout"`
}

// Stall makes sockets stop reading, or read again and expect to be closed with
// a code.
type Stall struct {
	From    int           `json:"from"`
	To      int           `json:"to"`
	Resume  bool          `json:"resume,omitempty"`
	Code    int           `json:"code,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
}

// Herd lets all lost sockets dial at the same moment and waits until all are
// open again, everything unacknowledged is acknowledged and every acknowledged
// message was seen.
type Herd struct {
	Lost    bool          `json:"lost,omitempty"` // only wait until all are lost
	Timeout time.Duration `json:"timeout"`
}

// Answer is what came of an order.
type Answer struct {
	Err        string  `json:"err,omitempty"` // the order failed, and why
	Open       int     `json:"open"`          // sockets that are open
	Seconds    float64 `json:"seconds"`
	Settled    float64 `json:"settled"`   // seconds until a herd had all its acknowledgments and events too
	Answers    int     `json:"answers"`   // to questions of this order
	Answering  int     `json:"answering"` // sockets that answered every one of theirs
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	P999       float64 `json:"p999_ms"`
	Max        float64 `json:"max_ms"`
	Late       float64 `json:"late_ms"`    // by which the last question of an open loop went out after its time
	Events     int     `json:"events"`     // heard during this order
	Closed     int     `json:"closed"`     // sockets that ended with the code that was expected
	Unanswered int     `json:"unanswered"` // questions
	Missed     int     `json:"missed"`     // acknowledged messages of which no event came
	Twice      int     `json:"twice"`      // events that came a second time
	Resent     int     `json:"resent"`     // questions that were sent again after a lost connection
	Refused    int     `json:"refused"`    // attempts to connect that were refused or failed
	CPUMicros  float64 `json:"cpu_us"`     // processor time of the load process during this order
	IdleMicros float64 `json:"idle_us"`    // of that, looking for answers that were not there yet
}
