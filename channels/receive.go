package channels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	bodyWithin  = 10 * time.Second // for the sender to get its body across
	ackReserve  = 500 * time.Millisecond
	maxPeerSize = 256 // bytes
	maxKindSize = 40  // bytes
)

// MetadataUnsupported is the metadata key under which the provider's name for
// a kind of message that could not be shown is kept.
const MetadataUnsupported = "unsupported"

// errPanicked says that a driver broke on its input.
var errPanicked = conversation.Refuse(conversation.CodeInternal, "the driver panicked")

// ServeHTTP takes a delivery of the provider. It answers with success only
// after every event of the delivery is durable or refused for good; when the
// store is slower than Limits.AckWithin it answers 503, so that the provider
// repeats the delivery. Events that were stored before are recognized by their
// Ref then.
func (c *Channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	kind := string(c.Kind())
	c.shared.metrics.deliveries.WithLabelValues(kind).Inc()
	out, rejected := c.receive(w, r, arrived)
	if rejected != "" {
		c.shared.metrics.rejected.WithLabelValues(kind, rejected).Inc()
	}
	out.write(w)
	c.shared.metrics.ack.WithLabelValues(kind).Observe(time.Since(arrived).Seconds())
}

// receive makes the answer to a delivery, and names the reason if it was not
// acknowledged.
func (c *Channel) receive(w http.ResponseWriter, r *http.Request, arrived time.Time) (reply, string) {
	if !slices.Contains(c.limits.Methods, r.Method) {
		out := reply{allow: strings.Join(c.limits.Methods, ", ")}
		out.Answer = Refusal(conversation.Refusef(conversation.CodeInvalid, "use %s", out.allow))
		out.Status = http.StatusMethodNotAllowed
		return out, rejectedMethod
	}
	if c.Paused() {
		return c.notNow(), rejectedPaused
	}
	body, release, err := c.readBody(w, r)
	defer release()
	if err != nil {
		return rejectedBy(err), rejectedBody
	}
	ctx, cancel := context.WithDeadline(r.Context(), arrived.Add(c.limits.AckWithin))
	defer cancel()
	request := Request{Method: r.Method, Header: r.Header, Query: r.URL.Query(), Account: c.account, At: arrived}
	events, ack, err := c.translate(ctx, request, body)
	if err != nil {
		reason := reasonOf(err)
		if reason == rejectedContent || reason == rejectedPanic {
			c.keepDelivery(ctx, request, body, err)
		}
		return rejectedBy(err), reason
	}
	// Only a sender who has proved who it is can take a slot.
	select {
	case c.deliveries <- struct{}{}:
		defer func() { <-c.deliveries }()
	default:
		return rejectedBy(conversation.Refuse(conversation.CodeOverloaded, "too many deliveries at a time")), rejectedOverload
	}
	if ack.Elsewhere > 0 {
		c.shared.metrics.events.WithLabelValues(string(c.Kind()), eventElsewhere).Add(float64(ack.Elsewhere))
		c.logger.WarnContext(ctx, "messages for another account were delivered to this one and left out", "messages", ack.Elsewhere)
	}
	outcomes, err := c.handIn(ctx, events, ack.Wait)
	if err == nil && ack.Pull != "" {
		err = c.pullAnnounced(ctx, ack.Pull)
	}
	if err != nil {
		return rejectedBy(err), rejectedStore
	}
	if len(outcomes) > 0 {
		c.health.received(arrived)
	}
	if ack.Compose != nil {
		return reply{Answer: ack.Compose(outcomes)}, ""
	}
	return reply{Answer: ack.Answer}, ""
}

func rejectedBy(err error) reply {
	out := reply{Answer: Refusal(err)}
	if transient(err) {
		out.after = retryAfter(err)
	}
	return out
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, errPanicked):
		return rejectedPanic
	case errors.Is(err, conversation.ErrUnauthenticated), errors.Is(err, conversation.ErrForbidden):
		return rejectedSignature
	case transient(err):
		return rejectedStore
	}
	return rejectedContent
}

// readBody reads the raw bytes, which is what signatures are made over. It
// never reads more than one byte over the limit. release is to be called when
// the body is not needed any more, also after an error.
func (c *Channel) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	metered := &meteredReader{from: r.Body, budget: &c.shared.bodies}
	tooLarge := conversation.Refusef(conversation.CodeTooLarge, "the limit is %d bytes", c.limits.MaxBody)
	if r.ContentLength > c.limits.MaxBody {
		return nil, metered.release, tooLarge
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, metered.release, conversation.Refuse(conversation.CodeInvalid, "compressed bodies are not taken")
	}
	// A sender that trickles its body would hold memory. Not every writer has a
	// deadline to set; the ones of real connections do.
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(bodyWithin)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	body, err = io.ReadAll(io.LimitReader(metered, c.limits.MaxBody+1))
	switch {
	case errors.Is(err, conversation.ErrOverloaded):
		return nil, metered.release, err
	case err != nil:
		return nil, metered.release, &conversation.Error{Code: conversation.CodeInvalid, Detail: "the body did not arrive", Err: err}
	case int64(len(body)) > c.limits.MaxBody:
		return nil, metered.release, tooLarge
	}
	return body, metered.release, nil
}

// translate calls the driver. A driver that panics on hostile input costs that
// delivery and nothing else.
func (c *Channel) translate(ctx context.Context, r Request, body []byte) (events []Event, ack Ack, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic value may quote the input, so only the stack is kept.
			c.logger.ErrorContext(ctx, "driver panicked on a delivery", "stack", string(debug.Stack()))
			events, ack, err = nil, Ack{}, errPanicked
		}
	}()
	events, ack, err = c.driver.Receive(ctx, r, body)
	if err == nil && len(events) > maxEvents {
		err = conversation.Refusef(conversation.CodeTooLarge, "%d events, the limit is %d", len(events), maxEvents)
	}
	return events, ack, err
}

