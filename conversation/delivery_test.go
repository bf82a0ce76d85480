package conversation

import (
	"slices"
	"testing"
)

// A message that failed goes out once more when it is asked for, in a row of its
// own; asking again while it is on its way, or when it has arrived, does nothing.
func TestSendAgain(t *testing.T) {
	t.Parallel()
	h := pending(t, ChannelWeChat)
	h.mustRun(t, Claim{Agent: "eve"}, ReplyAsAgent{Agent: "eve", Text: "good day"})
	message := h.state.newestMessage()
	again := SendAgain{Message: message, By: "root"}
	nothing := func(when string) {
		t.Helper()
		if st, err := h.run(again); err != nil || st.err != nil || len(st.entries) != 0 {
			t.Errorf("%s: %v, %v, %v, want nothing", when, st.entries, st.err, err)
		}
	}
	nothing("on its way")
	h.mustRun(t, RecordDelivery{Message: message, Result: DeliveryFailed, Detail: "permanent"}, ReplyAsAgent{Agent: "eve", Text: "are you there?"})
	other := h.state.newestMessage()

	st, err := h.run(again)
	if err != nil || st.err != nil || len(st.effects) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	row := st.effects[0].(SendOutbound).Message //nolint:forcetypeassert // a panic fails the test as well
	if row.Message != message || row.Text != "good day" || row.From != PartyAgent || row.Row() <= other {
		t.Fatalf("row %+v", row)
	}
	nothing("asked for twice")
	// What becomes of the row becomes of the message, and of no other.
	h.mustRun(t, RecordDelivery{Message: message, Again: row.Again, Result: DeliverySent, ProviderID: "p"})
	if m, _ := h.state.MessageAt(message); m.Delivery != DeliverySent || !slices.Equal(h.state.Unsent, []Seq{other}) {
		t.Errorf("the message is %s, unsent are %v", m.Delivery, h.state.Unsent)
	}
	nothing("arrived")
	if _, err := Decide(h.state, SendAgain{Message: 1}, h.now); CodeOf(err) != CodeNotFound {
		t.Errorf("what is no message of ours: %v", err)
	}
}
