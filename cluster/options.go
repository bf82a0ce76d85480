package cluster

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/conversation"
)

// Profile says how soon a silent member is doubted.
type Profile string

// The profiles. A process that has ended is noticed at once with either.
const (
	Fast    Profile = "fast"    // a frozen or unreachable member is out of the view in 3 to 7 s
	Careful Profile = "careful" // in about 7 s; for networks and machines that stall
)

// ServingState says whether a node is ready to own grains.
type ServingState int

// The states.
const (
	NotServing ServingState = iota
	Serving
)

// Endpoint is where a node listens and how others reach it there.
type Endpoint struct {
	Listen    string // host:port; port 0 takes any free one
	Advertise string // host, or host:port, under which peers reach it; empty = what was bound
}

// listening is how long a node that was told of nobody waits to be told by one who
// knew the node at its address, before it founds a cluster. Members look there
// once a second.
const listening = 3 * time.Second

// NodeOptions configure a [Node]. System, Key, the endpoints, Logger and
// Registerer are needed.
type NodeOptions struct {
	System *actor.ActorSystem // the node gives it its name and address
	Name   string             // of the cluster; nodes of another name are strangers; default "colloquy"
	Key    string             // the cluster's secret, see [CheckKey]

	Gossip Endpoint // TCP and UDP
	Link   Endpoint
	Grains Endpoint
	HTTP   string // address of the API that others are told; may be empty

	Seeds     []string      // host:port of nodes to ask at start; a name stands for all its addresses
	SeedsFile string        // the same, one a line, read again at every attempt
	Listening time.Duration // of a node without seeds before it founds a cluster alone; default 3 s
	Profile   Profile       // default Fast
	Version   string        // of the program; members are at most one minor release apart
	Certs     *Certificates // an operator's own; nil = made from the key

	Logger     *slog.Logger
	Registerer prometheus.Registerer

	// Resolve gives the addresses of a seed's host; nil = the system's resolver.
	Resolve func(ctx context.Context, host string) ([]string, error)
	Dialer  Dialer                       // opens all connections; nil = the network
	Packets func(to string) (lost bool)  // asked before a gossip packet goes out; nil = none is lost on purpose
	Carrier func(CarrierOptions) Carrier // makes what carries messages between gates; nil = protoactor's remote
}

func (o *NodeOptions) fill() {
	if o.Name == "" {
		o.Name = "colloquy"
	}
	if o.Profile == "" {
		o.Profile = Fast
	}
	if o.Listening == 0 {
		o.Listening = listening
	}
	if o.Dialer == nil {
		o.Dialer = &net.Dialer{}
	}
	if o.Resolve == nil {
		o.Resolve = net.DefaultResolver.LookupHost
	}
	if o.Packets == nil {
		o.Packets = func(string) bool { return false }
	}
}

func (o *NodeOptions) validate() error {
	if o.Profile != Fast && o.Profile != Careful {
		return conversation.Refusef(conversation.CodeInvalid, "there is no profile %q; it is fast or careful", o.Profile)
	}
	for name, e := range map[string]Endpoint{"gossip": o.Gossip, "link": o.Link, "grains": o.Grains} {
		if _, _, err := net.SplitHostPort(e.Listen); err != nil {
			return &conversation.Error{Code: conversation.CodeInvalid, Detail: name + " needs a host:port to listen on", Err: err}
		}
	}
	for _, s := range o.Seeds {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return &conversation.Error{Code: conversation.CodeInvalid, Detail: "a seed is a host:port", Err: err}
		}
	}
	return nil
}
