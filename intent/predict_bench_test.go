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

// BenchmarkPredictBanking77 understands the test lines of BANKING77 by a model of
// all its questions, as TestPublicSets does; without the data it is left out.
func BenchmarkPredictBanking77(b *testing.B) {
	dir := publicData(b)
	train, test := readCSV(b, dir, "banking77", "train.csv"), readCSV(b, dir, "banking77", "test.csv")
	m, err := newModel(b.Context(), bundleOf(train), openSmall(b, Options{}).base, 2)
	if err != nil {
		b.Fatal(err)
	}
	best := make([]time.Duration, len(test)) // of each line, since other programs may be running
	s := &scratch{}
	var p conversation.Prediction
	u := conversation.Utterance{}
	b.ReportAllocs()
	for b.Loop() {
		for i, l := range test {
			u.Text = conversation.Text(l.text)
			began := time.Now()
			p = conversation.Prediction{Candidates: p.Candidates[:0], Entities: p.Entities[:0], Parts: p.Parts[:0]}
			m.predict(s, &u, &p)
			if took := time.Since(began); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	slices.Sort(best)
	for name, at := range map[string]int{"p50-µs": len(best) / 2, "p99-µs": len(best) * 99 / 100} {
		b.ReportMetric(float64(best[at].Nanoseconds())/1000, name)
	}
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
