package persistence

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// A head is stored with every append, read for every row of a list and shown to
// every watcher, so it has a form of its own instead of JSON:
//
//	headForm id16 contact16 version (string)* (time)* count (tag)* mood count (reason)* count (anomaly time)* erased
//
// A later form may add fields at the end; who does not know them passes them
// over. Form 1 ends before the mood, form 2 before the anomalies; only what is left of
// an erased conversation is written in form 4, which says so.
const (
	headForm   = 3
	erasedForm = 4
)

// headStrings are the strings of a head in the order in which they are stored.
func headStrings(h *conversation.Head) [12]*string {
	return [...]*string{
		(*string)(&h.Inbox), (*string)(&h.Channel), &h.Peer, (*string)(&h.Status), (*string)(&h.Handler), (*string)(&h.Queue),
		(*string)(&h.Assignee), (*string)(&h.Priority), (*string)(&h.Reason), &h.Intent, (*string)(&h.Preview), (*string)(&h.PreviewFrom),
	}
}

// headTimes are its times.
func headTimes(h *conversation.Head) [5]*time.Time {
	return [...]*time.Time{&h.QueuedAt, &h.CreatedAt, &h.LastActivity, &h.WaitingSince, &h.SnoozedUntil}
}

func appendHead(b []byte, h *conversation.Head) []byte {
	form := byte(headForm)
	if h.Erased {
		form = erasedForm
	}
	b = append(b, form)
	b = append(b, h.ID[:]...)
	b = append(b, h.Contact[:]...)
	b = binary.AppendUvarint(b, uint64(h.Version))
	for _, s := range headStrings(h) {
		b = appendBytes(b, *s)
	}
	for _, t := range headTimes(h) {
		b = appendTime(b, *t)
	}
	b = binary.AppendUvarint(b, uint64(len(h.Tags)))
	for _, tag := range h.Tags {
		b = appendBytes(b, tag)
	}
	b = appendBytes(b, string(h.Mood))
	b = binary.AppendUvarint(b, uint64(len(h.MoodReasons)))
	for _, reason := range h.MoodReasons {
		b = appendBytes(b, string(reason))
	}
	b = binary.AppendUvarint(b, uint64(len(h.Anomalies)))
	for _, a := range h.Anomalies {
		b = appendTime(appendBytes(b, string(a.Kind)), a.At)
	}
	if h.Erased {
		b = append(b, 1)
	}
	return b
}

func decodeHead(b []byte) (conversation.Head, error) {
	var h conversation.Head
	if len(b) > 0 && b[0] == '{' { // of before the first release
		if err := json.Unmarshal(b, &h); err != nil {
			return h, fmt.Errorf("%w: head: %w", ErrCorrupt, err)
		}
		return h, nil
	}
	r := reader{b: b}
	form := r.byte()
	if form == 0 {
		return h, fmt.Errorf("%w: head", ErrCorrupt)
	}
	h.ID, h.Contact, h.Version = r.id(), conversation.ContactID(r.id()), conversation.Seq(r.uint())
	for _, s := range headStrings(&h) {
		*s = string(r.bytes())
	}
	for _, t := range headTimes(&h) {
		*t = r.time()
	}
	for range r.count() {
		h.Tags = append(h.Tags, string(r.bytes()))
	}
	if form > 1 {
		h.Mood = conversation.Temper(r.bytes())
		for range r.count() {
			h.MoodReasons = append(h.MoodReasons, conversation.MoodReason(r.bytes()))
		}
	}
	if form > 2 {
		for range r.count() {
			h.Anomalies = append(h.Anomalies, conversation.AnomalySeen{Kind: conversation.AnomalyKind(r.bytes()), At: r.time()})
		}
	}
	if form >= erasedForm {
		h.Erased = r.byte() != 0
	}
	if r.bad {
		return h, fmt.Errorf("%w: head", ErrCorrupt)
	}
	return h, nil
}

// appendTime adds a moment to the nanosecond, whatever the year. That of the
// zero time is one that no clock shows.
func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond())) //nolint:gosec // not negative
}

func (r *reader) time() time.Time {
	seconds, nanos := r.int(), r.uint()
	if nanos >= uint64(time.Second) {
		r.fail()
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}
