package emotion

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWeightsBelongToLines: lines that have changed need `go generate`.
func TestWeightsBelongToLines(t *testing.T) {
	t.Parallel()
	h := sha256.New()
	for _, name := range []string{"en.txt", "zh.txt"} {
		content, err := os.ReadFile(filepath.Join("lines", name))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(content)
	}
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", h.Sum(nil)); s.Lines() != want {
		t.Errorf("the weights are of lines %s, the lines are %s: run go generate ./intent/emotion", s.Lines(), want)
	}
}

func TestScoreKnowsTheToneOfPlainCases(t *testing.T) {
	t.Parallel()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                 "",
		"   ":              "",
		"你好":               "",
		"hello":            "",
		"麻烦您帮我看下退款，谢谢":     "",
		"屏幕碎了，可以换吗":        "",
		"太好了！！！":           "",
		"OMG I love it!!!": "",
		"我不是要投诉，只是问一下发货":                                         "",
		"your support is useless, give me my money back now!!!":  "anger",
		"你们什么破服务！等了半个月没人管，气死我了":                                  "anger",
		"再不退款我就打12315投诉你们！":                                      "anger threat",
		"see you in court, my lawyer will contact you, thieves!": "anger threat",
		"傻逼客服，滚！":                                                "anger abuse",
	} {
		p := s.Score([]byte(text))
		var got []string
		for i, share := range []float32{p.Anger, p.Abuse, p.Threat, p.Deny} {
			if share >= 0.5 {
				got = append(got, map[int]string{0: "anger", 1: "abuse", 2: "threat", 3: "deny"}[i])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q sounds like %q (%+v), want %q", text, strings.Join(got, " "), p, want)
		}
	}
}

func TestReadRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing":     nil,
		"cut off":     embedded[:len(embedded)-1],
		"header only": embedded[:40],
		"longer":      append(append([]byte(nil), embedded...), 0),
		"other magic": append([]byte("XXXX"), embedded[4:]...),
	} {
		if _, err := Read(data); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: Read = %v", name, err)
		}
	}
}

// TestReadIsQuick: a node reads the weights at its start, and carries them in the
// program. The limit of time is wide of what it takes, because the machine may
// be busy; that of size is kept by minWeight of the generator.
func TestReadIsQuick(t *testing.T) {
	t.Parallel()
	best := time.Hour
	for range 20 {
		start := time.Now()
		if _, err := Read(embedded); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if best > 50*time.Millisecond {
		t.Errorf("reading the weights takes %s", best)
	}
	if len(embedded) > 512<<10 {
		t.Errorf("the weights have %d bytes", len(embedded))
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{[]byte("你们什么破服务！等了半个月没人管"), []byte(strings.Repeat("THIS is ridiculous!!! 什么 ", 400))} {
		if n := testing.AllocsPerRun(100, func() { s.Score(text) }); n > 0 {
			t.Errorf("%d bytes: %v allocations", len(text), n)
		}
	}
}

// FuzzFeatures: any bytes give a bounded number of features, always the same
// ones, and shares that are shares.
func FuzzFeatures(f *testing.F) {
	for _, text := range []string{"", "hi", "你好！！", "a\xffb", "????!!!!", strings.Repeat("aaaa", 2000), "f*ck O'Neil's", "😡😡😡"} {
		f.Add([]byte(text))
	}
	s, err := New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		one, two := Features(nil, text), Features(nil, text)
		if len(one) > maxFeatures || !slices.Equal(one, two) {
			t.Fatalf("%d and %d features", len(one), len(two))
		}
		p := s.Score(text)
		for _, share := range []float32{p.Anger, p.Abuse, p.Threat, p.Deny} {
			if !(share >= 0 && share <= 1) {
				t.Fatalf("%+v", p)
			}
		}
	})
}

func TestAUROC(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		yes, no []float32
		want    float64
	}{
		"apart":     {[]float32{3, 4}, []float32{1, 2}, 1},
		"reversed":  {[]float32{1, 2}, []float32{3, 4}, 0},
		"all alike": {[]float32{1, 1}, []float32{1, 1, 1}, 0.5},
		"mixed":     {[]float32{2, 4}, []float32{1, 3}, 0.75},
		"one side":  {[]float32{2}, nil, 0},
	} {
		if got := AUROC(tc.yes, tc.no); got != tc.want {
			t.Errorf("%s: AUROC = %v, want %v", name, got, tc.want)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	s, err := New()
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"zh": "我上周买的耳机到现在没发货，你们到底有没有人管？！再不处理我就投诉",
		"en": "the phone I bought last week has not shipped, does anyone even care?! fix it or I call my bank",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Score([]byte(text))
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		if _, err := Read(embedded); err != nil {
			b.Fatal(err)
		}
	}
}
