package remote

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// Whatever a server sends, what passes is sane: known intents, best first, each
// once, confidences from 0 to 1, entities that are parts of the text.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","version":"1","results":[{"candidates":[{"intent":"a","confidence":0.9},{"intent":"b","confidence":0.1}],"entities":[{"name":"order_no","value":"4711","start":7,"end":11}],"lang":"zh","anger":0.5}]}`,
		`{"model":"m","results":[{"error":{"code":"unknown_pack","message":"x"}}]}`, `{"model":"m","results":[{"candidates":[]}]}`, `{"model":"m","results":[null]}`,
		`{"model":"m","results":[{"candidates":[{"intent":"a","confidence":1e-400}],"entities":[{"name":"order_no","value":"x","start":-1,"end":99}]}]}`, `[]`, `{`,
	} {
		f.Add([]byte(s), "订单 4711")
	}
	known := labels{"a", "b"}
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		r, err := ReadResponse(raw, 1)
		if err != nil {
			return
		}
		u := &conversation.Utterance{Text: conversation.Text(text)}
		for _, foreign := range []Foreign{ForeignRefuse, ForeignDrop} {
			got, err := Check(r.Results[0], u, known, foreign)
			if err != nil {
				if !utf8.ValidString(err.Error()) {
					t.Errorf("error %q", err)
				}
				continue
			}
			last := float32(1)
			seen := map[string]bool{}
			for _, c := range got.Candidates {
				if c.Confidence < 0 || c.Confidence > last+1e-5 || seen[c.Intent] || !known.HasIntent(nil, c.Intent) {
					t.Errorf("candidates = %+v", got.Candidates)
				}
				last, seen[c.Intent] = c.Confidence, true
			}
			for _, e := range got.Entities {
				_ = text[e.Start:e.End]
				if e.End <= e.Start || e.Value == "" {
					t.Errorf("entity = %+v", e)
				}
			}
			if _, err := json.Marshal(got); err != nil {
				t.Errorf("what passes cannot be stored: %v", err)
			}
		}
	})
}
