package flaky

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// A report sees each fault that a node can have, and nothing in a clean story.
func TestCheckSeesFaults(t *testing.T) {
	t.Parallel()
	const sent, failed, uncertain, pending = conversation.DeliverySent, conversation.DeliveryFailed, conversation.DeliveryUncertain, conversation.DeliveryPending
	for name, c := range map[string]struct {
		in, out, taken []string
		fates          []conversation.Delivery
		ackIn, ackOut  []string
		counter        func(*Report) int
		want           int
	}{
		"clean": {
			in: []string{"in 1"}, ackIn: []string{"1"}, out: []string{"a", "b", "c"}, ackOut: []string{"a", "b", "c"},
			fates: []conversation.Delivery{sent, failed, uncertain}, taken: []string{"a", "c"},
			counter: func(r *Report) int { return len(r.Complaints) },
		},
		"a message in is lost":    {ackIn: []string{"1"}, counter: func(r *Report) int { return r.Lost }, want: 1},
		"a message out is lost":   {ackOut: []string{"a"}, counter: func(r *Report) int { return r.Lost }, want: 1},
		"stored twice":            {in: []string{"in 1", "in 1"}, counter: func(r *Report) int { return r.StoredTwice }, want: 1},
		"sent twice":              {out: []string{"a"}, fates: []conversation.Delivery{sent}, taken: []string{"a", "a"}, counter: func(r *Report) int { return r.SentTwice }, want: 1},
		"uncertain and repeated":  {out: []string{"a"}, fates: []conversation.Delivery{uncertain}, taken: []string{"a", "a"}, counter: func(r *Report) int { return r.SentTwice }, want: 1},
		"shown as sent":           {out: []string{"a"}, fates: []conversation.Delivery{sent}, counter: func(r *Report) int { return r.Wrong }, want: 1},
		"shown as failed":         {out: []string{"a"}, fates: []conversation.Delivery{failed}, taken: []string{"a"}, counter: func(r *Report) int { return r.Wrong }, want: 1},
		"out of order":            {out: []string{"a", "b"}, fates: []conversation.Delivery{sent, sent}, taken: []string{"b", "a"}, counter: func(r *Report) int { return r.OutOfOrder }, want: 1},
		"nobody says what became": {out: []string{"a"}, fates: []conversation.Delivery{pending}, counter: func(r *Report) int { return r.Unsettled }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := &story{in: c.in, out: c.out, fate: make(map[string]conversation.Delivery)}
			for i, f := range c.fates {
				st.fate[c.out[i]] = f
			}
			var r Report
			st.check(&r, "anna", c.ackIn, c.ackOut, c.taken)
			if got := c.counter(&r); got != c.want {
				t.Errorf("%d, want %d: %v", got, c.want, r.Complaints)
			}
		})
	}
}

// Each fault comes to the driver as the class that its name says.
func TestFaultsAreWhatTheySay(t *testing.T) {
	t.Parallel()
	sum := 0
	for _, f := range faults() {
		sum += f.weight
		if strings.Contains(f.name, "no answer") {
			continue // takes the driver's patience
		}
		srv := httptest.NewServer(http.HandlerFunc(f.answer))
		reply, err := channels.Do(t.Context(), srv.Client(), channels.Call{URL: srv.URL, JSON: map[string]string{"to": "anna"}})
		if err == nil {
			var v struct{}
			err = reply.JSON(&v)
		}
		srv.Close()
		if err == nil {
			t.Errorf("%s: no error", f.name)
			continue
		}
		byStatus := strings.Contains(f.name, "status") || strings.HasPrefix(f.name, "unknown")
		if class, _, _ := strings.Cut(f.name, ":"); byStatus && string(channels.ClassOf(err)) != class {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	if sum >= shares/2 {
		t.Errorf("%d of %d first attempts fail", sum, shares)
	}
}

// The same run has the same faults; a third attempt has none.
func TestFaultsArePlanned(t *testing.T) {
	t.Parallel()
	all, failing := faults(), 0
	for i := range 5000 {
		text := strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26)
		first := faultOf(all, 1, text, 1)
		if first != faultOf(all, 1, text, 1) || faultOf(all, 1, text, 3) != nil {
			t.Fatal("the plan changes")
		}
		if first != nil {
			failing++
		}
	}
	if failing < 250 || failing > 1500 {
		t.Errorf("%d of 5000 first attempts fail", failing)
	}
}
