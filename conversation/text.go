package conversation

import (
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a participant may send. All are hard: above them the command
// is refused, nothing is cut silently.
const (
	MaxTextBytes     = 16 << 10 // one message or note
	MaxRefBytes      = 128      // a sender's message id
	MaxMetadataBytes = 4 << 10  // keys and values of one message together
	MaxMetadataKeys  = 32
	MaxTags          = 32
	MaxTagBytes      = 64
	MaxRepliesATurn  = 8
	MaxButtons       = 8
	MaxTimers        = 16
	MaxSlots         = 32
	MaxSlotBytes     = 512
)

// Text is what a person wrote. It logs as its length, so that content cannot
// reach a log by accident.
type Text string

// LogValue implements [slog.LogValuer].
func (t Text) LogValue() slog.Value { return slog.IntValue(len(t)) }

// check refuses text that is empty, too long, not UTF-8 or holds control
// characters other than tab and line breaks.
func (t Text) check() error {
	switch {
	case len(t) > MaxTextBytes:
		return Refusef(CodeTextTooLong, "%d bytes, the limit is %d", len(t), MaxTextBytes)
	case !utf8.ValidString(string(t)):
		return Refuse(CodeBadText, "the text is not valid UTF-8")
	}
	blank := true
	for _, r := range string(t) {
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f {
			return Refusef(CodeBadText, "the text holds the control character U+%04X", r)
		}
		if r > ' ' && r != 0xa0 && r != 0x3000 && r != 0x200b && r != 0xfeff {
			blank = false
		}
	}
	if blank {
		return Refuse(CodeEmptyText, "the text holds nothing to read")
	}
	return nil
}

// check refuses a ref that is too long or not UTF-8.
func (r Ref) check() error {
	if len(r) > MaxRefBytes {
		return Refusef(CodeBadRef, "%d bytes, the limit is %d", len(r), MaxRefBytes)
	}
	if !utf8.ValidString(string(r)) {
		return Refuse(CodeBadRef, "the id is not valid UTF-8")
	}
	if strings.ContainsFunc(string(r), unicode.IsControl) {
		return Refuse(CodeBadRef, "the id holds a control character")
	}
	return nil
}

// of keeps the ids of different agents, and of agents and visitors, apart: each
// sender numbers messages as it likes. No sender can write the separator.
func (r Ref) of(a AgentID) Ref {
	if r == "" {
		return ""
	}
	return Ref(a) + "\x00" + r
}

// storable reports whether the stored form gives all of them back as they are.
// JSON replaces what is not UTF-8, so that a recovered state would differ from
// the one that was live.
func storable(all ...string) bool {
	for _, s := range all {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

// CheckMetadata says whether a message may carry the metadata. Errors: codes too much
// metadata and bad text.
func CheckMetadata(m map[string]string) error {
	if len(m) > MaxMetadataKeys {
		return Refusef(CodeTooMuchMetadata, "%d keys, the limit is %d", len(m), MaxMetadataKeys)
	}
	n := 0
	for k, v := range m {
		n += len(k) + len(v)
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return Refuse(CodeBadText, "the metadata is not valid UTF-8")
		}
	}
	if n > MaxMetadataBytes {
		return Refusef(CodeTooMuchMetadata, "%d bytes, the limit is %d", n, MaxMetadataBytes)
	}
	return nil
}
