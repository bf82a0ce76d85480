package intent

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Widths of a report, in columns.
const (
	minReportWidth     = 72
	maxReportWidth     = 132
	defaultReportWidth = 100
)

// fewQuestions is how many a statement about precision should rest on.
const fewQuestions = 200

// Print writes the report for people, at most so many columns wide; zero means
// 100.
func (r *PackReport) Print(w io.Writer, columns int) error {
	if columns == 0 {
		columns = defaultReportWidth
	}
	p := &reportPrinter{report: r, width: min(max(columns, minReportWidth), maxReportWidth)}
	p.summary()
	p.targets()
	p.decisions()
	p.intents()
	p.clashes()
	p.twins()
	p.pointers()
	p.thin()
	p.tests()
	_, err := io.WriteString(w, p.b.String())
	return err
}

type reportPrinter struct {
	report *PackReport
	width  int
	b      strings.Builder
}

func (p *reportPrinter) line(format string, args ...any) {
	p.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	p.b.WriteByte('\n')
}

func (p *reportPrinter) title(format string, args ...any) {
	p.line("")
	p.line(format, args...)
}

// percent writes a share as people say it.
func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 1, 64) + " %" }

func between(r Rate) string {
	return strconv.FormatFloat(r.Low*100, 'f', 1, 64) + "–" + strconv.FormatFloat(r.High*100, 'f', 1, 64) + " %"
}

// Sentence says in one line what the packs are good for.
func (t *Target) Sentence() string {
	stated := strconv.FormatFloat(t.Precision*100, 'f', 0, 64)
	if !t.Reached {
		return fmt.Sprintf("The packs do not reach %s %% precision at any threshold: nothing would be answered by itself.", stated)
	}
	s := fmt.Sprintf("At %s %% precision the bot answers %.0f %% by itself (confidence ≥ %.2f; %s of %d questions).",
		stated, t.Answered.Value*100, t.Threshold, between(t.Answered), t.Answered.Of)
	if t.Answered.Of < fewQuestions {
		s += " That is few questions to say so."
	}
	return s
}

func (p *reportPrinter) summary() {
	r := p.report
	total := 0
	var by []string
	for _, lang := range langs(r.Questions) {
		total += r.Questions[lang]
		by = append(by, fmt.Sprintf("%s %d", lang, r.Questions[lang]))
	}
	p.line("%s: %d intents, %d questions (%s), model %s", strings.Join(r.Packs, " + "), r.Intents, total, strings.Join(by, ", "), r.Model)
	p.title("%s", r.At95.Sentence())
	f := &r.Folds
	p.line("With the thresholds in the packs it answers %s, and %s of the answers are right.", percent(f.Coverage), percent(f.Precision))
	p.line("The first thought is right for %s (macro F1 %.3f). Every question is put to a model that has not seen it.", percent(f.Accuracy), f.MacroF1)
}

func (p *reportPrinter) targets() {
	p.title("What a precision costs")
	width := max(p.width-68, 10)
	p.line("  precision   answered by itself%sconfidence   unknown, answered all the same", strings.Repeat(" ", width-10+5))
	for _, t := range p.report.Targets {
		name := strconv.FormatFloat(t.Precision*100, 'f', 0, 64) + " %"
		if !t.Reached {
			p.line("  %9s   not reached", name)
			continue
		}
		p.line("  %9s   %s %8s        %.3f   %s", name, bar(t.Answered.Value, width), percent(t.Answered.Value), t.Threshold, percent(t.Unknown.Value))
	}
	p.line("  «Unknown» are questions of intents that were left out of training on purpose.")
}

func (p *reportPrinter) decisions() {
	p.title("What is decided       questions   of those in scope        right")
	names := map[string]string{DecisionAnswer: "answer", DecisionAskBack: "ask back", DecisionHandOver: "hand over"}
	for _, d := range p.report.Folds.Decisions {
		p.line("  %-18s %10d   %7s (%s)   %7s (%s)", names[d.Decision], d.N, percent(d.Coverage.Value), between(d.Coverage), percent(d.Precision.Value), between(d.Precision))
	}
	p.line("  Handing over is right when the first thought was wrong or nothing covers the question.")
	p.title("Language              questions   first thought right      answered   right")
	for _, g := range p.report.Folds.Langs {
		p.line("  %-18s %10d   %7s (%s)  %8s  %8s", g.Lang, g.N, percent(g.Accuracy), between(g.Interval), percent(g.Coverage), percent(g.Precision))
	}
}

