package conversation

// Prediction is what an intent engine says about one utterance.
type Prediction struct {
	Candidates []Candidate `json:"candidates"`               // best first; empty = the engine has nothing to say
	Entities   []Entity    `json:"entities,omitempty"`       // in order of appearance
	Lang       string      `json:"lang,omitempty"`           // BCP 47 primary tag of the utterance: "zh" or "en"
	Auto       float32     `json:"auto"`                     // threshold of the best candidate: at or above it the bot may answer by itself
	Suggest    float32     `json:"suggest"`                  // at or above it the bot may offer the candidates
	Model      string      `json:"model,omitempty"`          // hash of pack and weights
	InContext  Candidate   `json:"in_context,omitzero"`      // the best candidate when the text is read as going on with Utterance.Matters
	Parts      []Candidate `json:"parts,omitempty"`          // the best candidate of each question, where the text holds several
	Anger      float32     `json:"anger,omitempty"`          // at the service, 0–1; from 0.5 on the utterance is called angry
	Abuse      float32     `json:"abuse,omitempty"`          // insults, obscenity, threats to people, 0–1
	Threat     float32     `json:"threat,omitempty"`         // of an authority, a court, the police, the public, 0–1
	Raw        float32     `json:"raw_confidence,omitempty"` // plain probability of the best candidate, which corrections are learned from; zero = its confidence
	Unproven   bool        `json:"unproven,omitempty"`       // the packs have not shown that they may answer by themselves, see [AnswersProven]
	Nearest    string      `json:"-"`                        // the training question most like the utterance; shown to agents, not stored
}

// Candidate is an intent with its calibrated confidence.
type Candidate struct {
	Intent     string  `json:"intent"`
	Confidence float32 `json:"confidence"` // 0–1
}

// Entity is a value found in an utterance, such as an order number.
type Entity struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Start int    `json:"start"` // byte offsets into the utterance
	End   int    `json:"end"`
}

// Best gives the first candidate, or the zero Candidate.
func (p *Prediction) Best() Candidate {
	if p == nil || len(p.Candidates) == 0 {
		return Candidate{}
	}
	return p.Candidates[0]
}

// Utterance is one visitor text together with what an engine may use to
// understand it.
type Utterance struct {
	Inbox   InboxID
	Channel string
	Lang    string   // hint; empty = find out
	Text    Text     // at most MaxTextBytes
	Context []Text   // earlier visitor texts of the conversation, newest last
	Matters []Matter // what was talked about, with the texts that brought it up, newest last
	Follows bool     // the text leans on what was talked about, see [Heard]
	Packs   []string // the inbox's packs
	Auto    float32  // the inbox's own threshold for answers; zero = the packs'
	Tone    Tone     // as it was heard already; zero = not yet
}
