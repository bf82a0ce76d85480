package intent

import (
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// utterances are typical lines in both languages.
func utterances() []conversation.Text {
	return []conversation.Text{
		"我的订单怎么还不发货", "where is my parcel, it has been three days", "订单2023什么时候发货",
		"请问你们支持7天无理由退货吗，邮费谁出", "I was charged twice for order 20231234567", "你好",
		"can I change the delivery address before you ship it?", "孩子发烧了，明天下午三点的课上不了，想请个假",
		"how do I get an invoice for my company", "优惠券用不了怎么办", "退款什么时候到账啊都一个星期了",
		"my refund has not arrived yet, this is ridiculous",
	}
}

func BenchmarkPredict(b *testing.B) {
	l := openBuiltin(b)
	packs := []string{"ecommerce", "education"}
	if err := l.Prepare(b.Context(), packs); err != nil {
		b.Fatal(err)
	}
	texts := utterances()
	u := conversation.Utterance{Packs: packs}
	var p conversation.Prediction
	i := 0
	for b.Loop() {
		u.Text = texts[i%len(texts)]
		i++
		if err := l.Predict(b.Context(), &u, &p); err != nil {
			b.Fatal(err)
		}
	}
}
