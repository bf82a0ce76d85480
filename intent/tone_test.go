package intent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestAngerOnUnseenLines holds the scorer to its figures on lines that were
// written apart from those it has learned from.
func TestAngerOnUnseenLines(t *testing.T) {
	t.Parallel()
	e, err := NewEar()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]struct{ auroc, found float64 }{
		"unseen_zh.jsonl": {0.95, 0.6},
		"unseen_en.jsonl": {0.90, 0.45},
	} {
		data, err := os.ReadFile(filepath.Join("emotion", "testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		r, err := EvaluateTone(e, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var table strings.Builder
		if err := r.Print(&table); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s\n%s", file, table.String())
		if all := r.Rows[0]; all.Lines < 200 || all.AUROC < want.auroc || all.Found < want.found || all.FalseAlarms > 0.03 {
			t.Errorf("%s: %+v, want AUROC %.2f and %.2f found", file, all, want.auroc, want.found)
		}
		for _, row := range r.Rows {
			if row.Of == "polite" && (row.Lines < 65 || row.FalseAlarms > 0.02) {
				t.Errorf("%s: %d polite lines, false alarms on %.1f %%", file, row.Lines, 100*row.FalseAlarms)
			}
		}
	}
}

// TestUnseenLinesAreUnseen: no line of the tests stands among what is learned
// from, word for word.
func TestUnseenLinesAreUnseen(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	learned := map[string]bool{}
	for _, line := range learnedLines(t) {
		learned[norm.canonical(line)] = true
	}
	files, err := filepath.Glob("emotion/testdata/*.jsonl")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	seen := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for raw := range bytes.Lines(content) {
			var l struct{ Text string }
			if err := json.Unmarshal(raw, &l); err != nil {
				t.Fatal(err)
			}
			key := norm.canonical(l.Text)
			if learned[key] && len(key) > 12 {
				t.Errorf("%s: %q is learned from", file, l.Text)
			}
			if seen[key] != "" && seen[key] != file && len(key) > 12 {
				t.Errorf("%s: %q stands in %s", file, l.Text, seen[key])
			}
			seen[key] = file
		}
	}
}

// TestLinesAreFolded: the trainer does not fold, so lines are written the way
// folding leaves them.
func TestLinesAreFolded(t *testing.T) {
	t.Parallel()
	norm := newNormalizer()
	var f folded
	for _, line := range learnedLines(t) {
		if norm.fold(&f, line); string(f.text) != line {
			t.Errorf("%q is folded to %q", line, f.text)
		}
	}
}

// learnedLines gives the lines of the files as they are written.
func learnedLines(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"en.txt", "zh.txt"} {
		content, err := os.ReadFile(filepath.Join("emotion", "lines", name))
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(bytes.NewReader(content))
		for in.Scan() {
			if line := in.Text(); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "= ") && !strings.HasPrefix(line, "== ") {
				out = append(out, line)
			}
		}
	}
	if len(out) < 1500 {
		t.Fatalf("%d lines", len(out))
	}
	return out
}

// TestPacksSoundCalm: the built-in packs' questions, none of which was learned
// from, are mostly asked calmly; their complaints are not.
func TestPacksSoundCalm(t *testing.T) {
	t.Parallel()
	l, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ecommerce", "education"} {
		calm, alarms, complaints, heard := 0, 0, 0, 0
		for _, topic := range l.bundle([]string{name}).topics {
			for _, q := range topic.ask {
				angry := l.Tone(conversation.Text(q.text)).Anger >= ToneAlarm
				switch topic.id {
				case conversation.IntentTalkToHuman: // asked for in any mood
				case "complaint":
					complaints++
					if angry {
						heard++
					}
				default:
					calm++
					if angry {
						alarms++
					}
				}
			}
		}
		t.Logf("%s: %d alarms in %d questions, %d in %d complaints", name, alarms, calm, heard, complaints)
		if calm < 1000 || ratio(alarms, calm) > 0.03 || ratio(heard, complaints) < 0.7 {
			t.Errorf("%s: %d alarms in %d questions, %d in %d complaints", name, alarms, calm, heard, complaints)
		}
	}
}

