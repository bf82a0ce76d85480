package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what a run comes to.
type Report struct {
	Passed  bool    `json:"passed"`
	Nodes   int     `json:"nodes"`
	Faults  []Kind  `json:"faults"` // that were injected
	Cycles  int     `json:"cycles"` // how many
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"` // of load

	Visitors int `json:"visitors"`
	Agents   int `json:"agents"`
	Webhooks int `json:"webhooks"`

	Findings

	AckP50MS      float64 `json:"ack_p50_ms"` // from a visitor's message to its acknowledgement, away from all faults
	AckP99MS      float64 `json:"ack_p99_ms"`
	FailoverP50MS int64   `json:"failover_p50_ms"` // longest wait of any visitor around a fault that took a node away: of half of those faults
	FailoverP99MS int64   `json:"failover_p99_ms"`
	GapMaxMS      int64   `json:"gap_max_ms"` // longest wait of the whole run

	Kinds       map[Kind]*KindFigures `json:"kinds"`
	ColdStartMS int64                 `json:"cold_start_ms"` // all nodes at once, until all are ready
	Replaced    Replacements          `json:"replaced"`
	Replicas    []Replica             `json:"replicas"`

	Reconnects int            `json:"reconnects"`
	Resets     int            `json:"resets"`             // times that a client had to load a conversation anew
	Refusals   []string       `json:"refusals,omitempty"` // commands that were refused for good, by code
	Ended      map[string]int `json:"ended,omitempty"`    // nodes that ended by themselves and were started again, by exit status

	Limits  []string `json:"limits"` // what this run could not do
	Command string   `json:"command,omitempty"`
	Version string   `json:"version,omitempty"`
	CPUs    int      `json:"cpus"`
	Kept    string   `json:"kept,omitempty"` // folder with data and logs

	UpgradedFrom string `json:"upgraded_from,omitempty"` // version that the nodes began with, when it was another one
	Upgraded     int    `json:"upgraded,omitempty"`      // nodes that went from it to this one under load

	Recoveries []time.Duration `json:"-"` // of each fault, until all nodes were ready again
}

// Replacements are the nodes that lost their disk and came back empty.
type Replacements struct {
	Count      int   `json:"count"`
	LevelP50MS int64 `json:"level_p50_ms"` // until the new node had everything and was ready
	LevelMaxMS int64 `json:"level_max_ms"`
}

// Replica is what one node had on its disk at the end.
type Replica struct {
	Node    int    `json:"node"`
	Applied uint64 `json:"applied"`
	Hash    string `json:"hash"`
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{w: w}
	verdict := "PASSED: nothing that was acknowledged was lost, doubled, reordered or changed"
	if !r.Passed {
		verdict = "FAILED: a promise was broken"
	}
	t.line("%s", verdict)
	t.line("")
	t.line("%d nodes, %d faults (%s) in %.0f s; %d visitors, %d agents, %d webhook senders; seed %d",
		r.Nodes, r.Cycles, Names(r.Faults), r.Seconds, r.Visitors, r.Agents, r.Webhooks, r.Seed)
	t.line("%d messages written, %d acknowledged; %d replies, %d conversations, %d entries",
		r.Sent, r.Acked, r.Replies, r.Conversations, r.Entries)
	t.line("")
	t.line("  lost %d   duplicated %d   reordered %d   other violations %d   missed by clients %d   shown twice %d",
		r.Lost, r.Duplicated, r.Reordered, r.Violations, r.Missed, r.ShownTwice)
	t.line("")
	t.line("acknowledged away from faults: p50 %.1f ms, p99 %.1f ms", r.AckP50MS, r.AckP99MS)
	t.line("longest wait of any visitor when a node was lost: p50 %d ms, p99 %d ms; of the whole run: %d ms",
		r.FailoverP50MS, r.FailoverP99MS, r.GapMaxMS)
	if r.UpgradedFrom != "" {
		t.line("upgraded under load: %d nodes, from version %s to %s", r.Upgraded, r.UpgradedFrom, r.Version)
	}
	t.line("cold start of all nodes: %d ms", r.ColdStartMS)
	if r.Replaced.Count > 0 {
		t.line("nodes replaced on an empty disk: %d, level again after p50 %d ms, at most %d ms", r.Replaced.Count, r.Replaced.LevelP50MS, r.Replaced.LevelMaxMS)
	}
	r.writeKinds(t)
	for _, replica := range r.Replicas {
		t.line("node %d on disk: journal up to %d, state %s", replica.Node, replica.Applied, short(replica.Hash))
	}
	t.line("clients reconnected %d times, and loaded a conversation anew %d times", r.Reconnects, r.Resets)
	t.list("refused for good", r.Refusals)
	for _, status := range slices.Sorted(maps.Keys(r.Ended)) {
		t.line("nodes ended by themselves with status %s: %d", status, r.Ended[status])
	}
	t.list("what was found", r.Notes)
	t.list("limits of this run", r.Limits)
	if r.Kept != "" {
		t.line("data and logs: %s", r.Kept)
	}
	if r.Command != "" {
		t.line("again: %s", r.Command)
	}
	return t.err
}

func (r *Report) writeKinds(t *text) {
	if len(r.Kinds) == 0 {
		return
	}
	t.line("")
	t.line("  %-10s %6s %8s %12s %12s %12s %14s", "fault", "count", "leaders", "gap p50 ms", "gap p99 ms", "gap max ms", "whole p50 ms")
	for _, kind := range Kinds() {
		if f := r.Kinds[kind]; f != nil {
			t.line("  %-10s %6d %8d %12d %12d %12d %14d", kind, f.Count, f.OfLeaders, f.GapP50MS, f.GapP99MS, f.GapMaxMS, f.ReadyP50)
		}
	}
	t.line("")
}

// short is the beginning of a hash.
func short(hash string) string {
	const enough = 16
	return hash[:min(len(hash), enough)]
}

// text writes lines and remembers the first error.
type text struct {
	w   io.Writer
	err error
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, strings.TrimRight(format, "\n")+"\n", args...)
	}
}

func (t *text) list(title string, items []string) {
	if len(items) > 0 {
		t.line("%s:", title)
	}
	for _, item := range items {
		t.line("  - %s", item)
	}
}
