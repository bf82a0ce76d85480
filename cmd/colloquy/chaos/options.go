package chaos

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say what a run does. [Options.Validate] checks them; every value must
// be given unless its comment says otherwise.
type Options struct {
	Nodes  int
	Faults []Kind
	Cycles int // faults in all; zero = as many as fit into Duration

	Duration time.Duration // no fault begins after so long; zero = no limit
	Calm     time.Duration // between two faults, give or take half
	Pause    time.Duration // how long a frozen node stays frozen
	Cut      time.Duration // how long the network stays broken, the clock wrong and the disk full
	Skew     time.Duration // how far a clock jumps
	Heal     time.Duration // how long the cluster may take to be whole again
	Loss     int           // percent of the packets between peers that a loss drops

	Visitors int
	Agents   int
	Webhooks int
	Think    time.Duration // longest pause of a client between messages

	Pack     string
	PacksDir string // empty = the built-in packs
	Profile  string // of failure detection; empty = the node's default
	Seed     uint64 // zero = from the clock
	Dir      string // where data and logs go; they are removed after a clean run; empty = the system's temporary folder
	Keep     bool   // keep data and logs in any case
	Sabotage Sabotage
	// UpgradeFrom is a program of the version before. The nodes run it until a
	// [Restart] takes them, one after the other, to this one; empty = they run
	// this one from the start.
	UpgradeFrom string
	Command     []string // the command line, for the report
	Version     string   // of this program, for the report
	Limits      []string // what this run cannot do, known before, for the report
	// Enough ends the run early when it is closed: the fault of the moment is
	// undone, no other begins, and what was written until then is audited. nil =
	// the run goes on to its end.
	Enough   <-chan struct{}
	Progress io.Writer // gets a line for each fault; nil = nobody
}

// Sabotage is a way to harm the data on purpose, which an audit must find.
type Sabotage string

// The kinds of sabotage.
const (
	NoSabotage Sabotage = ""
	// Rollback puts older copies of the data directories of a majority back
	// under their old identities, and empties the rest.
	Rollback Sabotage = "rollback"
)

// Bounds of the options.
const (
	maxNodes   = 9
	maxClients = 10_000
	maxLoss    = 95
)

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Nodes < 1 || o.Nodes > maxNodes {
		bad("--nodes is 1 to %d", maxNodes)
	}
	if o.Visitors < 1 || o.Agents < 0 || o.Webhooks < 0 || o.Visitors+o.Agents+o.Webhooks > maxClients {
		bad("--visitors is at least 1, --agents and --webhooks at least 0, all together at most %d", maxClients)
	}
	if o.Cycles < 0 || o.Duration < 0 {
		bad("--cycles and --duration are not below zero")
	}
	if o.Cycles == 0 && o.Duration == 0 && len(o.Faults) > 0 {
		bad("--cycles or --duration must say when to stop")
	}
	for name, d := range map[string]time.Duration{
		"--calm": o.Calm, "--pause": o.Pause, "--cut": o.Cut, "--skew": o.Skew, "--heal": o.Heal, "--think": o.Think,
	} {
		if d <= 0 {
			bad("%s must be above zero, such as 5s", name)
		}
	}
	if o.Loss < 1 || o.Loss > maxLoss {
		bad("--loss is 1 to %d percent", maxLoss)
	}
	if i := slices.IndexFunc(o.Faults, func(k Kind) bool { return !slices.Contains(Kinds(), k) }); i >= 0 {
		bad("%q is no kind of fault; there are %s", o.Faults[i], Names(Kinds()))
	}
	if o.UpgradeFrom != "" && !slices.Contains(o.Faults, Restart) {
		bad("--upgrade-from needs the fault %s, which is the upgrade", Restart)
	}
	if o.Sabotage != NoSabotage && o.Sabotage != Rollback {
		bad("%q is no sabotage; there is %s", o.Sabotage, Rollback)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
