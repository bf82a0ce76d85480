package intent

import (
	"fmt"
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
