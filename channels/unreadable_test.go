package channels_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// letterBox is [channels.Letters] in memory.
type letterBox struct {
	mu struct {
		sync.Mutex

		kept []conversation.DeadLetter
	}
}

func (l *letterBox) Keep(_ context.Context, letter conversation.DeadLetter, _ map[string][]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.kept = append(l.mu.kept, letter)
	return nil
}

// An element that the driver cannot read is a dead letter, as it came, and holds up
// nothing: what stands around it is stored in its order, and the provider told that
// all is well. What is for another account is counted.
func TestUnreadableElements(t *testing.T) {
	const raw = `{"from":7}`
	event := func(ref string) channels.Event {
		return channels.Event{Peer: "p", Ref: conversation.Ref(ref), Text: "hello"}
	}
	d := receiving(channels.Ack{Elsewhere: 3}, event("1"), channels.Event{Unreadable: []byte(raw)}, event("2"))
	box := &letterBox{}
	w := newWorldWith(t, func(o *channels.Options) { o.Letters = box }, "", d)
	var stored []string
	w.deliver = func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
		stored = append(stored, string(in.Ref))
		return conversation.Receipt{}, nil
	}
	c := w.channel(t, d)
	if rec := delivery(t, c, http.MethodPost); rec.Code != http.StatusOK {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
	if got := strings.Join(stored, " "); got != "1 2" {
		t.Errorf("stored %q, want the two that can be read", got)
	}
	if len(box.mu.kept) != 1 || !strings.Contains(string(box.mu.kept[0].Event), raw) || box.mu.kept[0].Reason == "" {
		t.Fatalf("kept %+v, want the one that cannot", box.mu.kept)
	}
	if err := testutil.GatherAndCompare(w.metrics, strings.NewReader(`
# HELP colloquy_channel_events_total Events in acknowledged and rejected deliveries, by what became of them. unreadable = kept as a dead letter; elsewhere = for another account.
# TYPE colloquy_channel_events_total counter
colloquy_channel_events_total{channel="telegram",outcome="duplicate"} 0
colloquy_channel_events_total{channel="telegram",outcome="elsewhere"} 3
colloquy_channel_events_total{channel="telegram",outcome="receipt"} 0
colloquy_channel_events_total{channel="telegram",outcome="refused"} 0
colloquy_channel_events_total{channel="telegram",outcome="stored"} 2
colloquy_channel_events_total{channel="telegram",outcome="unreadable"} 1
colloquy_channel_events_total{channel="telegram",outcome="unsupported"} 0
`), "colloquy_channel_events_total"); err != nil {
		t.Error(err)
	}
	// It can be looked at, and trying it again changes nothing.
	if err := c.Redeliver(t.Context(), &box.mu.kept[0], nil); conversation.CodeOf(err) != conversation.CodeInvalid {
		t.Errorf("Redeliver = %v, want a refusal", err)
	}
	if len(box.mu.kept) != 1 || len(stored) != 2 {
		t.Errorf("%d letters and %d messages afterwards", len(box.mu.kept), len(stored))
	}
}

// A message of a kind that cannot be shown is taken also where its metadata has no
// room for what the provider said.
func TestUnsupportedWithFullMetadata(t *testing.T) {
	e := channels.Event{Peer: "p", Ref: "1", Metadata: map[string]string{"a": strings.Repeat("x", 3<<10)}}
	e.Keep("hologram", []byte(strings.Repeat("y", 2<<10)))
	d := receiving(channels.Ack{}, e)
	w := newWorld(t, "", d)
	var got conversation.Inbound
	w.deliver = func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
		got = in
		return conversation.Receipt{}, nil
	}
	if rec := delivery(t, w.channel(t, d), http.MethodPost); rec.Code != http.StatusOK {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
	if _, raw := got.Metadata[channels.MetadataRaw]; raw || got.Metadata[channels.MetadataUnsupported] != "hologram" || got.Metadata["a"] == "" {
		t.Errorf("stored with %d keys, raw %v", len(got.Metadata), raw)
	}
}