func (p *reportPrinter) intents() {
	sorted := worst(p.report.Folds.Intents)
	rest := slices.DeleteFunc(slices.Clone(p.report.Folds.Intents), func(s IntentScore) bool { return slices.Contains(sorted, s) })
	name := 12
	for _, s := range p.report.Folds.Intents {
		name = max(name, textWidth(s.Intent))
	}
	name = min(name, p.width-50)
	table := func(title string, scores []IntentScore) {
		if len(scores) == 0 {
			return
		}
		p.title("%s  questions  precision   recall      F1", padded(title, name+2))
		for _, s := range scores {
			p.line("  %s  %9d     %.3f     %.3f   %.3f  %s", padded(s.Intent, name), s.N, s.Precision, s.Recall, s.F1, bar(s.F1, 10))
		}
	}
	table("Worst intents", sorted)
	table("The others", rest)
}

func (p *reportPrinter) clashes() {
	if len(p.report.Clashes) == 0 {
		return
	}
	p.title("Mixed up: move a question, or say under not what does not belong")
	for i := range p.report.Clashes {
		c := &p.report.Clashes[i]
		p.line("  %s ↔ %s: %d + %d", c.A, c.B, c.AAsB, c.BAsA)
		if c.Alike != nil {
			p.pair(c.Alike)
		}
		for _, e := range c.Examples {
			p.line("      %s", cutColumns(e, p.width-6))
		}
	}
}

// pair prints two questions below each other, with where they stand.
func (p *reportPrinter) pair(t *Twin) {
	at := max(textWidth(t.AtA), textWidth(t.AtB))
	width := max(p.width-at-17, 20)
	p.line("    alike %.2f  %s  %s", t.Alike, padded(t.QuestionA, width), t.AtA)
	p.line("                %s  %s", padded(t.QuestionB, width), t.AtB)
}

func (p *reportPrinter) twins() {
	if len(p.report.Twins) == 0 {
		return
	}
	p.title("Nearly the same question under two intents")
	for i := range p.report.Twins {
		t := &p.report.Twins[i]
		p.line("  %s ↔ %s", t.A, t.B)
		p.pair(t)
	}
}

func (p *reportPrinter) pointers() {
	if len(p.report.Pointers) == 0 {
		return
	}
	p.title("Contradictions")
	for _, x := range p.report.Pointers {
		p.line("  %s  «%s»", x.At, cutColumns(strings.Join(strings.Fields(x.What), " "), max(p.width-textWidth(x.At)-8, 20)))
		p.line("    %s", x.Why)
	}
}

func (p *reportPrinter) thin() {
	if len(p.report.Thin) == 0 {
		return
	}
	var all []string
	for _, t := range p.report.Thin {
		all = append(all, fmt.Sprintf("%s %s %d", t.Intent, t.Lang, t.Questions))
	}
	p.title("Too few questions (%d)", len(all))
	line := " "
	for i, s := range all {
		if i+1 < len(all) {
			s += ","
		}
		if textWidth(line)+1+textWidth(s) > p.width {
			p.line("%s", line)
			line = " "
		}
		line += " " + s
	}
	p.line("%s", line)
}

func (p *reportPrinter) tests() {
	t := &p.report.Tests
	if t.N == 0 {
		p.title("The packs have no test lines. Put some questions that nobody trains on under test: they tell what the numbers above cannot.")
		return
	}
	right := rateOf(t.right, t.InScope)
	p.title("Test lines: %d of %d right, %s (%s); %s answered, %s of the answers right",
		t.right, t.InScope, percent(right.Value), between(right), percent(t.Coverage), percent(t.Precision))
	for _, m := range p.report.Missed {
		p.line("  %s %.2f  %s", padded(m.Want+" → "+m.Got, min(46, p.width/2)), m.Confidence, cutColumns(m.Question, max(p.width-min(46, p.width/2)-10, 20)))
	}
}
