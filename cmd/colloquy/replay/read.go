package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// The limits of a file of dialogues.
const (
	maxLineBytes  = 1 << 20
	maxDialogues  = 100_000
	maxTurns      = 200
	maxLineErrors = 20
)

// OutOfScope is the label of a turn that no intent of the packs covers.
const OutOfScope = "out_of_scope"

// Ending is how a dialogue ought to end.
type Ending string

// The endings.
const (
	EndsResolved Ending = "resolved" // the bot can settle it
	EndsHandoff  Ending = "handoff"  // a human has to
)

// Dialogue is a conversation as a visitor would hold it, with what ought to be
// understood.
type Dialogue struct {
	ID          string
	Domain      string
	Lang        string
	Automatable bool // a bot with these packs and look-ups could settle it
	Turns       []Turn
	Ending      Ending

	line int
}

// Turn is one message of the visitor.
type Turn struct {
	Visitor string  `json:"visitor"`
	Expect  *Expect `json:"expect"` // nil = nothing to answer: thanks, small talk, a remark
}

// Expect is what a turn ought to be understood as.
type Expect struct {
	Intent string            `json:"intent"` // of the packs, or [OutOfScope]; empty = only the slots are looked at
	Or     []string          `json:"or"`     // intents that are right as well
	Slots  map[string]string `json:"slots"`
}

// line is a dialogue as it is written.
type line struct {
	ID          string `json:"id"`
	Domain      string `json:"domain"`
	Lang        string `json:"lang"`
	Automatable *bool  `json:"automatable"`
	Turns       []Turn `json:"turns"`
	Ending      Ending `json:"expected_outcome"`
}

// Read reads dialogues, one JSON object a line. Fields that it does not know are
// ignored. known says which intents the packs have; a domain that is not empty
// leaves out the dialogues of other ones.
//
// Errors: class [conversation.ErrInvalid] naming the numbers of the lines that
// cannot be used, and why.
func Read(r io.Reader, domain string, known func(intent string) bool) ([]Dialogue, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLineBytes)
	var out []Dialogue
	var errs []error
	ids := map[string]int{}
	number := 0
	for in.Scan() {
		number++
		raw := bytes.TrimPrefix(bytes.TrimSpace(in.Bytes()), []byte("\xef\xbb\xbf"))
		if len(raw) == 0 {
			continue
		}
		d, err := readLine(raw, number, domain, known)
		if err == nil && d != nil && ids[d.ID] > 0 {
			err = conversation.Refusef(conversation.CodeInvalid, "the id %q is that of line %d", d.ID, ids[d.ID])
		}
		switch {
		case err != nil && len(errs) == maxLineErrors:
			return nil, errors.Join(append(errs, errors.New("more lines like these"))...)
		case err != nil:
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		case d != nil:
			ids[d.ID] = number
			out = append(out, *d)
		}
		if len(out) > maxDialogues {
			return nil, conversation.Refusef(conversation.CodeTooLarge, "more than %d dialogues", maxDialogues)
		}
	}
	if err := in.Err(); err != nil {
		errs = append(errs, fmt.Errorf("line %d: %w: %w", number+1, conversation.ErrInvalid, err))
	}
	if len(errs) == 0 && len(out) == 0 {
		errs = append(errs, conversation.Refuse(conversation.CodeInvalid, "there is no dialogue to replay"))
	}
	return out, errors.Join(errs...)
}

// readLine gives nil for a dialogue of another domain.
func readLine(raw []byte, number int, domain string, known func(string) bool) (*Dialogue, error) {
	var in line
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, &conversation.Error{Code: conversation.CodeInvalid, Detail: "not a JSON object with turns", Err: err}
	}
	if domain != "" && in.Domain != domain {
		return nil, nil //nolint:nilnil // as documented
	}
	d := &Dialogue{ID: in.ID, Domain: in.Domain, Lang: in.Lang, Turns: in.Turns, Ending: in.Ending, line: number}
	if d.ID == "" {
		d.ID = fmt.Sprintf("line %d", number)
	}
	switch in.Ending {
	case EndsResolved, EndsHandoff:
	case "":
		d.Ending = EndsResolved
		if in.Automatable != nil && !*in.Automatable {
			d.Ending = EndsHandoff
		}
	default:
		return nil, conversation.Refusef(conversation.CodeInvalid, "expected_outcome is resolved or handoff, not %q", in.Ending)
	}
	d.Automatable = d.Ending == EndsResolved
	if in.Automatable != nil {
		d.Automatable = *in.Automatable
	}
	return d, checkTurns(d.Turns, known)
}

func checkTurns(turns []Turn, known func(string) bool) error {
	if len(turns) == 0 || len(turns) > maxTurns {
		return conversation.Refusef(conversation.CodeInvalid, "a dialogue has 1 to %d turns, not %d", maxTurns, len(turns))
	}
	for i, t := range turns {
		if strings.TrimSpace(t.Visitor) == "" || len(t.Visitor) > conversation.MaxTextBytes {
			return conversation.Refusef(conversation.CodeInvalid, "turn %d: visitor is a text of 1 to %d bytes", i+1, conversation.MaxTextBytes)
		}
		if t.Expect == nil {
			continue
		}
		for _, id := range append([]string{t.Expect.Intent}, t.Expect.Or...) {
			if id != "" && id != OutOfScope && !known(id) {
				return conversation.Refusef(conversation.CodeInvalid, "turn %d: the packs have no intent %q", i+1, id)
			}
		}
	}
	return nil
}
