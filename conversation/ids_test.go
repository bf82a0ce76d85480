package conversation

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestIDsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		seq := Seq(rapid.Uint64().Draw(t, "seq"))
		c, ctc := ConversationID(raw), ContactID(raw)
		if got, err := ParseConversationID(c.String()); err != nil || got != c {
			t.Fatalf("ParseConversationID(%s) = %v, %v", c, got, err)
		}
		if got, err := ParseContactID(ctc.String()); err != nil || got != ctc {
			t.Fatalf("ParseContactID(%s) = %v, %v", ctc, got, err)
		}
		if gotC, gotSeq, err := ParseMessageID(MessageID(c, seq)); err != nil || gotC != c || gotSeq != seq {
			t.Fatalf("ParseMessageID(%s) = %v, %d, %v", MessageID(c, seq), gotC, gotSeq, err)
		}
		data, err := json.Marshal(struct {
			C ConversationID
			D ContactID
		}{c, ctc})
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			C ConversationID
			D ContactID
		}
		if err := json.Unmarshal(data, &back); err != nil || back.C != c || back.D != ctc {
			t.Fatalf("%s gives %v, %v", data, back, err)
		}
	})
}

// TestIDsSortLikeTheirBytes: lists are paged by the text of ids, keys by their
// bytes.
func TestIDsSortLikeTheirBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 127, 128, 255}), 16, 16)
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		bytesFirst := slices.Compare(a, b)
		if text := strings.Compare(ConversationID(a).String(), ConversationID(b).String()); text != bytesFirst {
			t.Fatalf("%x and %x: %d as bytes, %d as text", a, b, bytesFirst, text)
		}
	})
}

func TestBadIDs(t *testing.T) {
	t.Parallel()
	good := ConversationID{1, 2, 3}.String()
	goodMessage := MessageID(ConversationID{1}, 7)
	bad := map[string]string{
		"empty":              "",
		"prefix only":        "cnv_",
		"short":              good[:len(good)-1],
		"long":               good + "0",
		"other kind":         strings.Replace(good, "cnv_", "ctc_", 1),
		"upper case":         strings.ToUpper(good),
		"upper case letters": "cnv_" + strings.ToUpper(good[4:len(good)-1]) + "A",
		"letter o":           good[:10] + "o" + good[11:],
		"padding":            good[:len(good)-1] + "=",
		"not ASCII":          good[:len(good)-2] + "é",
		"line break":         good[:len(good)-2] + "\n\n",
		"line break between": good[:10] + "\r\n" + good[12:],
		"spare bits set":     good[:len(good)-1] + "1",
	}
	for name, s := range bad {
		if id, err := ParseConversationID(s); CodeOf(err) != CodeBadID || !errors.Is(err, ErrInvalid) || !id.IsZero() {
			t.Errorf("%s: ParseConversationID(%q) = %v, %v", name, s, id, err)
		}
		if id, err := ParseContactID(strings.Replace(s, "cnv_", "ctc_", 1)); name != "other kind" && (CodeOf(err) != CodeBadID || !id.IsZero()) {
			t.Errorf("%s: ParseContactID(%q) = %v, %v", name, s, id, err)
		}
	}
	messages := map[string]string{
		"empty":          "",
		"conversation":   good,
		"short":          goodMessage[:len(goodMessage)-1],
		"long":           goodMessage + "0",
		"line break":     goodMessage[:len(goodMessage)-1] + "\n",
		"line breaks":    goodMessage[:12] + "\n\n\n\n\n\n\n\n" + goodMessage[20:],
		"letter u":       goodMessage[:10] + "u" + goodMessage[11:],
		"spare bits set": goodMessage[:len(goodMessage)-1] + "z",
	}
	for name, s := range messages {
		if c, seq, err := ParseMessageID(s); CodeOf(err) != CodeBadID || !c.IsZero() || seq != 0 {
			t.Errorf("%s: ParseMessageID(%q) = %v, %d, %v", name, s, c, seq, err)
		}
	}
}

// TestZeroIDs: "none" is stored as "", never as 26 zeros.
func TestZeroIDs(t *testing.T) {
	t.Parallel()
	if text, err := (ConversationID{}).MarshalText(); err != nil || len(text) != 0 {
		t.Errorf("no conversation is %q, %v", text, err)
	}
	id, ctc := ConversationID{9}, ContactID{9}
	if err := id.UnmarshalText(nil); err != nil || !id.IsZero() {
		t.Errorf("empty text gives %v, %v", id, err)
	}
	if err := ctc.UnmarshalText([]byte("ctc_!")); err == nil || !ctc.IsZero() {
		t.Errorf("bad text leaves %v, %v", ctc, err)
	}
}

func TestNewContactID(t *testing.T) {
	t.Parallel()
	early, late := NewContactID(testDay()), NewContactID(testDay().Add(time.Millisecond))
	if early.String() >= late.String() {
		t.Errorf("%s is not before %s", early, late)
	}
	if again := NewContactID(testDay()); again == early || !slices.Equal(again[:6], early[:6]) {
		t.Errorf("%s and %s: want the same time and other random bytes", early, again)
	}
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"shop": true, "a": true, "7": true, "shop-2": true, "shop-": true, strings.Repeat("a", 40): true,
		"": false, strings.Repeat("a", 41): false, "-shop": false, "Shop": false, "a b": false, "a/b": false, "a_b": false,
		"läden": false, "a\x00": false, "a.b": false,
	} {
		inbox, err := ParseInboxID(s)
		if (err == nil) != want || want && string(inbox) != s || !want && (inbox != "" || CodeOf(err) != CodeBadID) {
			t.Errorf("ParseInboxID(%q) = %q, %v", s, inbox, err)
		}
		agent, err := ParseAgentID(s)
		if (err == nil) != want || want && string(agent) != s || !want && (agent != "" || CodeOf(err) != CodeBadID) {
			t.Errorf("ParseAgentID(%q) = %q, %v", s, agent, err)
		}
	}
}

// FuzzParseID: what is accepted has one spelling.
func FuzzParseID(f *testing.F) {
	f.Add(ConversationID{1}.String())
	f.Add(MessageID(ConversationID{1}, 2))
	f.Add("cnv_0\n0")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseConversationID(s); err == nil && id.String() != s {
			t.Errorf("%q is read as %s", s, id)
		}
		if id, seq, err := ParseMessageID(s); err == nil && MessageID(id, seq) != s {
			t.Errorf("%q is read as %s", s, MessageID(id, seq))
		}
	})
}
