package intent

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

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

// measured is how long single predictions took, in the order of the clock, none left out.
type measured []time.Duration

// report gives how long one of two and one of a hundred took at least.
func (t measured) report(b *testing.B) {
	b.Helper()
	slices.Sort(t)
	for name, at := range map[string]int{"p50-µs": len(t) / 2, "p99-µs": len(t) * 99 / 100} {
		b.ReportMetric(float64(t[at].Nanoseconds())/1000, name)
	}
}

// BenchmarkPredictShop understands what visitors of a shop write, through the library as a
// node does: the test lines of the e-commerce pack, some with values in them, by themselves
// and in the middle of a conversation.
func BenchmarkPredictShop(b *testing.B) {
	l := openBuiltin(b)
	packs := []string{"ecommerce"}
	if err := l.Prepare(b.Context(), packs); err != nil {
		b.Fatal(err)
	}
	var lines []conversation.Text
	for _, t := range l.bundle(packs).topics {
		for _, q := range t.test {
			lines = append(lines, conversation.Text(q.text))
		}
	}
	about := []conversation.Matter{{Intent: "track_order", Text: "where is my parcel"}, {Intent: "return_policy", Text: "can I return shoes that I have worn"}}
	for _, c := range []struct {
		name   string
		change func(*conversation.Utterance)
	}{
		{"lines", func(*conversation.Utterance) {}},
		{"values", func(u *conversation.Utterance) { u.Text += "，订单号20231234567，电话13812345678" }},
		{"context", func(u *conversation.Utterance) { u.Matters, u.Follows = about, true }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var p conversation.Prediction
			all := make([]conversation.Utterance, len(lines))
			for i, line := range lines {
				all[i] = conversation.Utterance{Packs: packs, Text: line}
				c.change(&all[i])
			}
			took := make(measured, 0, 1<<20) // so that what is measured takes no memory for the measurement
			i := 0
			for b.Loop() {
				began := time.Now()
				if err := l.Predict(b.Context(), &all[i%len(all)], &p); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
				i++
			}
			took.report(b)
		})
	}
}

// BenchmarkPredictBanking77 understands the test lines of BANKING77 by a model of
// all its questions, as TestPublicSets does; without the data it is left out.
func BenchmarkPredictBanking77(b *testing.B) {
	dir := publicData(b)
	train, test := readCSV(b, dir, "banking77", "train.csv"), readCSV(b, dir, "banking77", "test.csv")
	m, err := newModel(b.Context(), bundleOf(train), openSmall(b, Options{}).base, 2)
	if err != nil {
		b.Fatal(err)
	}
	took := make(measured, 0, 1<<20)
	s := &scratch{}
	var p conversation.Prediction
	u := conversation.Utterance{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		u.Text = conversation.Text(test[i%len(test)].text)
		i++
		began := time.Now()
		p = conversation.Prediction{Candidates: p.Candidates[:0], Entities: p.Entities[:0], Parts: p.Parts[:0]}
		m.predict(s, &u, &p)
		took = append(took, time.Since(began))
	}
	took.report(b)
}

// heapMB gives what is in use.
func heapMB() float64 {
	runtime.GC()
	runtime.GC() // what had a finalizer goes the second time
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkModelMemory says what a combination of packs keeps in memory, with its
// calibrator, beside what all combinations share.
func BenchmarkModelMemory(b *testing.B) {
	for _, packs := range [][]string{{"common"}, {"ecommerce"}, {"education"}, {"ecommerce", "education"}} {
		b.Run(strings.Join(packs, "+"), func(b *testing.B) {
			for b.Loop() {
				before := heapMB()
				l, err := Open(Options{})
				if err != nil {
					b.Fatal(err)
				}
				shared := heapMB()
				if err := l.Prepare(b.Context(), packs); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(heapMB()-shared, "MB")
				b.ReportMetric(shared-before, "shared-MB")
				runtime.KeepAlive(l)
			}
		})
	}
	b.Run("BANKING77", func(b *testing.B) {
		dir := publicData(b)
		for b.Loop() {
			bundle := bundleOf(readCSV(b, dir, "banking77", "train.csv"))
			l := openSmall(b, Options{})
			before := heapMB()
			m, err := newModel(b.Context(), bundle, l.base, 2)
			if err != nil {
				b.Fatal(err)
			}
			if err := m.calibrated(b.Context(), 2); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(heapMB()-before, "MB")
			runtime.KeepAlive(m)
		}
	})
}
