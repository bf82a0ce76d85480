package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/intent/emotion"
)

// maxSamples is how many sentences are made of one line at most.
const maxSamples = 48

// A sentence that stands for itself weighs singleWeight. Of a line that makes
// many, each weighs the less the more there are.
const (
	singleWeight = 3
	lineWeight   = 6
)

// sample is one sentence to learn from.
type sample struct {
	text    string
	targets [4]float32 // by head
	weight  float32
	group   int // of the line it was made from
}

// tones are the words that a section's name may hold, with what each head
// should say. What is not named is no.
func tones() map[string][4]float32 {
	return map[string][4]float32{
		"calm": {}, "polite": {},
		"angry":   {emotion.Anger: 1},
		"annoyed": {emotion.Anger: 0.75},
		"abuse":   {emotion.Abuse: 1},
		"threat":  {emotion.Threat: 1},
		"deny":    {emotion.Deny: 1},
	}
}

// book is a file of lines.
type book struct {
	file  string
	parts map[string][]string
	rows  []row
}

type row struct {
	number  int
	text    string
	targets [4]float32
}

// readBook reads a file of lines:
//
//	= name            a part: what stands below, split at |, can be written {name}
//	== angry threat   a section: the tones of the lines below
//	# …               a remark
//
// A line may hold {parts} and alternatives in (round|brackets).
// Errors name the file, the line and the reason.
func readBook(file string) (*book, error) {
	content, err := os.ReadFile(file) //nolint:gosec // the generator's own argument
	if err != nil {
		return nil, err
	}
	b := &book{file: file, parts: map[string][]string{}}
	known := tones()
	var part string
	var targets [4]float32
	section := false
	in := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "== "):
			part, section, targets = "", true, [4]float32{}
			for word := range strings.FieldsSeq(line[3:]) {
				add, ok := known[word]
				if !ok {
					return nil, fmt.Errorf("%s:%d: there is no tone %q", file, n, word)
				}
				for h := range add {
					targets[h] = max(targets[h], add[h])
				}
			}
		case strings.HasPrefix(line, "= "):
			part, section = strings.TrimSpace(line[2:]), false
		case part != "":
			b.parts[part] = append(b.parts[part], strings.Split(line, "|")...)
		case section:
			b.rows = append(b.rows, row{number: n, text: line, targets: targets})
		default:
			return nil, fmt.Errorf("%s:%d: a line before the first section", file, n)
		}
	}
	return b, in.Err()
}

// samples makes the sentences of all rows, always the same ones.
func (b *book) samples(firstGroup int) ([]sample, error) {
	var out []sample
	for i, r := range b.rows {
		random := rand.New(rand.NewPCG(uint64(r.number), 7)) //nolint:gosec // has to be the same every time
		seen := map[string]bool{}
		for range 3 * maxSamples {
			text, err := b.expand(r.text, random)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", b.file, r.number, err)
			}
			// Only here: inside of a line a space may be all that an alternative adds.
			if seen[strings.TrimSpace(text)] = true; len(seen) == maxSamples {
				break
			}
		}
		texts := make([]string, 0, len(seen))
		for text := range seen {
			texts = append(texts, text)
		}
		slices.Sort(texts)
		for _, text := range texts {
			weight := float32(singleWeight)
			if len(texts) > singleWeight {
				weight = float32(math.Sqrt(lineWeight / float64(len(texts))))
			}
			out = append(out, sample{text: text, targets: r.targets, weight: weight, group: firstGroup + i})
		}
	}
	return out, nil
}

// expand chooses one sentence of a line.
func (b *book) expand(text string, random *rand.Rand) (string, error) {
	var out strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "{(")
		if at < 0 {
			out.WriteString(text)
			break
		}
		out.WriteString(text[:at])
		chosen, rest, err := b.choose(text[at:], random)
		if err != nil {
			return "", err
		}
		more, err := b.expand(chosen, random)
		if err != nil {
			return "", err
		}
		out.WriteString(more)
		text = rest
	}
	if strings.ContainsAny(out.String(), "{}()") {
		return "", fmt.Errorf("a bracket without its other half in %q", out.String())
	}
	return out.String(), nil
}

// choose takes the part or the alternatives that text begins with, chooses one
// and gives what stands behind.
func (b *book) choose(text string, random *rand.Rand) (chosen, rest string, err error) {
	closing := map[byte]byte{'{': '}', '(': ')'}[text[0]]
	depth, cuts := 0, []int{0}
	for i := range len(text) {
		switch text[i] {
		case '{', '(':
			depth++
		case '}', ')':
			depth--
		case '|':
			if depth == 1 {
				cuts = append(cuts, i)
			}
		}
		if depth > 0 {
			continue
		}
		if text[i] != closing {
			return "", "", fmt.Errorf("a bracket that closes another one in %q", text)
		}
		if closing == '}' {
			options := b.parts[text[1:i]]
			if len(options) == 0 {
				return "", "", fmt.Errorf("there is no part {%s}", text[1:i])
			}
			return options[random.IntN(len(options))], text[i+1:], nil
		}
		cuts = append(cuts, i)
		k := random.IntN(len(cuts) - 1)
		return text[cuts[k]+1 : cuts[k+1]], text[i+1:], nil
	}
	return "", "", fmt.Errorf("a bracket without its other half in %q", text)
}
