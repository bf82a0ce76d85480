// Command gen makes what shows the metrics out of one list of panels (boards*.go):
// the dashboards in deploy/grafana, for those who have Grafana, and
// console/src/status/panels.gen.ts for the page of the node itself. Run it from
// the root of the repository.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the root of the repository")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	files := map[string][]byte{}
	for _, b := range boards() {
		page, err := json.MarshalIndent(grafana(&b), "", "  ")
		if err != nil {
			return err
		}
		files[filepath.Join("deploy", "grafana", b.name+".json")] = append(page, '\n')
	}
	page, err := statusPanels(boards())
	if err != nil {
		return err
	}
	files[filepath.Join("console", "src", "status", "panels.gen.ts")] = page
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil { //nolint:gosec // for everybody
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
