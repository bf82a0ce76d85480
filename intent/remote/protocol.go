package remote

import (
	"encoding/json"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// What a request and its headers are called.
const (
	Path            = "/v1/classify"
	HeaderRequestID = "X-Request-Id"
	HeaderDeadline  = "X-Deadline-Ms" // how long the client waits for the answer, in whole milliseconds
	ContentType     = "application/json"
)

// The limits of the protocol.
const (
	MaxBatch         = 64      // utterances in a request
	MaxCandidates    = 64      // in a result
	MaxEntities      = 64      // in a result
	MaxNameBytes     = 64      // of an intent, an entity, a model, a version
	MaxResponseBytes = 1 << 20 // of a response
	maxErrorBytes    = 16 << 10
	maxKept          = 5 // candidates that a prediction keeps, as many as the built-in engine's
)

// The codes of errors that mean something to the client. Others are taken as
// they come.
const (
	ErrorUnknownPack = "unknown_pack" // of one utterance: the server has not learned these packs
	ErrorBadRequest  = "bad_request"  // of a request that is not one of the protocol
	ErrorTooLarge    = "too_large"
)

// Request is what the client posts.
type Request struct {
	Utterances []Utterance `json:"utterances"` // 1 to [MaxBatch]
}

// Utterance is one visitor text with what may help to understand it.
type Utterance struct {
	Text    string   `json:"text"`              // as it was written, up to 16 KiB
	Lang    string   `json:"lang,omitempty"`    // of the conversation so far, if it is known
	Context []string `json:"context,omitempty"` // earlier texts of the visitor, newest last
	Packs   []string `json:"packs"`             // of the inbox
	Inbox   string   `json:"inbox,omitempty"`
	Channel string   `json:"channel,omitempty"`
}

// Response is what the server answers with status 200.
type Response struct {
	Model   string            `json:"model"`             // a name for people
	Version string            `json:"version,omitempty"` // changes when answers may
	Results []json.RawMessage `json:"results"`           // one [Result] for each utterance, in their order
}

// Result is what the server makes of one utterance: candidates, or an error.
type Result struct {
	Candidates []Candidate `json:"candidates"` // best first; empty = nothing that it knows
	Entities   []Entity    `json:"entities,omitempty"`
	Lang       string      `json:"lang,omitempty"`  // of the utterance: "zh" or "en"
	Anger      *float64    `json:"anger,omitempty"` // 0–1
	Error      *Problem    `json:"error,omitempty"`
}

// Candidate is an intent that the utterance may mean.
type Candidate struct {
	Intent     string   `json:"intent"`     // an id of the packs
	Confidence *float64 `json:"confidence"` // 0–1: the share of such answers that are right
}

// Entity is a value that the server found.
type Entity struct {
	Name  string `json:"name"` // an entity of the packs
	Value string `json:"value"`
	Start *int   `json:"start"` // byte offsets into the text in UTF-8
	End   *int   `json:"end"`
}

// Problem says why there is no answer. With another status than 200 it is the
// whole body, under the key error.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// requestOf writes utterances as the protocol does.
func requestOf(us []*conversation.Utterance) Request {
	r := Request{Utterances: make([]Utterance, len(us))}
	for i, u := range us {
		r.Utterances[i] = Utterance{Text: string(u.Text), Lang: u.Lang, Packs: u.Packs, Inbox: string(u.Inbox), Channel: u.Channel}
		for _, c := range u.Context {
			r.Utterances[i].Context = append(r.Utterances[i].Context, string(c))
		}
	}
	return r
}

// deadlineHeader writes a time as [HeaderDeadline] has it, at least a
// millisecond.
func deadlineHeader(left time.Duration) int64 { return max(1, left.Milliseconds()) }
