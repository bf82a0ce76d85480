package actors

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/cpu"
)

func drawTime(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" zero") {
		return time.Time{}
	}
	return time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, label)).UTC()
}

func drawID(t *rapid.T, label string) [16]byte {
	return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
}

// drawFiles are mostly none.
func drawFiles(t *rapid.T) []conversation.Attachment {
	var out []conversation.Attachment
	for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "files") {
		out = append(out, conversation.Attachment{
			ID: conversation.AttachmentID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "file")), Name: rapid.String().Draw(t, "name"),
			Size: rapid.Int64().Draw(t, "size"), State: conversation.AttachmentPending,
		})
	}
	return out
}

func drawPairs(t *rapid.T, label string) map[string]string {
	m := rapid.MapOfN(rapid.String(), rapid.String(), 0, 4).Draw(t, label)
	if len(m) == 0 {
		return nil
	}
	return m
}

func drawDeliver(t *rapid.T) *deliver {
	in := conversation.Inbound{
		Inbox:   conversation.InboxID(rapid.StringMatching(`[a-z-]{0,40}`).Draw(t, "inbox")),
		Channel: rapid.SampledFrom(conversation.ChannelKinds()).Draw(t, "channel"),
		Contact: drawID(t, "contact"), Peer: rapid.String().Draw(t, "peer"), Ref: conversation.Ref(rapid.String().Draw(t, "ref")),
		// Any bytes: what is no text must be refused by the rules, not changed on the way.
		Text:     conversation.Text(rapid.SliceOf(rapid.Byte()).Draw(t, "text")),
		Metadata: drawPairs(t, "metadata"), Attachments: drawFiles(t), Wait: time.Duration(rapid.Int64().Draw(t, "wait")),
	}
	o := conversation.Origin{
		ID: drawID(t, "id"), Inbox: in.Inbox, Channel: in.Channel, Contact: in.Contact, Peer: in.Peer,
		Bot: rapid.Bool().Draw(t, "bot"), ReopenToHuman: rapid.Bool().Draw(t, "to human"),
		ReopenWindow: time.Duration(rapid.Int64().Draw(t, "window")),
	}
	if rapid.Bool().Draw(t, "successor") {
		o.Previous = drawID(t, "previous")
	}
	m := &deliver{in: in, origin: o}
	if rapid.Bool().Draw(t, "traced") {
		m.in.Trace = conversation.Trace{ID: drawID(t, "trace"), Sampled: rapid.Bool().Draw(t, "sampled")}
		m.in.Trace.ID[3], m.in.Trace.Span[2] = 1, 1
		m.via = rapid.StringMatching(`[a-z0-9-]{0,40}`).Draw(t, "via")
	}
	return m
}

func drawReceipt(t *rapid.T) *conversation.Receipt {
	r := &conversation.Receipt{
		Conversation: drawID(t, "id"), Seq: conversation.Seq(rapid.Uint64().Draw(t, "seq")), At: drawTime(t, "at"),
		Duplicate: rapid.Bool().Draw(t, "duplicate"), Version: conversation.Seq(rapid.Uint64().Draw(t, "version")),
		Status: rapid.SampledFrom([]conversation.Status{"", conversation.StatusOpen, conversation.StatusPending}).Draw(t, "status"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "replies") {
		m := conversation.Message{
			Seq: conversation.Seq(rapid.Uint64().Draw(t, "reply seq")), At: drawTime(t, "reply at"), From: conversation.PartyBot,
			Agent: conversation.AgentID(rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "agent")), Text: conversation.Text(rapid.String().Draw(t, "reply")),
			Note: rapid.Bool().Draw(t, "note"), InReplyTo: conversation.Seq(rapid.Uint64().Draw(t, "to")),
			Metadata: drawPairs(t, "reply metadata"), Delivery: conversation.DeliverySent,
		}
		if rapid.Bool().Draw(t, "by bot") {
			m.Bot = &conversation.Provenance{Intent: "hours", Confidence: rapid.Float32Range(0, 1).Draw(t, "confidence"), Model: "m", Behavior: "b"}
		}
		for range rapid.IntRange(0, 2).Draw(t, "buttons") {
			m.Buttons = append(m.Buttons, conversation.Button{Label: rapid.String().Draw(t, "label"), Text: rapid.String().Draw(t, "button")})
		}
		r.Replies = append(r.Replies, m)
	}
	return r
}

func TestCostsBetweenNodesComeAsTheyWent(t *testing.T) {
	t.Parallel()
	want := &cpu.Session{Conversation: "c", Channel: "web", CPU: 0.25, Recent: 0.125, Turns: 3, Last: time.Unix(1_700_000_000, 0).UTC(), Watched: true}
	data, err := conversationCodec{}.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (conversationCodec{}).Decode(data); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v came as %+v, %v", want, got, err)
	}
	if _, err := (conversationCodec{}).Decode(data[:len(data)-1]); !errors.Is(err, conversation.ErrInvalid) {
		t.Errorf("a cut cost = %v, want class invalid", err)
	}
}

