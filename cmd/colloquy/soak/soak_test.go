package soak

import (
	"strings"
	"testing"
	"time"
)

// line makes samples of a figure that rises by so much in each.
func line(n int, start, step int64) []Sample {
	out := make([]Sample, n)
	for i := range out {
		v := start + int64(i)*step
		out[i] = Sample{Seconds: float64(10 * i), RSS: v, Heap: start, Goroutines: 50, Files: 30}
	}
	return out
}

func verdict(samples []Sample) *Report {
	r := judge(samples)
	t := &tally{}
	t.messages.Add(1)
	t.report(r)
	return r
}

func TestJudgeSeesGrowth(t *testing.T) {
	t.Parallel()
	const start = 100 << 20
	if r := verdict(line(180, start, 0)); !r.Good {
		t.Errorf("a flat run is judged %+v", r.Growth)
	}
	r := verdict(line(180, start, 256<<10))
	if r.Good || r.Growth[0].Flat() || !r.Growth[1].Flat() {
		t.Errorf("256 KiB more in each sample are judged %+v", r.Growth)
	}
	if want := float64(119 * 256 << 10); r.Growth[0].Grew < 0.999*want || r.Growth[0].Grew > 1.001*want {
		t.Errorf("grew by %v, want %v", r.Growth[0].Grew, want)
	}
}

func TestJudgeForgivesTheBeginning(t *testing.T) {
	t.Parallel()
	samples := line(60, 100<<20, 2<<20) // caches fill …
	for i := range 120 {                // … and are full
		s := samples[59]
		s.Seconds = float64(10 * (60 + i))
		s.RSS += int64(i%2) << 20
		samples = append(samples, s)
	}
	if r := verdict(samples); !r.Good {
		t.Errorf("judged %+v", r.Growth)
	}
}

func TestLossesAreBad(t *testing.T) {
	t.Parallel()
	r := judge(line(30, 1<<20, 0))
	books := &tally{}
	books.messages.Add(1)
	books.lose("message %d is gone", 7)
	books.lose("another")
	books.report(r)
	if r.Good || r.Lost != 2 || r.FirstLoss != "message 7 is gone" {
		t.Errorf("report %+v", r)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "message 7 is gone") || !strings.Contains(out.String(), "flat") {
		t.Errorf("Print = %v:\n%s", err, out.String())
	}
	nothing := judge(line(30, 1<<20, 0))
	(&tally{}).report(nothing)
	if nothing.Good {
		t.Error("a run in which nobody said anything is good")
	}
}

func TestReadMetrics(t *testing.T) {
	t.Parallel()
	values, err := readMetrics(strings.NewReader("# HELP go_goroutines x\n# TYPE go_goroutines gauge\ngo_goroutines 41\nhttp_total{code=\"200\"} 5\nprocess_resident_memory_bytes 3.1e+07\nbroken\n# EOF\n"))
	if err != nil || len(values) != 2 || values["go_goroutines"] != 41 || values["process_resident_memory_bytes"] != 3.1e7 {
		t.Errorf("readMetrics = %v, %v", values, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := Options{Duration: 30 * time.Minute, Visitors: 1, Think: time.Second, Sample: 10 * time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	short := good
	short.Duration = time.Minute
	if err := short.Validate(); err == nil || !strings.Contains(err.Error(), "--duration") {
		t.Errorf("Validate = %v", err)
	}
	if err := (&Options{}).Validate(); err == nil || !strings.Contains(err.Error(), "--visitors") {
		t.Errorf("Validate = %v", err)
	}
}
