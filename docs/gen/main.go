// Command gen makes the reference pages that can be read out of the code:
// docs/errors.md from the table of codes, docs/metrics.md from the places where
// metrics are defined, docs/configuration.md from the settings. Run it from the
// root of the repository.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("o", "docs", "the folder to write to")
	root := flag.String("root", ".", "the root of the repository")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root, out string) error {
	metrics, err := findMetrics(root)
	if err != nil {
		return err
	}
	pages := map[string][]byte{
		"errors.md": errorsPage(), "metrics.md": metricsPage(metrics), "configuration.md": configPage(),
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(out, name), page, 0o644); err != nil { //nolint:gosec // documentation is for everybody
			return fmt.Errorf("write page: %w", err)
		}
	}
	return nil
}
