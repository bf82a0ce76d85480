package flaky

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/colloquyhq/colloquy/conversation"
)

// Report is what a run comes to.
type Report struct {
	Seconds      float64 `json:"seconds"`
	SettledAfter float64 `json:"settled_after_seconds"` // the end of the load
	Rate         float64 `json:"rate"`                  // messages a second, each way
	People       int     `json:"people"`
	Delivered    int64   `json:"delivered"` // by the provider, repetitions included
	Written      int64   `json:"written"`   // by agents, acknowledged
	LeftOut      int64   `json:"left_out"`  // steps that found too many others at work
	Refused      string  `json:"refused,omitempty"`

	Calls  int            `json:"calls"` // to the provider
	Faults map[string]int `json:"faults"`

	Sent           int `json:"sent"`
	Failed         int `json:"failed"`
	Uncertain      int `json:"uncertain"`
	UncertainTaken int `json:"uncertain_taken"` // of those, the ones that the provider has

	Lost        int      `json:"lost"`         // acknowledged and not there
	StoredTwice int      `json:"stored_twice"` // a visitor's message
	SentTwice   int      `json:"sent_twice"`
	Wrong       int      `json:"wrong"` // shown as sent and not taken, or as failed and taken
	OutOfOrder  int      `json:"out_of_order"`
	Unsettled   int      `json:"unsettled"`
	Complaints  []string `json:"complaints,omitempty"` // the first ones
	Good        bool     `json:"good"`
	Version     string   `json:"version"`
}

const maxComplaints = 20

// complain counts a fault of the node, and keeps the first ones in words.
func (r *Report) complain(counter *int, format string, args ...any) {
	*counter++
	if len(r.Complaints) < maxComplaints {
		r.Complaints = append(r.Complaints, fmt.Sprintf(format, args...))
	}
}

// count enters what is said of a message and how often the provider has it.
func (r *Report) count(fate conversation.Delivery, times int, name, text string) {
	if times > 1 {
		r.complain(&r.SentTwice, "%s: %q was sent %d times and is %s", name, text, times, fate)
	}
	switch fate {
	case conversation.DeliverySent:
		if r.Sent++; times == 0 {
			r.complain(&r.Wrong, "%s: %q is shown as sent and was not taken", name, text)
		}
	case conversation.DeliveryFailed:
		if r.Failed++; times > 0 {
			r.complain(&r.Wrong, "%s: %q is shown as failed and was taken", name, text)
		}
	case conversation.DeliveryUncertain:
		r.Uncertain++
		r.UncertainTaken += min(times, 1)
	case conversation.DeliveryPending:
		r.complain(&r.Unsettled, "%s: %q is still pending", name, text)
	}
}

// judge: a good run has none of the faults that the node answers for, and had
// those of the provider.
func (r *Report) judge() {
	r.Good = r.Lost+r.StoredTwice+r.SentTwice+r.Wrong+r.OutOfOrder+r.Unsettled == 0 && r.Refused == "" &&
		r.Sent > 0 && r.Failed > 0 && r.Uncertain > r.UncertainTaken && r.UncertainTaken > 0
}

// Print writes the report for a person.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%.0f s at %.0f messages/s each way, %d people; settled %.1f s later\n", r.Seconds, r.Rate, r.People, r.SettledAfter)
	_, _ = fmt.Fprintf(w, "in\t%d deliveries acknowledged\n", r.Delivered)
	_, _ = fmt.Fprintf(w, "out\t%d written, %d calls, %d sent, %d failed, %d uncertain, of which the provider has %d\n",
		r.Written, r.Calls, r.Sent, r.Failed, r.Uncertain, r.UncertainTaken)
	_, _ = fmt.Fprintf(w, "faults\t%d lost, %d stored twice, %d sent twice, %d shown wrongly, %d out of order, %d unsettled; %d steps left out\n",
		r.Lost, r.StoredTwice, r.SentTwice, r.Wrong, r.OutOfOrder, r.Unsettled, r.LeftOut)
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		_, _ = fmt.Fprintf(w, "  %s\t%d\n", name, r.Faults[name])
	}
	if r.Refused != "" {
		_, _ = fmt.Fprintf(w, "refused\t%s\n", r.Refused)
	}
	for _, c := range r.Complaints {
		_, _ = fmt.Fprintf(w, "  %s\n", c)
	}
	return w.Flush()
}