// handIn stores the events in order. It stops at the first one that may be
// stored later, because a later event must not overtake it; an event that is
// refused for good holds nothing up.
func (c *Channel) handIn(ctx context.Context, events []Event, wait time.Duration) ([]Outcome, error) {
	outcomes := make([]Outcome, 0, len(events))
	if len(events) != 1 {
		wait = 0
	}
	if deadline, ok := ctx.Deadline(); ok && wait > 0 {
		wait = max(min(wait, time.Until(deadline)-ackReserve), 0)
	}
	for i := range events {
		receipt, err := c.handInOne(ctx, &events[i], wait)
		if err != nil && transient(err) {
			return nil, fmt.Errorf("hand in event %d of %d: %w", i+1, len(events), err)
		}
		c.count(&events[i], receipt, err)
		c.keepEvent(ctx, &events[i], err)
		c.replies.keep(events[i].Peer, events[i].ReplyTo, time.Now().Add(c.limits.ReplyWithin))
		outcomes = append(outcomes, Outcome{Ref: events[i].Ref, Receipt: receipt, Err: err})
	}
	return outcomes, nil
}

func (c *Channel) handInOne(ctx context.Context, e *Event, wait time.Duration) (conversation.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return conversation.Receipt{}, fmt.Errorf("acknowledge in time: %w", err)
	}
	if e.Receipt != nil {
		return conversation.Receipt{}, c.handInReceipt(ctx, e.Receipt)
	}
	if e.Unreadable != nil {
		return conversation.Receipt{}, conversation.Refuse(conversation.CodeInvalid, "the driver can make no message of it")
	}
	in, err := c.inbound(e)
	if err != nil {
		return conversation.Receipt{}, err
	}
	in.Wait = wait
	return c.HandIn(ctx, in, e.Files)
}

// HandIn hands in a message that came by another entrance than the channel's
// own, with files that the channel's driver knows how to fetch. It returns when
// the message, and what is to be fetched for it, is durable; the files come
// behind it.
func (c *Channel) HandIn(ctx context.Context, in conversation.Inbound, files []File) (conversation.Receipt, error) {
	if err := c.attach(ctx, &in, files); err != nil {
		return conversation.Receipt{}, err
	}
	receipt, err := c.shared.deliver(ctx, in)
	if err == nil {
		err = c.spoolFiles(ctx, &in, files, receipt)
	}
	return receipt, err
}

// inbound checks what the conversation's rules do not, and fills in who it is.
func (c *Channel) inbound(e *Event) (conversation.Inbound, error) {
	in := conversation.Inbound{
		Inbox: c.account, Channel: e.Channel, Peer: e.Peer, Ref: e.Ref, Text: e.Text, Metadata: e.Metadata,
	}
	if in.Channel == "" {
		in.Channel = c.Kind()
	}
	if err := checkPeer(in.Peer); err != nil {
		return in, err
	}
	inbox, err := c.shared.inbox(c.account)
	if err != nil {
		return in, fmt.Errorf("find inbox %s: %w", c.account, err)
	}
	if !inbox.Serves(in.Channel) {
		return in, conversation.Refuse(conversation.CodeUnknownChannel, "this inbox does not serve that kind of channel")
	}
	if e.Unsupported != "" {
		markUnsupported(&in, e.Unsupported)
	}
	in.Contact = c.shared.contact(c.account, in.Channel, in.Peer)
	return in, nil
}

// markUnsupported keeps a message that has no text: agents see that something
// came and what it was.
func markUnsupported(in *conversation.Inbound, kind string) {
	kind = kindName(kind)
	in.Metadata = maps.Clone(in.Metadata)
	if in.Metadata == nil {
		in.Metadata = make(map[string]string, 1)
	}
	in.Metadata[MetadataUnsupported] = kind
	if conversation.CheckMetadata(in.Metadata) != nil {
		delete(in.Metadata, MetadataRaw) // rather than refuse the message for it
	}
	if strings.TrimSpace(string(in.Text)) == "" {
		in.Text = conversation.Text("[" + kind + "]")
	}
}

// kindName keeps a provider's word only if it looks like one.
func kindName(s string) string {
	if len(s) > maxKindSize {
		return "unknown"
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '_' && c != '-' && c != '.' {
			return "unknown"
		}
	}
	return s
}

func checkPeer(peer string) error {
	switch {
	case peer == "":
		return conversation.Refuse(conversation.CodeInvalid, "the sender is not named")
	case len(peer) > maxPeerSize:
		return conversation.Refusef(conversation.CodeTooLarge, "the sender's name has %d bytes, the limit is %d", len(peer), maxPeerSize)
	case !utf8.ValidString(peer):
		return conversation.Refuse(conversation.CodeInvalid, "the sender's name is not valid UTF-8")
	case strings.ContainsFunc(peer, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return conversation.Refuse(conversation.CodeInvalid, "the sender's name holds control characters")
	}
	return nil
}

func (c *Channel) count(e *Event, r conversation.Receipt, err error) {
	outcome := eventStored
	switch {
	case e.Receipt != nil:
		outcome = eventReceipt
	case e.Unreadable != nil:
		outcome = eventUnreadable
	case err != nil:
		outcome = eventRefused
	case r.Duplicate:
		outcome = eventDuplicate
	case e.Unsupported != "":
		outcome = eventUnsupported
	}
	c.shared.metrics.events.WithLabelValues(string(c.Kind()), outcome).Inc()
}
