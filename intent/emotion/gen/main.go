// Command gen trains the weights of package emotion from its lines. It gives
// the same bytes every time.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/colloquyhq/colloquy/intent/emotion"
)

// files are what is learned from, within the folder of the lines.
func files() []string { return []string{"en.txt", "zh.txt"} }

// shift moves where the heads speak up, in log-odds: what the training knows
// as even chances is not where an alarm pays. Chosen on testdata/tuning_*.jsonl,
// never on the unseen lines.
func shift() [4]float64 {
	return [4]float64{emotion.Anger: -0.65, emotion.Abuse: 0.6, emotion.Threat: 0.9, emotion.Deny: 0.6}
}

func main() {
	lines := flag.String("lines", "lines", "folder with the lines")
	out := flag.String("out", "weights.bin", "where the weights go")
	report := flag.Bool("report", false, "show what whole lines left out give, and write nothing")
	show := flag.Bool("print", false, "print the sentences, and write nothing")
	flag.Parse()
	if err := run(*lines, *out, *report, *show); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(folder, out string, report, show bool) error {
	samples, hash, err := load(folder)
	if err != nil {
		return err
	}
	switch {
	case show:
		for _, s := range samples {
			fmt.Println(s.targets, s.text)
		}
		return nil
	case report:
		return crossValidate(os.Stdout, samples)
	}
	data := train(samples).pack(hash, shift())
	if _, err := emotion.Read(data); err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644) //nolint:gosec // a public file
}

// load gives the sentences of all files and the hash of the files.
func load(folder string) (samples []sample, hash [32]byte, err error) {
	h := sha256.New()
	for _, name := range files() {
		name = filepath.Join(folder, name)
		content, err := os.ReadFile(name) //nolint:gosec // the generator's own argument
		if err != nil {
			return nil, hash, err
		}
		h.Write(content)
		b, err := readBook(name)
		if err != nil {
			return nil, hash, err
		}
		first := 0
		if len(samples) > 0 {
			first = samples[len(samples)-1].group + 1
		}
		more, err := b.samples(first)
		if err != nil {
			return nil, hash, err
		}
		samples = append(samples, more...)
	}
	copy(hash[:], h.Sum(nil))
	return samples, hash, nil
}