func TestMessagesBetweenNodesComeAsTheyWent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		codec := conversationCodec{}
		for _, msg := range []any{drawDeliver(t), drawReceipt(t), &do{cmd: conversation.ReplyAsAgent{Agent: "eve", Ref: "r", Text: "hi"}}, &wake{}, &costQuery{}} {
			data, err := codec.Encode(msg)
			if err != nil {
				t.Fatalf("encode %T: %v", msg, err)
			}
			got, err := codec.Decode(data)
			if err != nil || !reflect.DeepEqual(got, msg) {
				t.Fatalf("%T came as %+v, %v; went as %+v", msg, got, err, msg)
			}
			longer := append(append([]byte{}, data...), "a field of a newer version"...)
			if got, err = codec.Decode(longer); err != nil || !reflect.DeepEqual(got, msg) {
				t.Fatalf("%T of a newer version came as %+v, %v", msg, got, err)
			}
			for n := range data {
				if cut, err := codec.Decode(data[:n]); err == nil && n > 2 && reflect.DeepEqual(cut, msg) {
					t.Fatalf("%d of %d bytes were enough for a %T", n, len(data), msg)
				} else if err != nil && !errors.Is(err, conversation.ErrInvalid) {
					t.Fatalf("a %T cut to %d bytes = %v, want class invalid", msg, n, err)
				}
			}
		}
	})
}

func TestQueueMessagesComeAsTheyWent(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_000).UTC()
	for _, msg := range []any{
		&presence{PresenceChange: conversation.PresenceChange{
			Agent: "eve", Presence: conversation.PresenceAway, Inboxes: []conversation.InboxID{"desk"}, Capacity: 3, Chosen: at,
		}, Node: "n1", Order: 7},
		&told{}, &viewQuery{},
		&QueueView{
			Inbox: "desk", Waiting: []conversation.Waiting{{ID: conversation.ConversationID{1}, Priority: conversation.PriorityHigh, Since: at, Skip: "eve"}},
			Seats: []conversation.Seat{{Agent: "eve", Presence: conversation.PresenceOnline, Load: 1, Capacity: 8, Since: at}},
		},
	} {
		data, err := queueCodec{}.Encode(msg)
		if err != nil {
			t.Fatalf("encode %T: %v", msg, err)
		}
		if got, err := (queueCodec{}).Decode(data); err != nil || !reflect.DeepEqual(got, msg) {
			t.Errorf("%T came as %+v, %v; went as %+v", msg, got, err, msg)
		}
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing": nil, "one byte": {formatOne}, "another format": {9, wireDeliver}, "unknown kind": {formatOne, 200},
		"a list longer than the message": append(append([]byte{formatOne, wireReceipt, 0}, make([]byte, 20)...), 0xff, 0xff, 0xff, 0xff, 0x7f),
		"a command nobody knows":         {formatOne, wireDo, 1, 'x', 2, '{', '}'},
		"a presence that is no JSON":     {formatOne, wirePresence, '{'},
	} {
		for _, decode := range []func([]byte) (any, error){conversationCodec{}.Decode, queueCodec{}.Decode} {
			if got, err := decode(data); !errors.Is(err, conversation.ErrInvalid) {
				t.Errorf("%s: %T, %v; want class invalid", name, got, err)
			}
		}
	}
	for _, encode := range []func(any) ([]byte, error){conversationCodec{}.Encode, queueCodec{}.Encode} {
		if _, err := encode(&classified{}); err == nil {
			t.Error("a private message left its node")
		}
	}
}

func FuzzConversationCodec(f *testing.F) {
	f.Add(encodeDeliver(&deliver{in: conversation.Inbound{Inbox: "shop", Text: "hi", Metadata: map[string]string{"k": "v"}}}))
	f.Add(encodeReceipt(&conversation.Receipt{Seq: 1, Replies: []conversation.Message{{Seq: 2, Text: "yes", Bot: &conversation.Provenance{}}}}))
	f.Add([]byte{formatOne, wireDo, 5, 'c', 'l', 'a', 'i', 'm', 2, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, decode := range []func([]byte) (any, error){conversationCodec{}.Decode, queueCodec{}.Decode} {
			if _, err := decode(data); err != nil && !errors.Is(err, conversation.ErrInvalid) {
				t.Errorf("%x: %v, want class invalid", data, err)
			}
		}
		msg, err := conversationCodec{}.Decode(data)
		if err != nil {
			return
		}
		again, err := conversationCodec{}.Encode(msg)
		if err != nil {
			t.Fatalf("%T cannot be written again: %v", msg, err)
		}
		if got, err := (conversationCodec{}).Decode(again); err != nil || !reflect.DeepEqual(got, msg) {
			t.Errorf("%x became %+v and then %+v, %v", data, msg, got, err)
		}
	})
}

func BenchmarkDeliverCodec(b *testing.B) {
	m := &deliver{in: conversation.Inbound{
		Inbox: "shop", Channel: conversation.ChannelWeb, Contact: conversation.ContactID{1}, Ref: "0123456789abcdef", Text: "when do you open?",
	}}
	m.origin = conversation.Origin{ID: conversation.ConversationID{1}, Inbox: m.in.Inbox, Channel: m.in.Channel, Contact: m.in.Contact, Bot: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (conversationCodec{}).Decode(encodeDeliver(m)); err != nil {
			b.Fatal(err)
		}
	}
}
