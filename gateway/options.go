package gateway

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
	"github.com/colloquyhq/colloquy/telemetry/flight"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// Options is what a [Gateway] is made of. The collaborators are needed, the
// rest has a default.
type Options struct {
	Conversations Conversations
	Journal       Journal
	Contacts      Contacts
	Inboxes       Inboxes
	Agents        Agents
	Credentials   Credentials
	Secrets       Secrets

	Presence    Presence      // nil = nobody is told
	Packs       Packs         // nil = the pack routes answer 503
	Drafts      Drafts        // nil = agents get no drafts
	Meters      *cpu.Meters   // what the sockets of conversations cost is charged to; nil = nobody measures
	Costs       Costs         // nil = the route of costs answers 503
	Shadows     Shadows       // nil = the route of shadows answers 503
	Shelf       Shelf         // nil = packs cannot be changed: those routes answer 503
	Accounts    Accounts      // nil = the routes of channel accounts answer 503
	Learning    Learning      // nil = no suggestions and no figures
	Relay       Relay         // nil = one node, and nobody else to ask
	Cluster     Cluster       // nil = the cluster routes answer 503
	Attachments Attachments   // nil = messages carry no files
	Linked      Linked        // nil = messages of the unified entrance carry no files
	Letters     DeadLetters   // nil = the routes of dead letters answer 503
	Traces      traces.Source // nil = the routes of traces answer 503
	Privacy     Privacy       // nil = nothing is erased: those routes answer 503
	Book        ContactBook   // nil = the routes of contacts answer 503

	Logger     *slog.Logger          // nil = silent
	Registerer prometheus.Registerer // nil = a registry nobody reads
	Flights    *flight.Recorder      // nil = it is not recorded when replies reach their sockets
	Pages      fs.FS                 // static pages; nil = none
	Channels   http.Handler          // native ingress under /v1/channels/; nil = 404

	Epoch           string               // names the incarnation of the log; a client's cursor of another one is refused
	InsecureIngress conversation.InboxID // takes webhook messages without a credential into this inbox; empty = refuse them
	TrustedProxies  []netip.Prefix       // peers whose X-Forwarded-For and X-Forwarded-Proto count; none = nobody's
	Loops           int                  // event loops that serve the sockets; 0 = one for each processor, below zero = none, every socket has goroutines
	Limits          Limits
}

// Limits bounds what clients can make the gateway spend. Zero means the
// default that stands beside each.
type Limits struct {
	BodyBytes         int64         // 256 KiB; of a request
	FrameBytes        int           // 64 KiB; of a frame or fragmented message of an agent
	VisitorFrameBytes int           // 32 KiB; the same of a visitor
	HelloBytes        int           // 4 KiB; before the connection has an owner
	HelloTimeout      time.Duration // 5 s
	PartTimeout       time.Duration // 10 s; a frame or message that has begun must be whole by then
	Heartbeat         time.Duration // 25 s; a connection silent for longer is pinged
	PongTimeout       time.Duration // 10 s; and closed when nothing comes
	WriteTimeout      time.Duration // 10 s; the oldest byte of a queue may be so old
	Linger            time.Duration // 2 s; between the close frame and the end of the connection
	SoftQueueBytes    int           // 64 KiB; above, only the newest of each ephemeral kind is kept
	HardQueueBytes    int           // 256 KiB; above, the connection is closed as slow
	QueuedBytes       int64         // 256 MiB; of all connections together; above, those that hold most are closed as slow
	SendBufferBytes   int           // 32 KiB; of the kernel, per connection
	InFlight          int           // 32; commands of one connection that have no answer yet
	Subscriptions     int           // 256; of one connection
	Missed            int           // 256; entries sent after a cursor before it is a reset

	FramesPerSecond        float64 // 20; of a visitor, with three seconds' worth at once
	AgentFramesPerSecond   float64 // 100; of an agent, the same
	Connections            int     // 100,000; of this node
	ConnectionsPerIP       int     // 256
	ConnectionsPerIdentity int     // 16; of one visitor; agents may have four times as many
	HandshakesPerSecond    float64 // 5,000 for each processor; of this node, with one second's worth at once
	HandshakesPerIP        float64 // 20 per second, with five seconds' worth at once
	LoginsPerMinute        float64 // 10; per account and per address, with as many at once
	SessionsPerMinute      float64 // 60; new visitor tokens per address, with as many at once
	DraftsPerMinute        float64 // 10; per agent, with as many at once
	UploadsPerMinute       float64 // 30; files of a visitor or an agent, with as many at once

	RequestTimeout time.Duration // 15 s; of a request's work
	SweepInterval  time.Duration // 1 s; how often time limits are looked at
}

// withDefaults fills in what was left zero.
func (l Limits) withDefaults() Limits {
	def(&l.BodyBytes, 256<<10)
	def(&l.FrameBytes, 64<<10)
	def(&l.VisitorFrameBytes, 32<<10)
	def(&l.HelloBytes, 4<<10)
	def(&l.HelloTimeout, 5*time.Second)
	def(&l.PartTimeout, 10*time.Second)
	def(&l.Heartbeat, 25*time.Second)
	def(&l.PongTimeout, 10*time.Second)
	def(&l.WriteTimeout, 10*time.Second)
	def(&l.Linger, 2*time.Second)
	def(&l.SoftQueueBytes, 64<<10)
	def(&l.HardQueueBytes, 256<<10)
	def(&l.QueuedBytes, 256<<20)
	def(&l.SendBufferBytes, 32<<10)
	def(&l.InFlight, 32)
	def(&l.Subscriptions, 256)
	def(&l.Missed, 256)
	def(&l.FramesPerSecond, 20)
	def(&l.AgentFramesPerSecond, 100)
	def(&l.Connections, 100_000)
	def(&l.ConnectionsPerIP, 256)
	def(&l.ConnectionsPerIdentity, 16)
	def(&l.HandshakesPerSecond, 5000*float64(runtime.GOMAXPROCS(0)))
	def(&l.HandshakesPerIP, 20)
	def(&l.LoginsPerMinute, 10)
	def(&l.SessionsPerMinute, 60)
	def(&l.DraftsPerMinute, 10)
	def(&l.UploadsPerMinute, 30)
	def(&l.RequestTimeout, 15*time.Second)
	def(&l.SweepInterval, time.Second)
	return l
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate reports everything that is missing or contradicts itself.
func (o *Options) Validate() error {
	var errs []error
	need := func(name string, missing bool) {
		if missing {
			errs = append(errs, errors.New("gateway: "+name+" is needed"))
		}
	}
	need("Conversations", o.Conversations == nil)
	need("Journal", o.Journal == nil)
	need("Contacts", o.Contacts == nil)
	need("Inboxes", o.Inboxes == nil)
	need("Agents", o.Agents == nil)
	need("Credentials", o.Credentials == nil)
	need("Secrets", o.Secrets == nil)
	l := o.Limits.withDefaults()
	if l.SoftQueueBytes > l.HardQueueBytes {
		errs = append(errs, errors.New("gateway: SoftQueueBytes is above HardQueueBytes"))
	}
	if l.FrameBytes < conversation.MaxTextBytes || l.VisitorFrameBytes < conversation.MaxTextBytes {
		errs = append(errs, errors.New("gateway: a frame must have room for a message"))
	}
	return errors.Join(errs...)
}
