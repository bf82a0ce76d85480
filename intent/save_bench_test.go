package intent

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what the process has used of the processors.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// thousandQuestions are ten for each of the first hundred intents of CLINC150.
func thousandQuestions(t testing.TB) *bundle {
	t.Helper()
	taken := map[string]int{}
	var out []labelled
	for _, l := range readClinc(t, publicData(t))["train"] {
		if n := taken[l.label]; n == 10 || n == 0 && len(taken) == 100 {
			continue
		}
		taken[l.label]++
		out = append(out, l)
	}
	return bundleOf(out)
}

// written is a pack of a bundle's questions, of which change says what they are now.
func written(b *bundle, change func(intent, i int, text string) string) []byte {
	var s strings.Builder
	s.WriteString("colloquy: 1\npack: mine\nlang: en\nintents:\n")
	for intent, t := range b.topics {
		fmt.Fprintf(&s, "  - id: %s\n    answer: fine\n    ask:\n", t.id)
		for i, q := range t.ask {
			fmt.Fprintf(&s, "      - %q\n", change(intent, i, q.text))
		}
	}
	return []byte(s.String())
}

// BenchmarkSave is from the save of a pack until its model serves, in a library that
// has the built-in packs as well: what SavePack does, and then what Run does about it
// before the calibrator follows. Without the data it is left out.
func BenchmarkSave(b *testing.B) {
	questions := thousandQuestions(b)
	for name, changed := range map[string]func(intent, i int) bool{
		"one question":  func(intent, i int) bool { return intent+i == 0 },
		"all questions": func(int, int) bool { return true },
	} {
		b.Run(name, func(b *testing.B) {
			l, err := Open(Options{Store: newPacksInMemory()})
			if err != nil {
				b.Fatal(err)
			}
			version := uint64(0)
			save := func() {
				text := written(questions, func(intent, i int, text string) string {
					if changed(intent, i) {
						return fmt.Sprintf("%s version%d", text, version)
					}
					return text
				})
				b.StartTimer()
				if _, err := l.SavePack(b.Context(), PackSave{Name: "mine", Text: text, Expect: version}); err != nil {
					b.Fatal(err)
				}
				if _, err := l.load(b.Context()); err != nil {
					b.Fatal(err)
				}
				version++
			}
			save()
			packs := []string{"mine"}
			if err := l.Warm(b.Context(), packs); err != nil {
				b.Fatal(err)
			}
			cpu := time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				before, began := l.now.Load().model(packs), cpuTime(b)
				save()
				if m, err := l.refresh(b.Context(), packs); err != nil || m == before {
					b.Fatalf("no new model serves: %v", err)
				}
				cpu += cpuTime(b) - began
			}
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkCalibrator is what follows a save of a thousand questions: the calibrator of the
// new model, until which that of the model before speaks. The processor time of one is what
// a busy machine does not change; the best and the median are those of the clock.
func BenchmarkCalibrator(b *testing.B) {
	questions := thousandQuestions(b)
	l, err := Open(Options{Store: newPacksInMemory()})
	if err != nil {
		b.Fatal(err)
	}
	packs, version := []string{"mine"}, uint64(0)
	save := func() {
		text := written(questions, func(_, _ int, text string) string { return fmt.Sprintf("%s version%d", text, version) })
		if _, err := l.SavePack(b.Context(), PackSave{Name: "mine", Text: text, Expect: version}); err != nil {
			b.Fatal(err)
		}
		version++
		if _, err := l.load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	save()
	if err := l.Warm(b.Context(), packs); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	cpu := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		save()
		m, err := l.refresh(b.Context(), packs)
		if err != nil {
			b.Fatal(err)
		}
		if _, hash := m.speaking(); hash != m.early {
			b.Fatalf("%s speaks before there is a calibrator", hash)
		}
		before, began := cpuTime(b), time.Now()
		b.StartTimer()
		if err := m.calibrated(b.Context(), l.options.Workers); err != nil {
			b.Fatal(err)
		}
		took, cpu = append(took, time.Since(began)), cpu+cpuTime(b)-before
	}
	slices.Sort(took)
	b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(took[0].Microseconds())/1000, "best-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
}
