package intent

import (
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// What goes on with a matter is read as a part of it if the matter has a question
// like it, and stays what it is by itself everywhere else.
func TestReadingThatLeansOnAMatter(t *testing.T) {
	t.Parallel()
	l := openBuiltin(t)
	policy := conversation.Matter{Intent: "return_policy", Text: "what is your return policy"}
	item := conversation.Matter{Intent: "return_item", Text: "怎么退货"}
	exchange := conversation.Matter{Intent: "exchange_item", Text: "鞋子大了想换小一码"}
	size := conversation.Matter{Intent: "product_size", Text: "170cm穿多大码"}
	fee := conversation.Matter{Intent: "shipping_fee", Text: "运费多少"}
	unknown := conversation.Matter{Text: "can I send back shoes I've already tried on at home?"}
	for name, tc := range map[string]struct {
		text    string
		matters []conversation.Matter
		alone   bool // it does not go on with anything
		by      string
		want    string
	}{
		"its own question":              {text: "and who pays for postage?", matters: []conversation.Matter{policy}, by: "shipping_fee", want: "return_policy"},
		"its own, zh":                   {text: "那运费谁出", matters: []conversation.Matter{exchange}, by: "shipping_fee", want: "exchange_item"},
		"a question of its kin":         {text: "那运费谁出", matters: []conversation.Matter{item}, by: "shipping_fee", want: "return_policy"},
		"beside another matter":         {text: "那运费谁出", matters: []conversation.Matter{item, size}, by: "shipping_fee", want: "return_policy"},
		"what was not understood":       {text: "and who pays for postage?", matters: []conversation.Matter{unknown}, by: "shipping_fee", want: "return_policy"},
		"no such question":              {text: "那运费谁出", matters: []conversation.Matter{size}, by: "shipping_fee"},
		"another question of the other": {text: "那运费多少", matters: []conversation.Matter{item}, by: "shipping_fee"},
		"the matter itself came last":   {text: "那运费谁出", matters: []conversation.Matter{item, fee}, by: "shipping_fee"},
		"nothing was talked about":      {text: "那运费谁出", by: "shipping_fee"},
		"goes on":                       {text: "那包邮吗", matters: []conversation.Matter{item}, by: "shipping_fee", want: "return_policy"},
		"does not go on":                {text: "包邮吗", matters: []conversation.Matter{item}, alone: true, by: "shipping_fee"},
		"an intent that no pack has":    {text: "那运费谁出", matters: []conversation.Matter{{Intent: "gone", Text: "x"}}, by: "shipping_fee"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := conversation.Utterance{Text: conversation.Text(tc.text), Packs: []string{"ecommerce"}, Matters: tc.matters, Follows: !tc.alone}
			var p conversation.Prediction
			if err := l.Predict(t.Context(), &u, &p); err != nil {
				t.Fatal(err)
			}
			in := p.InContext
			if p.Best().Intent != tc.by || in.Intent != tc.want || tc.want != "" && in.Confidence < p.Auto {
				t.Errorf("%q reads as %+v, in context %+v; want %s and %q", tc.text, p.Best(), in, tc.by, tc.want)
			}
		})
	}
}
