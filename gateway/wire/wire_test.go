package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/colloquyhq/colloquy/conversation"
)

var rewrite = flag.Bool("rewrite", false, "write the golden frames anew")

var (
	someConversation = conversation.ConversationID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	someContact      = conversation.ContactID{16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	someTime         = time.Date(2026, 11, 23, 8, 30, 15, 120_000_000, time.UTC)
)

// clientFrames is one full example of every frame that clients send.
func clientFrames() []ClientFrame {
	return []ClientFrame{
		&Hello{V: 1, Token: "vst_x", Resume: &Resume{Epoch: "e7", Cursors: map[conversation.ConversationID]conversation.Seq{someConversation: 41}}},
		&Send{ClientID: "c-1", Conversation: someConversation, Text: "订单 2023 在哪里?\n\"thanks\" 🙂"},
		&Send{ClientID: "c-3", Attachments: []conversation.AttachmentID{{1, 2}, {3, 4}}},
		&Note{ClientID: "c-2", Conversation: someConversation, Text: "called back"},
		&Read{Ref: "r1", Conversation: someConversation, Seq: 12},
		&Delivered{Ref: "r2", Conversation: someConversation, Seq: 13},
		&Typing{Conversation: someConversation, On: true},
		&Claim{Ref: "r3", Conversation: someConversation},
		&Assign{Ref: "r4", Conversation: someConversation, To: "mei"},
		&Resolve{Ref: "r5", Conversation: someConversation, Reason: "answered"},
		&Reopen{Ref: "r6", Conversation: someConversation},
		&Snooze{Ref: "r7", Conversation: someConversation, Until: someTime},
		&Handover{Ref: "r8", Conversation: someConversation, Detail: "wants a person"},
		&Subscribe{Ref: "r9", Conversation: someConversation, After: new(conversation.Seq)},
		&Unsubscribe{Ref: "r10", Inbox: "shop"},
		&SetPresence{Ref: "r11", State: conversation.PresenceAway},
		&Ping{Ref: "r12"},
	}
}

// serverFrames is one full example of every frame that the server sends, and
// of every kind of event for agents and for visitors.
func serverFrames() map[string]ServerFrame {
	head := someHead()
	out := map[string]ServerFrame{
		"welcome-agent": &Welcome{
			Session: "ws_1", Epoch: "e7", HeartbeatMS: 25000, MaxFrame: 65536,
			Agent: &Profile{ID: "mei", Name: "Mei", Email: "mei@example.com", Role: conversation.RoleAgent, Inboxes: []conversation.InboxID{"shop"}, Capacity: 8},
		},
		"welcome-visitor": &Welcome{
			Session: "ws_2", Epoch: "e7", HeartbeatMS: 25000, MaxFrame: 32768, Contact: someContact,
			Conversation: VisitorHead(head, names),
		},
		"resumed":   &Resumed{Complete: true},
		"reset":     &Reset{Reason: ResetTooFarBehind, Conversation: someConversation},
		"ack":       &Ack{ClientID: "c-1", Conversation: someConversation, MessageID: conversation.MessageID(someConversation, 7), Seq: 7, At: someTime, Durable: true},
		"done":      &Done{Ref: "r3", Conversation: someConversation, Version: 9, Status: conversation.StatusOpen},
		"typing":    &TypingNotice{Conversation: someConversation, On: true, From: conversation.PartyAgent, Name: "Mei"},
		"queue":     &QueuePosition{Conversation: someConversation, Position: 3},
		"presence":  &PresenceNotice{Agent: "mei", Name: "Mei", State: conversation.PresenceOnline},
		"reconnect": &Reconnect{AfterMS: 1500},
		"pong":      &Pong{},
		"pong-ref":  &Pong{Ref: "r12"},
		"updated":   UpdatedEvent(head, names),
		"error": &Error{Ref: "r3", Problem: Problem{
			Kind: "/problems/already_claimed", Title: "Another agent has the conversation.", Status: 409, Detail: "mei has it",
			Instance: "ws_1", Code: conversation.CodeAlreadyClaimed, RequestID: "ws_1",
		}},
	}
	for i, e := range fileEvents() {
		entry := conversation.Entry{Seq: conversation.Seq(i + 1), At: someTime, Event: e}
		out["event-agent-"+e.Kind()+"-attachments"] = AgentEvent(someConversation, entry, names)
		out["event-visitor-"+e.Kind()+"-attachments"], _ = VisitorEvent(someConversation, entry, names)
	}
	for i, e := range someEvents() {
		entry := conversation.Entry{Seq: conversation.Seq(i + 1), At: someTime, Event: e}
		out["event-agent-"+e.Kind()] = AgentEvent(someConversation, entry, names)
		if v, ok := VisitorEvent(someConversation, entry, names); ok {
			out["event-visitor-"+e.Kind()] = v
		}
	}
	return out
}

func names(id conversation.AgentID) string {
	if id == "mei" {
		return "Mei"
	}
	return ""
}

func someHead() conversation.Head {
	return conversation.Head{
		ID: someConversation, Inbox: "shop", Channel: conversation.ChannelWeb, Contact: someContact, Status: conversation.StatusSnoozed,
		Handler: conversation.HandlerAgent, Queue: conversation.QueueAssigned, Assignee: "mei", Priority: conversation.PriorityHigh,
		Tags: []string{"vip"}, CreatedAt: someTime, LastActivity: someTime, Preview: "hello", PreviewFrom: conversation.PartyVisitor, Version: 9,
	}
}

func someEvents() []conversation.Event {
	return []conversation.Event{
		conversation.ConversationStarted{Inbox: "shop", Channel: conversation.ChannelWeb, Contact: someContact, Peer: "secret-peer", Status: conversation.StatusPending, Handler: conversation.HandlerBot},
		conversation.MessageAccepted{Ref: "c-1", Text: "你好 <b>", Metadata: map[string]string{"page": "secret-page", "a": "b"}},
		conversation.ReplyComposed{InReplyTo: 2, Text: "Hi", Buttons: []conversation.Button{{Label: "Order", Text: "where is my order"}}, Bot: conversation.Provenance{Intent: "secret-intent", Confidence: 0.93, Model: "secret-model", Behavior: "faq"}},
		conversation.AgentReplied{Agent: "mei", Ref: "secret-ref", Text: "Mei here"},
		conversation.NoteAdded{Agent: "mei", Ref: "n1", Text: "secret-note"},
		conversation.TurnCompleted{Turn: 2, Intent: "secret-intent", Confidence: 0.93, Lang: "zh", Model: "secret-model", Slots: map[string]string{"order": "secret-slot"}},
		conversation.HandoverRequested{Reason: conversation.HandoverAsked, Intent: "secret-intent", Confidence: 0.5, Summary: "secret-summary", By: "mei"},
		conversation.AgentAssigned{Agent: "mei", Before: "secret-agent", By: "secret-agent", Claimed: true},
		conversation.AgentUnassigned{Agent: "mei", By: "mei", Reason: "secret-reason"},
		conversation.StatusChanged{From: conversation.StatusOpen, To: conversation.StatusSnoozed, Trigger: conversation.TriggerSnooze, By: "mei", Reason: "secret-reason", SnoozedUntil: someTime},
		conversation.MessagesRead{By: conversation.PartyAgent, Agent: "mei", UpTo: 4},
		conversation.MessagesDelivered{UpTo: 4},
		conversation.TagsChanged{By: "mei", Added: []string{"secret-tag"}},
		conversation.PriorityChanged{By: "mei", From: conversation.PriorityNone, To: conversation.PriorityUrgent},
		conversation.MessageSent{Message: 4, Result: conversation.DeliveryFailed, ProviderID: "secret-provider", Detail: "secret-detail", By: "secret-agent"},
		conversation.TimerStarted{Timer: conversation.Timer{ID: "secret-timer", Due: someTime}},
		conversation.TimerEnded{ID: "secret-timer", Fired: true},
		conversation.MoodChanged{
			From: conversation.TemperCalm, To: conversation.TemperAngry, Heat: 320,
			Reasons: []conversation.MoodReason{conversation.MoodThreat, conversation.MoodSudden},
		},
		conversation.AnswerJudged{By: conversation.PartyAgent, Agent: "mei", Answer: 3, Turn: 2, Verdict: conversation.VerdictWrong, Intent: "secret-right", Taken: "secret-intent", Confidence: 0.93, Model: "secret-model"},
		conversation.AttachmentChanged{Message: 2, Attachment: conversation.Attachment{
			ID: conversation.AttachmentID{3, 4}, Name: "voice.ogg", Type: "audio/ogg", Size: 9, State: conversation.AttachmentUnavailable, Reason: "too_large",
		}},
		conversation.ConversationErased{Inbox: "shop", Channel: "web", Contact: conversation.ContactID{2}, Reason: conversation.ErasedContact, By: "lead"},
		conversation.AnomalyFound{Anomaly: conversation.AnomalySlow, Measured: 492 * time.Millisecond, Usual: 120 * time.Millisecond, Count: 3},
	}
}

// fileEvents are the messages that carry files.
func fileEvents() []conversation.Event {
	photo := conversation.Attachment{
		ID: conversation.AttachmentID{1, 2}, Name: "破损 \"photo\".png", Type: "image/png", Size: 70, Blob: "secret-blob", State: conversation.AttachmentStored,
	}
	return []conversation.Event{
		conversation.MessageAccepted{Ref: "c-3", Attachments: []conversation.Attachment{
			photo, {ID: conversation.AttachmentID{3, 4}, Name: "voice.ogg", State: conversation.AttachmentPending},
		}},
		conversation.AgentReplied{Agent: "mei", Ref: "secret-ref", Text: "look", Attachments: []conversation.Attachment{photo}},
	}
}

// nameOf names the golden file of a client frame.
func nameOf(f ClientFrame) string {
	if m, ok := f.(*Send); ok && len(m.Attachments) > 0 {
		return "client-message.send-attachments.json"
	}
	return "client-" + f.Type() + ".json"
}

func TestExamplesAreComplete(t *testing.T) {
	t.Parallel()
	have := make(map[string]bool)
	for _, f := range clientFrames() {
		have[f.Type()] = true
	}
	for _, row := range ClientCatalog() {
		if !have[row.Frame.Type()] {
			t.Errorf("no example of client frame %s", row.Frame.Type())
		}
	}
	clear(have)
	for _, f := range serverFrames() {
		have[f.Type()] = true
	}
	for _, row := range ServerCatalog() {
		if !have[row.Frame.Type()] {
			t.Errorf("no example of server frame %s", row.Frame.Type())
		}
	}
	var kinds, listed []string
	for _, e := range someEvents() {
		kinds = append(kinds, e.Kind())
	}
	for _, row := range EventCatalog() {
		if row.Kind != KindUpdated {
			listed = append(listed, row.Kind)
		}
	}
	slices.Sort(listed)
	for _, list := range [][]string{kinds, conversation.EventKinds()} {
		slices.Sort(list)
		if diff := cmp.Diff(listed, list); diff != "" {
			t.Errorf("EventCatalog() and the kinds that exist differ:\n%s", diff)
		}
	}
}

// TestGolden holds the frames to the files that the console is tested with.
func TestGolden(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, f := range clientFrames() {
		name := nameOf(f)
		seen[name] = true
		want := golden(t, name, marshalClient(t, f))
		got, err := Decode(want)
		if err != nil {
			t.Fatalf("Decode(%s) = %v", name, err)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Errorf("Decode(%s) differs:\n%s", name, diff)
		}
	}
	for key, f := range serverFrames() {
		name := "server-" + key + ".json"
		seen[name] = true
		got, err := Encode(nil, f)
		if err != nil {
			t.Fatalf("Encode(%s) = %v", name, err)
		}
		if want := golden(t, name, got); !bytes.Equal(got, want) {
			t.Errorf("Encode(%s) = %s, want %s", name, got, want)
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[filepath.Base(f)] {
			t.Errorf("%s belongs to no frame", f)
		}
	}
}

func golden(t *testing.T, name string, now []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, append(slices.Clone(now), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run with -rewrite", err)
	}
	return bytes.TrimSuffix(b, []byte("\n"))
}

// marshalClient writes a client frame as a browser would.
func marshalClient(t *testing.T, f ClientFrame) []byte {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	head := `{"t":"` + f.Type() + `"`
	if len(b) > 2 {
		head += ","
	}
	return append([]byte(head), b[1:]...)
}

// TestVisitorSeesNoSecrets holds every visitor frame against everything that
// only agents may know.
func TestVisitorSeesNoSecrets(t *testing.T) {
	t.Parallel()
	visible := 0
	for i, e := range append(someEvents(), fileEvents()...) {
		entry := conversation.Entry{Seq: conversation.Seq(i + 1), At: someTime, Event: e}
		ev, ok := VisitorEvent(someConversation, entry, names)
		if !ok {
			continue
		}
		visible++
		b, err := Encode(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"secret", `"mei"`, "metadata", "confidence", "snoozed", "trigger", "claimed"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("visitor frame of %s holds %q: %s", e.Kind(), word, b)
			}
		}
	}
	if visible != 13 {
		t.Errorf("%d kinds are visible to visitors, want 13", visible)
	}
	b, err := json.Marshal(VisitorHead(someHead(), names))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("vip")) || bytes.Contains(b, []byte(`"mei"`)) || bytes.Contains(b, []byte("snoozed")) {
		t.Errorf("VisitorHead holds what is for agents: %s", b)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	id := someConversation.String()
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	tests := []struct {
		name, in string
		code     conversation.Code
		ref      string
	}{
		{"empty", ``, conversation.CodeBadFrame, ""},
		{"null", `null`, conversation.CodeBadFrame, ""},
		{"number", `42`, conversation.CodeBadFrame, ""},
		{"array", `[]`, conversation.CodeBadFrame, ""},
		{"no type", `{}`, conversation.CodeBadFrame, ""},
		{"type is a number", `{"type":1,"t":1}`, conversation.CodeBadFrame, ""},
		{"unknown type", `{"t":"kefu","ref":"x"}`, conversation.CodeBadFrame, "x"},
		{"long unknown type", `{"t":"` + strings.Repeat("a", 5000) + `"}`, conversation.CodeBadFrame, ""},
		{"something follows", `{"t":"ping"} {}`, conversation.CodeBadFrame, ""},
		{"not closed", `{"t":"ping"`, conversation.CodeBadFrame, ""},
		{"ten thousand deep", `{"t":"ping","x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, conversation.CodeBadFrame, ""},
		{"forty deep", `{"t":"ping","x":` + deep + `}`, conversation.CodeBadFrame, ""},
		{"invalid utf-8", "{\"t\":\"ping\",\"x\":\"\xff\"}", conversation.CodeBadFrame, ""},
		{"raw control character", "{\"t\":\"ping\",\"x\":\"\x00\"}", conversation.CodeBadFrame, ""},
		{"bad escape", `{"t":"ping","x":"\q"}`, conversation.CodeBadFrame, ""},
		{"short escape", `{"t":"ping","x":"\u12"}`, conversation.CodeBadFrame, ""},
		{"number with leading zero", `{"t":"ping","x":01}`, conversation.CodeBadFrame, ""},
		{"send without client id", `{"t":"message.send","text":"x"}`, conversation.CodeBadRef, ""},
		{"send without text", `{"t":"message.send","client_id":"a"}`, conversation.CodeEmptyText, "a"},
		{"send with text null", `{"t":"message.send","client_id":"a","text":null}`, conversation.CodeEmptyText, "a"},
		{"send with text number", `{"t":"message.send","client_id":"a","text":5}`, conversation.CodeBadFrame, "a"},
		{"send with long text", `{"t":"message.send","client_id":"a","text":"` + strings.Repeat("x", 16<<10+1) + `"}`, conversation.CodeTextTooLong, "a"},
		{"send with long id", `{"t":"message.send","client_id":"` + strings.Repeat("x", 129) + `","text":"x"}`, conversation.CodeTooLarge, ""},
		{"send to a bad id", `{"t":"message.send","client_id":"a","text":"x","conversation_id":"cnv_1"}`, conversation.CodeBadID, "a"},
		{"note without conversation", `{"t":"note.add","client_id":"a","text":"x"}`, conversation.CodeBadFrame, "a"},
		{"read with negative seq", `{"t":"read","conversation_id":"` + id + `","seq":-1}`, conversation.CodeBadFrame, ""},
		{"read with fraction", `{"t":"read","conversation_id":"` + id + `","seq":1.5}`, conversation.CodeBadFrame, ""},
		{"typing with on as text", `{"t":"typing","on":"yes"}`, conversation.CodeBadFrame, ""},
		{"assign to a bad id", `{"t":"assign","conversation_id":"` + id + `","to":"../x"}`, conversation.CodeBadID, ""},
		{"assign to nobody", `{"t":"assign","conversation_id":"` + id + `"}`, conversation.CodeBadFrame, ""},
		{"snooze until whenever", `{"t":"snooze","conversation_id":"` + id + `","until":"tomorrow"}`, conversation.CodeBadTime, ""},
		{"subscribe to nothing", `{"t":"subscribe"}`, conversation.CodeBadFrame, ""},
		{"subscribe to both", `{"t":"subscribe","inbox":"a","conversation_id":"` + id + `"}`, conversation.CodeBadFrame, ""},
		{"presence unknown", `{"t":"presence","state":"lunch"}`, conversation.CodeBadFrame, ""},
		{"cursors as list", `{"t":"hello","v":1,"resume":{"epoch":"e","cursors":[1]}}`, conversation.CodeBadFrame, ""},
		{"cursor of a bad id", `{"t":"hello","v":1,"resume":{"epoch":"e","cursors":{"x":1}}}`, conversation.CodeBadID, ""},
		{"version as text", `{"t":"hello","v":"1"}`, conversation.CodeBadFrame, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, err := Decode([]byte(tc.in))
			var fe *FrameError
			if !errors.As(err, &fe) || f != nil {
				t.Fatalf("Decode(%.80q) = %v, %v, want a FrameError", tc.in, f, err)
			}
			if got := conversation.CodeOf(err); got != tc.code || fe.Ref != tc.ref {
				t.Errorf("Decode(%.80q) = code %s ref %q (%v), want %s %q", tc.in, got, fe.Ref, err, tc.code, tc.ref)
			}
			if len(err.Error()) > 300 {
				t.Errorf("the error repeats the input: %d bytes", len(err.Error()))
			}
		})
	}
}

func TestDecodeBoundsCursors(t *testing.T) {
	t.Parallel()
	cursors := make(map[conversation.ConversationID]conversation.Seq)
	for i := range MaxCursors + 1 {
		cursors[conversation.ConversationID{byte(i), 1}] = 1
	}
	_, err := Decode(marshalClient(t, &Hello{V: 1, Resume: &Resume{Cursors: cursors}}))
	if got := conversation.CodeOf(err); got != conversation.CodeTooLarge {
		t.Errorf("Decode(hello with %d cursors) = %v, want %s", len(cursors), err, conversation.CodeTooLarge)
	}
}

func TestDecodeIgnoresWhatIsNew(t *testing.T) {
	t.Parallel()
	f, err := Decode([]byte(`{"later":{"a":[1,{"b":null}]},"t":"ping","ref":"x","more":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Ping{Ref: "x"}, f); diff != "" {
		t.Errorf("Decode differs:\n%s", diff)
	}
}

// TestDecodeReadsManyMembers: what is known counts wherever it stands among what
// is not.
func TestDecodeReadsManyMembers(t *testing.T) {
	t.Parallel()
	for n := range 2 * keptMembers {
		text := `{"t":"ping"`
		for i := range n {
			text += fmt.Sprintf(`,"new%d":[%d]`, i, i)
		}
		f, err := Decode([]byte(text + `,"ref":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Ping{Ref: "x"}, f); diff != "" {
			t.Errorf("Decode with %d more members differs:\n%s", n, diff)
		}
	}
}

// TestDecodeCopies overwrites the buffer after decoding: a frame outlives it.
func TestDecodeCopies(t *testing.T) {
	t.Parallel()
	for _, f := range clientFrames() {
		buf := marshalClient(t, f)
		got, err := Decode(buf)
		if err != nil {
			t.Fatal(err)
		}
		for i := range buf {
			buf[i] = 'X'
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Errorf("%s changed with its buffer:\n%s", f.Type(), diff)
		}
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"object", ` {"a":1,"b":{"a":2}} `, true},
		{"key twice", `{"a":1,"a":2}`, false},
		{"key twice by escape", `{"a":1,"\u0061":2}`, false},
		{"key twice inside", `{"x":[{"a":1,"a":2}]}`, false},
		{"at the depth", `[[[1]]]`, true},
		{"below the depth", `[[[[1]]]]`, false},
		{"siblings do not add up", `[[],[],[[]],[]]`, true},
		{"two values", `1 2`, false},
		{"nothing", ``, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := CheckJSON([]byte(tc.in), 3); (err == nil) != tc.ok {
				t.Errorf("CheckJSON(%s) = %v, want ok %v", tc.in, err, tc.ok)
			}
		})
	}
}

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	seen := make(map[CloseCode]bool)
	for _, r := range CloseCodes() {
		if seen[r.Code] {
			t.Errorf("code %d stands twice", r.Code)
		}
		seen[r.Code] = true
		switch {
		case r.Code >= 3000 && r.Code < 3500 && !r.Return, r.Code >= 3500 && r.Return:
			t.Errorf("code %d: return %v does not fit its range", r.Code, r.Return)
		case len(r.Reason) > 123:
			t.Errorf("code %d: the reason does not fit a close frame", r.Code)
		}
	}
	if got := CloseCode(4711).Row().Code; got != CloseInternal {
		t.Errorf("Row of an unknown code = %d, want %d", got, CloseInternal)
	}
}

// FuzzDecode: whatever comes, an answer and no panic; what is taken is JSON,
// and says the same when written and read again.
func FuzzDecode(f *testing.F) {
	for _, fr := range clientFrames() {
		b, err := json.Marshal(fr)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte(`{"t":"`+fr.Type()+`",`), b[1:]...))
	}
	for _, s := range []string{`{"type":1}`, `[]`, `null`, `{"t":"ping","x":"\ud800"}`, "{\"t\":\"ping\",\"ref\":\"\\u0000\"}", `{"t":"hello","v":1,"resume":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := Decode(data)
		if err != nil {
			var fe *FrameError
			if !errors.As(err, &fe) || conversation.CodeOf(err) == conversation.CodeInternal {
				t.Fatalf("Decode(%q) = %v, which is no FrameError with a code", data, err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("Decode(%q) took what is not JSON", data)
		}
		again, err := Decode(marshalClient(t, frame))
		if err != nil {
			t.Fatalf("Decode(%q) gave %#v, which cannot be read again: %v", data, frame, err)
		}
		if !reflect.DeepEqual(frame, again) {
			t.Fatalf("Decode(%q) = %#v, and again %#v", data, frame, again)
		}
	})
}

// FuzzCheckJSON compares the scanner with encoding/json.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,"x\n\u00e9\ud83d\ude42",true,false,null]}`, `[`, `"\`, `-`, `0.`, `{"a"}`, "\"\xc3\x28\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := scanner{b: data, depth: 1 << 20}
		_, err := s.value()
		if err == nil {
			err = s.end()
		}
		// encoding/json takes what is not UTF-8 and replaces it; we refuse it.
		want := json.Valid(data)
		if err == nil && !want {
			t.Fatalf("took %q, which is not JSON", data)
		}
		if err != nil && want && bytes.Equal(data, bytes.ToValidUTF8(data, []byte("?"))) {
			t.Fatalf("refused %q: %v", data, err)
		}
		if err == nil && len(data) > 0 {
			compareStrings(t, bytes.TrimSpace(data))
		}
	})
}

func compareStrings(t *testing.T, data []byte) {
	t.Helper()
	if data[0] != '"' {
		return
	}
	var want string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if got := unquote(data); got != want {
		t.Fatalf("unquote(%s) = %q, want %q", data, got, want)
	}
}

// FuzzEncode compares the hand-written appenders with encoding/json.
func FuzzEncode(f *testing.F) {
	f.Add("text <&> \u2028 \x7f \xff", "ref", "label", float32(0.93), uint64(7), int64(1763886615120))
	f.Add("", "", "", float32(1e-7), uint64(0), int64(0))
	f.Add("\"\\\b\f\n\r\t\x01", "€", "🙂", float32(1e21), uint64(1<<63), int64(253402300799999))
	f.Fuzz(func(t *testing.T, text, ref, label string, conf float32, seq uint64, ms int64) {
		if conf != conf || conf > 3e38 || conf < -3e38 { // not JSON
			conf = 0
		}
		at := time.UnixMilli(ms % 253402300799999).UTC()
		if at.Year() < 0 {
			at = someTime
		}
		m := &Message{
			ID: label, Seq: conversation.Seq(seq), At: at, From: conversation.PartyBot, Agent: conversation.AgentID(ref), Name: label,
			Text: conversation.Text(text), Note: seq%2 == 0, ClientID: conversation.Ref(ref), InReplyTo: conversation.Seq(seq / 2),
			Delivery: conversation.Delivery(label),
		}
		if seq%3 != 0 {
			m.Buttons = []conversation.Button{{Label: label, Text: text}, {}}
			m.Bot = &conversation.Provenance{Intent: ref, Confidence: conf, Model: label}
			m.Metadata = map[string]string{text: ref, ref: label, label: text}
		}
		frames := []ServerFrame{
			&Event{Conversation: someConversation, Seq: conversation.Seq(seq), At: at, Kind: label, Data: m},
			&Event{At: at, Data: &Message{Bot: &conversation.Provenance{Confidence: conf}}},
			&Ack{ClientID: conversation.Ref(ref), Conversation: someConversation, MessageID: label, Seq: conversation.Seq(seq), At: at, Durable: true, Duplicate: seq%2 == 0},
			&Ack{At: at},
			&Pong{Ref: ref},
		}
		for _, fr := range frames {
			got, err := Encode([]byte("x"), fr)
			if err != nil {
				t.Fatal(err)
			}
			want, err := encodeAny([]byte("x"), fr)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("Encode = %s\n  want %s", got, want)
			}
		}
	})
}

func BenchmarkDecodeSend(b *testing.B) {
	data := []byte(`{"t":"message.send","client_id":"01J9ZK3V5W8Q","conversation_id":"` + someConversation.String() + `","text":"我的订单2023什么时候发货?谢谢"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	ev := AgentEvent(someConversation, conversation.Entry{Seq: 7, At: someTime, Event: conversation.MessageAccepted{Ref: "c-1", Text: "我的订单2023什么时候发货?谢谢"}}, names)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = Encode(buf[:0], ev); err != nil {
			b.Fatal(err)
		}
	}
}
