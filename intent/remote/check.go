package remote

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Understood is a result that has passed every check.
type Understood struct {
	Candidates []conversation.Candidate
	Entities   []conversation.Entity
	Lang       string
	Anger      *float64 // 0–1; nil when the server says nothing about it
}

// Labels says which names packs have. It must be quick: it is asked for every
// candidate.
type Labels interface {
	// HasIntent reports whether an utterance of these packs can mean intent.
	HasIntent(packs []string, intent string) bool
	// HasEntity reports whether the packs describe an entity of this name.
	HasEntity(packs []string, name string) bool
}

// Foreign says what becomes of intents that the packs do not have.
type Foreign string

// The ways with foreign intents.
const (
	ForeignRefuse Foreign = "refuse" // the answer is not used
	ForeignDrop   Foreign = "drop"   // the candidate is left out, the others count
)

// Check reads one result strictly: what the turn would be decided by has to be
// right, and what is wrong is said so that the server's author finds it. labels
// may be nil, then any well-formed name goes.
func Check(raw json.RawMessage, u *conversation.Utterance, labels Labels, foreign Foreign) (Understood, error) {
	var out Understood
	var r Result
	if err := json.Unmarshal(raw, &r); err != nil {
		return out, invalid("it does not fit the protocol: %s", jsonReason(err))
	}
	if r.Error != nil {
		return out, &DeclinedError{Code: clip(r.Error.Code), Message: clip(r.Error.Message)}
	}
	if r.Candidates == nil {
		return out, invalid("it has neither candidates nor an error")
	}
	if len(r.Candidates) > MaxCandidates {
		return out, invalid("%d candidates, the limit is %d", len(r.Candidates), MaxCandidates)
	}
	for i := range r.Candidates {
		if err := out.candidate(i, &r.Candidates[i], u, labels, foreign); err != nil {
			return Understood{}, err
		}
	}
	if err := out.checkEntities(r.Entities, u, labels); err != nil {
		return Understood{}, err
	}
	if r.Lang != "" && r.Lang != "zh" && r.Lang != "en" {
		return Understood{}, invalid("lang is neither zh nor en")
	}
	out.Lang = r.Lang
	if r.Anger != nil {
		if !share(*r.Anger) {
			return Understood{}, invalid("anger is not a number from 0 to 1")
		}
		out.Anger = r.Anger
	}
	return out, nil
}

func (out *Understood) candidate(i int, c *Candidate, u *conversation.Utterance, labels Labels, foreign Foreign) error {
	switch {
	case !isName(c.Intent):
		return invalid("candidate %d: intent is not a name of 1 to %d letters, digits, _, - and .", i, MaxNameBytes)
	case c.Confidence == nil:
		return invalid("candidate %d (%s): there is no confidence", i, c.Intent)
	case !share(*c.Confidence):
		return invalid("candidate %d (%s): confidence %v is not from 0 to 1", i, c.Intent, *c.Confidence)
	}
	if n := len(out.Candidates); n > 0 && float64(out.Candidates[n-1].Confidence) < *c.Confidence-orderSlack {
		return invalid("candidate %d (%s) has a higher confidence than the one before it", i, c.Intent)
	}
	for _, seen := range out.Candidates {
		if seen.Intent == c.Intent {
			return invalid("candidate %d: %s stands there twice", i, c.Intent)
		}
	}
	if labels != nil && !labels.HasIntent(u.Packs, c.Intent) {
		if foreign == ForeignDrop {
			return nil
		}
		return invalid("candidate %d: the packs have no intent %s", i, c.Intent)
	}
	out.Candidates = append(out.Candidates, conversation.Candidate{Intent: c.Intent, Confidence: float32(*c.Confidence)})
	return nil
}

// orderSlack forgives what rounding does to equal confidences.
const orderSlack = 1e-6

// checkEntities takes the entities that the packs know. Others mean nothing to
// an answer and are left out, but they have to be well-formed as well.
func (out *Understood) checkEntities(all []Entity, u *conversation.Utterance, labels Labels) error {
	if len(all) > MaxEntities {
		return invalid("%d entities, the limit is %d", len(all), MaxEntities)
	}
	for i, e := range all {
		switch {
		case !isName(e.Name):
			return invalid("entity %d: name is not a name of 1 to %d letters, digits, _, - and .", i, MaxNameBytes)
		case e.Value == "" || len(e.Value) > conversation.MaxSlotBytes || !utf8.ValidString(e.Value):
			return invalid("entity %d (%s): the value is empty or over %d bytes", i, e.Name, conversation.MaxSlotBytes)
		case e.Start == nil || e.End == nil:
			return invalid("entity %d (%s): start and end are needed", i, e.Name)
		case !span(string(u.Text), *e.Start, *e.End):
			return invalid("entity %d (%s): start %d and end %d are no part of the text, counted in bytes of UTF-8", i, e.Name, *e.Start, *e.End)
		}
		if labels == nil || labels.HasEntity(u.Packs, e.Name) {
			out.Entities = append(out.Entities, conversation.Entity{Name: e.Name, Value: e.Value, Start: *e.Start, End: *e.End})
		}
	}
	return nil
}

// span reports whether start and end cut a part out of s between characters.
func span(s string, start, end int) bool {
	if start < 0 || end <= start || end > len(s) {
		return false
	}
	return utf8.RuneStart(s[start]) && (end == len(s) || utf8.RuneStart(s[end]))
}

func share(f float64) bool { return !math.IsNaN(f) && f >= 0 && f <= 1 }

// isName keeps names apart from text: they come into logs and metrics' reasons,
// and what a visitor wrote must not.
func isName(s string) bool {
	if s == "" || len(s) > MaxNameBytes {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// clip keeps what a server says about itself short and on one line.
func clip(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// jsonReason gives what encoding/json found, without the name of our types.
func jsonReason(err error) string {
	s := strings.ReplaceAll(err.Error(), "json: ", "")
	return clip(strings.ReplaceAll(s, "remote.", ""))
}

// InvalidError is a response, or a part of one, that is not as the protocol says.
type InvalidError struct{ Reason string }

// Error implements error.
func (e *InvalidError) Error() string {
	return "the answer of the intent backend is not usable: " + e.Reason
}

func invalid(format string, args ...any) *InvalidError {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// DeclinedError is what a server gives for an utterance in place of an answer, or
// for a whole request. It is the server's word, and not a failure of it.
type DeclinedError struct{ Code, Message string }

// Error implements error.
func (e *DeclinedError) Error() string {
	return fmt.Sprintf("the intent backend declined: %s: %s", e.Code, e.Message)
}
