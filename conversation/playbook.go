package conversation

import "time"

// Playbook is what the operator's pack says about one intent, in one language:
// the answer, the slots it needs, the flow that looks things up. It is read
// only; holders must not change it.
type Playbook struct {
	Intent   string
	Title    string
	Answer   string      // may hold {slots} and {variables}
	Buttons  []Button    // follow-ups offered with the answer
	Need     []Slot      // asked for when absent
	Flow     *Flow       // nil = answer from the text alone
	Handover bool        // always ends at a human, after the answer
	Priority Priority    // raised to this on match; PriorityNone = leave
	Anger    AngerPolicy // what an angry visitor changes; empty = the inbox's

	Variables map[string]string // the pack's values, below the inbox's own
}

// Button is a reply the visitor can press instead of typing.
type Button struct {
	Label string `json:"label"`
	Text  string `json:"text"` // what is sent in the visitor's name when pressed
}

// Slot is a value that an answer needs.
type Slot struct {
	Name string
	Ask  string // the question that asks for it

	// Mistaken is what is said before the question when the visitor has given something
	// else that may be mistaken for it, by the name of that.
	Mistaken map[string]string
}

// Flow is a look-up over HTTP whose result is spoken.
type Flow struct {
	Name     string
	Method   string
	URL      string            // template; {slots} and {variables} are path-escaped
	Headers  map[string]string // templates
	Timeout  time.Duration
	Reply    string // template; {$.a.b} reads the JSON response
	NotFound string // said on 404
	Failed   string // said on anything else, before handover
}
