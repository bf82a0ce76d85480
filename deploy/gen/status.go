package main

import (
	"bytes"
	"encoding/json"
)

const statusHead = `// Made by go run ./deploy/gen from deploy/gen/boards*.go; change those instead.

/** Query asks for one metric of the node. */
export interface Query {
  of: "value" | "rate" | "quantile" | "mean";
  metric: string;
  /** Labels and the values they have to have. */
  where?: Readonly<Record<string, string>>;
  /** Labels that make a series each. */
  by?: readonly string[];
  q?: number;
  legend?: string;
}

/** Panel is one picture. */
export interface Panel {
  board: string;
  title: string;
  about: string;
  unit: "s" | "bytes" | "percentunit" | "ops" | "short";
  queries: readonly Query[];
}

/** panels are those that make sense of one node alone. */
export const panels: readonly Panel[] = `

// statusQuery and statusPanel are what the node's own page needs of them.
type statusQuery struct {
	Of     of                `json:"of"`
	Metric string            `json:"metric"`
	Where  map[string]string `json:"where,omitempty"`
	By     []string          `json:"by,omitempty"`
	Q      float64           `json:"q,omitempty"`
	Legend string            `json:"legend,omitempty"`
}

type statusPanel struct {
	Board   string        `json:"board"`
	Title   string        `json:"title"`
	About   string        `json:"about"`
	Unit    unit          `json:"unit"`
	Queries []statusQuery `json:"queries"`
}

// statusPanels gives the panels that the node's own page shows, as TypeScript.
func statusPanels(all []board) ([]byte, error) {
	var out []statusPanel
	for _, b := range all {
		for i := range b.panels {
			p := &b.panels[i]
			if !p.status {
				continue
			}
			shown := statusPanel{Board: b.name, Title: p.title, About: p.about, Unit: p.unit}
			for _, q := range p.queries {
				shown.Queries = append(shown.Queries, statusQuery{Of: q.of, Metric: q.metric, Where: q.where, By: withoutInstance(q.by), Q: q.q, Legend: q.legend})
			}
			out = append(out, shown)
		}
	}
	var b bytes.Buffer
	b.WriteString(statusHead)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), ';', '\n'), nil
}

// withoutInstance leaves out the label that Prometheus adds.
func withoutInstance(by []string) []string {
	var out []string
	for _, l := range by {
		if l != "instance" {
			out = append(out, l)
		}
	}
	return out
}
