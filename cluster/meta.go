package cluster

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/colloquyhq/colloquy/conversation"
)

// meta is what a node says about itself in the gossip, at most 512 bytes of
// JSON. Fields of newer versions are ignored. A port alone stands for the same
// host as the link's.
type meta struct {
	Journal   string `json:"j,omitempty"` // identity on the disk
	Cluster   string `json:"c,omitempty"` // identity of the cluster on the disk
	Link      string `json:"l"`
	Grains    string `json:"g"`
	HTTP      string `json:"h,omitempty"`
	Version   string `json:"v"`
	Started   int64  `json:"t"` // unix milliseconds
	Serving   bool   `json:"s,omitempty"`
	Draining  bool   `json:"d,omitempty"`
	Candidate NodeID `json:"f,omitempty"` // whom this node would have found the cluster
	Seq       uint64 `json:"n,omitempty"` // goes up with every change
}

func (m meta) encode() ([]byte, error) {
	host, _, _ := net.SplitHostPort(m.Link)
	m.Grains, m.HTTP = shorten(m.Grains, host), shorten(m.HTTP, host)
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode what the node says about itself: %w", err)
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, conversation.Refusef(conversation.CodeInvalid, "the node's addresses are too long: %d bytes of gossip, at most %d", len(b), memberlist.MetaMaxSize)
	}
	return b, nil
}

func decodeMeta(b []byte) (meta, error) {
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return meta{}, fmt.Errorf("read what a node says about itself: %w", err)
	}
	host, _, err := net.SplitHostPort(m.Link)
	if err != nil {
		return meta{}, fmt.Errorf("read a node's link address: %w", err)
	}
	m.Grains, m.HTTP = lengthen(m.Grains, host), lengthen(m.HTTP, host)
	return m, nil
}

func shorten(address, host string) string {
	if h, port, err := net.SplitHostPort(address); err == nil && h == host && h != "" {
		return ":" + port
	}
	return address
}

func lengthen(address, host string) string {
	if port, ok := strings.CutPrefix(address, ":"); ok {
		return net.JoinHostPort(host, port)
	}
	return address
}

func (m meta) member(id NodeID, gossip string) Member {
	return Member{
		ID: id, Address: m.Link, Gossip: gossip, Grains: m.Grains, HTTP: m.HTTP, Journal: m.Journal, Cluster: m.Cluster,
		Version: m.Version, Started: time.UnixMilli(m.Started).UTC(), Serving: m.Serving, Draining: m.Draining,
		candidate: m.Candidate,
	}
}

// compatible says why a node with another's meta cannot be in one cluster with
// this one; empty = it can.
func (m meta) compatible(other meta) string {
	if m.Cluster != "" && other.Cluster != "" && m.Cluster != other.Cluster {
		return "it belongs to another cluster"
	}
	major, minor, ok := release(m.Version)
	major2, minor2, ok2 := release(other.Version)
	if ok && ok2 && (major != major2 || max(minor, minor2)-min(minor, minor2) > 1) {
		return fmt.Sprintf("it runs version %s and this node %s; members are at most one minor release apart", other.Version, m.Version)
	}
	return ""
}

// release reads the first two numbers of a version. Builds without numbers,
// such as a developer's, are trusted to know what they do.
func release(version string) (major, minor int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return 0, 0, false
	}
	digits := strings.IndexFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' })
	if digits >= 0 {
		parts[1] = parts[1][:digits]
	}
	minor, err = strconv.Atoi(parts[1])
	return major, minor, err == nil
}