func TestToneFoldsFirst(t *testing.T) {
	t.Parallel()
	e, err := NewEar()
	if err != nil {
		t.Fatal(err)
	}
	simple := e.Tone("你们这是诈骗！我要投诉！")
	for _, same := range []conversation.Text{"你們這是詐騙！我要投訴！", "你们\u200b这是诈骗！我要\ufeff投诉！"} {
		if got := e.Tone(same); got != simple {
			t.Errorf("%q sounds like %+v, want %+v", string(same), got, simple)
		}
	}
	if simple.Anger < 0.5 || simple.Threat < 0.5 {
		t.Errorf("%+v", simple)
	}
	long := conversation.Text("你们这是诈骗！我要投诉！" + strings.Repeat("好", 1<<19))
	if got := e.Tone(long); got.Anger < 0 || got.Anger > 1 {
		t.Errorf("%+v", got)
	}
}

func TestToneDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector drops pooled things")
	}
	e, err := NewEar()
	if err != nil {
		t.Fatal(err)
	}
	e.Tone("warm up 你好")
	if n := testing.AllocsPerRun(200, func() { e.Tone("你们什么破服务！等了半个月没人管！") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPredictHearsTheTone(t *testing.T) {
	t.Parallel()
	l := openSmall(t, Options{})
	for text, angry := range map[conversation.Text]bool{"where is my parcel": false, "你们就是骗子！！！退钱！！！": true} {
		var p conversation.Prediction
		if err := l.Predict(t.Context(), &conversation.Utterance{Text: text, Packs: []string{"shop"}}, &p); err != nil {
			t.Fatal(err)
		}
		if (p.Anger >= ToneAlarm) != angry {
			t.Errorf("%q: anger %.2f", string(text), p.Anger)
		}
		if tone := l.Tone(text); p.Anger != tone.Anger || p.Abuse != tone.Abuse || p.Threat != tone.Threat {
			t.Errorf("%q: the prediction says %+v, Tone %+v", string(text), p, tone)
		}
	}
}

func TestEvaluateToneRefuses(t *testing.T) {
	t.Parallel()
	e, err := NewEar()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":      {"", "no line"},
		"not JSON":     {"{\"text\":\"a\",\"angry\":true}\nhello\n", "line 2"},
		"no label":     {"{\"text\":\"a\"}\n", "text or angry is missing"},
		"no text":      {"{\"angry\":true}\n", "text or angry is missing"},
		"label a word": {"{\"text\":\"a\",\"angry\":\"yes\"}\n", "line 1"},
	} {
		if _, err := EvaluateTone(e, strings.NewReader(tc.in)); !errors.Is(err, conversation.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if _, err := EvaluateTone(e, strings.NewReader(strings.Repeat("x\n", 100))); err == nil || !strings.Contains(err.Error(), "more lines like these") {
		t.Errorf("a hundred bad lines: %v", err)
	}
}

func TestToneReport(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	line := func(text string, angry *bool, anger float32, lang, kind string) heard {
		return heard{toneLine{&text, angry, lang, kind}, anger}
	}
	r := newToneReport([]heard{
		line("a", &yes, 0.9, "en", "angry"), line("b", &yes, 0.3, "en", "angry"), line("c", &no, 0.6, "en", "polite"),
		line("d", &no, 0.1, "zh", "polite"), line("e", &no, 0.2, "zh", ""),
	})
	want := ToneRow{Of: "all", Lines: 5, Angry: 2, AUROC: 5.0 / 6, Found: 0.5, FalseAlarms: 1.0 / 3, Precision: 0.5}
	if r.Rows[0] != want {
		t.Errorf("%+v, want %+v", r.Rows[0], want)
	}
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Of)
	}
	if got := strings.Join(names, " "); got != "all en zh angry polite" {
		t.Errorf("rows %s", got)
	}
	if len(r.Missed) != 1 || r.Missed[0].Text != "b" || len(r.False) != 1 || r.False[0].Text != "c" {
		t.Errorf("missed %v, false %v", r.Missed, r.False)
	}
}
