package gateway

import (
	"context"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Shelf holds the packs that can be changed while the server runs.
type Shelf interface {
	// Pack gives a pack with its texts. Errors: class [conversation.ErrNotFound].
	Pack(ctx context.Context, name string) (PackView, error)
	Intents(q IntentQuery) (IntentPage, error)
	// Save stores a text that is good, or one of an earlier version again; a text
	// that is not good is a [PackRefusedError].
	Save(ctx context.Context, s PackSave) (PackSaved, error)
	// Check says what a text would come to, and stores nothing.
	Check(ctx context.Context, name string, c PackTrial) (PackCheck, error)
	// Versions gives the versions of a saved pack, newest first.
	Versions(name string) (conversation.StoredPack, error)
	Version(ctx context.Context, name string, number uint64) (PackVersionView, error)
	// Delete removes a saved pack that nobody needs.
	Delete(ctx context.Context, name string, version uint64) error
}

// PackInfo describes a loaded pack, as this node has it.
type PackInfo struct {
	Name       string      `json:"name"`
	Version    string      `json:"version"` // hash of its text
	Intents    int         `json:"intents"`
	Questions  int         `json:"questions"`
	Langs      []string    `json:"langs"`
	LoadedAt   time.Time   `json:"loaded_at,omitzero"`
	Source     string      `json:"source,omitempty"`
	Origin     string      `json:"origin,omitempty"`        // built-in, file or saved
	Saved      uint64      `json:"saved_version,omitempty"` // of a saved pack: the version that is loaded here
	State      string      `json:"state,omitempty"`         // live, training, idle, hidden or failed
	Calibrated bool        `json:"calibrated"`
	Models     []PackModel `json:"models,omitempty"`
	Error      string      `json:"error,omitempty"`
}

// PackModel is the model of a combination of packs, as inboxes name them.
type PackModel struct {
	Packs      []string `json:"packs"`
	Hash       string   `json:"hash"`           // what answers will carry
	Live       string   `json:"live,omitempty"` // what they carry now
	Calibrated bool     `json:"calibrated"`
	Err        string   `json:"error,omitempty"`
}

// PackView is a pack that can be read and, if it is a saved one, changed.
type PackView struct {
	PackInfo

	Files  []PackFile               `json:"files"`
	Stored *conversation.StoredPack `json:"-"`
}

// PackFile is one file of a pack.
type PackFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// IntentQuery chooses intents of a pack.
type IntentQuery struct {
	Pack  string
	Text  string // searched for; empty = all
	After string // the last one of the page before
	Limit int
}

// IntentPage is a page of intents.
type IntentPage struct {
	Intents []PackIntent
	Total   int // of all pages
	More    bool
}

// PackIntent is what packs say about an intent together.
type PackIntent struct {
	ID         string            `json:"id"`
	Title      map[string]string `json:"title,omitempty"`
	Answer     map[string]string `json:"answer,omitempty"`
	Ask        []PackQuestion    `json:"ask"`
	Not        []PackQuestion    `json:"not,omitempty"`
	Test       []PackQuestion    `json:"test,omitempty"`
	Buttons    []string          `json:"buttons,omitempty"`
	Need       []string          `json:"need,omitempty"`
	Flow       string            `json:"flow,omitempty"`
	Handover   bool              `json:"handover,omitempty"`
	Background bool              `json:"background,omitempty"`
	Own        bool              `json:"own,omitempty"` // the pack says something about it, and not only those below
	File       string            `json:"file"`
	Line       int               `json:"line"`
}

// PackQuestion is one line of an intent.
type PackQuestion struct {
	Text string `json:"text"`
	Lang string `json:"lang"`
	Own  bool   `json:"own,omitempty"`
}

// PackSave is a new text for a saved pack.
type PackSave struct {
	Name     string
	Text     string
	Restores uint64 // the version whose text is saved instead; 0 = none
	Expect   uint64 // the stored version that it builds on; 0 = there is none
	By       conversation.AgentID
	Comment  string
}

// PackSaved says what is stored now, and what answers will carry once it is
// live.
type PackSaved struct {
	Name      string                   `json:"name"`
	Saved     conversation.PackVersion `json:"saved"`
	Hash      string                   `json:"hash"`
	Models    []PackModel              `json:"models"`
	Unchanged bool                     `json:"unchanged,omitempty"`
	Version   uint64                   `json:"-"`
}

// PackProblem is one thing that is wrong in a pack.
type PackProblem struct {
	Pack   string `json:"pack,omitempty"`
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Reason string `json:"reason"`
}

// PackRefusedError is a text that is not stored, with everything that is wrong.
type PackRefusedError struct {
	Problems []PackProblem
	Err      error
}

// Error implements error.
func (e *PackRefusedError) Error() string { return e.Err.Error() }

// Unwrap gives the class and the cause.
func (e *PackRefusedError) Unwrap() []error {
	return []error{conversation.Refusef(conversation.CodeInvalid, "the pack was not saved: %d problems", len(e.Problems)), e.Err}
}

// PackTrial is a text that is checked.
type PackTrial struct {
	Text  string            `json:"text"`
	Packs []string          `json:"packs"` // the combination that is trained; none = one that is in use
	Try   conversation.Text `json:"try"`   // what a visitor might write; empty = nothing is tried
	Lang  string            `json:"lang"`
}

// PackCheck says what a text would come to.
type PackCheck struct {
	OK        bool           `json:"ok"`
	Problems  []PackProblem  `json:"problems"`
	Hash      string         `json:"hash,omitempty"`
	Packs     []string       `json:"packs,omitempty"`
	Model     string         `json:"model,omitempty"`
	Intents   PackCounts     `json:"intents"`
	Questions PackCounts     `json:"questions"`
	Repeated  []PackRepeated `json:"repeated"`
	Tests     PackTests      `json:"tests"`
	Try       *PackTried     `json:"try,omitempty"`
}

// PackCounts is a number now and as it would be.
type PackCounts struct {
	Before int `json:"before"`
	After  int `json:"after"`
}

// PackRepeated is a question that stands in two places.
type PackRepeated struct {
	Text        string `json:"text"`
	Line        int    `json:"line"`
	Intent      string `json:"intent"`
	OtherIntent string `json:"other_intent"`
	OtherFile   string `json:"other_file"`
	OtherLine   int    `json:"other_line"`
	Taken       bool   `json:"taken,omitempty"` // a pack below loses it
}

// PackTests compares how the test lines come out.
type PackTests struct {
	N        int              `json:"n"`
	Right    PackCounts       `json:"right"`
	Compared bool             `json:"compared"` // a model serves to compare with
	Changed  []PackTestChange `json:"changed"`
}

// PackTestChange is a test line that comes out otherwise than before.
type PackTestChange struct {
	Text   string `json:"text"`
	Want   string `json:"want"`
	Before string `json:"before"` // empty = nothing is answered
	After  string `json:"after"`
	Better bool   `json:"better"`
}

// PackTried is what is made of a visitor's text.
type PackTried struct {
	Before *PackPrediction `json:"before,omitempty"` // nil = no model serves yet
	After  *PackPrediction `json:"after,omitempty"`
}

// PackPrediction is a prediction with what it leads to.
type PackPrediction struct {
	*conversation.Prediction

	Nearest  string `json:"nearest,omitempty"` // the question most like it
	Decision string `json:"decision"`          // answer, suggest or abstain
}

// PackVersionView is a version with its text and what has changed since.
type PackVersionView struct {
	conversation.PackVersion

	Text string         `json:"text"`
	Diff []PackDiffLine `json:"diff"` // from this version to the one in force
}

// PackDiffLine is a line of a difference, with its numbers from 1.
type PackDiffLine struct {
	Op   string `json:"op"` // "+", "-" or " "
	Old  int    `json:"old,omitempty"`
	New  int    `json:"new,omitempty"`
	Text string `json:"text"`
}
