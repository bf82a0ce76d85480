package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

const metricsIntro = `# Metrics

<!-- made by go run ./docs/gen; change the definition in the code instead -->

Served by the operations listener at ` + "`/metrics`" + `; those of ` + "`cmd/colloquy-ebpf`" + `
by that program, on its own address. Names carry base units
(seconds, bytes); counters end in ` + "`_total`" + `. Labels have few values: no ids, no
addresses, nothing that people wrote. Go's own and the process's metrics
(` + "`go_…`, `process_…`" + `) are there as well. What to watch stands in
[operations.md](operations.md#what-to-watch).
`

// metricsPage has one table for each package that observes.
func metricsPage(all []metric) []byte {
	var b bytes.Buffer
	b.WriteString(metricsIntro)
	pkg := ""
	for _, m := range all {
		if m.pkg != pkg {
			pkg = m.pkg
			fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", pkg)
		}
		labels := make([]string, len(m.labels))
		for i, l := range m.labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, cmp.Or(strings.Join(labels, ", "), "–"), m.help)
	}
	return b.Bytes()
}
